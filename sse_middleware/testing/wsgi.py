"""The fake upstream as a WSGI application."""

from typing import Any, Callable, Dict, Iterable, Iterator

from sse_middleware.testing._playback import Playback
from sse_middleware.testing.exchange import ReceivedRequest, Reply, RequestHeaders
from sse_middleware.testing.wire import status_line

__all__ = ["respond"]


def respond(
    answer: Callable[[ReceivedRequest], Reply],
    environ: Dict[str, Any],
    start_response: Callable[..., Any],
) -> Iterable[bytes]:
    """The body for one request, chunk for chunk."""
    reply = answer(_received(environ))
    start_response(status_line(reply.recording.status), reply.headers())
    return [] if reply.request.method == "HEAD" else _Body(Playback(reply))


class _Body:
    """The body of one WSGI response."""

    def __init__(self, playback: Playback) -> None:
        self._chunks = iter(playback.take, b"")
        self.close = playback.leave  # called by the server: before the end, the client left

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self._chunks)


def _received(environ: Dict[str, Any]) -> ReceivedRequest:
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    headers = [
        (key[5:].replace("_", "-"), value)
        for key, value in environ.items()
        if key.startswith("HTTP_")
    ]
    for key in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if environ.get(key):
            headers.append((key.replace("_", "-"), environ[key]))
    return ReceivedRequest(
        environ["REQUEST_METHOD"],
        path.encode("latin-1").decode("utf-8", "replace"),  # PEP 3333, "Unicode Issues"
        environ.get("QUERY_STRING", ""),
        RequestHeaders(headers),
        _body_of(environ),
    )


def _body_of(environ: Dict[str, Any]) -> bytes:
    length = environ.get("CONTENT_LENGTH") or (
        "-1" if environ.get("wsgi.input_terminated") else "0"
    )
    body: bytes = environ["wsgi.input"].read(int(length))
    return body
