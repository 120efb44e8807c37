"""A fake upstream that replays one long recording for ever; prints the port of its server.

``/per-event`` and ``/coalesced`` are replayed; ``/bare`` is a loop around ``sendall`` with the same
chunks, on a port of its own, which is printed second.
"""

import socket
import sys
import threading

from payloads import SMALL, frame_of
from sse_middleware.testing import FakeUpstream, Recording, rechunk

_FRAMES = [frame_of(number, text) for number, text in enumerate(SMALL)]
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def _send(connection: socket.socket) -> None:
    with connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.recv(1 << 16)
        connection.sendall(_HEAD)
        for frame in _FRAMES:
            connection.sendall(b"%x\r\n%b\r\n" % (len(frame), frame))
        connection.sendall(b"0\r\n\r\n")


def _serve(listener: socket.socket) -> None:
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=_send, args=(connection,), daemon=True).start()


def main() -> None:
    """Serve until the standard input ends."""
    recording = Recording(b"".join(_FRAMES))
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=_serve, args=(listener,), daemon=True).start()
    upstream = FakeUpstream()
    for path, mode in (("/per-event", rechunk.per_event), ("/coalesced", rechunk.coalesced)):
        when = {"method": "GET", "path": path}
        upstream.play(recording, when=when, times=None, rechunk=mode)
    with upstream.serve() as url:
        print(url.split(":")[2].split("/")[0], listener.getsockname()[1], flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
