"""One connection to the fake upstream's server: each of its requests gets its reply.

While a reply waits (for a recorded delay, or stalled), its thread watches the connection, so that
it knows at once when the client leaves or the server closes. A client that shuts down its sending
side counts as gone, as most servers have it.
"""

import selectors
import socket
import struct
import time
from contextlib import suppress
from math import inf
from typing import Optional, Tuple

from sse_middleware.clock import SystemClock
from sse_middleware.errors import StuckClockError
from sse_middleware.testing._request_reading import RequestReader
from sse_middleware.testing.exchange import ReceivedRequest, Reply
from sse_middleware.testing.wire import LAST_CHUNK, chunk, head

__all__ = ["Handler"]

_LONGEST_WAIT_S = 3600.0  # a selector takes no more than some weeks
_LOOK_S = 0.001


class _StoppedError(Exception):
    """The server is closing."""


class _Watch:
    """A signal that also sees the client leave, or the server stop, while it is waited for."""

    def __init__(self, client: socket.socket, stop: socket.socket, *, is_settable: bool) -> None:
        self._client = client
        self._selector = selectors.DefaultSelector()
        # The real clock sets nothing, and two sockets a stream are many.
        self._pair: Tuple[socket.socket, ...] = socket.socketpair() if is_settable else ()
        for sock in (client, stop, *self._pair[:1]):
            self._selector.register(sock, selectors.EVENT_READ)

    def set(self) -> None:
        """Let the wait end, from another thread."""
        self._pair[1].send(b"x")

    def wait(self, timeout_s: Optional[float]) -> bool:
        """Whether it was set within ``timeout_s`` seconds; None waits for ever.

        Raises:
            ConnectionError: the client left.
            _StoppedError: the server is closing.
        """
        until = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            left_s = _LONGEST_WAIT_S if until is None else max(0.0, until - time.monotonic())
            ready = [key.fileobj for key, _ in self._selector.select(min(left_s, _LONGEST_WAIT_S))]
            if self._client in ready:
                self._read_client()
            elif ready and ready[0] in self._pair:
                self._pair[0].recv(1)
                return True
            elif ready:
                raise _StoppedError
            elif until is not None and time.monotonic() >= until:
                return False

    def _read_client(self) -> None:
        if not self._client.recv(1, socket.MSG_PEEK):
            raise ConnectionAbortedError("the client left")
        # It sent its next request ahead: that is read when its turn comes.
        self._selector.unregister(self._client)

    def close(self) -> None:
        """Forget the sockets of others; they stay open."""
        self._selector.close()
        for sock in self._pair:
            sock.close()


class Handler(RequestReader):
    """One connection to the fake upstream: sends each of its requests the reply."""

    def respond(self, request: ReceivedRequest) -> None:
        """Send what the upstream answers."""
        self._send(self.server.answer(request))

    def _send(self, reply: Reply) -> None:
        is_real = isinstance(reply.clock, SystemClock)
        watch = _Watch(self.connection, self.server.stop, is_settable=not is_real)
        self._owed_bytes = len(reply.recording.body)
        try:
            self.wfile.write(head(reply, is_chunked=self._is_chunked))
            if self.command != "HEAD":
                self._send_body(reply, watch)
                self._send_end(reply, watch)
        except ConnectionError:
            self.close_connection = True
            is_owed = self._owed_bytes > 0 or reply.recording.end == "stall"
            reply.request.client_left = is_owed and not self.server.was_cut(self.connection)
        except (_StoppedError, StuckClockError):
            self.close_connection = True
        finally:
            watch.close()

    def _send_body(self, reply: Reply, watch: _Watch) -> None:
        for due_s, data in reply.steps():
            reply.wait(due_s, watch)
            watch.wait(0.0)
            if data:
                self.wfile.write(chunk(data) if self._is_chunked else data)
                self._owed_bytes -= len(data)

    def _send_end(self, reply: Reply, watch: _Watch) -> None:
        end = reply.recording.end
        if end == "stall":
            reply.wait(inf, watch)
        if end == "reset":
            while _unacknowledged_bytes(self.connection):  # a reset would drop them
                watch.wait(_LOOK_S)
            self.server.reset_at_close(self.connection)
        if end == "complete" and self._is_chunked:
            with suppress(ConnectionError):  # it had all it asked for: it may go without this
                self.wfile.write(LAST_CHUNK)
        else:
            self.close_connection = True

    @property
    def _is_chunked(self) -> bool:
        """HTTP/1.0 knows no chunks: there the end of the connection ends the body."""
        return self.request_version == "HTTP/1.1"


def _unacknowledged_bytes(sock: socket.socket) -> int:
    """How many bytes the other side's system does not have yet; 0 where no one can tell."""
    try:
        from fcntl import ioctl
        from termios import TIOCOUTQ

        (size_bytes,) = struct.unpack("i", ioctl(sock, TIOCOUTQ, bytes(4)))
    except (ImportError, OSError):  # a system without it
        return 0
    return int(size_bytes)
