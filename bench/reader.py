"""Clients on raw sockets, at the speed of ``recv``: they count events, and note when they came."""

import selectors
import socket
import time
from typing import Dict, List, Sequence, Tuple

__all__ = ["first_event_s", "latencies", "percentile", "swallow_s"]

#: Each event of the bench has one line of data.
_MARK = b"data:"
_GIVES_UP_AFTER_S = 60.0
#: Between two looks at a burst. A reader that waits inside ``recv`` is woken by each write of a
#: server that is slower than it, at 3 to 5 us a time on the server's account, and by none of a
#: faster one; a client on another machine is never woken by the server's.
_PAUSE_S = 0.0002


def _asked(port: int, path: str) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=_GIVES_UP_AFTER_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    connection.sendall(head.encode())
    return connection


def swallow_s(port: int, path: str, count: int) -> float:
    """Seconds from the request to the last of ``count`` events."""
    kept = len(_MARK) - 1  # a mark may come in two pieces
    buffer = bytearray(kept + (1 << 20))
    room = memoryview(buffer)[kept:]
    seen = 0
    began_at = time.perf_counter()
    with _asked(port, path) as connection:
        while seen < count:
            size = connection.recv_into(room)
            if not size:
                raise RuntimeError(f"{path} ended after {seen} events of {count}")
            seen += buffer.count(_MARK, 0, kept + size)
            buffer[:kept] = buffer[size : size + kept]
            if seen < count:
                time.sleep(_PAUSE_S)
        return time.perf_counter() - began_at


def first_event_s(port: int, path: str) -> float:
    """Seconds from connecting to the first event."""
    return swallow_s(port, path, 1)


def latencies(
    streams: Dict[str, Tuple[int, str]], count: int, every_s: float
) -> Dict[str, List[float]]:
    """How late each event came, in seconds, by subject; all streams at once, evenly staggered.

    So that whatever else the machine does, it does to all of them.
    """
    selector = selectors.DefaultSelector()
    late: Dict[str, List[float]] = {subject: [] for subject in streams}
    gap_s = every_s / len(streams)
    for subject, (port, path) in streams.items():
        connection = _asked(port, f"{path}?count={count}&every={every_s}")
        selector.register(connection, selectors.EVENT_READ, late[subject])
        time.sleep(gap_s)
    gives_up_at = time.monotonic() + count * every_s + _GIVES_UP_AFTER_S
    while selector.get_map():
        if time.monotonic() > gives_up_at:
            raise RuntimeError("the paced streams did not end")
        _read_ready(selector)
    selector.close()
    return late


def _read_ready(selector: selectors.BaseSelector) -> None:
    for key, _ in selector.select(1.0):
        connection = key.fileobj
        assert isinstance(connection, socket.socket)
        data = connection.recv(1 << 16)
        now_ns = time.monotonic_ns()
        for piece in data.split(b'{"at":')[1:]:
            key.data.append((now_ns - int(piece[:20])) / 1e9)
        if not data:
            selector.unregister(connection)
            connection.close()


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which that share of ``values`` is."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
