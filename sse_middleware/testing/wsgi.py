"""The fake upstream as a WSGI application."""

import errno
import threading
from http import HTTPStatus
from typing import Any, Callable, Dict, Iterable, Iterator

from sse_middleware.clock import SystemClock
from sse_middleware.testing.exchange import ReceivedRequest, Reply, RequestHeaders

__all__ = ["respond"]


def respond(
    answer: Callable[[ReceivedRequest], Reply],
    closed: threading.Event,
    environ: Dict[str, Any],
    start_response: Callable[..., Any],
) -> Iterable[bytes]:
    """The body for one request, chunk for chunk; ``closed`` ends the wait of one that stalls."""
    reply = answer(_received(environ))
    start_response(_status_line(reply.recording.status), reply.headers())
    return [] if reply.request.method == "HEAD" else _Body(reply, closed)


def _status_line(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"{status} Unknown"


class _Body:
    """The body of one WSGI response."""

    def __init__(self, reply: Reply, closed: threading.Event) -> None:
        self._request = reply.request
        self._chunks = _chunks_of(reply, closed)
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


def _chunks_of(reply: Reply, closed: threading.Event) -> Iterator[bytes]:
    clock = SystemClock() if reply.clock is None else reply.clock
    for seconds, data in reply.steps():
        if seconds:
            clock.sleep(seconds)
        if data:
            yield data
    end = reply.recording.end
    if end == "stall":
        closed.wait()
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
