"""The server's thread while a worker runs the request: it waits, keeps alive, sees who left.

What the server iterates is a `Serving`. It takes what the worker has made and sends a comment when
there was nothing for a while. Before the app has answered nothing is sent, so that a failure is
still the server's 500, with one exception: an app that has declared an event stream and is silent
for a second afterwards is opened with the first comment.
"""

import random
import sys
from typing import Any, Callable, Iterable, NamedTuple, Optional

from sse_middleware.clock import Clock
from sse_middleware.current import CurrentStream
from sse_middleware.disconnect import Probe
from sse_middleware.errors import ResponseError
from sse_middleware.handover import Handover
from sse_middleware.registry import Registry
from sse_middleware.remote import RemoteAnswer
from sse_middleware.response import LaterFile, StartResponse
from sse_middleware.resume.keeping import Unkept
from sse_middleware.stream import ends_in_blank_line
from sse_middleware.worker import Job

__all__ = ["Pace", "Serving"]

#: How long a declared stream may be silent before it is opened with a comment, in seconds.
_OPENS_AFTER_S = 1.0


class Pace(NamedTuple):
    """What happens by the clock; all in seconds."""

    clock: Clock
    heartbeat_s: Optional[float]
    max_age_s: Optional[float]

    def expiry(self) -> Optional[float]:
        """When a stream that opens now has to end: within a tenth of ``max_age_s`` before it.

        The jitter keeps streams that opened together from coming back together.
        """
        if self.max_age_s is None:
            return None
        return self.clock.monotonic() + self.max_age_s * random.uniform(0.9, 1.0)  # nosec B311


class Serving:
    """What the server iterates while a worker runs the request."""

    def __init__(
        self,
        hand: Handover,
        answer: RemoteAnswer,
        stream: CurrentStream,
        pace: Pace,
        probe: Optional[Probe],
        registry: Registry,
        beside: Callable[[Callable[[], None]], bool],
        keeper: Unkept,
    ) -> None:
        self.job: Optional[Job] = None
        self._hand = hand
        self._answer = answer
        self._stream = stream
        self._clock = pace.clock
        self._pace = pace
        self._probe = probe
        self._registry = registry
        self._beside = beside
        self._keeper = keeper
        self._tail = b"\n\n"
        self._is_over = False
        self._looks_at: Optional[float]
        self._look_again_later()
        self._beats_at: Optional[float] = None
        self._expires_at: Optional[float] = None

    def begin(self, start_response: StartResponse) -> Iterable[Any]:
        """Wait for the app's answer, tell the server, and return the body.

        Raises:
            BaseException: what the app raised before it had answered.
        """
        try:
            if not self._wait_for_answer():
                start_response("204 No Content", [])  # to nobody
                return []
            self._answer.tell(start_response)
        except BaseException:
            self.close()
            raise
        if self._answer.whole is not None:
            self._is_over = True
            self._stop_looking()
            whole = self._answer.whole
            return whole.wrapped() if isinstance(whole, LaterFile) else whole
        if self._answer.is_stream:
            self._expires_at = self._pace.expiry()
            self._registry.opened(self, self._stream)
        else:
            self._beats_at = None
        return self

    def _wait_for_answer(self) -> bool:
        answer, hand = self._answer, self._hand
        while True:
            version = hand.version
            if answer.is_ready:
                return True
            if hand.is_over and not answer.is_ready:  # else both came since we looked
                raise ResponseError("the app ended without an answer")
            self._beats_at = self._opens_at()  # stays due when it opens the stream
            if self._is_due(self._beats_at) and answer.open_early():
                return True
            if self._has_left():
                self._abandon("disconnect")
                return False
            hand.wait(self._clock, self._next_due_at(), version)

    def _opens_at(self) -> Optional[float]:
        """When a stream that the app declared, and is silent since, is opened with a comment."""
        declared_at, heartbeat_s = self._answer.declared_at, self._pace.heartbeat_s
        if declared_at is None or heartbeat_s is None:
            return None
        return declared_at + min(heartbeat_s, _OPENS_AFTER_S)

    def __iter__(self) -> "Serving":
        return self

    def __next__(self) -> Any:
        while True:
            version = self._hand.version
            if not (self._is_over or self._stream.ended):
                self._end_in_time()
            if self._is_over:
                raise StopIteration
            taken = self._hand.take(joined=self._answer.is_stream)
            if taken:
                return self._sent(taken[0] if len(taken) == 1 else b"".join(taken), len(taken))
            if self._is_finished():
                raise StopIteration
            if self._is_due(self._beats_at) and self._is_between_events:
                return self._heartbeat()
            self._hand.wait(self._clock, self._next_due_at(), version)

    def close(self) -> None:
        """The server is done with the response. Never waits for the worker."""
        if not self._is_over:
            if self._stream.ended and self._hand.is_empty:
                self._finish("error" if self._stream.failed else "end")
            else:
                self._abandon("disconnect")
        self._hand.cancel()

    def __del__(self) -> None:
        """A server that drops a response unclosed, as test clients may, ends it all the same."""
        if not self._is_over and not sys.is_finalizing():
            self.close()

    def wake(self) -> None:
        """Look again whether it is time to end; from any thread."""
        self._hand.wake_taker()

    def _is_finished(self) -> bool:
        """Whether the worker has made all; raises what ended it."""
        try:
            if not self._hand.is_over:
                return False
        except BaseException as error:
            self._finish("error")
            if isinstance(error, Exception):
                raise
            raise ResponseError(f"the app raised {type(error).__name__}") from error
        if self._hand.is_cancelled:  # given up by the worker: the rest is in the log alone
            self._finish("disconnect")
        else:
            self._finish("error" if self._stream.failed else "end")
        return True

    def _sent(self, data: Any, frames: int) -> Any:
        if self._answer.is_stream:
            self._stream.frames_sent += frames
            self._stream.bytes_sent += len(data)
            self._tail = (self._tail + data[-4:])[-4:]
            self._rest()
        return data

    def _heartbeat(self) -> bytes:
        """A comment. A blank line after an event with an id would crash the OpenAI SDK."""
        self._rest()
        self._registry.heartbeat(self._stream)
        return b":\n" if self._stream.has_sent_id else b": \n\n"

    @property
    def _is_between_events(self) -> bool:
        return ends_in_blank_line(self._tail)

    def _end_in_time(self) -> None:
        """End here, if the client has left, or the stream is too old, or is to be drained."""
        if self._has_left() or self._hand.is_cancelled:  # given up by the worker
            self._abandon("disconnect")
        elif self._answer.is_stream and self._is_between_events:
            if self._registry.is_draining:
                self._abandon("drain")
            elif self._is_due(self._expires_at):
                self._abandon("max_age")

    def _has_left(self) -> bool:
        if self._probe is None or (self._looks_at is not None and not self._is_due(self._looks_at)):
            return False
        self._look_again_later()
        return self._probe.has_left()

    def _look_again_later(self) -> None:
        every_s = None if self._probe is None else self._probe.looks_every_s
        self._looks_at = None if every_s is None else self._clock.monotonic() + every_s

    def _stop_looking(self) -> None:
        if self._probe is not None:
            self._probe.stop()

    def _is_due(self, at: Optional[float]) -> bool:
        return at is not None and self._clock.monotonic() >= at

    def _next_due_at(self) -> Optional[float]:
        """When something is due, by the clock; None if nothing ever is."""
        due = [self._looks_at, self._beats_at, self._expires_at]
        return min([at for at in due if at is not None], default=None)

    def _rest(self) -> None:
        """The next comment is a whole heartbeat away."""
        if self._pace.heartbeat_s is not None:
            self._beats_at = self._clock.monotonic() + self._pace.heartbeat_s

    def _abandon(self, reason: str) -> None:
        """Stop, and the app with it, unless somebody may come back for the rest of the stream."""
        self._finish(reason)
        self._hand.cancel()
        if not self._keeper.linger(self._clock, self._beside, self._stop_app):
            self._stop_app()

    def _stop_app(self) -> None:
        """The app is told, and killed where that can be done."""
        self._keeper.discard()
        if self.job is not None:
            self.job.kill()  # first: what a callback frees would be killed inside its finally
        self._stream.disconnected = True
        # They may block, and this thread may not, unless there is no other to be had.
        if self._stream.has_callbacks and not self._beside(self._stream.disconnect):
            self._stream.disconnect()

    def _finish(self, reason: str) -> None:
        self._is_over = True
        self._stop_looking()
        if self._answer.is_stream:
            self._registry.closed(self, self._stream, reason)
