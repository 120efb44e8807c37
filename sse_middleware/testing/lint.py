"""``FramingLint``: WSGI middleware for tests that raises where an app breaks a stream.

It stands where ``wsgiref.validate`` and ``webtest.lint`` stand, around the app, and checks what
they leave out: the frames, the headers of a stream, and the seam between app and server. It can
be used together with either. Responses that are no event stream are left alone.

A fault is raised from the call, the ``next()`` or the ``close()`` that shows it, never out of
``start_response``, where a framework would make an error page of it.
"""

from typing import Any, Iterable, Iterator, List, Optional
from weakref import WeakSet

from sse_middleware.errors import FramingError, OptionError, shown
from sse_middleware.response import Environ, StartResponse, WSGIApp, close
from sse_middleware.testing._framing_problem import Problem, checked_profile
from sse_middleware.testing._framing_seam import Seam
from sse_middleware.testing._framing_stream import StreamCheck

__all__ = ["FramingLint"]


class FramingLint:
    r"""The app, checked; what is wrong with a stream raises `FramingError`, an AssertionError.

    What stands around it (a framework's error page, `SSEMiddleware`) may swallow the error, and
    none can be raised for a body that is dropped without ``close()``. All of them are in
    ``problems``, and are raised when a ``with FramingLint(app) as checked:`` is left.

    Args:
        app: any WSGI app. To check one that yields dicts, pass ``SSEMiddleware(app)``.
        profile: as in `check_framing`.

    >>> def app(environ, start_response):
    ...     start_response("200 OK", [("Content-Type", "text/event-stream; charset=utf-8")])
    ...     return iter([b"data: Hello\n\n"])
    >>> FramingLint(app)({"REQUEST_METHOD": "GET"}, lambda *answer: None)
    Traceback (most recent call last):
    sse_middleware.errors.FramingError: 2 problems in the framing of a stream
    ...

    Raises:
        OptionError: an unknown profile, or ``app`` is not callable.

    Source: PEP 3333; for each rule see ``docs/framing.md``.
    """

    def __init__(self, app: WSGIApp, *, profile: str = "whatwg") -> None:
        if not callable(app):
            raise OptionError("app", shown(app), "a WSGI app, called with environ, start_response")
        #: Every fault that was found, also those of errors that somebody caught.
        self.problems: List[Problem] = []
        self._app = app
        self._profile = checked_profile(profile)
        self._bodies: WeakSet[_CheckedBody] = WeakSet()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[Any]:
        """The app's response: checked if it is a stream, else as it came."""
        seam = Seam(self._fail, StreamCheck(self._profile), environ, start_response)
        body: Any = self._app(environ, seam.start_response)
        try:
            if seam.leaves(body):
                return body  # type: ignore[no-any-return]
        except BaseException:
            close(body)
            raise
        checked = _CheckedBody(seam, body, self._fail)
        self._bodies.add(checked)
        return checked

    def __enter__(self) -> "FramingLint":
        return self

    def __exit__(self, error_type: Any, error: Any, traceback: Any) -> None:
        if error_type is None:
            for body in list(self._bodies):
                self.problems += body.found_open()
            if self.problems:
                raise FramingError(self.problems)

    def _fail(self, problems: List[Problem]) -> None:
        """Raise ``problems``, if there are any."""
        if problems:
            self.problems += problems
            raise FramingError(problems)


class _CheckedBody:
    """What the server iterates."""

    def __init__(self, seam: Seam, body: Any, fail: Any) -> None:
        self._seam = seam
        self._body = body
        self._fail = fail
        self._items: Optional[Iterator[Any]] = None
        self._is_closed = False
        self._is_told = False

    def __iter__(self) -> "_CheckedBody":
        return self

    def __next__(self) -> Any:
        try:
            return self._next()
        except FramingError:
            self._is_told = True  # whoever sees it need not close
            raise

    def _next(self) -> Any:
        if self._items is None:
            self._items = iter(self._body)
        try:
            item = next(self._items)
        except StopIteration:
            self._seam.ended(self._body)
            raise
        self._seam.item(item, self._body)
        return item

    def close(self) -> None:
        """Close the app's body; the second call is a fault where the body is a stream."""
        if self._is_closed and self._seam.is_stream:
            self._fail([Problem("SSE407", "in close()", "the second call")])
        self._is_closed = True
        close(self._body)

    def found_open(self) -> List[Problem]:
        """That nobody has closed it, if it is so; told once."""
        if self._is_closed or self._is_told or not self._seam.is_stream:
            return []
        self._is_told = True
        return [Problem("SSE408", "at the end", f"a {type(self._body).__name__}, still open")]

    def __del__(self) -> None:
        self._fail(self.found_open())
