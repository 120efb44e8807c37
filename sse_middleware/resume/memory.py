"""``MemoryLog``: streams that outlive their connection, within one process.

Every reader keeps its own place in a deque that all share, so that a slow one holds back nobody.
What a reader has not read when the bounds drop it, it has lost.
"""

import re
import secrets
import threading
from collections import OrderedDict
from contextlib import suppress
from typing import Optional, Tuple

from sse_middleware.clock import Clock, Signal, SystemClock, checked_clock
from sse_middleware.resume.frames import Frames, Place, Reader, Subscription
from sse_middleware.resume.log import Bounds, Owner, checked_owner

__all__ = ["MemoryLog"]

_NUMBER = re.compile(r"[0-9]{1,15}", re.ASCII)  # int() refuses thousands of digits


class MemoryLog:
    """An `EventLog` in the memory of this process.

    A client that comes back to another process of the server is not known there: run one process
    with threads or greenlets, or use `RedisLog`.

    Keyword Args:
        owner: a callable on ``environ`` that says who a request is from, such as a user's id from
            a session cookie, as ``str`` or ``int``; nobody else can use that owner's ids. It sees
            the request as it came, before the app does. Where it returns None or "" the response
            cannot be resumed. ``owner=None`` says that an id is enough: whoever has it gets the
            rest of that stream.
        linger: seconds for which an answer goes on though nobody reads it.
        max_events, max_bytes: of one stream (and of one channel); older ones are dropped, and who
            has not read them cannot resume.
        max_streams: of all; the one that was quiet for longest is dropped, finished ones first.
        max_age: seconds for which a stream is kept after its last event.
        clock: the time.

    >>> log = MemoryLog(owner=lambda environ: environ.get("REMOTE_USER"))
    >>> log.open("name", head="").append(b"data: a\\n\\n")
    >>> next(log.find("name", after=0))
    b'data: a\\n\\n'

    Raises:
        OptionError: an option has no meaning.
    """

    def __init__(
        self,
        *,
        owner: Owner,
        linger: float = 60.0,
        max_events: int = 10_000,
        max_bytes: int = 1024 * 1024,
        max_streams: int = 1_000,
        max_age: float = 600.0,
        clock: Optional[Clock] = None,
    ) -> None:
        self.owner, self.linger_s = checked_owner(owner, linger)
        self._bounds = Bounds(max_events, max_bytes, max_streams, max_age).checked()
        self._clock = checked_clock(clock) or SystemClock()
        # The garbage collector may close an abandoned reader, and a signal's handler may publish,
        # while their thread is in here: they go on at once, and what they change is borne with.
        self._lock = threading.RLock()
        #: The quietest first.
        self._streams: OrderedDict[str, Frames] = OrderedDict()

    def open(self, name: str, head: str) -> "_Writer":
        """Begin the stream ``name``."""
        frames = Frames(self._bounds, head, is_channel=False)
        with self._lock:
            self._make_room(more=1)
            self._streams[name] = frames
            self._touch(name, frames)
        return _Writer(self, name, frames)

    def find(self, name: str, after: int) -> Optional[Reader]:
        """What followed frame number ``after``; None unless all of that is there."""
        with self._lock:
            self._make_room(more=0)
            frames = self._streams.get(name)
            if frames is None or not frames.first - 1 <= after <= frames.last:
                return None
            frames.left_at = self._clock.monotonic()  # who reads it is on the way
        return Reader(self, name, frames, after)

    def publish(self, channel: str, frame: bytes) -> None:
        """Hand an event, without an id, to whoever follows ``channel``."""
        with self._lock:
            name, frames = self._channel(channel)
            frames.append(frame)
            self._touch(name, frames)

    def subscribe(self, channel: str, after: str) -> Subscription:
        """What follows the id ``after`` and is still there; from now on, where it is none."""
        with self._lock:
            _, frames = self._channel(channel)
            epoch, _, number = after.rpartition("-")
            is_ours = epoch == frames.head and _NUMBER.fullmatch(number)
            is_known = bool(is_ours) and int(number) <= frames.last
            return Subscription(self, frames, int(number) if is_known else frames.last)

    def waiting_place(self, place: Place) -> Optional[Signal]:
        """For a reader: what to wait for, while there is nothing to read."""
        with self._lock:
            if not place.is_following and not place.is_closed:
                place.is_following = True
                place.frames.followers += 1
            place.frames.waiting.add(place.signal)  # first: what comes now is told already
            if not place.has_news:
                return place.signal
            place.frames.waiting.discard(place.signal)
            return None

    def read(self, frames: Frames, number: int) -> Optional[bytes]:
        """For a reader: the frame of that number, if it is there."""
        with self._lock:
            return frames[number] if frames.first <= number <= frames.last else None

    def append(self, name: str, frames: Frames, frame: bytes) -> None:
        """For the writer: keep ``frame``."""
        with self._lock:
            frames.append(frame)
            self._touch(name, frames)

    def finish(self, name: str, frames: Frames) -> None:
        """For the writer: no frame will follow."""
        with self._lock:
            frames.is_finished = True
            self._touch(name, frames)
            frames.wake()

    def discard(self, name: str, frames: Frames) -> None:
        """For the writer: forget the stream."""
        with self._lock:
            frames.is_lost = True
            if self._streams.get(name) is frames:
                del self._streams[name]
            frames.wake()

    def followed_s(self, frames: Frames) -> float:
        """Seconds for which a stream is wanted still."""
        with self._lock:  # else a reader that is just leaving may be counted neither way
            followers, left_at = frames.followers, frames.left_at
        if followers or left_at is None:
            return self.linger_s if followers else 0.0
        return max(0.0, left_at + self.linger_s - self._clock.monotonic())

    def left(self, place: Place) -> None:
        """For a reader: it follows no more."""
        with self._lock:
            place.frames.waiting.discard(place.signal)  # a greenlet that was killed cannot
            if place.is_following:
                place.is_following = False
                place.frames.followers -= 1
                place.frames.left_at = self._clock.monotonic()

    def _channel(self, channel: str) -> Tuple[str, Frames]:
        name = "channel " + channel
        frames = self._streams.get(name)
        if frames is None:
            # An id from before a restart, or from before the channel was dropped, names another.
            made = Frames(self._bounds, secrets.token_hex(8), is_channel=True)
            self._make_room(more=1)
            frames = self._streams.setdefault(name, made)
            self._touch(name, frames)
        return name, frames

    def _touch(self, name: str, frames: Frames) -> None:
        frames.touched_at = self._clock.monotonic()
        with suppress(KeyError):  # it was dropped
            self._streams.move_to_end(name)

    def _make_room(self, *, more: int) -> None:
        oldest = self._clock.monotonic() - self._bounds.max_age
        for name, frames in list(self._streams.items()):
            if frames.touched_at > oldest:
                break
            if frames.is_done:
                self._drop(name)
        while self._streams and len(self._streams) + more > self._bounds.max_streams:
            kept = list(self._streams.items())
            self._drop(next((name for name, frames in kept if frames.is_done), kept[0][0]))

    def _drop(self, name: str) -> None:
        frames = self._streams.pop(name, None)
        if frames is not None and frames.is_channel:  # the next goes to another of that name
            frames.is_lost = True
            frames.wake()


class _Writer:
    def __init__(self, log: MemoryLog, name: str, frames: Frames) -> None:
        self._log = log
        self._name = name
        self._frames = frames

    def append(self, frame: bytes) -> None:
        self._log.append(self._name, self._frames, frame)

    def finish(self) -> None:
        self._log.finish(self._name, self._frames)

    def discard(self) -> None:
        self._log.discard(self._name, self._frames)

    def followed_s(self) -> float:
        return self._log.followed_s(self._frames)
