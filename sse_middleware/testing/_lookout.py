"""Sees the client leave, or the server stop, while a thread waits for the upstream.

That thread is blocked in a read, maybe inside TLS: what wakes it is the end of its connection.
"""

import selectors
import socket
import threading
from types import TracebackType
from typing import Optional, Set, Type

__all__ = ["Lookout"]

#: For an upstream that is about to end: clients leave at ``[DONE]``, before the terminator of HTTP.
_GRACE_S = 1.0


class Lookout:
    """A context in which ``upstream`` is shut down when the client leaves, or at once when we stop.

    A client that shuts down its sending side counts as gone, as most servers have it.
    """

    def __init__(self, client: socket.socket, stop: socket.socket, upstream: socket.socket) -> None:
        #: True once the upstream was shut down: what ended is our side of it.
        self.alarmed = False
        self._client = client
        self._upstream = upstream
        self._done, self._done_sender = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        for watched in (client, stop, self._done):
            self._selector.register(watched, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._watch, name="recorder-lookout", daemon=True)

    def __enter__(self) -> "Lookout":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self._done_sender.close()
        self._thread.join()
        self._done.close()
        self._selector.close()

    def _watch(self) -> None:
        ready = self._ready(None)
        if ready == {self._client}:
            self._selector.unregister(self._client)
            # Else it sent its next request ahead: that is read when its turn comes.
            ready = self._ready(_GRACE_S if self._has_left() else None)
        if self._done not in ready:
            self._alarm()

    def _ready(self, timeout_s: Optional[float]) -> Set[object]:
        return {key.fileobj for key, _ in self._selector.select(timeout_s)}

    def _has_left(self) -> bool:
        try:
            return not self._client.recv(1, socket.MSG_PEEK)
        except OSError:
            return True

    def _alarm(self) -> None:
        self.alarmed = True
        try:
            # Not that of ssl.SSLSocket, which would also forget the session that is being read.
            socket.socket.shutdown(self._upstream, socket.SHUT_RDWR)
        except OSError:  # it ended by itself just now
            pass
