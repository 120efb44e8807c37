"""``RedisLog``: streams that any process continues which shares one Redis.

A stream is a Redis Stream whose entry ``<n>-0`` holds frame n, so that a number is written once,
by whoever was first; an entry without a frame is its end. Beside it stands what a reader has to
know: the head, and whose lease to watch. Every key expires.

The ``redis`` client is imported when a log is made: nothing else here needs it.
"""

import hashlib
import re
import time
from collections import deque
from contextlib import suppress
from typing import Deque, Optional

from sse_middleware.errors import OptionError, shown
from sse_middleware.resume.commands import (
    END,
    FRAME,
    TIMEOUT_S,
    add_entry,
    connect,
    key_of,
    keys_of,
    milliseconds,
    number_of,
    replies_of,
)
from sse_middleware.resume.log import Bounds, Owner, checked_owner
from sse_middleware.resume.pulse import Pulse
from sse_middleware.resume.tail import BLOCK_S, Reader, Subscription

__all__ = ["RedisLog"]

_CHANNEL_ID = re.compile(r"([0-9a-f]{16})-([0-9]{1,15})-([0-9]{1,15})", re.ASCII)


class RedisLog:
    """An `EventLog` in Redis, for all processes that share it.

    Where Redis does not answer within a second, streams go on without being kept, and who comes
    back is answered by the app. Under gevent, monkey-patch: the client's sockets have to wait.

    Args:
        url: such as ``"redis://localhost:6379/0"``; ``rediss://`` and ``unix://`` work too.

    Keyword Args:
        owner, linger, max_events, max_bytes, max_streams, max_age: as of `MemoryLog`. Of a channel
            ``max_bytes`` is kept as if each of its events had the size of the newest.
        lease: seconds after which a process that is silent is taken for dead: those who follow
            its streams then get the error event.

    Raises:
        OptionError: an option has no meaning.
        ImportError: the ``redis`` client is not installed.
    """

    def __init__(
        self,
        url: str,
        *,
        owner: Owner,
        linger: float = 60.0,
        lease: float = 10.0,
        max_events: int = 10_000,
        max_bytes: int = 1024 * 1024,
        max_streams: int = 1_000,
        max_age: float = 600.0,
    ) -> None:
        self.owner, self.linger_s = checked_owner(owner, linger)
        self._bounds = Bounds(max_events, max_bytes, max_streams, max_age).checked()
        if isinstance(lease, bool) or not isinstance(lease, (int, float)) or not lease >= 0.1:
            raise OptionError("lease", shown(lease), "seconds, a number >= 0.1")
        self.lease_s = lease
        self.client = connect(url, TIMEOUT_S)
        #: For reads that wait, which may be as many as there are readers.
        self.waiting_client = connect(url, BLOCK_S + TIMEOUT_S)
        self.pulse = Pulse(self.client, lease, max_age)

    def open(self, name: str, head: str) -> "_Writer":
        """Begin the stream ``name``."""
        lease = self.pulse.begin(name)
        try:
            self._announce(name, head, lease)
        except BaseException:
            self.pulse.forget(name)
            raise
        return _Writer(self, name, self._bounds)

    def find(self, name: str, after: int) -> Optional[Reader]:
        """What followed frame number ``after``; None unless all of that is there."""
        events = key_of("events", name)
        with self.client.pipeline(transaction=False) as pipe:
            pipe.hmget(key_of("about", name), "head", "by")
            pipe.execute_command("XRANGE", events, "-", "+", "COUNT", 1)
            pipe.execute_command("XREVRANGE", events, "+", "-", "COUNT", 1)
            (head, lease), oldest, newest = replies_of(pipe)
        if head is None or not newest:
            return None
        first, (last, fields) = number_of(oldest[0]), newest[0]
        is_finished = END in fields
        last_number = number_of((last, fields)) - is_finished
        if not first - 1 <= after <= last_number:
            return None
        reader = Reader(self, name, head.decode(), lease.decode(), after)
        reader.nothing_follows = is_finished and after == last_number
        if not is_finished:
            with suppress(Exception):  # a Redis that can only be read, perhaps for a moment
                reader.before_wait()
        return reader

    def publish(self, channel: str, frame: bytes) -> None:
        """Hand an event, without an id, to whoever follows ``channel``."""
        key = key_of("channel", channel)
        length = min(self._bounds.max_events, self._bounds.max_bytes // len(frame))
        with self.client.pipeline(transaction=False) as pipe:
            pipe.execute_command("XADD", key, "MAXLEN", max(1, int(length)), "*", FRAME, frame)
            pipe.pexpire(key, milliseconds(self._bounds.max_age))
            replies_of(pipe)

    def subscribe(self, channel: str, after: str) -> Subscription:
        """What follows the id ``after`` and is still there; from now on, where it is none."""
        key = key_of("channel", channel)
        newest = self.client.execute_command("XREVRANGE", key, "+", "-", "COUNT", 1)
        last = newest[0][0].decode() if newest else "0-0"
        tag = hashlib.sha256(channel.encode()).hexdigest()[:16]
        known = _CHANNEL_ID.fullmatch(after)
        if known is not None and known.group(1) == tag:
            place = (int(known.group(2)), int(known.group(3)))
            if not newest or place <= tuple(map(int, last.split("-"))):
                last = f"{place[0]}-{place[1]}"
        return Subscription(self, key, tag, last)

    def _announce(self, name: str, head: str, lease: str) -> None:
        now_s, max_age_s = time.time(), self._bounds.max_age
        with self.client.pipeline(transaction=False) as pipe:
            pipe.hset(key_of("about", name), mapping={"head": head, "by": lease})
            pipe.pexpire(key_of("about", name), milliseconds(max_age_s))
            pipe.zadd("sse:streams", {name: now_s})
            pipe.zremrangebyscore("sse:streams", "-inf", now_s - 2 * max_age_s)
            pipe.pexpire("sse:streams", milliseconds(2 * max_age_s))
            pipe.zcard("sse:streams")
            count = replies_of(pipe)[-1]
        if count > self._bounds.max_streams:
            quietest = self.client.zpopmin("sse:streams", count - int(self._bounds.max_streams))
            self.client.delete(*(key for name, _ in quietest for key in keys_of(name.decode())))


class _Writer:
    """Numbers the frames, and says with each how many of them fit into the bounds."""

    def __init__(self, log: RedisLog, name: str, bounds: Bounds) -> None:
        self._log = log
        self._name = name
        self._bounds = bounds
        self._number = 0
        self._sizes: Deque[int] = deque()
        self._bytes = 0

    def append(self, frame: bytes) -> None:
        self._sizes.append(len(frame))
        self._bytes += len(frame)
        while len(self._sizes) > self._bounds.max_events or (
            self._bytes > self._bounds.max_bytes and len(self._sizes) > 1
        ):
            self._bytes -= self._sizes.popleft()
        try:
            self._add(len(self._sizes), FRAME, frame)
            if self._number == 1:
                self._log.pulse.refresh([self._name])
        except BaseException:
            self._log.pulse.forget(self._name)
            raise

    def finish(self) -> None:
        self._log.pulse.end(self._name)
        try:
            if self._number:
                self._add(len(self._sizes) + 1, END, b"")
        except BaseException:  # without an end its readers would wait for as long as it is kept
            self._log.pulse.forget(self._name)
            raise
        self._log.pulse.refresh([self._name])

    def discard(self) -> None:
        self._log.pulse.forget(self._name)
        self._log.pulse.tidy()

    def followed_s(self) -> float:
        left_ms = int(self._log.client.pttl(key_of("followed", self._name)))
        return max(0.0, left_ms / 1000)

    def _add(self, length: int, field: bytes, value: bytes) -> None:
        add_entry(self._log.client, self._name, self._number + 1, length, field, value)
        self._number += 1
