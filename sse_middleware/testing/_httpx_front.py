"""The fronts for httpx and httpx2: transports, each of which serves both libraries.

The request tells which of the two it is from; its classes of streams and errors are taken from
there, so that neither is imported by us, and each client sees its own.
"""

import errno
import os
import socket
from functools import lru_cache
from importlib import import_module
from types import TracebackType
from typing import Any, AsyncIterator, Callable, Iterator, Optional, Type

from sse_middleware.testing._async_wait import checkpoint, in_thread
from sse_middleware.testing._playback import Playback
from sse_middleware.testing.exchange import ReceivedRequest, Reply
from sse_middleware.testing.wire import status_line

__all__ = ["AsyncTransport", "Transport"]

_Answer = Callable[[ReceivedRequest], Reply]
_EOF = "peer closed connection without sending complete message body (incomplete chunked read)"


class Transport:
    """For ``Client(transport=...)`` of httpx or httpx2."""

    def __init__(self, answer: _Answer) -> None:
        self._answer = answer

    def handle_request(self, request: Any) -> Any:
        """The response to an ``httpx.Request`` or an ``httpx2.Request``, of the same library."""
        return _response(request, self._answer(_received(request, request.read())), _Body)

    def close(self) -> None:
        """Called by the client; there is nothing to close."""

    def __enter__(self) -> "Transport":
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.close()


class AsyncTransport:
    """For ``AsyncClient(transport=...)`` of httpx or httpx2, on asyncio or trio."""

    def __init__(self, answer: _Answer) -> None:
        self._answer = answer

    async def handle_async_request(self, request: Any) -> Any:
        """The response to an ``httpx.Request`` or an ``httpx2.Request``, of the same library."""
        body = await request.aread()
        return _response(request, self._answer(_received(request, body)), _AsyncBody)

    async def aclose(self) -> None:
        """Called by the client; there is nothing to close."""

    async def __aenter__(self) -> "AsyncTransport":
        return self

    async def __aexit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        await self.aclose()


class _Body:
    """The body of a response, for a client that blocks."""

    base = "SyncByteStream"
    reset_text = f"[Errno {errno.ECONNRESET}] {os.strerror(errno.ECONNRESET)}"
    timeout_text = "timed out"

    def __init__(self, playback: Playback, library: Any) -> None:
        self._playback = playback
        self._library = library

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from iter(self._playback.take, b"")
        except OSError as error:
            raise self._as_seen(error) from error

    def close(self) -> None:
        self._playback.leave()

    def _as_seen(self, error: OSError) -> Exception:
        """What the library raises where a socket does ``error``."""
        if isinstance(error, socket.timeout):
            name, text = "ReadTimeout", self.timeout_text
        elif isinstance(error, ConnectionResetError):
            name, text = "ReadError", self.reset_text
        else:
            name, text = "RemoteProtocolError", _EOF
        seen: Exception = getattr(self._library, name)(text)
        return seen


class _AsyncBody(_Body):
    """The body of a response, for a client that awaits."""

    base = "AsyncByteStream"
    # So it is: the texts of these two are lost on their way through anyio.
    reset_text = timeout_text = ""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            while True:
                data = await self._take()
                if not data:
                    return
                yield data
        except OSError as error:
            raise self._as_seen(error) from error

    async def aclose(self) -> None:
        self._playback.leave()

    async def _take(self) -> bytes:
        until_s = self._playback.until_s()
        if self._playback.is_due(until_s):
            await checkpoint()
            self._playback.wait(until_s)
        else:
            await in_thread(self._playback.wait, until_s, at_cancel=self._playback.leave)
        return self._playback.take_due(until_s)


class _Connection:
    """What httpx has of a connection, as far as it is asked for."""

    def __init__(self, playback: Playback) -> None:
        self._playback = playback

    def get_extra_info(self, info: str) -> Any:
        """Under ``socket``, what a read that blocks is ended by."""
        return self._playback if info == "socket" else None


def _response(request: Any, reply: Reply, body: Any) -> Any:
    library = import_module(type(request).__mro__[-2].__module__.partition(".")[0])
    playback = Playback(reply, request.extensions.get("timeout", {}).get("read"))
    headers = [*reply.headers(), ("Transfer-Encoding", "chunked")]
    status, phrase = status_line(reply.recording.status).split(" ", 1)
    stream: Any = _stream_type(body, getattr(library, body.base))
    return library.Response(
        int(status),
        headers=[(name.encode("ascii"), text.encode("latin-1")) for name, text in headers],
        stream=stream(playback, library),
        extensions={
            "http_version": b"HTTP/1.1",
            "reason_phrase": phrase.encode("ascii"),
            "network_stream": _Connection(playback),
        },
    )


@lru_cache(maxsize=None)
def _stream_type(body: Any, base: Any) -> Any:
    """``body`` as a stream of that library, which asserts that it is one of its own."""
    return type(body.__name__, (body, base), {})


def _received(request: Any, body: bytes) -> ReceivedRequest:
    target = request.url.raw_path.decode("ascii")
    pairs = request.headers.multi_items()
    return ReceivedRequest.from_target(request.method, target, pairs, body)
