"""``StreamClient``: reads the streams of a WSGI app, or of a server, without ever hanging.

    client = StreamClient(app)                        # or StreamClient("http://127.0.0.1:8000")
    with client.post("/chat", json={"prompt": "Hi"}) as stream:
        assert stream.status_code == 200
        assert stream.event().json() == {"text": "Hello"}

In process, the app is called, iterated and closed by one thread, as by a server. The client asks
it for one item at a time, and only when the test wants more, so that what a test sees does not
depend on how the threads were scheduled.
"""

from typing import Any, Dict, Iterable, Mapping, Optional, Tuple, Union

from sse_middleware.clock import Clock, checked_clock
from sse_middleware.errors import OptionError, shown
from sse_middleware.headers import EVENT_STREAM
from sse_middleware.response import Environ, WSGIApp
from sse_middleware.testing._in_process import InProcess
from sse_middleware.testing._open_stream import OpenStream, checked_timeout
from sse_middleware.testing._socket import OverSocket, split_url
from sse_middleware.testing._steps import Exchange, Steps

__all__ = ["StreamClient"]

_SentHeaders = Union[Mapping[str, str], Iterable[Tuple[str, str]]]


class StreamClient:
    """Makes requests to ``app_or_url``; each is read inside a ``with``.

    ``clock``, for an app in this process, is handed to its `SSEMiddleware`: with a `VirtualClock`,
    heartbeats and ``max_age`` come when the test says ``clock.advance(15)``.

    The methods take a ``path`` that begins with a slash, and by keyword:

    * ``json``, ``data``, ``headers``: as Werkzeug's and Flask's test clients take them. Unless
      ``headers`` name another, the request has ``Accept: text/event-stream``.
    * ``last_event_id``: what an EventSource that comes back would send.
    * ``timeout``: how long, in real seconds, each read may take; the app may take as long to end
      when the test is done, and a second at least.
    * ``environ``: additions to the WSGI environ; in process only.

    Leaving the ``with`` closes the response, and raises what the app raised unseen, or
    `StillRunningError` if it did not end. Redirects are not followed.

    >>> def app(environ, start_response):
    ...     start_response("200 OK", [("Content-Type", "text/event-stream")])
    ...     return iter([b"data: Hello\\n\\n"])
    >>> with StreamClient(app).get("/") as stream:
    ...     stream.event()
    Event('Hello', event='message')

    Raises:
        OptionError: an argument has no meaning.
    """

    def __init__(self, app_or_url: Union[WSGIApp, str], *, clock: Optional[Clock] = None) -> None:
        self._app = None if isinstance(app_or_url, str) else app_or_url
        self._base = split_url(app_or_url) if isinstance(app_or_url, str) else None
        self._clock = checked_clock(clock)
        if self._base is None and not callable(self._app):
            raise OptionError("app_or_url", shown(app_or_url), "a WSGI app, or a URL")
        if self._base is not None and clock is not None:
            raise OptionError("clock", shown(clock), "None, as a running server has its own")

    def get(self, path: str = "/", **options: Any) -> OpenStream:
        """A GET request, as an EventSource makes it."""
        return self.request("GET", path, **options)

    def post(self, path: str = "/", **options: Any) -> OpenStream:
        """A POST request."""
        return self.request("POST", path, **options)

    def put(self, path: str = "/", **options: Any) -> OpenStream:
        """A PUT request."""
        return self.request("PUT", path, **options)

    def patch(self, path: str = "/", **options: Any) -> OpenStream:
        """A PATCH request."""
        return self.request("PATCH", path, **options)

    def delete(self, path: str = "/", **options: Any) -> OpenStream:
        """A DELETE request."""
        return self.request("DELETE", path, **options)

    def head(self, path: str = "/", **options: Any) -> OpenStream:
        """A HEAD request."""
        return self.request("HEAD", path, **options)

    def options(self, path: str = "/", **options: Any) -> OpenStream:
        """An OPTIONS request, as a browser makes it before one to another origin."""
        return self.request("OPTIONS", path, **options)

    def request(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        data: Any = None,
        headers: Optional[_SentHeaders] = None,
        last_event_id: Optional[str] = None,
        timeout: float = 5.0,
        environ: Optional[Mapping[str, Any]] = None,
    ) -> OpenStream:
        """A request of any method, which begins when the ``with`` does."""
        timeout_s = checked_timeout(timeout)
        if not isinstance(path, str) or not path.startswith("/"):
            raise OptionError("path", shown(path), "a str that begins with a slash")
        if environ is not None and self._app is None:
            raise OptionError("environ", shown(environ), "None, as a running server makes its own")
        if not isinstance(environ, (Mapping, type(None))):
            raise OptionError("environ", shown(environ), "a mapping, or None")
        sent = _sent(headers)
        sent.setdefault("Accept", EVENT_STREAM)
        if last_event_id is not None:
            sent["Last-Event-ID"] = str(last_event_id).encode().decode("latin-1")
        made = _environ(method, path, sent, json, data)
        made.update(environ or {})
        return OpenStream(
            Steps(self._exchange(path, sent, made), self._clock), f"{method} {path}", timeout_s
        )

    def _exchange(self, path: str, sent: Any, environ: Environ) -> Exchange:
        if self._base is None:
            assert self._app is not None
            if self._clock is not None:
                environ["sse_middleware.clock"] = self._clock
            return InProcess(self._app, environ)
        body = environ["wsgi.input"].read()
        method = environ["REQUEST_METHOD"]
        if body or method in ("POST", "PUT", "PATCH"):
            sent["Content-Length"] = str(len(body))
        if environ.get("CONTENT_TYPE"):
            sent["Content-Type"] = environ["CONTENT_TYPE"]
        return OverSocket(self._base, method, path, list(sent), body)


def _sent(headers: Optional[_SentHeaders]) -> Any:
    from werkzeug.datastructures import Headers

    try:
        return Headers(headers)
    except (TypeError, ValueError) as error:
        expected = f"a mapping, or pairs of names and values ({error})"
        raise OptionError("headers", shown(headers), expected) from None


def _environ(method: str, path: str, headers: Any, json: Any, data: Any) -> Environ:
    """What Werkzeug makes of a request."""
    from werkzeug.test import EnvironBuilder

    given: Dict[str, Any] = {"data": data} if json is None else {"json": json, "data": data}
    try:
        builder = EnvironBuilder(path, method=method, headers=headers, **given)
    except (AttributeError, TypeError) as error:
        thing, value = ("data", data) if json is None else ("json", json)
        raise OptionError(thing, shown(value), f"what Werkzeug's client takes ({error})") from None
    try:
        environ: Environ = builder.get_environ()
    finally:
        builder.close()
    for name in ("HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH"):
        environ.pop(name, None)  # Werkzeug 1.0 has them here too
    environ.setdefault("REMOTE_ADDR", "127.0.0.1")
    return environ
