"""``Tail``: the entries of a Redis Stream as they come, through outages of Redis.

A read waits for a second at a time, so that it can be stopped, and can look around in between.
"""

import logging
import time
from collections import deque
from typing import Any, Deque, List, Optional, Tuple

from sse_middleware.errors import StreamLostError

__all__ = ["Entry", "Tail"]

Entry = Tuple[bytes, List[bytes]]

_BATCH = 100
_PAUSE_S = 0.2

_log = logging.getLogger("sse_middleware")


class Tail:
    """Reads on from an entry. A subclass says what to do before each wait, and after one."""

    def __init__(self, client: Any, key: str, after: str, block_s: float) -> None:
        self._client = client
        self._key = key
        self._after = after
        self._block_ms = round(block_s * 1000)
        self._entries: Deque[Entry] = deque()
        self._is_closed = False
        self._has_told = False

    def close(self) -> None:
        """Stop, also a wait in another thread: within a second."""
        self._is_closed = True

    def next_entry(self, *, patience_s: Optional[float]) -> Entry:
        """The next entry, waited for. Redis may fail for ``patience_s`` seconds; None: for ever.

        Raises:
            StopIteration: it was closed.
        """
        failing_since_s = None
        while not self._entries and not self._is_closed:
            try:
                self.before_wait()
                if not self.read(self._block_ms):
                    self.after_silence()
                failing_since_s = None
            except StreamLostError:
                raise
            except Exception as error:
                now_s = time.monotonic()
                if failing_since_s is None:
                    failing_since_s = now_s
                    self._tell(error)
                if patience_s is not None and now_s - failing_since_s >= patience_s:
                    raise
                time.sleep(_PAUSE_S)
        if self._is_closed:
            raise StopIteration
        return self._entries.popleft()

    def read(self, block_ms: int) -> bool:
        """Whether there are more entries now; waits for them for ``block_ms`` at most."""
        block = ["BLOCK", block_ms] if block_ms else []
        reply = self._client.execute_command(
            "XREAD", "COUNT", _BATCH, *block, "STREAMS", self._key, self._after
        )
        streams = dict(reply or ())  # a list of pairs, or a dict in the newer protocol
        for entries in streams.values():
            self._entries.extend((entry[0], entry[1]) for entry in entries)
            self._after = entries[-1][0]
        return bool(streams)

    def _tell(self, error: Exception) -> None:
        if not self._has_told:
            self._has_told = True
            _log.warning("a stream waits for the log: %r", error)

    def before_wait(self) -> None:
        """Called before each wait; may raise what Redis raises."""

    def after_silence(self) -> None:
        """Called when a wait brought nothing.

        Raises:
            StreamLostError: nothing can come any more.
        """
