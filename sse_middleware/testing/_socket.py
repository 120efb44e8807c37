"""A request to a running server, over HTTP/1.1, without a proxy and without redirects."""

import socket
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Callable, Optional
from urllib.parse import SplitResult, quote, urlsplit

from sse_middleware.errors import OptionError, shown_url
from sse_middleware.headers import Headers, find_header
from sse_middleware.testing._steps import Answer, CutOff

__all__ = ["OverSocket", "split_url"]

_READ_BYTES = 1 << 16
_AS_THEY_ARE = "!$%&'()*+,/:;=?@~"


def split_url(url: str) -> SplitResult:
    """The parts of a server's address."""
    with suppress(ValueError):  # of a port that is none, or of a host with two dots in a row
        parts = urlsplit(url)
        host = (parts.hostname or "").encode("idna")
        if parts.scheme in ("http", "https") and host and parts.port != 0:
            return parts
    raise OptionError(
        "app_or_url", shown_url(url), 'a WSGI app, or a URL such as "http://127.0.0.1:80"'
    )


class OverSocket:
    """One request on a connection of its own."""

    def __init__(
        self, base: SplitResult, method: str, path: str, headers: Headers, body: bytes
    ) -> None:
        self.answer: Optional[Answer] = None
        kind = HTTPSConnection if base.scheme == "https" else HTTPConnection
        self._connection = kind(base.hostname or "", base.port)
        self._request = (method, quote(base.path.rstrip("/") + path, safe=_AS_THEY_ARE))
        self._headers = headers
        self._body = body
        self._socket: Optional[socket.socket] = None
        self._response: Optional[HTTPResponse] = None

    def open(self, write: Callable[[bytes], None]) -> None:
        """Send the request, and wait for the headers."""
        self._connection.connect()
        self._socket = self._connection.sock
        has_host = find_header(self._headers, "host") is not None
        self._connection.putrequest(*self._request, skip_host=has_host, skip_accept_encoding=True)
        for name, value in self._headers:
            self._connection.putheader(name, value)
        self._connection.endheaders(self._body or None)
        try:
            self._response = self._connection.getresponse()
        except (HTTPException, ConnectionError) as error:
            raise CutOff(f"{type(error).__name__}: {error}") from error
        if self._response.length == 0:  # 204 or 304, also if chunks are announced
            self._response.chunked = False
        status = f"{self._response.status} {self._response.reason}"
        self.answer = Answer(status, self._response.getheaders())

    def read(self) -> bytes:
        """What one read of the socket gives; http.client takes a chunk's frame off."""
        assert self._response is not None
        try:
            data = self._response.read1(_READ_BYTES)
        except (HTTPException, OSError) as error:
            raise CutOff(f"{type(error).__name__}: {error}") from error
        if data:
            return data
        if self._response.length:  # of Content-Length; http.client lets a short body pass
            raise CutOff(f"{self._response.length} bytes of Content-Length are missing")
        raise StopIteration

    def close(self) -> None:
        """Close the connection."""
        if self._response is not None:
            self._response.close()
        self._connection.close()

    def leave(self) -> None:
        """Let the read that goes on end."""
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def find_blocked(self, thread_id: Optional[int]) -> Optional[str]:
        """Only a connection that is never made can hold up its own thread."""
        return None if thread_id is None else f"connect to {self._connection.host}"
