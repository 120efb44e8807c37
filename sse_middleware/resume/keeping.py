"""``Keeper``: what a worker's stream is kept by, so that it outlives its connection.

It stands between the frames of the app and the client. Whole events are numbered, kept, and handed
on, in that order: an id that a client has seen is in the log. When the client leaves, the app goes
on for as long as somebody may come back for the rest.
"""

import json
import logging
from functools import partial
from typing import Callable, List, Optional, Tuple

from sse_middleware.clock import Clock, Signal
from sse_middleware.current import CurrentStream
from sse_middleware.resume.address import Address, new_stream_id
from sse_middleware.resume.blocks import Blocks, is_event, numbered, without_id
from sse_middleware.resume.guard import Guard
from sse_middleware.resume.log import Writer

__all__ = ["Head", "Keeper", "Unkept"]

_MAX_HALF_BYTES = 1024 * 1024
#: Seconds for which a client that takes nothing may hold back an app that others can follow.
_PATIENCE_S = 2.0

_log = logging.getLogger("sse_middleware")

Head = Callable[[], Tuple[str, List[Tuple[str, str]]]]


class Unkept:
    """The keeper of a stream that ends with its connection: it keeps nothing."""

    @property
    def patience_s(self) -> Optional[float]:
        """Seconds that the app waits for a client that takes nothing; None: however long."""
        return None

    @property
    def goes_on(self) -> bool:
        """Whether the app is to go on though its client has left."""
        return False

    def keep(self, data: bytes) -> bytes:
        """What is to be sent of ``data``."""
        return data

    def finish(self) -> None:
        """The stream has had its last frame."""

    def discard(self) -> None:
        """The stream broke off, or nobody will want it: forget it."""

    def linger(
        self, clock: Clock, beside: Callable[[Callable[[], None]], bool], stop: Callable[[], None]
    ) -> bool:
        """Whether the app goes on after its client; if so, ``stop()`` is called in the end."""
        return False


class Keeper(Unkept):
    """Keeps the events of one stream, from its first on."""

    def __init__(
        self, guard: Guard, address: Address, stream: CurrentStream, over: Signal, head: Head
    ) -> None:
        self._guard = guard
        self._address = address
        self._stream = stream
        self._over = over
        self._head = head
        self._stream_id = new_stream_id()
        self._number = 0
        self._blocks = Blocks()
        self._writer: Optional[Writer] = None
        self._goes_on = True
        self._is_done = False
        stream.is_resumable = True

    @property
    def patience_s(self) -> Optional[float]:
        """Seconds that the app waits for a client that takes nothing; None: however long."""
        return None if self._writer is None else _PATIENCE_S

    @property
    def goes_on(self) -> bool:
        """Whether the app is to go on though its client has left."""
        return self._goes_on

    def keep(self, data: bytes) -> bytes:
        """What is to be sent of ``data``: the events that it completes, numbered.

        Of a stream whose events have ids of another kind (`Channel`), everything.
        """
        if self._stream.is_resumable and len(self._blocks) > _MAX_HALF_BYTES:
            _log.warning("an event of over %d bytes: the stream is kept no more", _MAX_HALF_BYTES)
            self._stream.is_resumable = False
        if not self._stream.is_resumable:
            self.discard()
            return self._blocks.take_half() + data
        if self._stream.failed:  # what comes is the error event
            self._blocks.take_half()
        return b"".join([self._kept(block) for block in self._blocks.feed(data)])

    def finish(self) -> None:
        """The stream has had its last frame; it stays for those who come back."""
        writer, self._writer = self._writer, None
        if writer is not None:
            self._guard.wrote(writer.finish)
        self._end()

    def discard(self) -> None:
        """The stream broke off, or nobody will want it: forget it."""
        self._goes_on = False
        writer, self._writer = self._writer, None
        if writer is not None:
            self._guard.wrote(writer.discard)
        self._end()

    def linger(
        self, clock: Clock, beside: Callable[[Callable[[], None]], bool], stop: Callable[[], None]
    ) -> bool:
        """Whether the app goes on after its client; if so, ``stop()`` is called in the end."""
        if self._is_done or self._writer is None or not self._stream.frames_sent:
            return False  # nobody has an id to come back with
        until_s = clock.monotonic() + self._guard.linger_s  # from now, not from when that begins
        # Where no thread can wait for that, the app ends: this one has others to serve.
        return beside(partial(self._linger, clock, until_s, stop))

    def _linger(self, clock: Clock, until_s: float, stop: Callable[[], None]) -> None:
        """Wait for the app to end, or for nobody to have followed for long enough."""
        left_s = self._guard.linger_s
        while left_s > 0:
            if clock.wait(self._over, until_s):
                return
            left_s = self._followed_s()
            until_s = clock.monotonic() + left_s
        stop()

    def _followed_s(self) -> float:
        writer, left_s = self._writer, 0.0
        try:
            if writer is not None:
                left_s = writer.followed_s()
        except Exception as error:
            _log.debug("nobody can follow: %r", error)
        return left_s

    def _kept(self, block: bytes) -> bytes:
        if not is_event(block):
            return without_id(block)
        if not self._number:
            head = json.dumps(_shown_again(*self._head()))
            self._writer = self._guard.open(self._address.name(self._stream_id), head)
            if not self._goes_on:  # it was given up while it was opened
                self.discard()
        self._number += 1
        frame = numbered(block, f"{self._stream_id}-{self._number}")
        self._stream.has_sent_id = True
        writer = self._writer
        if writer is not None and not self._guard.wrote(partial(writer.append, frame)):
            self._writer = None  # the numbers go on, so that nobody resumes at a wrong place
        return frame

    def _end(self) -> None:
        self._is_done = True
        self._over.set()


def _shown_again(status: str, headers: List[Tuple[str, str]]) -> List[object]:
    """What of the app's answer a client that comes back is shown, such as CORS headers."""
    return [status, [pair for pair in headers if pair[0].lower() != "set-cookie"]]
