"""The clients of the soak: each lives one life of a kind, and says what was wrong with it.

A client lets its connection be kept, and closes it when the answer has ended. It does not ask for
``Connection: close``: gunicorn's gthread (27.0.1) closes those in its main thread, and waits there
until the client has closed too, for two seconds at the most, stream or not.

One asyncio loop holds them all, on raw sockets, so that a client can read slowly, read nothing,
and leave by a FIN or by a RST. Who comes and when is drawn from a seeded generator.
"""

import asyncio
import json
import random
import socket
import struct
from collections import Counter
from typing import Any, Awaitable, Callable, Dict, List, Optional, Set
from urllib.parse import urlencode

from fleet import body_of

__all__ = ["LIVES", "Crowd"]

#: A life that takes longer is given up; in seconds.
_LIFE_S = 45.0
_STREAM = "text/event-stream"


class Line:
    """One connection and what has come on it."""

    def __init__(self, port: int, receive_bytes: int = 0) -> None:
        self.data = b""
        self.has_ended = False
        self._port = port
        self._socket = socket.socket()
        if receive_bytes:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self._socket.setblocking(False)

    async def __aenter__(self) -> "Line":
        return self

    async def __aexit__(self, *raised: object) -> None:
        self._socket.close()

    async def send(self, data: bytes) -> None:
        """Connect, and send all of it: a connection without a request may hold a thread."""
        loop = asyncio.get_event_loop()
        await loop.sock_connect(self._socket, ("127.0.0.1", self._port))
        await loop.sock_sendall(self._socket, data)

    async def ask(
        self,
        path: str,
        *,
        accept: str = _STREAM,
        last_id: str = "",
        body: Optional[bytes] = None,
    ) -> None:
        """Send a request; with a body it is a POST."""
        method = "GET" if body is None else "POST"
        lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Accept: {accept}"]
        lines += [f"Last-Event-ID: {last_id}"] if last_id else []
        lines += [] if body is None else [f"Content-Length: {len(body)}"]
        await self.send("\r\n".join([*lines, "", ""]).encode() + (body or b""))

    async def read(self, *, events: int = 0, size: int = 65536, pause_s: float = 0.0) -> None:
        """Read to the end, or until so many events have come."""
        loop = asyncio.get_event_loop()
        while not self.has_ended and not (events and self.data.count(b"\ndata: ") >= events):
            piece = await loop.sock_recv(self._socket, size)
            self.data += piece
            self.has_ended = not piece or self.is_whole
            if pause_s:
                await asyncio.sleep(pause_s)

    async def leave(self, way: str) -> None:
        """By a FIN and reading on (``half``), by a RST, or by closing."""
        if way == "half":
            self._socket.shutdown(socket.SHUT_WR)
            await self.read()
        elif way == "rst":
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    @property
    def status(self) -> int:
        """Of the answer; 0 if there is none."""
        return int(self.data[9:12] or 0)

    @property
    def is_whole(self) -> bool:
        """Whether the answer has had its end."""
        head, _, body = self.data.partition(b"\r\n\r\n")
        if self.status == 204:
            return head != self.data
        length = head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0]
        return len(body) >= int(length) if length else body.endswith(b"\r\n0\r\n\r\n")

    @property
    def body(self) -> str:
        """Without the chunks around it."""
        return body_of(self.data).decode()

    @property
    def last_id(self) -> str:
        """The id of the last whole event."""
        ids = [block for block in _whole_blocks(self.body) if "id: " in block]
        return ids[-1].split("id: ", 1)[1].split("\n", 1)[0] if ids else ""

    @property
    def numbers(self) -> List[int]:
        """Those of the app's events."""
        return [
            json.loads(block.split("data: ", 1)[1].split("\n", 1)[0])["number"]
            for block in _whole_blocks(self.body)
            if "data: " in block and "event: error" not in block
        ]


def _whole_blocks(body: str) -> List[str]:
    return body.split("\n\n")[:-1]


def _path(path: str, number: int, **query: Any) -> str:
    return f"{path}?{urlencode({'n': number, **query})}"


def _wrong(line: Line, numbers: List[int]) -> str:
    """What is wrong with a stream that should have had these events, or ""."""
    if line.status != 200 or not line.is_whole:
        return f"status {line.status}, {len(line.data)} bytes, whole: {line.is_whole}"
    return "" if line.numbers == numbers else f"{line.numbers} instead of 1 to {len(numbers)}"


class Crowd:
    """Clients of one server; ``lived`` counts their lives by kind, ``wrong`` tells what was not."""

    def __init__(self, port: int, seed: str, first: int = 0) -> None:
        self.lived: Counter = Counter()  # type: ignore[type-arg]
        self.wrong: Dict[str, List[str]] = {}
        self._port = port
        self._choose = random.Random(seed)
        self._count = first
        self._tasks: Set[asyncio.Task[None]] = set()

    async def come(self, per_s: float, seconds: float) -> None:
        """Clients arrive for so long, at random, so many a second on average."""
        loop = asyncio.get_event_loop()
        at = began_at = loop.time()
        while at < began_at + seconds:
            self.add(self._choose.choices(list(WEIGHTS), list(WEIGHTS.values()))[0])
            at += self._choose.expovariate(per_s)
            await asyncio.sleep(max(0.0, at - loop.time()))

    def add(self, kind: str) -> None:
        """One client of that kind, now."""
        self._count += 1
        life = self._live(kind, random.Random(self._choose.random()), self._count)
        task = asyncio.ensure_future(life)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def gone(self) -> None:
        """When the last one's life is over."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _live(self, kind: str, choose: random.Random, number: int) -> None:
        try:
            wrong = await asyncio.wait_for(LIVES[kind](self._port, choose, number), _LIFE_S)
        except asyncio.TimeoutError:
            wrong = f"not over after {_LIFE_S} s"
        except Exception as error:  # whatever it is, it is one client's life
            wrong = repr(error)
        self.lived[kind] += 1
        if wrong:
            self.wrong.setdefault(kind, []).append(f"n={number}: {wrong}"[:300])


async def _ends(port: int, choose: random.Random, number: int) -> str:
    count, every_s = choose.randint(1, 60), choose.choice([0, 0.02, 0.1])
    async with Line(port) as line:
        await line.ask(_path("/stream", number, count=count, every=every_s))
        await line.read()
    return _wrong(line, list(range(1, count + 1)))


async def _fails(port: int, choose: random.Random, number: int) -> str:
    at = choose.randint(2, 20)
    async with Line(port) as line:
        await line.ask(_path("/stream", number, count=30, every=0.05, fails=at))
        await line.read()
    missing = "" if "event: error" in line.body else "no error event"
    return _wrong(line, list(range(1, at))) or missing


async def _leaves(port: int, choose: random.Random, number: int) -> str:
    query = {"silent": 1} if choose.random() < 0.4 else {}
    async with Line(port) as line:
        await line.ask(_path("/endless", number, every=choose.choice([0.05, 0.3]), **query))
        if choose.random() < 0.8:  # the others leave before they have read anything
            await line.read(events=1)
            await asyncio.sleep(choose.uniform(0, 3))
        await line.leave(choose.choice(["half", "rst", "close"]))
    return ""


async def _silent(port: int, choose: random.Random, number: int) -> str:
    silence_s, at = choose.uniform(2.5, 5), choose.choice([1, 2, 5])
    query = {"count": 5, "silent_at": at, "silence": silence_s}
    async with Line(port) as line:
        await line.ask(_path("/stream", number, **query))
        await line.read()
    comments = sum(text.startswith(":") for text in line.body.split("\n"))
    few = "" if comments else f"no comment in {silence_s:.1f} s"
    return _wrong(line, [1, 2, 3, 4, 5]) or few


async def _reads_slowly(port: int, choose: random.Random, number: int) -> str:
    async with Line(port, receive_bytes=2048) as line:
        await line.ask(_path("/stream", number, count=48, size=choose.choice([200, 1000])))
        await line.read(size=1024, pause_s=choose.uniform(0.02, 0.06))
    return _wrong(line, list(range(1, 49)))


async def _reads_nothing(port: int, choose: random.Random, number: int) -> str:
    async with Line(port, receive_bytes=2048) as line:
        await line.ask(_path("/stream", number, count=160, size=40_000))
        await asyncio.sleep(choose.uniform(1, 6))
        await line.leave(choose.choice(["rst", "close"]))
    return ""


async def _resumes(port: int, choose: random.Random, number: int) -> str:
    count = choose.randint(10, 60)
    path = _path("/stream", number, count=count, every=choose.choice([0.05, 0.1]))
    async with Line(port) as first:
        await first.ask(path)
        await first.read(events=choose.randint(1, count - 5))
        seen, last_id = first.numbers, first.last_id
        if choose.random() < 0.7:  # the others follow while the first one is still there
            await first.leave(choose.choice(["rst", "close"]))
            await asyncio.sleep(choose.uniform(0, 1.5))
        async with Line(port) as second:
            await second.ask(path, last_id=last_id)
            await second.read()
    async with Line(port) as third:
        await third.ask(path, last_id=second.last_id or last_id)
        await third.read()
    wrong = _wrong(second, list(range(len(seen) + 1, count + 1)))
    if wrong or third.status == 204:
        return wrong
    return f"status {third.status} behind {second.last_id or last_id}: {third.body[:150]!r}"


async def _resumes_unknown(port: int, choose: random.Random, number: int) -> str:
    async with Line(port) as line:
        unknown = f"{choose.getrandbits(128):032x}-7"
        await line.ask(_path("/stream", number, count=10, every=0.02), last_id=unknown)
        await line.read()
    return _wrong(line, list(range(1, 11)))


async def _posts(port: int, choose: random.Random, number: int) -> str:
    count, text = choose.randint(1, 30), "posted " * choose.randint(1, 100)
    async with Line(port) as line:
        await line.ask(_path("/stream", number, count=count, every=0.05), body=text.encode())
        await line.read()
    lost = "" if line.body.count(text) == count else "not what was posted"
    return _wrong(line, list(range(1, count + 1))) or lost


async def _asks_for_anything(port: int, choose: random.Random, number: int) -> str:
    """Without Accept, so that it runs in the thread of the server."""
    count = choose.randint(1, 20)
    async with Line(port) as line:
        await line.ask(_path("/stream", number, count=count, every=0.02), accept="*/*")
        await line.read()
    return _wrong(line, list(range(1, count + 1)))


async def _gets_no_stream(port: int, choose: random.Random, number: int) -> str:
    async with Line(port) as line:
        await line.ask("/plain", accept=choose.choice([_STREAM, "application/json"]))
        await line.read()
    right = line.status == 200 and line.data.endswith(b'\r\n\r\n{"plain": true}')
    return "" if right else f"status {line.status}: {line.data[-60:]!r}"


async def _is_refused(port: int, choose: random.Random, number: int) -> str:
    async with Line(port) as line:
        await line.ask("/refused", accept=choose.choice([_STREAM, "*/*"]))
        await line.read()
    return "" if line.status == 500 else f"status {line.status}"


async def _asks_for_nothing(port: int, choose: random.Random, number: int) -> str:
    async with Line(port) as line:
        await line.send(choose.choice([b"", b"GET /stream HTTP/1.1\r\nHost: 127"]))
        await asyncio.sleep(choose.uniform(0, 1))
        await line.leave(choose.choice(["rst", "close"]))
    return ""


LIVES: Dict[str, Callable[[int, random.Random, int], Awaitable[str]]] = {
    "ends": _ends,
    "fails": _fails,
    "leaves": _leaves,
    "silent": _silent,
    "reads slowly": _reads_slowly,
    "reads nothing": _reads_nothing,
    "resumes": _resumes,
    "resumes an unknown id": _resumes_unknown,
    "posts": _posts,
    "asks for anything": _asks_for_anything,
    "gets no stream": _gets_no_stream,
    "is refused": _is_refused,
    "asks for nothing": _asks_for_nothing,
}
#: Of a hundred clients.
WEIGHTS: Dict[str, int] = dict(zip(LIVES, (18, 8, 17, 8, 5, 4, 15, 2, 6, 4, 8, 3, 2)))
