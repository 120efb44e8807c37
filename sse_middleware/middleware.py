"""``SSEMiddleware``: wraps a WSGI app, so that generators of dicts leave as an event stream.

    app.wsgi_app = SSEMiddleware(app.wsgi_app)     # Flask
    app = SSEMiddleware(app)                       # Bottle, Pyramid, Falcon, any WSGI app

A response is a stream when the first item of its body came from `event_stream`, when its
Content-Type is ``text/event-stream``, or when its body is an iterator without Content-Length
whose first item is a mapping or an `Event`. Every other response leaves exactly as it came.

The app's answer is held back until its first item is known, and then told to the server before
``__call__`` returns: Granian reads the status there, and an app that fails until then still has
its own honest 500.
"""

import logging
from fnmatch import fnmatchcase
from typing import Any, Callable, Iterable, Mapping, Optional, Sequence, Union

from sse_middleware.current import CurrentStream, showing
from sse_middleware.errors import OptionError, ResponseError, shown
from sse_middleware.event import Dumps, Event
from sse_middleware.headers import (
    accepts_event_stream,
    is_encoded,
    is_event_stream,
    stream_headers,
    without_content,
)
from sse_middleware.integrations.bottle import adapt
from sse_middleware.response import Answer, Body, Environ, StartResponse, WSGIApp
from sse_middleware.stream import END_ID, ErrorEvent, EventStream, Framing

__all__ = ["SSEMiddleware"]

#: Which requests are known to be for a stream: path patterns, or a predicate on the environ.
Worker = Union[str, Sequence[str], Callable[[Environ], bool]]

_log = logging.getLogger("sse_middleware")


class SSEMiddleware:
    """A WSGI app around ``app``; where ``app`` streams events, they leave framed and at once.

    Args, all but ``app`` by keyword:
        items: ``"event"``: a yielded mapping holds the fields of an event. ``"data"``: every
            yielded object is the data of one event.
        dumps: serialises data that is not ``str``; default: orjson where it is installed, else
            `json`, both compact and UTF-8.
        worker: which requests are known to be for a stream. By default those whose Accept names
            ``text/event-stream``, as EventSource sends it. Path patterns such as ``"/chat/*"``
            add to that rule; a predicate on ``environ`` replaces it. From these requests
            Accept-Encoding is removed, so that no compressor inside holds the stream back.
        retry: milliseconds that a browser waits before it reconnects; in the first event.
        end_event: name or mapping of the last event, sent when the app's generator ends by
            itself, with the id ``sse:end``; a GET that comes back with that id is answered 204,
            which stops EventSource for good.
        error_event: ``callable(exc, error_id)`` to the mapping that is sent when the app fails
            after its first event, or to None. By default a generic one: the exception is logged
            with the id, and none of it is sent.

    Raises:
        OptionError: ``app`` is not callable, or an option has no meaning.

    >>> def app(environ, start_response):
    ...     start_response("200 OK", [("Content-Type", "text/html")])
    ...     return iter([{"data": "Hello"}])
    >>> b"".join(SSEMiddleware(app)({"REQUEST_METHOD": "GET"}, lambda *answer: None))
    b'data: Hello\\n\\n'
    """

    def __init__(
        self,
        app: WSGIApp,
        *,
        items: str = "event",
        dumps: Optional[Dumps] = None,
        worker: Optional[Worker] = None,
        retry: Optional[int] = None,
        end_event: Union[str, Mapping[str, Any], None] = None,
        error_event: Optional[ErrorEvent] = None,
    ) -> None:
        if not callable(app):
            raise OptionError("app", shown(app), "a WSGI app, called with environ, start_response")
        self.app = app
        self._framing = Framing().checked(
            {
                "items": items,
                "dumps": dumps,
                "retry": retry,
                "end_event": end_event,
                "error_event": error_event,
            }
        )
        self._is_picked = _picker(worker)
        self._has_logged_encoding = False
        adapt(app)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """The app's response: a stream with its frames, any other one as it came."""
        last_event_id = _last_event_id(environ)
        if last_event_id == END_ID and _is_event_source(environ):
            start_response("204 No Content", [("Cache-Control", "no-store")])
            return []
        if self._is_picked(environ):
            environ.pop("HTTP_ACCEPT_ENCODING", None)
        stream = CurrentStream(last_event_id, self._framing)
        with showing(stream):
            answer = Answer(start_response)
            body = Body(self.app(environ, answer.start_response), environ)
            try:
                return self._leave(environ, answer, body, stream)
            except BaseException:
                body.close()
                raise

    def _leave(
        self, environ: Environ, answer: Answer, body: Body, stream: CurrentStream
    ) -> Iterable[bytes]:
        """Tell the server what the app answered, and return the body that goes with it."""
        if not answer.status:
            body.peek()  # an app that is a generator function starts here
            if not answer.status:
                raise ResponseError("the app returned a body but never called start_response")
        if answer.has_written:
            return body.untouched()
        if answer.has_no_body or environ.get("REQUEST_METHOD") == "HEAD":
            return self._without_body(answer, body)
        if not self._is_stream(answer, body, stream):
            answer.forward()
            return body.untouched()
        frames = EventStream(body, self._framing_of(body, stream))
        first = next(frames, b"")  # a failure until here is still the server's 500
        answer.forward(stream_headers(answer.headers))
        return _Response(first, frames, stream)

    def _without_body(self, answer: Answer, body: Body) -> Iterable[bytes]:
        """HEAD, 204, 304: what might be a stream is closed unrun, for it may cost money."""
        streams = is_event_stream(answer.headers)
        if not streams and not body.is_lazy(answer.headers):
            answer.forward()
            return body.untouched()
        if streams and answer.has_no_body:
            answer.forward(without_content(answer.headers))
        elif streams or body.has_started and isinstance(body.peek(), (Mapping, Event)):
            answer.forward(stream_headers(answer.headers))
        else:
            answer.forward()
        body.close()
        return []

    def _is_stream(self, answer: Answer, body: Body, stream: CurrentStream) -> bool:
        declared = is_event_stream(answer.headers)
        if is_encoded(answer.headers):
            if declared and not self._has_logged_encoding:
                self._has_logged_encoding = True
                _log.warning(
                    "an event stream came compressed from the app and is left as it is: name its "
                    'path with worker="...", so that the app is not asked to compress it'
                )
            return False
        if declared:
            return True
        if not body.is_lazy(answer.headers) and not (stream.has_event_stream and not body.is_whole):
            return False
        return isinstance(body.peek(), (Mapping, Event)) or _is_first_frame(body, stream)

    def _framing_of(self, body: Body, stream: CurrentStream) -> Framing:
        """What is left to do: nothing but errors where an `event_stream` inside did the rest."""
        if _is_first_frame(body, stream):
            return self._framing._replace(items="event", retry=None)
        return self._framing


def _is_first_frame(body: Body, stream: CurrentStream) -> bool:
    """Whether the body begins with what an `event_stream` of this request made."""
    if not stream.has_event_stream:
        return False
    first = body.peek()
    return isinstance(first, bytes) and first == stream.first_frame


class _Response:
    """What the server iterates: frames, while ``current_stream()`` is this request's."""

    def __init__(self, first: bytes, frames: EventStream, stream: CurrentStream) -> None:
        self._first = first
        self._frames = frames
        self._stream = stream

    def __iter__(self) -> "_Response":
        return self

    def __next__(self) -> bytes:
        frame, self._first = self._first, b""
        if not frame:
            with showing(self._stream):
                frame = next(self._frames)
        self._stream.frames_sent += 1
        self._stream.bytes_sent += len(frame)
        return frame

    def close(self) -> None:
        """The server is done: the app's iterable is closed, after whoever waits for it is told."""
        with showing(self._stream):
            if not self._frames.ended and not self._stream.ended:
                self._stream.disconnect()
            self._frames.close()


def _is_event_source(environ: Environ) -> bool:
    return environ.get("REQUEST_METHOD") == "GET" and accepts_event_stream(
        environ.get("HTTP_ACCEPT", "")
    )


def _last_event_id(environ: Environ) -> str:
    """The header's bytes are UTF-8, which WSGI hands over as latin-1."""
    raw: str = environ.get("HTTP_LAST_EVENT_ID", "")
    return raw.encode("latin-1", "replace").decode("utf-8", "replace")


def _picker(worker: Optional[Worker]) -> Callable[[Environ], bool]:
    if callable(worker):
        return worker
    patterns = [worker] if isinstance(worker, str) else list(worker or ())
    for pattern in patterns:
        if not isinstance(pattern, str):
            raise OptionError("worker", shown(pattern), "path patterns, or a predicate on environ")

    def is_picked(environ: Environ) -> bool:
        if accepts_event_stream(environ.get("HTTP_ACCEPT", "")):
            return True
        path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
        path = path.encode("latin-1", "replace").decode("utf-8", "replace")
        return any(fnmatchcase(path, pattern) for pattern in patterns)

    return is_picked
