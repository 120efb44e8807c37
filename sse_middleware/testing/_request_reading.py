"""One connection to a server of this package: its requests are read, one after the other.

What answers them is a subclass: the fake upstream replays, the recorder passes on.
"""

import http.server
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Callable

from sse_middleware.errors import shown
from sse_middleware.testing._chunked import ChunkSizeError, read_chunk_size, skip_trailers
from sse_middleware.testing.exchange import ReceivedRequest, RequestHeaders

if TYPE_CHECKING:
    from sse_middleware.testing.server import Server

__all__ = ["RequestReader"]

_LINE_LIMIT_BYTES = 65537
_READ_BYTES = 1 << 16
_LENGTH = re.compile("0*[0-9]{1,18}")
#: More than any vendor takes, and less than the memory of the machine.
_MAX_BODY_BYTES = 128 << 20


class _RefusedError(Exception):
    """A request that is not read to its end, and the status that says so."""

    def __init__(self, told: str, status: int = 400) -> None:
        super().__init__(told)
        self.status = status


def _length_of(value: str) -> int:
    """The same length may be said more than once. Source: RFC 9110 section 8.6."""
    length, *others = {part.strip() for part in value.split(",")}
    if others or not _LENGTH.fullmatch(length):
        raise _RefusedError(f"Content-Length is {shown(value)}: expected a byte count")
    return int(length)


class RequestReader(http.server.BaseHTTPRequestHandler):
    """Reads the requests of one connection, and calls ``respond`` with each."""

    protocol_version = "HTTP/1.1"
    server_version, sys_version = "sse-middleware", ""  # not which Python this is
    disable_nagle_algorithm = True
    server: "Server"

    def respond(self, request: ReceivedRequest) -> None:
        """Send the answer to ``request``."""
        raise NotImplementedError

    def handle(self) -> None:
        """Answer requests until one side closes."""
        with suppress(ConnectionError):  # a client may leave at any time
            super().handle()

    def handle_one_request(self) -> None:
        """Wait for a request, and answer it."""
        if self.server.rest(self.connection):
            super().handle_one_request()
        else:
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Write nothing: the journal has it."""

    def __getattr__(self, name: str) -> Callable[[], None]:
        """``do_POST`` and the like, for whatever method comes: the subclass decides on it."""
        if name.startswith("do_"):
            return self._answer
        raise AttributeError(name)

    def _answer(self) -> None:
        try:
            self._check_host()
            body = self._read_body()
            headers = self.headers.items()
            request = ReceivedRequest.from_target(self.command, self.path, headers, body)
        except (_RefusedError, ChunkSizeError, ValueError, OverflowError) as error:
            self.send_error(getattr(error, "status", 400), str(error))
            return
        self.server.begin(self.connection)
        self.respond(request)

    def _check_host(self) -> None:
        host = self.headers.get("Host")
        if self.server.is_for_others(host):
            told = (
                f"Host is {shown(host)}: expected localhost or an address (or listen with --host)"
            )
            raise _RefusedError(told, 421)

    def _read_body(self) -> bytes:
        headers = RequestHeaders(self.headers.items())
        coding = headers.get("Transfer-Encoding", "").strip()
        if coding.lower() == "chunked":
            return self._read_chunks()
        if coding:
            raise _RefusedError(f"Transfer-Encoding is {shown(coding)}: expected chunked", 501)
        body = bytearray()
        self._read_into(body, _length_of(headers.get("Content-Length", "0")))
        return bytes(body)

    def _read_chunks(self) -> bytes:
        body = bytearray()
        for size_bytes in iter(lambda: read_chunk_size(self.rfile), 0):
            self._read_into(body, size_bytes)
            self.rfile.readline(_LINE_LIMIT_BYTES)
        skip_trailers(self.rfile)
        return bytes(body)

    def _read_into(self, body: bytearray, size_bytes: int) -> None:
        """The memory grows with what came, not with the size that a client has named."""
        if len(body) + size_bytes > _MAX_BODY_BYTES:
            raise _RefusedError(f"the body is over {_MAX_BODY_BYTES} bytes", 413)
        while size_bytes:
            part = self.rfile.read(min(size_bytes, _READ_BYTES))
            if not part:
                raise ConnectionAbortedError("the client left in the middle of its request")
            body += part
            size_bytes -= len(part)
