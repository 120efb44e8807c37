"""The fake upstream as a WSGI application."""

import errno
from math import inf
from typing import Any, Callable, Dict, Iterable, Iterator

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
    return [] if reply.request.method == "HEAD" else _Body(reply)


class _Body:
    """The body of one WSGI response."""

    def __init__(self, reply: Reply) -> None:
        self._request = reply.request
        self._chunks = _chunks_of(reply)
        self._over = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            return next(self._chunks)
        except BaseException:
            self._over = True
            raise

    def close(self) -> None:
        """Called by the server: before the end, that means that the client left."""
        if not self._over:
            self._over = self._request.client_left = True


def _chunks_of(reply: Reply) -> Iterator[bytes]:
    for due_s, data in reply.steps():
        reply.wait(due_s)
        if data:
            yield data
    end = reply.recording.end
    if end == "stall":
        reply.wait(inf)
    if end == "reset":
        raise ConnectionResetError(errno.ECONNRESET, "the recording ends with a reset")
    if end != "complete":
        raise ConnectionAbortedError(errno.ECONNABORTED, f"the recording ends with {end}")


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
