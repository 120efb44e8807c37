"""A raw HTTP/1.1 client that keeps when each piece came, and a desk that the apps report to.

Nothing here goes through a library that could gather or repair what a server sends: bytes come
from the socket, and what ended the response is known (a last chunk, a plain close, a reset).

Every wait has a deadline in seconds and says what it waited for.
"""

import json
import socket
import time
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

__all__ = ["Connection", "Desk", "Line", "Response", "fetch"]

#: How long a wait may take on a noisy machine, in seconds.
DEADLINE_S = 10.0
EVENT_STREAM = {"Accept": "text/event-stream"}


class Piece(NamedTuple):
    """Bytes of a body, unchunked, and when they came (`time.monotonic`)."""

    at: float
    data: bytes


class Connection:
    """A TCP connection to a server on this machine; a context manager."""

    def __init__(self, port: int, timeout_s: float = DEADLINE_S) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout_s)
        self._buffer = b""

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave: the server gets a FIN (or a RST, if it had sent what was not read)."""
        self.socket.close()

    def send(
        self,
        path: str,
        headers: Optional[Dict[str, str]] = None,
        *,
        method: str = "GET",
        body: bytes = b"",
    ) -> None:
        """Send a request; Host and Content-Length are added."""
        lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        if body or method == "POST":
            lines.append(f"Content-Length: {len(body)}")
        self.socket.settimeout(DEADLINE_S)
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode("latin-1") + body)

    def response(self, method: str = "GET", timeout_s: float = DEADLINE_S) -> "Response":
        """The head of the next response; its body is read from what is returned."""
        ends_at = time.monotonic() + timeout_s
        while b"\r\n\r\n" not in self._buffer:
            data = self.receive(ends_at, "the head of the response")
            if not data:
                raise ConnectionError(f"closed before a response: {self._buffer!r}")
            self._buffer += data
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        return Response(self, head.decode("latin-1"), method)

    def stream(self, path: str, headers: Optional[Dict[str, str]] = None) -> "Response":
        """Ask for an event stream, and read the head of what comes."""
        self.send(path, {**EVENT_STREAM, **(headers or {})})
        return self.response()

    def receive(self, ends_at: float, awaited: str) -> bytes:
        """What comes next; ``b""`` at the end. What was read too far comes first."""
        self.socket.settimeout(max(ends_at - time.monotonic(), 0.001))
        try:
            return self.socket.recv(65536)
        except socket.timeout:
            raise TimeoutError(f"waited in vain for {awaited}") from None

    def all(self, timeout_s: float = DEADLINE_S) -> bytes:
        """Everything that comes until the server closes the connection, or resets it."""
        ends_at, data = time.monotonic() + timeout_s, self.take()
        while True:
            try:
                received = self.receive(ends_at, f"the end of the connection; so far: {data!r}")
            except ConnectionError:
                return data
            if not received:
                return data
            data += received

    def take(self) -> bytes:
        """What was read beyond the head."""
        data, self._buffer = self._buffer, b""
        return data

    def put_back(self, data: bytes) -> None:
        """What belongs to the next response."""
        self._buffer = data + self._buffer


class Response:
    """A response whose body is read piece by piece.

    ``framing`` is ``"chunked"``, ``"length"``, ``"close"`` or ``"none"``. ``ended`` is None while
    more may come, then ``"last chunk"``, ``"length"``, ``"close"`` (of a body that a close
    delimits), ``"none"``, ``"cut"`` (a close where more was due) or ``"reset"``.
    """

    def __init__(self, connection: Connection, head: str, method: str) -> None:
        status_line, *lines = head.split("\r\n")
        assert status_line.startswith("HTTP/1."), f"no response: {head!r}"
        self.version, status, self.reason = [*status_line.split(" ", 2), ""][:3]
        self.status = int(status)
        #: As they came; `header` looks one up.
        self.headers: List[Tuple[str, str]] = []
        for line in lines:
            name, _, value = line.partition(":")
            self.headers.append((name.strip(), value.strip()))
        self.connection = connection
        self.pieces: List[Piece] = []
        self.comments: List[Piece] = []
        self.ended: Optional[str] = None
        self._raw = connection.take()
        self._left = int(self.header("content-length") or 0)
        self._text = b""
        self._fields: Dict[str, Any] = {}
        self._events: List[Dict[str, Any]] = []
        has_none = method == "HEAD" or self.status in (204, 304)
        if has_none:
            self.framing = self.ended = "none"
            connection.put_back(self._raw)
        elif "chunked" in self.header("transfer-encoding").lower():
            self.framing = "chunked"
        elif self.header("content-length"):
            self.framing = "length"
        else:
            self.framing = "close"

    def header(self, name: str) -> str:
        """The values of ``name``, joined by a comma; "" where there is none."""
        return ", ".join(value for key, value in self.headers if key.lower() == name.lower())

    # --- bytes

    def piece(self, timeout_s: float = DEADLINE_S, awaited: str = "more of the body") -> bytes:
        """The next bytes of the body; ``b""`` at its end, and then ``ended`` says which."""
        ends_at = time.monotonic() + timeout_s
        while self.ended is None:
            data = self._unframed()
            if data:
                self.pieces.append(Piece(time.monotonic(), data))
                return data
            if self.ended is not None:
                break
            try:
                received = self.connection.receive(ends_at, f"{awaited}; so far: {self.body!r}")
            except ConnectionError:
                self.ended = "reset"
                break
            if not received:
                self.ended = "close" if self.framing == "close" else "cut"
            self._raw += received
        return b""

    def rest(self, timeout_s: float = DEADLINE_S) -> bytes:
        """The whole body, read to its end."""
        ends_at = time.monotonic() + timeout_s
        while self.piece(ends_at - time.monotonic(), "the end of the body"):
            pass
        return self.body

    @property
    def body(self) -> bytes:
        """What has come of the body."""
        return b"".join(piece.data for piece in self.pieces)

    def _unframed(self) -> bytes:
        if self.framing == "chunked":
            return self._unchunked()
        data, self._raw = self._raw, b""
        if self.framing == "length":
            data, rest = data[: self._left], data[self._left :]
            self._left -= len(data)
            if not self._left:
                self._end("length", rest)
        return data

    def _unchunked(self) -> bytes:
        size_line, mark, rest = self._raw.partition(b"\r\n")
        if not mark:
            return b""
        size = int(size_line.split(b";")[0], 16)
        if len(rest) < size + 2:
            return b""
        assert rest[size : size + 2] == b"\r\n", f"bad chunk: {self._raw!r}"
        self._raw = rest[size + 2 :]
        if size == 0:
            self._end("last chunk", self._raw)
        return rest[:size]

    def _end(self, how: str, rest: bytes) -> None:
        self.ended, self._raw = how, b""
        self.connection.put_back(rest)

    # --- events

    def event(self, timeout_s: float = DEADLINE_S) -> Dict[str, Any]:
        """The next event's fields as they stand in the stream, ``data`` joined by LF."""
        ends_at = time.monotonic() + timeout_s
        while not self._events:
            self._read_on(ends_at, "an event")
        return self._events.pop(0)

    def comment(self, timeout_s: float = DEADLINE_S) -> str:
        """The next comment after those that were read."""
        ends_at, count = time.monotonic() + timeout_s, len(self.comments)
        while len(self.comments) == count:
            self._read_on(ends_at, "a comment")
        return self.comments[count].data.decode()

    def _read_on(self, ends_at: float, awaited: str) -> None:
        data = self.piece(ends_at - time.monotonic(), awaited)
        if not data:
            raise EOFError(f"the stream ended ({self.ended}) before {awaited}: {self.body!r}")
        *lines, self._text = (self._text + data).split(b"\n")
        for line in lines:
            self._line(line)

    def _line(self, line: bytes) -> None:
        name, _, value = line.decode().partition(":")
        value = value[1:] if value.startswith(" ") else value
        if not line:
            if self._fields:
                self._events.append(self._fields)
            self._fields = {}
        elif not name:
            self.comments.append(Piece(time.monotonic(), value.encode()))
        elif name == "data" and "data" in self._fields:
            self._fields["data"] += "\n" + value
        else:
            self._fields[name] = value


def fetch(
    port: int,
    path: str,
    headers: Optional[Dict[str, str]] = None,
    *,
    method: str = "GET",
    body: bytes = b"",
    timeout_s: float = DEADLINE_S,
) -> Response:
    """One request on a connection of its own, read to the end of its body."""
    with Connection(port, timeout_s) as connection:
        connection.send(path, headers, method=method, body=body)
        response = connection.response(method, timeout_s)
        response.rest(timeout_s)
        return response


class Desk:
    """Where the apps report: each stream calls in with its key, and is told what to do next.

    So "event 1 arrived before event 2 was made" is shown by causality: the app waits until the
    test, which has seen event 1, asks for event 2. A context manager.
    """

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self._lines: Dict[str, Line] = {}

    def __enter__(self) -> "Desk":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._listener.close()
        for line in self._lines.values():
            line.close()

    def path(self, path: str, key: str = "one", **query: Any) -> str:
        """``path`` with what the app needs to call in under ``key``."""
        query = {"desk": self.port, "key": key, **query}
        return path + "?" + "&".join(f"{name}={value}" for name, value in query.items())

    def line(self, key: str = "one", timeout_s: float = DEADLINE_S) -> "Line":
        """The call of the stream with this key."""
        ends_at = time.monotonic() + timeout_s
        while key not in self._lines:
            self._listener.settimeout(max(ends_at - time.monotonic(), 0.001))
            try:
                connection, _ = self._listener.accept()
            except socket.timeout:
                raise TimeoutError(f"waited in vain for the app to call in as {key!r}") from None
            line = Line(connection)
            self._lines[line.fact("began", timeout_s)["key"]] = line
        return self._lines[key]


class Line:
    """The call of one stream: facts come from the app, commands go to it."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._buffer = b""
        #: All that came, in order, each with ``fact`` and ``at`` (when it came).
        self.facts: List[Dict[str, Any]] = []
        self._read = 0

    def close(self) -> None:
        """Hang up: an app that still waits for a command ends."""
        self._socket.close()

    def tell(self, command: str, value: Any = None) -> None:
        """Say what to do next.

        ``yield`` (fields), ``bytes`` (text), ``raise`` (text), ``read`` (size), ``environ``
        (a name) or ``end``.
        """
        self._socket.sendall(json.dumps([command, value]).encode() + b"\n")

    def fact(self, name: str, timeout_s: float = DEADLINE_S) -> Dict[str, Any]:
        """The first fact of this name, which may have come already."""
        ends_at = time.monotonic() + timeout_s
        while True:
            for fact in self.facts:
                if fact["fact"] == name:
                    return fact
            if not self._receive(ends_at - time.monotonic()):
                raise TimeoutError(f"waited in vain for {name!r}; so far: {self.facts}")

    def count(self, name: str) -> int:
        """How many facts of this name have come until now."""
        while self._receive(0.0):
            pass
        return sum(fact["fact"] == name for fact in self.facts)

    def _receive(self, timeout_s: float) -> bool:
        self._socket.settimeout(max(timeout_s, 0.001))
        try:
            data = self._socket.recv(65536)
        except (socket.timeout, OSError):
            return False
        self._buffer += data
        *lines, self._buffer = self._buffer.split(b"\n")
        for line in lines:
            self.facts.append({**json.loads(line), "at": time.monotonic()})
        return bool(data)
