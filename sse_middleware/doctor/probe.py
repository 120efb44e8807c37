"""``probe``: one request over a socket of its own, and what came back when.

Every wait ends at the deadline, also one for a name, for TLS, or for a server that sends a byte a
second; and no more is kept than a bound. The times are those of the reads of the socket itself.
"""

import io
import socket
import ssl
import threading
import time
from dataclasses import dataclass, field
from http.client import BadStatusLine, HTTPException, HTTPResponse, UnknownProtocol
from typing import Any, Callable, List, NamedTuple, Optional, cast

from sse_middleware.doctor.asking import Asked
from sse_middleware.doctor.masking import mask_secrets
from sse_middleware.errors import SSEError, shown
from sse_middleware.headers import Headers, find_header

__all__ = ["LIMIT_BYTES", "Heard", "Read", "probe"]

#: How much of a body is read, before its encoding is taken off and after.
LIMIT_BYTES = 4 << 20
_READ_BYTES = 1 << 16


class Read(NamedTuple):
    """What one read of the body gave, in seconds since the request was sent."""

    at_s: float
    data: bytes


@dataclass
class Heard:
    """One answer.

    ``end`` is "whole" (the last chunk came, or all of Content-Length), "closed" (the connection
    ended, and nothing else could have ended the body), "cut" (it ended too early), "left" (we
    left, at the deadline or because it was enough), "full" (we left a body that is too large), or
    "silent" (no headers came until the deadline).
    """

    asked: Asked
    status: int = 0
    reason: str = ""
    version: int = 11
    headers: Headers = field(default_factory=list)
    headers_at_s: float = 0.0
    reads: List[Read] = field(default_factory=list)
    end: str = "silent"
    ended_at_s: float = 0.0

    def find(self, name: str) -> Optional[str]:
        """The value of a header, named in lower case."""
        return find_header(self.headers, name)

    @property
    def body(self) -> bytes:
        """All of the body that came."""
        return b"".join(read.data for read in self.reads)

    @property
    def silent_s(self) -> float:
        """How long nothing had come when it ended."""
        last_s = self.reads[-1].at_s if self.reads else self.headers_at_s
        return self.ended_at_s - last_s


def probe(
    asked: Asked, timeout_s: float, enough: Optional[Callable[[Heard], bool]] = None
) -> Heard:
    """Ask, and read until the body ends, ``timeout_s`` is over, or ``enough`` says so.

    Raises:
        SSEError: there is nobody to ask, or no HTTP is spoken there.
    """
    ends_at = time.monotonic() + timeout_s
    connection = _connected(asked, ends_at)
    try:
        return _exchange(_Wire(connection, ends_at), asked, enough)
    finally:
        connection.close()


class _Wire(io.RawIOBase):
    """The socket, read until the deadline; it is what `HTTPResponse` takes for a socket too."""

    def __init__(self, connection: socket.socket, ends_at: float) -> None:
        self._connection = connection
        self._ends_at = ends_at
        self.asked_at = time.monotonic()
        self.at_s = 0.0

    def send(self, data: bytes) -> None:
        self._connection.settimeout(_left_s(self._ends_at))
        self._connection.sendall(data)
        self.asked_at = time.monotonic()

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(self, _READ_BYTES)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._connection.settimeout(_left_s(self._ends_at))
        size = self._connection.recv_into(buffer)
        self.at_s = self.elapsed_s()
        return size

    def elapsed_s(self) -> float:
        return time.monotonic() - self.asked_at


def _left_s(ends_at: float) -> float:
    left_s = ends_at - time.monotonic()
    if left_s <= 0:
        raise socket.timeout("the time is over")
    return left_s


def _exchange(wire: _Wire, asked: Asked, enough: Optional[Callable[[Heard], bool]]) -> Heard:
    heard = Heard(asked)
    response = HTTPResponse(cast(socket.socket, wire), method=asked.method)
    try:
        _send(wire, asked)
        response.begin()
        while 101 < response.status < 200:  # http.client skips 100 alone; 103 is Early Hints
            response.headers = cast(Any, None)
            response.begin()
        heard.headers_at_s = wire.at_s
        heard.status, heard.reason = response.status, response.reason
        heard.version, heard.headers = response.version, response.getheaders()
        heard.end = "left"
        heard.end = _read_body(response, wire, heard, enough)
    except socket.timeout:
        pass
    except (HTTPException, OSError) as error:
        if not heard.status:
            raise SSEError(f"{asked.shown_url} gave no answer: {_told(error)}") from None
        heard.end = "cut"
    finally:
        heard.ended_at_s = wire.elapsed_s()
        response.close()
    mask_secrets(heard)
    return heard


def _send(wire: _Wire, asked: Asked) -> None:
    lines = [f"{asked.method} {asked.target} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in asked.headers]
    wire.send("\r\n".join([*lines, "", ""]).encode("latin-1") + (asked.body or b""))


def _read_body(
    response: HTTPResponse,
    wire: _Wire,
    heard: Heard,
    enough: Optional[Callable[[Heard], bool]],
) -> str:
    if response.length == 0:  # 204 or 304: http.client would wait for chunks if it was told of some
        response.chunked = False
    is_framed = response.chunked or response.length is not None
    size_bytes = 0
    while True:
        data = response.read1(_READ_BYTES)
        if not data:
            if response.length:  # of Content-Length; http.client lets a short body pass
                return "cut"
            return "whole" if is_framed else "closed"
        size_bytes += len(data)
        if heard.reads and heard.reads[-1].at_s == wire.at_s:  # chunks that came together
            data = heard.reads.pop().data + data
        heard.reads.append(Read(wire.at_s, data))
        if size_bytes > LIMIT_BYTES:
            return "full"
        if enough is not None and enough(heard):
            return "left"


def _connected(asked: Asked, ends_at: float) -> socket.socket:
    """The connection.

    Raises:
        SSEError: there is none to be had.
    """
    try:
        connection = _first_that_answers(asked, ends_at)
        if asked.parts.scheme == "https":
            connection = _secured(connection, asked.parts.hostname or "", ends_at)
    except (OSError, UnicodeError) as error:
        raise SSEError(f"{asked.shown_url} cannot be asked: {_told(error)}") from None
    return connection


def _secured(connection: socket.socket, host: str, ends_at: float) -> socket.socket:
    try:
        connection.settimeout(_left_s(ends_at))
        return ssl.create_default_context().wrap_socket(connection, server_hostname=host)
    except BaseException:
        connection.close()
        raise


def _first_that_answers(asked: Asked, ends_at: float) -> socket.socket:
    failure: Optional[OSError] = None
    for family, kind, protocol, _, address in _addresses(asked, ends_at):
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(_left_s(ends_at))
            connection.connect(address)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return connection
        except OSError as error:
            connection.close()
            failure = error
    raise failure or OSError("the name has no address")


def _addresses(asked: Asked, ends_at: float) -> List[Any]:
    """What the name stands for. A resolver takes no deadline, so it is left to a thread."""
    found: List[Any] = []

    def resolve() -> None:
        try:
            host, port = asked.parts.hostname, asked.port
            found.append(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except Exception as error:
            found.append(error)

    thread = threading.Thread(target=resolve, daemon=True)
    thread.start()
    thread.join(_left_s(ends_at))
    if not found:
        raise socket.timeout("the name was not resolved in time")
    if isinstance(found[0], Exception):
        raise found[0]
    return cast(List[Any], found[0])


def _told(error: Exception) -> str:
    """An error in a few words; what a server put into it is quoted."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message}); SSL_CERT_FILE names more"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed ({error.reason or 'the connection ended'})"
    if isinstance(error, socket.timeout):
        return "it took too long"
    if isinstance(error, ConnectionError):
        return error.strerror or "the connection was closed"
    if isinstance(error, BadStatusLine):
        return f"what came is no HTTP ({shown(error.args[0])})"
    if isinstance(error, UnknownProtocol):
        return f"what came is no HTTP/1 ({shown(error.args[0])})"
    return str(getattr(error, "strerror", None) or error)
