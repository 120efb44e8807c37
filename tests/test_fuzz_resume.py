"""`MemoryLog` and the streams in it, in any order of writers, readers and time, against lists."""

import logging
import os
import sys
import threading
import time
from pathlib import Path
from queue import Queue

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

sys.path.insert(0, str(Path(__file__).parent))
pytest.register_assert_rewrite("resume_machines")

from resume_machines import ResumingMachine  # noqa: E402
from sse_middleware.errors import StreamLostError  # noqa: E402
from sse_middleware.resume import MemoryLog  # noqa: E402
from sse_middleware.testing import VirtualClock  # noqa: E402
from watched_machine import WatchedMachine  # noqa: E402

DEADLINE_S = 10
#: A long run is asked for with SSE_FUZZ_EXAMPLES=10000.
EXAMPLES = int(os.environ.get("SSE_FUZZ_EXAMPLES", "150"))
MAX_EVENTS, MAX_BYTES, MAX_STREAMS, MAX_AGE_S, LINGER_S = 4, 60, 3, 100, 10
INDEX = st.integers(0, 5)


@pytest.fixture(autouse=True)
def _quiet():
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


class Stream:
    """What the model knows of one stream."""

    def __init__(self, name, writer):
        self.name, self.writer = name, writer
        self.frames, self.first = [], 0
        self.is_finished = self.is_lost = self.is_found = False
        self.written_at = self.turn = 0
        self.followers, self.left_at = 0, None

    @property
    def last(self):
        return len(self.frames)

    def append(self, frame):
        self.frames.append(frame)
        while True:
            kept = self.frames[self.first :]
            if len(kept) <= MAX_EVENTS and (sum(map(len, kept)) <= MAX_BYTES or len(kept) == 1):
                return
            self.first += 1


class Follower:
    """One reader, how far it has come, and the thread that waits for its next frame."""

    def __init__(self, reader, stream, after):
        self.reader, self.stream, self.number = reader, stream, after
        self.follows = self.is_closed = self.is_over = False
        self.result = None

    @property
    def has_news(self):
        stream = self.stream
        return stream.is_finished or stream.is_lost or stream.last > self.number

    def begin(self):
        """Read in a thread of its own."""
        self.result = Queue()
        threading.Thread(target=self._read, args=(self.result,), daemon=True).start()
        gives_up_at = time.monotonic() + DEADLINE_S
        while not self.reader.is_following and self.result.empty():
            assert time.monotonic() < gives_up_at, "a reader neither reads nor waits"
            time.sleep(0.0005)

    def _read(self, result):
        try:
            result.put(next(self.reader))
        except (StopIteration, StreamLostError) as error:
            result.put(error)

    def check(self):
        """What a read brings that had a reason to return."""
        got, self.result = self.result.get(timeout=DEADLINE_S), None
        stream = self.stream
        if self.is_closed or self.is_over:
            assert isinstance(got, (StopIteration, StreamLostError))
        elif stream.first <= self.number < stream.last:
            assert got == stream.frames[self.number]
            self.number += 1
        elif stream.is_finished and self.number == stream.last:
            assert isinstance(got, StopIteration)
            self.is_over = True
        else:
            assert isinstance(got, StreamLostError)
            assert self.reader.is_orphaned == stream.is_lost
            self.is_over = True


class MemoryMachine(WatchedMachine):
    """Streams, their readers, their bounds and their ages."""

    def __init__(self):
        super().__init__()
        self.clock = VirtualClock()
        self.log = MemoryLog(
            owner=None,
            clock=self.clock,
            max_events=MAX_EVENTS,
            max_bytes=MAX_BYTES,
            max_streams=MAX_STREAMS,
            max_age=MAX_AGE_S,
            linger=LINGER_S,
        )
        self.streams, self.followers, self.turn = [], [], 0

    def chosen(self, among, index):
        return among[-1 - index % len(among)] if among else None

    def touch(self, stream):
        self.turn += 1
        stream.turn, stream.written_at = self.turn, self.clock.monotonic()

    def make_room(self, limit):
        """Old finished streams go; then the quietest, finished ones first."""
        found = [stream for stream in self.streams if stream.is_found]
        for stream in found:
            is_old = stream.written_at <= self.clock.monotonic() - MAX_AGE_S
            stream.is_found = not (is_old and stream.is_finished)
        found = sorted((s for s in found if s.is_found), key=lambda stream: stream.turn)
        while len(found) > limit:
            quietest = next((stream for stream in found if stream.is_finished), found[0])
            found.remove(quietest)
            quietest.is_found = False

    @rule()
    def open(self):
        self.make_room(MAX_STREAMS - 1)
        name = f"stream {len(self.streams)}"
        stream = Stream(name, self.log.open(name, name))
        stream.is_found = True
        self.touch(stream)
        self.streams.append(stream)

    @rule(index=INDEX, size_bytes=st.sampled_from([1, 9, 20, 70]), times=st.integers(1, 3))
    def append(self, index, size_bytes, times):
        stream = self.chosen(self.streams, index)
        for _ in range(times if stream and not (stream.is_finished or stream.is_lost) else 0):
            frame = b"%d" % stream.last + b"." * size_bytes
            stream.append(frame)
            self.touch(stream)
            stream.writer.append(frame)
            self.settle()

    @rule(index=INDEX)
    def finish(self, index):
        stream = self.chosen(self.streams, index)
        if stream and not (stream.is_finished or stream.is_lost):
            stream.is_finished = True
            self.touch(stream)
            stream.writer.finish()
            self.settle()

    @rule(index=INDEX)
    def discard(self, index):
        stream = self.chosen(self.streams, index)
        if stream and not (stream.is_finished or stream.is_lost):
            stream.is_lost, stream.is_found = True, False
            stream.writer.discard()
            self.settle()

    @rule(index=INDEX, back=st.integers(-1, 6))
    def find(self, index, back):
        stream = self.chosen(self.streams, index)
        if stream is None:
            return
        after = stream.last - back
        reader = self.log.find(stream.name, after)
        self.make_room(MAX_STREAMS)
        if not (stream.is_found and stream.first <= after <= stream.last):
            assert reader is None
            return
        assert (reader.head, reader.number) == (stream.name, after)
        assert reader.nothing_follows == (stream.is_finished and after == stream.last)
        stream.left_at = self.clock.monotonic()
        self.followers.append(Follower(reader, stream, after))

    @rule(index=INDEX, times=st.integers(1, 3))
    def read(self, index, times):
        follower = self.chosen(self.followers, index)
        for _ in range(times if follower else 0):
            if follower.result is not None:
                return
            if not (follower.follows or follower.is_closed):
                follower.follows = True
                follower.stream.followers += 1
            follower.begin()
            self.settle()

    @rule(index=INDEX)
    def close(self, index):
        follower = self.chosen(self.followers, index)
        if follower:
            is_waiting = follower.result is not None
            follower.reader.close()
            follower.reader.close()
            if not follower.is_closed and follower.follows and not is_waiting:
                follower.stream.followers -= 1
                follower.stream.left_at = self.clock.monotonic()
            self.note_close(follower, is_waiting)

    def note_close(self, follower, is_waiting):
        follower.is_closed = True
        if is_waiting:
            follower.check()
            follower.stream.followers -= follower.follows
            follower.stream.left_at = self.clock.monotonic()

    @rule(seconds=st.sampled_from([1, LINGER_S, MAX_AGE_S]))
    def advance(self, seconds):
        self.clock.advance(seconds)

    def settle(self):
        """Every read that has a reason to return does."""
        for follower in self.followers:
            if follower.result is not None and (follower.has_news or follower.is_closed):
                follower.check()

    @invariant()
    def each_stream_is_wanted_for_as_long_as_somebody_may_come_back(self):
        now_s = self.clock.monotonic()
        for stream in self.streams:
            left_s = 0 if stream.left_at is None else stream.left_at + LINGER_S - now_s
            wanted_s = LINGER_S if stream.followers else max(0, left_s)
            assert stream.writer.followed_s() == wanted_s

    def teardown(self):
        for follower in self.followers:
            follower.reader.close()
            if follower.result is not None:
                follower.is_closed = True
                follower.check()
        super().teardown()


class Resuming(ResumingMachine):
    """Two middlewares of one process, with one log."""

    def make_log(self):
        if not hasattr(self, "log"):
            self.log = MemoryLog(owner=lambda environ: environ["REMOTE_USER"])
        return self.log


MemoryMachine.TestCase.settings = settings(max_examples=2 * EXAMPLES, stateful_step_count=40)
test_any_order_of_writers_readers_and_time_agrees_with_a_model = MemoryMachine.TestCase
Resuming.TestCase.settings = settings(max_examples=EXAMPLES, stateful_step_count=40)
test_a_stream_is_whole_however_often_it_is_left_and_resumed = Resuming.TestCase
