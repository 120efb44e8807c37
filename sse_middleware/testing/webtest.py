"""``SSETestApp``: a ``webtest.TestApp`` that can read streams.

    app = SSETestApp(my_app)
    with app.stream.post("/chat", json={"prompt": "Hi"}) as stream:
        assert stream.event().data == "Hello"
    assert app.get("/finite-stream").events == [Event("Hello")]

``app.get`` reads a response to its end before it returns, and never returns from a stream without
one; ``app.stream.get`` reads as much as the test asks for. Both have WebTest's lint around the app
(unless ``lint=False``), its cookies, and its ``extra_environ``.
"""

from typing import Any, Iterable, List, Optional

from webob import Response
from webtest import TestApp, TestRequest, TestResponse, lint, utils

from sse_middleware.clock import Clock
from sse_middleware.event import Event
from sse_middleware.parser import EventParser
from sse_middleware.response import Environ, StartResponse
from sse_middleware.testing.client import StreamClient

__all__ = ["SSETestApp"]


class _SSEResponse(TestResponse):  # type: ignore[misc]
    @property
    def events(self) -> List[Event]:
        """The events in the body; none where it is no stream."""
        return EventParser().feed(self.body)


class _SSERequest(TestRequest):  # type: ignore[misc]
    ResponseClass = _SSEResponse


class SSETestApp(TestApp):  # type: ignore[misc]
    """A ``webtest.TestApp``, with all its arguments, and ``clock`` as `StreamClient` takes it.

    >>> def app(environ, start_response):
    ...     start_response("200 OK", [("Content-Type", "text/event-stream")])
    ...     return [b"data: Hello\\n\\n"]
    >>> SSETestApp(app).get("/").events
    [Event('Hello', event='message')]
    >>> with SSETestApp(app).stream.get("/") as stream:
    ...     stream.event().data
    'Hello'
    """

    RequestClass = _SSERequest

    def __init__(self, app: Any, *args: Any, clock: Optional[Clock] = None, **options: Any) -> None:
        super().__init__(app, *args, **options)
        self._clock = clock

    @property
    def stream(self) -> StreamClient:
        """``.get(path)``, ``.post(path, json=...)`` and so on: see `StreamClient`."""
        return StreamClient(self._streamed, clock=self._clock)

    def _streamed(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """The app, as an ordinary request of WebTest meets it."""
        for name, value in self._make_environ().items():
            if name == "HTTP_HOST" or not name.startswith("HTTP_"):
                environ[name] = value
            else:  # the headers of the request itself win
                environ.setdefault(name, value)
        asked = utils._RequestCookieAdapter(self.RequestClass(environ))
        self.cookiejar.add_cookie_header(asked)

        def answer(status: str, headers: Any, *exc_info: Any) -> Any:
            write = start_response(status, headers, *exc_info)
            # WebOb adds to the list that it is given.
            answered = Response(status=status, headerlist=list(headers))
            self.cookiejar.extract_cookies(utils._ResponseCookieAdapter(answered), asked)
            return write

        linted = lint.middleware(self.app) if self.lint else self.app
        return linted(environ, answer)  # type: ignore[no-any-return]
