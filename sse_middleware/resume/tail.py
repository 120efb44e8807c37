"""What follows a stream or a channel in Redis: its entries as they come, through outages of Redis.

A read waits for a second at a time, so that it can be stopped, and can look around in between.
"""

import logging
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Deque, List, Optional, Tuple

from sse_middleware.errors import StreamLostError
from sse_middleware.resume.commands import (
    END,
    FRAME,
    add_entry,
    key_of,
    milliseconds,
    number_of,
    replies_of,
)

if TYPE_CHECKING:
    from sse_middleware.resume.redis import RedisLog

__all__ = ["BLOCK_S", "Reader", "Subscription"]

#: How long a reader waits for the next entry before it looks around, in seconds.
BLOCK_S = 1.0

_BATCH = 100
_PAUSE_S = 0.2

_Entry = Tuple[bytes, List[bytes]]

_log = logging.getLogger("sse_middleware")


class _Tail:
    """Reads on from an entry. A subclass says what to do before each wait, and after one."""

    def __init__(self, client: Any, key: str, after: str) -> None:
        self._client = client
        self._key = key
        self._after = after
        self._entries: Deque[_Entry] = deque()
        self._is_closed = False
        self._has_told = False

    def close(self) -> None:
        """Stop, also a wait in another thread: within a second."""
        self._is_closed = True

    def next_entry(self, *, patience_s: Optional[float]) -> _Entry:
        """The next entry, waited for. Redis may fail for ``patience_s`` seconds; None: for ever.

        Raises:
            StopIteration: it was closed.
        """
        failing_since_s = None
        while not self._entries and not self._is_closed:
            try:
                self.before_wait()
                if not self.read(milliseconds(BLOCK_S)):
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


class Reader(_Tail):
    """An iterator over the frames of a stream."""

    def __init__(self, log: "RedisLog", name: str, head: str, lease: str, after: int) -> None:
        super().__init__(log.waiting_client, key_of("events", name), f"{after}-0")
        self.head = head
        self.nothing_follows = False
        self.is_orphaned = False
        self.number = after
        self._log = log
        self._name = name
        self._lease = lease
        self._follows_until_s = 0.0

    def __iter__(self) -> "Reader":
        return self

    def __next__(self) -> bytes:
        entry = self.next_entry(patience_s=self._log.lease_s)
        if number_of(entry) != self.number + 1:
            raise StreamLostError("read too slowly: the log has dropped what comes next")
        if END in entry[1]:
            self.close()
            raise StopIteration
        self.number += 1
        return entry[1][1]

    def before_wait(self) -> None:
        """Say that somebody follows: the app of a client that left goes on for its sake."""
        now_s, linger_s = time.monotonic(), self._log.linger_s
        if linger_s and now_s >= self._follows_until_s:
            self._log.client.set(
                key_of("followed", self._name), 1, px=milliseconds(max(linger_s, 3 * BLOCK_S))
            )
            self._follows_until_s = now_s + linger_s / 3

    def after_silence(self) -> None:
        """Look whether somebody still writes."""
        with self._log.client.pipeline(transaction=False) as pipe:
            pipe.exists(key_of("lease", self._lease))
            pipe.exists(key_of("events", self._name))
            is_alive, is_there = replies_of(pipe)
        if is_alive and is_there:
            return
        if is_there and self.read(0):  # it came between the two
            return
        self.is_orphaned = True
        raise StreamLostError("the process that made the stream is gone")

    def conclude(self, frame: bytes) -> None:
        """Write the last frame of an orphaned stream, unless somebody else has."""
        for number, field, value in ((1, FRAME, frame), (2, END, b"")):
            add_entry(self._log.client, self._name, self.number + number, 0, field, value)
        self._log.pulse.refresh([self._name])


class Subscription(_Tail):
    """An iterator over the ids and frames of a channel."""

    def __init__(self, log: "RedisLog", key: str, tag: str, after: str) -> None:
        super().__init__(log.waiting_client, key, after)
        self._tag = tag

    def __iter__(self) -> "Subscription":
        return self

    def __next__(self) -> Tuple[str, bytes]:
        entry_id, fields = self.next_entry(patience_s=None)
        return f"{self._tag}-{entry_id.decode()}", fields[1]
