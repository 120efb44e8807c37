"""``Handover``: what a worker has made, on its way to the thread of the server.

One puts, one takes. While the taker keeps up, a frame costs an append and a look at a flag; locks
are touched only when somebody really waits (a `threading.Condition` per event cost five times as
much). What is ready together is taken together, and joined, up to 64 KiB a write: a server holds
that twice for a client that does not read (with frames of 4 KiB 523 KB a client in all; 841 when
everything was joined), and more gained no time.

The buffer is bounded: in frames, because each costs an object, and in bytes.
"""

from bisect import bisect_right
from itertools import accumulate
from typing import Any, List, Optional

from sse_middleware.clock import Clock, Signal
from sse_middleware.stream import EventStream

__all__ = ["Handover"]

_MAX_FRAMES = 1024
_MAX_BYTES = 256 * 1024
#: What is joined for one write. The server holds it, and a copy, while a client does not read.
_MAX_JOINED_BYTES = 64 * 1024


class Handover:
    """A bounded buffer from one worker to one taker. See the module for how it behaves."""

    def __init__(self, filled: Signal, drained: Signal, *, on_demand: bool = False) -> None:
        self.is_cancelled = False
        #: Changes with all that the worker has for the taker. Written by the worker alone: of two
        #: threads that add to it at once one may undo what the other did (Python 3.8, 3.9).
        self.version = 0
        # The worker appends, the taker takes from the front: each is one step of the interpreter.
        self._items: List[Any] = []
        self._filled = filled
        self._drained = drained
        self._is_taker_waiting = False
        self._is_putter_waiting = False
        self._put_bytes = 0  # written by the worker alone
        self._taken_bytes = 0  # written by the taker alone
        self._is_finished = False
        self._error: Optional[BaseException] = None
        self._on_demand = on_demand
        self._made = 0  # counted by the worker alone
        self._taken = 0  # these two by the taker alone
        self._wanted = 0

    # --- the worker's side

    def put(self, item: Any, patience_s: Optional[float] = None) -> bool:
        """Hand over one item; waits while the buffer is full. False: nobody wants it.

        A taker that takes nothing for ``patience_s`` seconds of real time is given up.
        """
        size = len(item) if isinstance(item, bytes) else 0
        while not self.is_cancelled and not self._has_room(size):
            self._wait_for_room(size, patience_s)
        if self.is_cancelled:
            return False
        self._put_bytes += size
        self._made += 1
        self._items.append(item)
        self.tell_taker()
        return True

    def put_all(self, frames: EventStream) -> bool:
        """Hand over each of ``frames`` as `put` does, while somebody wants it.

        Whether it stopped at the last of them because ``frames.ended``: what their source does
        after its own end nobody waits for.

        Written out for a frame that has room, it takes 0.16 us of a small event's 1.5. A call of
        `put` for each, from a loop that asks for demand too, took twice as much.
        """
        items = self._items
        for frame in frames:
            size = len(frame)
            buffered = self._put_bytes - self._taken_bytes + size
            if self.is_cancelled or len(items) >= _MAX_FRAMES or buffered > _MAX_BYTES:
                if not self.put(frame):
                    return False
            else:
                self._put_bytes += size
                items.append(frame)
                self.version += 1
                if self._is_taker_waiting:
                    self._is_taker_waiting = False
                    self._filled.set()
            if frames.ended:
                return True
        return False

    @property
    def is_on_demand(self) -> bool:
        """Whether an item is made only when the taker waits for it."""
        return self._on_demand

    def wait_for_demand(self) -> bool:
        """Where items are made on demand, wait for one. False: nobody wants any more."""
        while self._on_demand and not self.is_cancelled and self._made >= self._wanted:
            self._is_putter_waiting = True
            if self._made >= self._wanted and not self.is_cancelled:
                self._drained.wait(None)
        return not self.is_cancelled

    def finish(self, error: Optional[BaseException] = None) -> None:
        """No more items will come; the taker gets ``error`` after the last."""
        self._error = error
        self._is_finished = True
        self.tell_taker()

    def tell_taker(self) -> None:
        """Let the taker look again; for the worker alone."""
        self.version += 1
        if self._is_taker_waiting:
            self._is_taker_waiting = False
            self._filled.set()

    def _has_room(self, size: int) -> bool:
        if not self._items:
            return True
        buffered = self._put_bytes - self._taken_bytes
        return len(self._items) < _MAX_FRAMES and buffered + size <= _MAX_BYTES

    def _wait_for_room(self, size: int, patience_s: Optional[float]) -> None:
        self._is_putter_waiting = True
        if self._has_room(size) or self.is_cancelled or self._drained.wait(patience_s):
            return
        if not self._has_room(size):
            self.cancel()

    # --- the taker's side

    @property
    def is_over(self) -> bool:
        """Whether all was taken and no more will come; raises what ended it."""
        if not self._is_finished or self._items:
            return False
        error, self._error = self._error, None
        if error is not None:
            raise error
        return True

    def wait(self, clock: Clock, until_s: Optional[float], version: int) -> bool:
        """Wait for a ``version`` later than this. False: the clock showed ``until_s`` before."""
        if self._on_demand:
            self._wanted = self._taken + 1  # a total: asking twice for an item is asking once
            self._wake_putter()
        # The flag first, then the look; who puts changes the version first, then looks at the flag.
        # So of two that do it at once one sees the other, and no item waits beside a taker.
        self._is_taker_waiting = True
        return self.version != version or clock.wait(self._filled, until_s)

    @property
    def is_empty(self) -> bool:
        """Whether all that was made so far was taken."""
        return not self._items

    def take(self, *, joined: bool) -> List[Any]:
        """What is there, without waiting: one item, or where they are joined what fits a write."""
        items = self._items
        count = min(len(items), 1)
        if joined and not self._on_demand:
            count = self._fitting()
        taken = items[:count]
        del items[:count]
        self._taken += count
        self._taken_bytes += sum([len(item) for item in taken if isinstance(item, bytes)])
        self._wake_putter()
        return taken

    def _fitting(self) -> int:
        """How many of the items fit in one write; at least one, if any is there."""
        items = self._items
        if self._put_bytes - self._taken_bytes <= _MAX_JOINED_BYTES:
            return len(items)
        return max(1, bisect_right(list(accumulate(map(len, items))), _MAX_JOINED_BYTES))

    def wake_taker(self) -> None:
        """Let the taker look again, or once more if it does not wait; from any thread."""
        self._filled.set()

    def cancel(self) -> None:
        """Nobody will take any more: the worker hears of it at its next item.

        A taker that still waits, in another thread than this, is let go on.
        """
        self.is_cancelled = True
        self._wake_putter()
        self.wake_taker()

    def _wake_putter(self) -> None:
        if self._is_putter_waiting:
            self._is_putter_waiting = False
            self._drained.set()
