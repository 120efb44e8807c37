"""One connection to a server of this package: its requests are read, one after the other.

What answers them is a subclass: the fake upstream replays, the recorder passes on.
"""

import http.server
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Callable, List

from sse_middleware.testing._chunked import ChunkSizeError, read_chunk_size, skip_trailers
from sse_middleware.testing.exchange import ReceivedRequest

if TYPE_CHECKING:
    from sse_middleware.testing.server import Server

__all__ = ["RequestReader"]

_LINE_LIMIT_BYTES = 65537
_READ_BYTES = 1 << 16
_LENGTH = re.compile("[0-9]{1,18}")


class _BadRequestError(Exception):
    """The request's body is not framed as HTTP asks."""


class RequestReader(http.server.BaseHTTPRequestHandler):
    """Reads the requests of one connection, and calls ``respond`` with each."""

    protocol_version = "HTTP/1.1"
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
            body = self._read_body()
            headers = self.headers.items()
            request = ReceivedRequest.from_target(self.command, self.path, headers, body)
        except (_BadRequestError, ChunkSizeError, ValueError, OverflowError) as error:
            self.send_error(400, str(error))
            return
        self.server.begin(self.connection)
        self.respond(request)

    def _read_body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return self._read_chunks()
        length = self.headers.get("Content-Length", "0").strip()
        if not _LENGTH.fullmatch(length):
            raise _BadRequestError(f"Content-Length is {length!r}: expected a byte count")
        return self._read_exactly(int(length))

    def _read_chunks(self) -> bytes:
        chunks = []
        for size_bytes in iter(lambda: read_chunk_size(self.rfile), 0):
            chunks.append(self._read_exactly(size_bytes))
            self.rfile.readline(_LINE_LIMIT_BYTES)
        skip_trailers(self.rfile)
        return b"".join(chunks)

    def _read_exactly(self, size_bytes: int) -> bytes:
        """The memory grows with what came, not with the size that a client has named."""
        parts: List[bytes] = []
        while size_bytes:
            part = self.rfile.read(min(size_bytes, _READ_BYTES))
            if not part:
                raise ConnectionAbortedError("the client left in the middle of its request")
            parts.append(part)
            size_bytes -= len(part)
        return b"".join(parts)
