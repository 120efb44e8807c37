"""One reply as a client inside the process takes it: each chunk when it is asked for, in lock-step.

There is no socket, so what a socket gives has to come from here: silence that ends by the client's
timeout, the two ways in which a connection breaks, and what the journal says of a client that
left. Each front for a library of clients turns these into what that library makes of them.
"""

import errno
import socket
from collections import deque
from math import inf
from typing import Deque, Optional, Tuple

from sse_middleware.testing.exchange import Reply

__all__ = ["Playback"]


class Playback:
    """The body of ``reply``, for one client.

    Args:
        timeout_s: how long the client waits for each chunk, in seconds on the reply's clock; None
            is for ever.
    """

    def __init__(self, reply: Reply, timeout_s: Optional[float] = None) -> None:
        self._reply = reply
        self._timeout_s = timeout_s
        steps = [] if reply.request.method == "HEAD" else list(reply.steps())
        self._chunks: Deque[Tuple[float, bytes]] = deque(step for step in steps if step[1])
        self._end = "complete" if reply.request.method == "HEAD" else reply.recording.end
        self._end_s = (
            inf if self._end == "stall" else max((due_s for due_s, _ in steps), default=-inf)
        )
        self._is_over = False

    def until_s(self) -> float:
        """The time on the clock at which something is due: a chunk, the end, or the timeout."""
        due_s = self._due_s()
        if self._timeout_s is None:
            return due_s
        return min(due_s, self._reply.clock.monotonic() + self._timeout_s)

    def is_due(self, until_s: float) -> bool:
        """Whether the clock shows ``until_s`` already."""
        return until_s <= self._reply.clock.monotonic()

    def wait(self, until_s: float) -> None:
        """Return when the clock shows ``until_s``; blocks the thread.

        Raises:
            ConnectionAbortedError: the upstream was closed, or the client left, in the meantime.
            StuckClockError: nobody moves the clock.
        """
        try:
            self._reply.wait(until_s)
        except Exception:
            self._is_over = True
            raise

    def take_due(self, until_s: float) -> bytes:
        """What was due at ``until_s``: a chunk, or b"" behind the last one of a whole body.

        Raises:
            socket.timeout: nothing was; the client's patience is over.
            ConnectionAbortedError: the connection ends here, by FIN.
            ConnectionResetError: the connection ends here, by RST.
        """
        if until_s < self._due_s():
            raise socket.timeout("timed out")
        if self._chunks:
            return self._chunks.popleft()[1]
        self._is_over = True
        if self._end == "reset":
            raise ConnectionResetError(errno.ECONNRESET, "the recording ends with a reset")
        if self._end != "complete":
            raise ConnectionAbortedError(errno.ECONNABORTED, f"the recording ends with {self._end}")
        return b""

    def take(self) -> bytes:
        """The next chunk, once it is due; b"" behind the last one of a whole body.

        Raises:
            OSError: as `wait` and `take_due` have it.
            StuckClockError: nobody moves the clock.
        """
        until_s = self.until_s()
        self.wait(until_s)
        return self.take_due(until_s)

    def leave(self) -> None:
        """The client is gone: noted, unless it had every byte. A wait in another thread ends."""
        if not self._is_over:
            self._reply.request.client_left = bool(self._chunks) or self._end == "stall"
        self._is_over = True
        self._reply.close()

    def shutdown(self, how: int) -> None:
        """What a socket has, for whoever ends by it a read that blocks another thread."""
        self.leave()

    def _due_s(self) -> float:
        return self._chunks[0][0] if self._chunks else self._end_s
