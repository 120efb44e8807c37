"""A proxy on loopback that loses connections where a test says."""

import socket
import struct
import threading
from contextlib import suppress

DEADLINE_S = 20
LINGER = struct.pack("ii", 1, 0)


class CuttingProxy:
    """Passes bytes on to ``port``; of paths below ``/cut`` each answer loses its connection.

    ``limits`` are the bytes after which: of the first such answer, of the second, and so on; an
    answer beyond them is whole. A context manager.
    """

    def __init__(self, port, limits):
        self._target = ("127.0.0.1", port)
        self._limits = list(limits)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=32)
        self.port = self._listener.getsockname()[1]
        self.cuts = 0

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *exc_info):
        self._listener.close()

    def _accept(self):
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._pass_on, args=(client,), daemon=True).start()

    def _pass_on(self, client):
        with client, socket.create_connection(self._target, timeout=DEADLINE_S) as server:
            client.settimeout(DEADLINE_S)
            request = self._head(client)
            if not request:
                return
            is_cut = b" /cut" in request.split(b"\r\n", 1)[0]
            server.sendall(request.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
            limit = self._limits.pop(0) if is_cut and self._limits else None
            with suppress(OSError):
                self._answer(server, client, limit)

    def _head(self, client):
        """The request, with its body."""
        data = b""
        while b"\r\n\r\n" not in data:
            piece = client.recv(65536)
            if not piece:
                return b""
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        length = 0
        for line in head.split(b"\r\n"):
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        while len(body) < length:
            body += client.recv(65536)
        return head + b"\r\n\r\n" + body

    def _answer(self, server, client, limit):
        passed = b""
        while True:
            piece = server.recv(65536)
            if not piece:
                return
            if limit is not None and len(passed) + len(piece) >= limit:
                piece = piece[: limit - len(passed)]
                client.sendall(piece)
                self.cuts += 1
                if b"\r\n\r\n" not in passed + piece:
                    # By RST, as a browser takes half a head and a FIN for an answer. Elsewhere by
                    # FIN, as a RST drops what the browser has not read yet.
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER)
                return
            client.sendall(piece)
            passed += piece
