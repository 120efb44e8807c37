"""``Frames``: what a log in memory keeps of one stream, and how far each of its readers has come.

One deque for all readers; each has its own place in it, and waits for a signal of its own kind.
What they share is changed under the lock of the log alone.
"""

from collections import deque
from typing import TYPE_CHECKING, Deque, Optional, Set, Tuple

from sse_middleware.clock import Signal
from sse_middleware.errors import StreamLostError
from sse_middleware.resume.log import Bounds
from sse_middleware.signals import signal_here

if TYPE_CHECKING:
    from sse_middleware.resume.memory import MemoryLog

__all__ = ["Frames", "Place", "Reader", "Subscription"]


class Frames:
    """The frames of one stream or channel that are kept, and who waits for the next."""

    def __init__(self, bounds: Bounds, head: str, *, is_channel: bool) -> None:
        self.head = head
        self.first = 1
        self.is_finished = False
        self.is_lost = False
        self.followers = 0
        self.left_at: Optional[float] = None
        self.touched_at = 0.0
        self.waiting: Set[Signal] = set()
        self._frames: Deque[bytes] = deque()
        self._bytes = 0
        self._bounds = bounds
        self.is_channel = is_channel

    @property
    def is_done(self) -> bool:
        """Whether nothing will come any more that anybody waits for."""
        return self.is_finished or (self.is_channel and not self.followers)

    @property
    def last(self) -> int:
        """The number of the newest frame; below `first` while there is none."""
        return self.first + len(self._frames) - 1

    def append(self, frame: bytes) -> None:
        """Keep ``frame``, and drop what is past the bounds."""
        self._frames.append(frame)
        self._bytes += len(frame)
        while len(self._frames) > self._bounds.max_events or (
            self._bytes > self._bounds.max_bytes and len(self._frames) > 1
        ):
            self._bytes -= len(self._frames.popleft())
            self.first += 1
        self.wake()

    def __getitem__(self, number: int) -> bytes:
        return self._frames[number - self.first]

    def wake(self) -> None:
        """Let those who wait look again."""
        for signal in list(self.waiting):
            signal.set()


class Place:
    """How far one reader has come."""

    def __init__(self, log: "MemoryLog", frames: Frames, after: int) -> None:
        self.frames = frames
        self.number = after
        self.is_following = False
        self.signal = signal_here()
        self._log = log
        self.is_closed = False

    @property
    def has_news(self) -> bool:
        """Whether there is a reason to wait no longer."""
        frames = self.frames
        return self.is_closed or frames.is_finished or frames.is_lost or frames.last > self.number

    def close(self) -> None:
        """Stop, also a wait in another thread."""
        if not self.is_closed:
            self.is_closed = True
            self._log.left(self)
            self.signal.set()

    def _wait(self) -> None:
        if self.is_closed:
            raise StopIteration
        signal = self._log.waiting_place(self)
        while signal is not None:
            signal.wait(None)
            signal = self._log.waiting_place(self)
        if self.is_closed:
            raise StopIteration


class Reader(Place):
    """An iterator over the frames of a stream."""

    def __init__(self, log: "MemoryLog", name: str, frames: Frames, after: int) -> None:
        super().__init__(log, frames, after)
        self.head = frames.head
        self._name = name

    @property
    def nothing_follows(self) -> bool:
        """Whether the stream is finished, and nothing is left to be read."""
        return self.frames.is_finished and self.frames.last == self.number

    @property
    def is_orphaned(self) -> bool:
        """Whether nobody writes the stream any more though it has no end."""
        return self.frames.is_lost

    def __iter__(self) -> "Reader":
        return self

    def __next__(self) -> bytes:
        self._wait()
        frame = self._log.read(self.frames, self.number + 1)
        if frame is None and self.nothing_follows:
            raise StopIteration
        if frame is None:
            raise StreamLostError("nobody writes it" if self.is_orphaned else "read too slowly")
        self.number += 1
        return frame

    def conclude(self, frame: bytes) -> None:
        """Nothing: the stream was forgotten when its writer gave it up."""


class Subscription(Place):
    """An iterator over the ids and frames of a channel."""

    def __iter__(self) -> "Subscription":
        return self

    def __next__(self) -> Tuple[str, bytes]:
        self._wait()
        if self.frames.last <= self.number:  # it was dropped
            raise StopIteration
        frame = None
        while frame is None:  # what was dropped meanwhile is passed over
            self.number = max(self.number + 1, self.frames.first)
            frame = self._log.read(self.frames, self.number)
        return f"{self.frames.head}-{self.number}", frame
