"""A response that is being read: every wait ends, and says what had come by then.

Nothing that came is ever lost to an error: what was not handed out is there for the next read.
"""

import math
import time
from collections import deque
from queue import Empty
from types import TracebackType
from typing import Any, Callable, Deque, List, Optional, Type

from sse_middleware.errors import (
    EventTooLargeError,
    OptionError,
    SSEError,
    StillRunningError,
    StreamCutError,
    StreamEndedError,
    shown,
)
from sse_middleware.event import Event
from sse_middleware.parser import EventParser
from sse_middleware.testing._comments import CommentReader
from sse_middleware.testing._steps import Answer, Chunk, ClientLeft, CutOff, Kind, Steps
from sse_middleware.testing._telling import so_far
from sse_middleware.testing.exchange import RequestHeaders

__all__ = ["OpenStream", "checked_timeout"]

_POLL_S = 0.002
# An app may need a moment to end, also in a test whose reads are to fail at once.
_ENDS_WITHIN_S = 1.0
# Of the app, at the end of a test that read as much as it wanted.
_NO_FAULT = (CutOff, ClientLeft)


class OpenStream:
    """What ``with client.get(...) as stream:`` gives. See `StreamClient`.

    ``timeout`` is in real seconds; where it is None, that of the request counts.
    """

    def __init__(self, steps: Steps, request: str, timeout_s: float) -> None:
        #: What has come so far: items of the body as they were yielded, or reads of the socket.
        self.chunks: List[Chunk] = []
        #: The text of every comment that has come so far.
        self.comments: List[str] = []
        #: Whether the body has ended by itself, so that all of it is in ``chunks``.
        self.ended = False
        self._steps = steps
        self._request = request
        self._timeout_s = timeout_s
        self._has_begun = False
        self._is_answered = False
        self._is_over = False
        self._failure: Optional[BaseException] = None
        self._traceback: Optional[TracebackType] = None
        self._was_raised = False
        self._parser = EventParser()
        self._comment_reader = CommentReader()
        self._came: List[Event] = []
        self._unread: Deque[Event] = deque()
        self._unread_comments: Deque[str] = deque()

    # --- the response

    @property
    def status_code(self) -> int:
        """The status, as a number. Waits for the app to answer."""
        return int(self._answer().status[:3])

    @property
    def headers(self) -> RequestHeaders:
        """The headers, found in any case; a repeated one is joined with ``", "``."""
        return RequestHeaders(self._answer().headers)

    # --- what comes

    def event(self, *, timeout: Optional[float] = None) -> Event:
        """The next event. Comments on the way are skipped, and kept for `comment`.

        Raises:
            TimeoutError: none came in time. The stream stays readable.
            StreamEndedError: the stream ended first (StreamCutError: was cut), or was no stream.
            Exception: what the app raised.
        """
        self._wait_for(lambda: bool(self._unread), "the next event", timeout)
        return self._unread.popleft()

    def events(self, n: int, *, timeout: Optional[float] = None) -> List[Event]:
        """The next ``n`` events, all of them within ``timeout``; else none is taken."""
        if not isinstance(n, int) or n < 0:
            raise OptionError("n", shown(n), "an int >= 0")
        self._wait_for(lambda: len(self._unread) >= n, f"the next {n} events", timeout)
        return [self._unread.popleft() for _ in range(n)]

    def comment(self, *, timeout: Optional[float] = None) -> str:
        """The text of the next comment. Events on the way are kept for `event`."""
        self._wait_for(lambda: bool(self._unread_comments), "the next comment", timeout)
        return self._unread_comments.popleft()

    def read(self, *, timeout: Optional[float] = None) -> bytes:
        """The whole body, from its first byte to its end; events in it stay to be read."""
        self._wait_for(self._is_finished, "the end", timeout)
        if isinstance(self._failure, CutOff):
            raise self._ended("the end")
        return b"".join(chunk.data for chunk in self.chunks)

    def __iter__(self) -> "OpenStream":
        return self

    def __next__(self) -> Event:
        self._wait_for(lambda: bool(self._unread) or self._is_finished(), "the next event", None)
        if self._unread:
            return self._unread.popleft()
        if isinstance(self._failure, CutOff):
            raise self._ended("the next event")
        raise StopIteration

    # --- the with statement

    def __enter__(self) -> "OpenStream":
        if self._has_begun:
            raise SSEError("the stream was opened before: expected a new request for each 'with'")
        self._has_begun = True
        self._steps.begin()
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        problem = self._leave()
        if problem is not None and error is None:  # never hides the failure of the test itself
            raise problem

    def _leave(self) -> Optional[BaseException]:
        """Close, and wait for the app to end; what a test should hear of, if anything."""
        within_s = max(self._timeout_s, _ENDS_WITHIN_S)
        until = time.monotonic() + within_s
        self._steps.leave()
        try:
            while self._take(until) is not Kind.CLOSED:
                pass
            blocked = self._steps.find_blocked()
            while blocked and time.monotonic() < until:
                time.sleep(_POLL_S)  # nothing tells when a worker is done
                blocked = self._steps.find_blocked()
        except Empty:
            blocked = self._steps.find_blocked() or "a place that cannot be told"
        self._is_over = True
        if blocked:
            return StillRunningError(
                f"{self._request} did not end within {within_s:g} s after its client left: "
                f"the app is still at {blocked}\nLet what it waits for end when the client leaves "
                "(current_stream().on_disconnect), or wait with a timeout."
            )
        if self._failure is None or self._was_raised or isinstance(self._failure, _NO_FAULT):
            return None
        return self._failure.with_traceback(self._traceback)

    # --- waiting

    def _answer(self) -> Answer:
        self._wait_for(lambda: self._is_answered, "an answer", None)
        answer = self._steps.exchange.answer
        assert answer is not None
        return answer

    def _wait_for(
        self, is_there: Callable[[], bool], wanted: str, timeout: Optional[float]
    ) -> None:
        if not self._has_begun:
            raise SSEError("the stream is not open: expected 'with client.get(...) as stream:'")
        timeout_s = self._timeout_s if timeout is None else checked_timeout(timeout)
        until = time.monotonic() + timeout_s
        while not is_there():
            if self._is_over:
                raise self._ended(wanted)
            try:
                self._take(until)
            except Empty:
                text = f"waited {timeout_s:g} s for {wanted}: {self._so_far()}"
                raise TimeoutError(text) from None

    def _take(self, until: float) -> Kind:
        """Take in the next thing that comes. Raises ``Empty`` after ``until``."""
        kind, value = self._steps.take(until - time.monotonic())
        if kind is not Kind.FAILED:  # until then, exc_info may replace it
            self._is_answered = self._steps.exchange.answer is not None
        if kind in (Kind.CHUNK, Kind.WRITTEN):
            self._feed(value)
        elif kind is Kind.FAILED:
            self._fail(value)
        elif kind is Kind.END:
            self._is_over = self.ended = True
        return kind

    def _feed(self, chunk: Chunk) -> None:
        self.chunks.append(chunk)
        comments = self._comment_reader.feed(chunk.data)
        self.comments += comments
        self._unread_comments += comments
        try:
            events = self._parser.feed(chunk.data)
        except EventTooLargeError as error:
            events = list(error.events)  # type: ignore[arg-type]
            self._fail(error)
        self._came += events
        self._unread += events

    def _fail(self, error: BaseException) -> None:
        self._is_over = True
        if self._failure is None:
            self._failure, self._traceback = error, error.__traceback__

    def _is_finished(self) -> bool:
        """Whether nothing more will come; raises what the app raised."""
        if not self._is_over:
            return False
        if self._failure is not None and not isinstance(self._failure, CutOff):
            self._was_raised = True
            raise self._failure.with_traceback(self._traceback)
        return True

    # --- what is told

    def _ended(self, wanted: str) -> SSEError:
        """The stream ended, or what the app raised."""
        self._is_finished()
        if isinstance(self._failure, CutOff):
            text = f"the connection was cut before {wanted} ({self._failure})"
            return StreamCutError(f"{text}: {self._so_far()}")
        what = "response ended" if self.ended else "'with' was left"
        return StreamEndedError(f"the {what} before {wanted}: {self._so_far()}")

    def _so_far(self) -> str:
        answer = self._steps.exchange.answer
        return so_far(self._request, answer, self._came, self.comments, self.chunks)


def checked_timeout(timeout: Any) -> float:
    """``timeout`` itself, if it is a number of seconds."""
    is_number = isinstance(timeout, (int, float)) and not isinstance(timeout, bool)
    if is_number and 0 <= timeout < math.inf:
        return float(timeout)
    raise OptionError("timeout", shown(timeout), "seconds, a number >= 0")
