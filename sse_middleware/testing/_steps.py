"""One request in a thread of its own, which takes one step whenever it is told to.

A server calls the app, iterates and closes from one thread, and so does this one. Whoever reads
can give up waiting: the step that was begun goes on, and what it comes to is kept for later.
"""

import threading
import time
from enum import Enum
from queue import Queue
from typing import Any, Callable, NamedTuple, Optional, Protocol

from sse_middleware.clock import Clock
from sse_middleware.headers import Headers
from sse_middleware.testing.clock import VirtualClock

__all__ = ["Answer", "Chunk", "ClientLeft", "CutOff", "Exchange", "Kind", "Notice", "Steps"]

# How long a request may take to answer, or to wait on a virtual clock, before the test goes on.
_RESTS_WITHIN_S = 1.0
# A worker that has declared a stream may be about to hand over its first item.
_GRACE_S = 0.1


class Answer(NamedTuple):
    """Status line, without the version, and headers."""

    status: str
    headers: Headers


class Chunk(NamedTuple):
    """One item of a response's body, as it was yielded, or as one read of a socket gave it."""

    data: bytes
    #: When it came: seconds since the request began, on the clock of the client.
    at_s: float


class CutOff(Exception):
    """The connection broke inside the response."""


class ClientLeft(BrokenPipeError):
    """What ``write()`` raises when nobody reads any more, as that of a server does."""


class Exchange(Protocol):
    """One request and its response. All but `leave` is called in one thread."""

    answer: Optional[Answer]

    def open(self, write: Callable[[bytes], None]) -> None:
        """Make the request. ``write`` takes bytes that come without being read."""

    def read(self) -> bytes:
        """The next item of the body; StopIteration after the last."""

    def close(self) -> None:
        """End it."""

    def leave(self) -> None:
        """From another thread, while it is read: the client goes."""

    def find_blocked(self, thread_id: Optional[int]) -> Optional[str]:
        """What still runs of it, in that thread or elsewhere: where, as text; None if nothing."""


class Kind(Enum):
    """What came. Every step ends in DONE, END or FAILED; after WRITTEN the app is held."""

    CHUNK = 1
    WRITTEN = 2
    DONE = 3
    END = 4
    FAILED = 5
    CLOSED = 6


class Notice(NamedTuple):
    """What the thread of a request tells."""

    kind: Kind
    value: Any = None


class Steps:
    """The thread of one request. It opens at once, and reads when it is asked to."""

    def __init__(self, exchange: Exchange, clock: Optional[Clock]) -> None:
        self.exchange = exchange
        self._clock = clock
        self._monotonic = time.monotonic if clock is None else clock.monotonic
        self._orders: Queue[bool] = Queue()
        self._notices: Queue[Notice] = Queue()
        self._is_pending = True
        self._is_held = False
        self._has_left = False
        self._resumed = threading.Semaphore(0)
        self._is_open = threading.Event()
        self._thread = threading.Thread(target=self._run, name="StreamClient", daemon=True)
        self._began_s = 0.0

    def begin(self) -> None:
        """Open. On a virtual clock, wait until the request waits for it, or has answered.

        So what is advanced afterwards is behind the answer, however the threads were scheduled.
        """
        self._began_s = self._monotonic()
        self._thread.start()
        if isinstance(self._clock, VirtualClock):
            gives_up_at = time.monotonic() + _RESTS_WITHIN_S
            while not self._clock._waiting and time.monotonic() < gives_up_at:
                if self._is_open.wait(0.002):
                    return
            self._is_open.wait(_GRACE_S)

    def take(self, timeout_s: float) -> Notice:
        """What comes next; asks for more if nothing is on its way. Raises ``queue.Empty``."""
        if self._is_held:
            self._is_held = False
            self._resumed.release()
        elif not self._is_pending:
            self._is_pending = True
            self._orders.put(True)
        notice = self._notices.get(timeout=max(0.0, timeout_s))
        self._is_held = notice.kind is Kind.WRITTEN
        self._is_pending = self._is_pending and notice.kind is not Kind.DONE
        return notice

    def leave(self) -> None:
        """Close when the step that goes on has ended, after telling it that the client goes."""
        self._has_left = True
        if self._is_pending:
            self.exchange.leave()
        self._is_pending, self._is_held = True, False
        self._resumed.release()
        self._orders.put(False)

    def find_blocked(self) -> Optional[str]:
        """Where the request still is, as text; None if it has ended."""
        return self.exchange.find_blocked(self._thread.ident if self._thread.is_alive() else None)

    def _run(self) -> None:
        self._step(lambda: self.exchange.open(self._write))
        self._is_open.set()
        while self._orders.get():
            self._step(lambda: self._deliver(Kind.CHUNK, self.exchange.read()))
        self._step(self.exchange.close, is_last=True)

    def _step(self, step: Callable[[], None], *, is_last: bool = False) -> None:
        try:
            step()
        except StopIteration:
            self._notices.put(Notice(Kind.END))
        except BaseException as error:
            self._notices.put(Notice(Kind.FAILED, error))
        else:
            self._notices.put(Notice(Kind.DONE))
        if is_last:
            self._notices.put(Notice(Kind.CLOSED))

    def _write(self, data: bytes) -> None:
        """Deliver, and hold the app until more is wanted: it may write without an end."""
        self._deliver(Kind.WRITTEN, data)
        self._resumed.acquire()
        if self._has_left:
            raise ClientLeft("the client has left")

    def _deliver(self, kind: Kind, data: bytes) -> None:
        at_s = self._monotonic() - self._began_s
        self._notices.put(Notice(kind, Chunk(data, at_s)))
