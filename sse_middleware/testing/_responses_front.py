"""The front for `responses`, and so for ``requests`` and openai 0.28.

`responses` takes only whole bodies and joins their chunks. This hands it a real
``http.client.HTTPResponse`` that reads the wire's bytes from memory, so that urllib3 reads each
HTTP chunk by itself, and notices by itself when the connection ends in the middle.
"""

import copy
import errno
import http.client
import io
import os
from typing import Any, Callable, Optional, Pattern, Tuple, Union

import responses
import urllib3

from sse_middleware.testing._playback import Playback
from sse_middleware.testing.exchange import ReceivedRequest, Reply
from sse_middleware.testing.wire import LAST_CHUNK, chunk, head

__all__ = ["UpstreamResponse"]

# What urllib3 sends text in: the latter, before version 2.
_TEXT_CODING = "utf-8" if hasattr(urllib3, "HTTPHeaderDict") else "latin-1"
_Answer = Callable[[ReceivedRequest], Reply]


class UpstreamResponse(responses.BaseResponse):  # type: ignore[misc, unused-ignore]
    """What `responses` answers at ``url`` with, each time and for every method: the upstream's."""

    def __init__(self, answer: _Answer, url: Union[str, Pattern[str]]) -> None:
        super().__init__("POST", url)
        self._answer = answer

    def __deepcopy__(self, memo: Any) -> "UpstreamResponse":
        """For `responses`, which copies what is added twice: the upstream stays the same one."""
        return copy.copy(self)

    def matches(self, request: Any) -> Tuple[bool, str]:
        """Whether the URL is this one; which methods have an answer is the upstream's to say."""
        asked = copy.copy(self)
        asked.method = request.method
        found: Tuple[bool, str] = super(UpstreamResponse, asked).matches(request)
        return found

    def get_response(self, request: Any) -> Any:
        """The response as urllib3 would have read it from a socket."""
        reply = self._answer(_received(request))
        timeout_s = _read_timeout_s(getattr(request, "req_kwargs", {}).get("timeout"))
        connection: Any = _Connection(head(reply), Playback(reply, timeout_s))
        parsed = http.client.HTTPResponse(connection, method=request.method)
        parsed.begin()
        headers: Any = parsed.headers.items()  # as pairs: a name may stand there twice
        return urllib3.HTTPResponse(
            body=parsed,
            headers=headers,
            status=parsed.status,
            version=parsed.version,
            reason=parsed.reason,
            preload_content=False,
            decode_content=False,
            original_response=parsed,
            pool=urllib3.connection_from_url(request.url),  # errors name it
        )


class _Connection:
    """As much of a socket as ``http.client`` asks for."""

    def __init__(self, opening: bytes, playback: Playback) -> None:
        self._file = io.BufferedReader(_Wire(opening, playback))

    def makefile(self, mode: str) -> io.BufferedIOBase:
        return self._file


class _Wire(io.RawIOBase):
    """The bytes that a socket would give, each chunk not before it is asked for."""

    def __init__(self, opening: bytes, playback: Playback) -> None:
        self._sock = playback  # the name by which the socket of a file is found
        self._ready = memoryview(opening)
        self._is_over = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._ready and not self._is_over:
            self._ready = memoryview(self._next())
        size_bytes = min(len(buffer), len(self._ready))
        buffer[:size_bytes] = self._ready[:size_bytes]
        self._ready = self._ready[size_bytes:]
        return size_bytes

    def close(self) -> None:
        if not self.closed:
            self._sock.leave()
        super().close()

    def _next(self) -> bytes:
        try:
            data = self._sock.take()
        except ConnectionAbortedError:
            self._is_over = True
            return b""
        except ConnectionResetError as error:
            reset = ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
            raise reset from error
        self._is_over = not data
        return chunk(data) if data else LAST_CHUNK


def _received(request: Any) -> ReceivedRequest:
    names = {name.lower() for name in request.headers}
    pairs = [(_text(name), _text(value)) for name, value in request.headers.items()]
    if "host" not in names:  # it is put in where the request is sent
        pairs.insert(0, ("Host", urllib3.util.parse_url(request.url).netloc or ""))
    body = _bytes(request.body)
    return ReceivedRequest.from_target(request.method, request.path_url, pairs, body)


def _text(value: Union[str, bytes]) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value


def _bytes(body: Any) -> bytes:
    """The body as it would have been sent: `requests` takes text, bytes, files and iterables."""
    body = body.read() if hasattr(body, "read") else body
    if isinstance(body, str):
        return body.encode(_TEXT_CODING)
    if body is None or isinstance(body, (bytes, bytearray)):
        return bytes(body or b"")
    return b"".join(_bytes(part) for part in body)


def _read_timeout_s(timeout: Any) -> Optional[float]:
    """The seconds that ``requests`` lets a read take: ``timeout=`` has three forms."""
    if isinstance(timeout, tuple):
        timeout = timeout[1]
    if not isinstance(timeout, urllib3.Timeout):
        timeout = urllib3.Timeout(read=timeout)
    timeout = timeout.clone()
    timeout.start_connect()
    limit_s = timeout.read_timeout
    return limit_s if isinstance(limit_s, (int, float)) else None
