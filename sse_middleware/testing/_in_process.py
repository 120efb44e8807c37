"""A request to a WSGI app in this process: the half of a server that a test needs.

The app is checked where its mistake would be hard to read otherwise: who calls ``start_response``
and with what, and whether the body yields ``bytes``. Everything else passes as it is.

Source: PEP 3333.
"""

import re
import sys
from collections.abc import Mapping
from types import FrameType
from typing import Any, Callable, Iterator, List, Optional

from sse_middleware.errors import ResponseError, shown
from sse_middleware.remote import run_request
from sse_middleware.response import Environ, WSGIApp, close
from sse_middleware.testing._stacks import where
from sse_middleware.testing._steps import Answer

__all__ = ["InProcess"]


class InProcess:
    """One call of ``app``, its iteration and its close."""

    def __init__(self, app: WSGIApp, environ: Environ) -> None:
        self.answer: Optional[Answer] = None
        self._app = app
        self._environ = environ
        self._leaving = _Leaving()
        self._body: Any = None
        self._items: Iterator[Any] = iter(())
        self._read = 0
        self._has_sent = False
        environ["sse_middleware.read_ahead"] = 0
        environ["sse_middleware.probe"] = self._leaving.probe

    def open(self, write: Callable[[bytes], None]) -> None:
        """Call the app."""
        self._deliver = write
        try:
            self._body = self._app(self._environ, self._start_response)
        except StopIteration as error:  # it would look like the end of the body
            raise ResponseError("the app raised StopIteration") from error
        if not hasattr(self._body, "__iter__") and not hasattr(self._body, "__getitem__"):
            raise ResponseError(f"the response is {shown(self._body)}: expected an iterable")
        self._items = iter(self._body)

    def read(self) -> bytes:
        """The next item, which is ``bytes``."""
        try:
            item = next(self._items)
        except StopIteration:
            self._check_answered("ended")
            raise
        self._check_answered("yielded its first item")
        self._read += 1
        if not isinstance(item, bytes):
            hint = " (a generator of dicts needs SSEMiddleware around the app)"
            raise ResponseError(
                f"item {self._read} of the response is {shown(item)}: expected bytes"
                + (hint if isinstance(item, Mapping) else "")
            )
        self._has_sent = self._has_sent or bool(item)
        return item

    def close(self) -> None:
        """Close the app's iterable."""
        close(self._body)

    def leave(self) -> None:
        """Tell a middleware that waits for its app. Any other app hears of it when it is closed."""
        self._leaving.leave()

    def find_blocked(self, thread_id: Optional[int]) -> Optional[str]:
        """Where the app is: in a worker of the middleware, else in the request's own thread."""
        own: Optional[List[FrameType]] = None
        for ident, innermost in sys._current_frames().items():
            frame: Optional[FrameType] = innermost
            frames: List[FrameType] = []  # kept: a frame that returns forgets who called it
            while frame is not None:
                if frame.f_code is run_request.__code__ and self._is_ours(frame.f_locals):
                    return where(frames)
                if own is None and ident == thread_id and frame.f_code in _OWN:
                    own = list(frames)
                frames.append(frame)
                frame = frame.f_back
        return None if own is None else where(own)

    def _is_ours(self, names: Any) -> bool:
        """A middleware on the way may have copied the environ."""
        environ = names.get("environ") or {}
        return environ.get("sse_middleware.probe") == self._leaving.probe

    def _check_answered(self, what: str) -> None:
        if self.answer is None:
            raise ResponseError(f"the app {what} without having called start_response")

    def _start_response(
        self, status: str, headers: Any, exc_info: Any = None
    ) -> Callable[[bytes], None]:
        if exc_info:
            if self._has_sent:
                raise exc_info[1].with_traceback(exc_info[2])
        elif self.answer is not None:
            raise ResponseError(
                f"start_response was called twice, with {self.answer.status!r} and {status!r}: "
                "expected one call, or exc_info in the second (PEP 3333)"
            )
        _check_answer(status, headers)
        if not self._leaving.has_left():  # what a middleware tells then, it tells nobody
            self.answer = Answer(status, list(headers))
        return self._write

    def _write(self, data: bytes) -> None:
        if not isinstance(data, bytes):
            raise ResponseError(f"write() got {shown(data)}: expected bytes")
        self._has_sent = self._has_sent or bool(data)
        self._deliver(data)


_OWN = (InProcess.open.__code__, InProcess.read.__code__, InProcess.close.__code__)


class _Leaving:
    """The middleware's probe: it is told, and has no need to ask by the clock."""

    looks_every_s: Optional[float] = None

    def __init__(self) -> None:
        self._has_left = False
        self._wakes: List[Callable[[], object]] = []

    def probe(self, wake: Callable[[], object]) -> "_Leaving":
        """For ``environ["sse_middleware.probe"]``."""
        self._wakes.append(wake)
        return self

    def has_left(self) -> bool:
        return self._has_left

    def stop(self) -> None:
        """It costs nothing."""

    def leave(self) -> None:
        self._has_left = True
        for wake in self._wakes:
            wake()


def _check_answer(status: object, headers: object) -> None:
    if not isinstance(status, str) or not re.match(r"\d{3}( |$)", status):
        raise ResponseError(f'status is {shown(status)}: expected a str such as "200 OK"')
    if not isinstance(headers, list):
        raise ResponseError(f"headers is {shown(headers)}: expected a list of tuples")
    for pair in headers:
        is_pair = isinstance(pair, tuple) and len(pair) == 2
        if not is_pair or not all(isinstance(text, str) for text in pair):
            raise ResponseError(f"header is {shown(pair)}: expected a tuple of two str")
