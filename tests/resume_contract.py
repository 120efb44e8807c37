"""What holds for every log: loaded by the tests of each, which say how one is made (``make_log``).

A read that may have to wait runs beside the test; each wait has a deadline.
"""

import inspect
import threading
from contextlib import contextmanager
from queue import Queue

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from sse_middleware import Event, current_stream
from sse_middleware.current import CurrentStream, showing
from sse_middleware.errors import EventError, OptionError, StreamLostError
from sse_middleware.resume import Channel

DEADLINE_S = 30
NAMES = st.sampled_from(["a", "b", "c"])


class Beside:
    """Reads an iterator in a thread of its own; what came is waited for with a deadline."""

    def __init__(self, items):
        self._results = Queue()
        self._items = items
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        try:
            for item in self._items:
                self._results.put(item)
            self._results.put(StopIteration())
        except BaseException as error:
            self._results.put(error)

    def next(self):
        return self._results.get(timeout=DEADLINE_S)

    def take(self, count):
        return [self.next() for _ in range(count)]


def frame(number):
    return b"data: %d\n\n" % number


def written(log, count, name="name"):
    writer = log.open(name, "the head")
    for number in range(1, count + 1):
        writer.append(frame(number))
    return writer


def test_a_stream_is_followed_from_the_moment_it_is_found(make_log):
    log = make_log(linger=30)
    writer = written(log, 1)
    assert writer.followed_s() == 0
    log.find("name", 0)
    assert 29 < writer.followed_s() <= 30


@pytest.mark.parametrize("after", range(4))
def test_a_reader_gets_what_followed_its_number_and_the_end(make_log, after):
    log = make_log()
    written(log, 3).finish()
    assert list(log.find("name", after)) == [frame(n) for n in range(after + 1, 4)]


def test_a_reader_is_told_the_head(make_log):
    log = make_log()
    written(log, 1)
    assert log.find("name", 0).head == "the head"


@pytest.mark.parametrize(("name", "after"), [("other", 0), ("name", 4), ("name", 99), ("", 0)])
def test_what_is_not_there_is_not_found(make_log, name, after):
    log = make_log()
    written(log, 3)
    assert log.find(name, after) is None
    log.open("name 2", "").finish()
    assert log.find(name, after) is None


def test_live_frames_reach_each_of_two_readers(make_log):
    log = make_log()
    writer = written(log, 1)
    readers = [Beside(log.find("name", 0)), Beside(log.find("name", 1))]
    assert readers[0].next() == frame(1)
    writer.append(frame(2))
    assert [reader.next() for reader in readers] == [frame(2), frame(2)]
    writer.append(frame(3))
    writer.finish()
    for reader in readers:
        assert reader.next() == frame(3)
        assert isinstance(reader.next(), StopIteration)


def test_nothing_follows_the_last_frame_of_a_finished_stream_alone(make_log):
    log = make_log()
    writer = written(log, 2)
    assert not log.find("name", 2).nothing_follows
    writer.finish()
    assert log.find("name", 2).nothing_follows
    assert not log.find("name", 1).nothing_follows


def test_a_discarded_stream_is_unknown_and_lost_to_its_readers(make_log):
    log = make_log()
    writer = written(log, 1)
    reader = log.find("name", 0)
    beside = Beside(reader)
    assert beside.next() == frame(1)
    writer.discard()
    assert isinstance(beside.next(), StreamLostError)
    assert reader.is_orphaned
    assert log.find("name", 0) is None


def test_closing_a_reader_ends_its_wait_and_is_idempotent(make_log):
    log = make_log()
    written(log, 1)
    reader = log.find("name", 1)
    beside = Beside(reader)
    reader.close()
    reader.close()
    assert isinstance(beside.next(), StopIteration)


def test_of_a_stream_past_max_events_only_the_newest_can_be_resumed(make_log):
    log = make_log(max_events=3)
    written(log, 5).finish()
    assert log.find("name", 1) is None
    assert list(log.find("name", 2)) == [frame(3), frame(4), frame(5)]


def test_of_a_stream_past_max_bytes_only_the_newest_can_be_resumed(make_log):
    log = make_log(max_bytes=3 * len(frame(1)))
    written(log, 5).finish()
    assert log.find("name", 1) is None
    assert list(log.find("name", 2)) == [frame(3), frame(4), frame(5)]


def test_a_frame_over_max_bytes_is_kept_alone(make_log):
    log = make_log(max_bytes=1)
    written(log, 2).finish()
    assert list(log.find("name", 1)) == [frame(2)]


def test_a_reader_that_fell_behind_the_bound_is_told_and_never_skips(make_log):
    log = make_log(max_events=2)
    writer = written(log, 1)
    reader = log.find("name", 0)
    for number in range(2, 6):
        writer.append(frame(number))
    with pytest.raises(StreamLostError, match="slow"):
        next(reader)
    assert not reader.is_orphaned


def test_past_max_streams_the_quietest_is_forgotten(make_log):
    log = make_log(max_streams=2)
    for name in ("a", "b", "c"):
        written(log, 1, name).finish()
    assert [log.find(name, 0) is not None for name in ("a", "b", "c")] == [False, True, True]


def test_a_slow_reader_holds_back_neither_the_writer_nor_another_reader(make_log):
    log = make_log()
    writer = written(log, 1)
    slow, fast = log.find("name", 0), Beside(log.find("name", 0))
    assert next(slow) == frame(1)
    for number in range(2, 300):
        writer.append(frame(number))
    writer.finish()
    assert fast.take(299) == [frame(number) for number in range(1, 300)]
    assert list(slow) == [frame(number) for number in range(2, 300)]


def test_nobody_follows_a_stream_before_the_first_reader_waits(make_log):
    log = make_log(linger=5)
    writer = written(log, 1)
    assert writer.followed_s() == 0
    reader = log.find("name", 0)
    next(reader)
    assert 0 < writer.followed_s() <= 5


# --- options


@pytest.mark.parametrize(
    "options",
    [
        {"owner": "REMOTE_USER"},
        {"linger": -1},
        {"linger": None},
        {"linger": float("inf")},
        {"max_events": 0},
        {"max_bytes": -1},
        {"max_streams": True},
        {"max_age": "1"},
    ],
    ids=str,
)
def test_an_option_without_meaning_is_refused(make_log, options):
    with pytest.raises(OptionError, match=next(iter(options))):
        make_log(**options)


def test_there_is_no_default_owner(make_log):
    owner = inspect.signature(type(make_log())).parameters["owner"]
    assert (owner.kind, owner.default) == (owner.KEYWORD_ONLY, owner.empty)


# --- channels


@contextmanager
def request(last_event_id=""):
    with showing(CurrentStream(last_event_id)):
        yield current_stream()


def test_every_subscriber_gets_every_event(make_log):
    log = make_log()
    channel = Channel("news", log)
    followers = [Beside(channel.subscribe()) for _ in range(3)]
    for number in range(5):
        Channel("news", log).publish({"event": "n", "data": {"number": number}})
    told = [[event.json()["number"] for event in beside.take(5)] for beside in followers]
    assert told == [[0, 1, 2, 3, 4]] * 3


def test_a_subscriber_continues_after_the_id_that_it_saw_last(make_log):
    channel = Channel("news", make_log())
    first = channel.subscribe()
    for number in range(4):
        channel.publish({"data": number})
    seen = [next(first), next(first)]
    assert [next(channel.subscribe(seen[1].id)).data for _ in range(1)] == ["2"]
    with request(seen[0].id) as stream:
        follow = channel.subscribe()
        assert [next(follow).data for _ in range(3)] == ["1", "2", "3"]
        assert not stream.is_resumable


@pytest.mark.parametrize("last", ["", "7", "foreign-2", "a-b", "0123-²"])
def test_an_id_that_is_not_the_channels_gets_what_is_new(make_log, last):
    channel = Channel("news", make_log())
    channel.publish({"data": "old"})
    follow = channel.subscribe(last)
    channel.publish({"data": "new"})
    assert next(follow).data == "new"


@pytest.mark.parametrize("digits", [16, 5000])
def test_an_id_that_was_made_up_of_one_that_was_seen_gets_what_is_new(make_log, digits):
    channel = Channel("news", make_log())
    follow = channel.subscribe()
    channel.publish({"data": "old"})
    prefix, _, _ = next(follow).id.rpartition("-")
    follow = channel.subscribe(prefix + "-" + "9" * digits)
    channel.publish({"data": "new"})
    assert next(follow).data == "new"


def test_an_id_of_another_channel_gets_what_is_new(make_log):
    log = make_log()
    one, other = Channel("one", log), Channel("other", log)
    follow = one.subscribe()
    one.publish({"data": "a"})
    other.publish({"data": "old"})
    follow = other.subscribe(next(follow).id)
    other.publish({"data": "new"})
    assert next(follow).data == "new"


def test_channels_of_other_names_are_apart(make_log):
    log = make_log()
    follow = Channel("b", log).subscribe()
    Channel("a", log).publish({"data": "a"})
    Channel("b", log).publish({"data": "b"})
    assert next(follow).data == "b"


def test_a_subscriber_behind_the_bound_gets_what_is_still_there(make_log):
    channel = Channel("news", make_log(max_events=2))
    follow = channel.subscribe()
    channel.publish({"data": 0})
    last = next(follow).id
    for number in range(1, 6):
        channel.publish({"data": number})
    assert [next(follow).data for _ in range(2)] == ["4", "5"]
    again = channel.subscribe(last)
    assert [next(again).data for _ in range(2)] == ["4", "5"]


def test_a_subscriber_whose_client_leaves_stops_waiting(make_log):
    with request() as stream:
        beside = Beside(Channel("news", make_log()).subscribe())
        stream.disconnect()
    assert isinstance(beside.next(), StopIteration)


@pytest.mark.parametrize(
    "mapping",
    [
        *({"data": "a", "id": 1}, {"comment": "a"}, {"retry": 1}, {"dta": 1}, {"event": "a"}),
        *("a", ["a"], Event("a", id=1), Event(comment="a")),
    ],
    ids=str,
)
def test_what_is_no_event_of_the_channels_is_not_published(make_log, mapping):
    with pytest.raises(EventError):
        Channel("news", make_log()).publish(mapping)


def test_an_event_object_is_published_as_a_mapping_is(make_log):
    news = Channel("news", make_log())
    follow = news.subscribe()
    news.publish(Event("a", event="x"))
    seen = next(follow)
    assert (seen.data, seen.event) == ("a", "x")


@pytest.mark.parametrize("name", ["", None, 7])
def test_a_channel_has_a_name(make_log, name):
    with pytest.raises(OptionError, match="name"):
        Channel(name, make_log())


def test_a_channel_has_a_log():
    with pytest.raises(OptionError, match="log is None: expected an EventLog such as MemoryLog"):
        Channel("news", None)


def test_a_channel_is_followed_from_an_id_that_is_text(make_log):
    with pytest.raises(OptionError, match="last_event_id is 7: expected a str"):
        Channel("news", make_log()).subscribe(7)


# --- any order of events


class LogMachine(RuleBasedStateMachine):
    """Streams and readers in any order, against lists. A subclass says how a log is made."""

    MAX_EVENTS = 5

    def __init__(self):
        super().__init__()
        self.log = self.make_log(max_events=self.MAX_EVENTS)
        self.streams = {}
        self.readers = []

    def make_log(self, **options):
        raise NotImplementedError

    @rule(name=NAMES)
    def open(self, name):
        if name not in self.streams:
            self.streams[name] = (self.log.open(name, name), [], [])

    @rule(name=NAMES, count=st.integers(1, 4))
    def append(self, name, count):
        writer, frames, ended = self.streams.get(name, (None, [], ["absent"]))
        for _ in range(0 if ended else count):
            frames.append(frame(len(frames) + 1))
            writer.append(frames[-1])

    @rule(name=NAMES)
    def finish(self, name):
        writer, _, ended = self.streams.get(name, (None, [], ["absent"]))
        if not ended:
            writer.finish()
            ended.append("finished")

    @rule(name=NAMES)
    def discard(self, name):
        writer, _, ended = self.streams.get(name, (None, [], ["absent"]))
        if not ended:
            writer.discard()
            ended.append("discarded")

    @rule(name=NAMES, after=st.integers(0, 12))
    def find(self, name, after):
        _, frames, ended = self.streams.get(name, (None, [], ["discarded"]))
        reader = self.log.find(name, after)
        oldest = max(0, len(frames) - self.MAX_EVENTS)
        # a stream without a frame may be unknown: nobody has an id of it
        is_there = ended != ["discarded"] and frames and oldest <= after <= len(frames)
        if frames:
            assert (reader is not None) == bool(is_there)
        if is_there:
            self.readers.append((reader, name, [after]))
            assert reader.head == name
            assert reader.nothing_follows == (ended == ["finished"] and after == len(frames))

    @rule(index=st.integers(0, 20))
    def read(self, index):
        if not self.readers:
            return
        reader, name, place = self.readers[index % len(self.readers)]
        _, frames, ended = self.streams[name]
        if ended == ["discarded"] or place[0] == "over":
            return  # told in the tests above
        if place[0] < len(frames) - self.MAX_EVENTS:
            with pytest.raises(StreamLostError):
                next(reader)
            place[0] = "over"
        elif place[0] < len(frames):
            assert next(reader) == frames[place[0]]
            place[0] += 1
        elif ended:
            assert list(reader) == []
