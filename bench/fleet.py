"""Many clients in one epoll loop: they open streams and count what comes."""

import selectors
import socket
import time
from typing import List, Optional

__all__ = ["Fleet", "Stream", "body_of", "request"]


def request(path: str) -> bytes:
    """An EventSource's request."""
    return (f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n").encode()


def body_of(response: bytes) -> bytes:
    """The body of a chunked response; what is cut off shows as missing."""
    rest = response.partition(b"\r\n\r\n")[2]
    pieces, at = [], 0
    while True:
        line_ends = rest.find(b"\r\n", at)
        if line_ends < 0:
            return b"".join(pieces)
        size = int(rest[at:line_ends], 16)
        if size == 0:
            return b"".join(pieces)
        pieces.append(rest[line_ends + 2 : line_ends + 2 + size])
        at = line_ends + size + 4


class Stream:
    """One client; times are `time.monotonic`."""

    __slots__ = ("asked_at", "comments_at", "data", "ended", "failed", "first_at", "socket")

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.asked_at = time.monotonic()
        self.first_at: Optional[float] = None
        self.comments_at: List[float] = []
        self.data = b""
        self.ended = False
        self.failed = ""


class Fleet:
    """``keeps``: whether each stream keeps all its bytes, or only what a comment may be cut by."""

    def __init__(self, port: int, path: str, *, keeps: bool = False) -> None:
        self.streams: List[Stream] = []
        self.events = 0
        self._port = port
        self._request = request(path)
        self._keeps = keeps
        self._selector = selectors.DefaultSelector()
        self._waiting = 0

    def open(self, count: int, *, window: int, within_s: float) -> float:
        """Open streams until ``count`` have had their first event; the seconds it took.

        At most ``window`` are on their way at once. Raises TimeoutError.
        """
        began_at = time.monotonic()
        while len(self.streams) < count or self._waiting:
            while len(self.streams) < count and self._waiting < window:
                self._add()
            self._turn(0.1)
            if time.monotonic() - began_at > within_s:
                raise TimeoutError(f"{self._waiting} of {len(self.streams)} had no first event")
        return time.monotonic() - began_at

    def run(self, seconds: float, *, until_all_ended: bool = False) -> None:
        """Take what comes for so long."""
        ends_at = time.monotonic() + seconds
        while True:
            left_s = ends_at - time.monotonic()
            if left_s <= 0 or (until_all_ended and all(s.ended for s in self.streams)):
                return
            self._turn(min(left_s, 0.2))

    def close(self) -> None:
        """Every client leaves."""
        for stream in self.streams:
            stream.socket.close()
        self._selector.close()

    def _add(self) -> None:
        number = len(self.streams)
        connection = socket.socket()
        # Several source addresses: one has some 28,000 ports.
        connection.bind((f"127.0.0.{2 + number % 4}", 0))
        connection.connect(("127.0.0.1", self._port))
        connection.setblocking(False)
        stream = Stream(connection)
        connection.send(self._request)
        self.streams.append(stream)
        self._waiting += 1
        self._selector.register(connection, selectors.EVENT_READ, stream)

    def _turn(self, timeout_s: float) -> None:
        for key, _ in self._selector.select(timeout_s):
            self._read(key.data)

    def _read(self, stream: Stream) -> None:
        try:
            data = stream.socket.recv(65536)
        except BlockingIOError:
            return
        except OSError as error:
            data, stream.failed = b"", repr(error)
        now = time.monotonic()
        if not data:
            self._end(stream)
            return
        seen = stream.data + data
        if stream.first_at is None:
            if b"\r\n\r\n" not in seen or b"\ndata: " not in seen:
                stream.data = seen
                return
            stream.first_at = now
            self._waiting -= 1
        if self._keeps:
            stream.data = seen
            if seen.endswith(b"\r\n0\r\n\r\n"):
                self._end(stream)
            return
        self.events += seen.count(b"ta: ")  # no longer than what is kept of the last piece
        stream.comments_at += [now] * seen.count(b": \n\n")
        stream.data = seen[-3:]

    def _end(self, stream: Stream) -> None:
        stream.ended = True
        if stream.first_at is None:
            stream.first_at = float("nan")
            self._waiting -= 1
        self._selector.unregister(stream.socket)
        stream.socket.close()
