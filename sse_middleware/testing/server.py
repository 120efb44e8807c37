"""The fake upstream as a real HTTP/1.1 server: chunked, kept alive, each chunk sent at once.

One HTTP chunk for each recorded chunk, framed by hand, on one thread a connection. A stream never
says ``Connection: close``: some clients take any cut of such a response for a clean end.
"""

import logging
import os
import selectors
import socket
import socketserver
import struct
import threading
import time
from contextlib import suppress
from typing import Any, Callable, Dict, List, Optional, Type

from sse_middleware.testing._handler import Handler
from sse_middleware.testing._hosts import is_loopback, is_name_of_others
from sse_middleware.testing._request_reading import RequestReader
from sse_middleware.testing.exchange import ReceivedRequest, Reply

__all__ = ["Server"]

_GRACE_S = 0.5

_log = logging.getLogger("sse_middleware")


class _Connection:
    """What the server knows of one open connection."""

    def __init__(self, thread: threading.Thread) -> None:
        self.thread = thread
        self.idle = True  # between two requests
        self.cut = False  # by us
        self.reset = False  # is to end with RST


class Server(socketserver.TCPServer):
    """Serves from the moment it is made until closed; by default on a free port of the loopback.

    Args:
        answer: called in the connection's thread with each request; returns what to send.
        host: an address, or a name that has an IPv4 address.
        port: 0 takes a free one.

    Raises:
        OSError: the address cannot be listened on.
    """

    handler: Type[RequestReader] = Handler
    #: Whether what listens on this machine alone answers to a name of this machine alone.
    checks_host = False
    request_queue_size = 512
    allow_reuse_address = os.name == "posix"  # elsewhere it would share a port that is in use
    timeout = 0  # of handle_request, which is called when there is one

    def __init__(
        self,
        answer: Callable[[ReceivedRequest], Reply],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._host = f"[{host}]" if ":" in host else host
        super().__init__((host, port), self.handler)
        self.answer = answer
        self.stop, self._stop_sender = socket.socketpair()
        self._lock = threading.Lock()
        self._accepting = True
        self._stopping = False
        self._connections: Dict[socket.socket, _Connection] = {}
        self._thread = threading.Thread(target=self._accept, name="fake-upstream", daemon=True)
        self._thread.start()

    @property
    def base_url(self) -> str:
        """Where it listens; ends in ``/v1``."""
        return self.origin + "/v1"

    @property
    def origin(self) -> str:
        """Scheme, host and port of where it listens."""
        return f"http://{self._host}:{self.server_address[1]}"

    def close(self) -> None:
        """Stop listening and end every reply, within about a second whatever the clients do.

        A thread that sleeps on a clock of the caller's is left to it.
        """
        with self._lock:
            self._stopping = True
        self._stop_sender.close()
        _join([self._thread])
        self.server_close()
        with self._lock:
            self._accepting = False
            connections = dict(self._connections)
            self._release()
        self._cut({sock: known for sock, known in connections.items() if known.idle})
        threads = [known.thread for known in connections.values()]
        _join(threads)
        self._cut(connections)
        _join(threads)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start the thread of a new connection."""
        thread = threading.Thread(
            target=self._serve, args=(request, client_address), name="fake-upstream", daemon=True
        )
        with self._lock:
            self._connections[request] = _Connection(thread)
        thread.start()

    def shutdown_request(self, request: Any) -> None:
        """Close a connection: with RST if its recording ends so."""
        with self._lock:
            known = self._connections.pop(request, None)
            self._release()
        if known is not None and known.reset:
            request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_request(request)
        else:
            super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log what ended a connection; the standard one prints a page to standard error."""
        _log.exception("a request could not be answered")

    def is_for_others(self, host: Optional[str]) -> bool:
        """Whether a request with that Host must have been made by a page of another site."""
        is_private = self.checks_host and is_loopback(str(self.server_address[0]))
        return is_private and is_name_of_others(host)

    def rest(self, sock: socket.socket) -> bool:
        """Note that this connection waits for its next request. False: there will be none."""
        with self._lock:
            self._connections[sock].idle = True
            return not self._stopping

    def begin(self, sock: socket.socket) -> None:
        """Note that this connection has a request to answer."""
        with self._lock:
            self._connections[sock].idle = False

    def reset_at_close(self, sock: socket.socket) -> None:
        """Let this connection end with RST."""
        with self._lock:
            self._connections[sock].reset = True

    def was_cut(self, sock: socket.socket) -> bool:
        """True if this connection broke because the server closed."""
        with self._lock:
            return self._connections[sock].cut

    def _accept(self) -> None:
        """Serve without polling: the standard ``serve_forever`` closes only at its next turn."""
        with selectors.DefaultSelector() as selector:
            selector.register(self.socket, selectors.EVENT_READ)
            selector.register(self.stop, selectors.EVENT_READ)
            while all(key.fileobj is not self.stop for key, _ in selector.select()):
                self.handle_request()

    def _serve(self, request: Any, client_address: Any) -> None:
        try:
            self.finish_request(request, client_address)
        except Exception:
            self.handle_error(request, client_address)
        finally:
            self.shutdown_request(request)

    def _release(self) -> None:
        """Close the socket that all threads watch, when there is no thread any more."""
        if not self._accepting and not self._connections:
            self.stop.close()

    def _cut(self, connections: Dict[socket.socket, _Connection]) -> None:
        """Wake the threads that read from these, or write to them."""
        with self._lock:
            for sock, known in connections.items():
                if sock in self._connections:
                    known.cut = True
                    with suppress(OSError):  # the client was faster
                        sock.shutdown(socket.SHUT_RDWR)


def _join(threads: List[threading.Thread]) -> None:
    until = time.monotonic() + _GRACE_S
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
