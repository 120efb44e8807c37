"""`MemoryLog`: the contract of every log, its age, and any order of events against a model."""

import gc
import sys
import threading
from pathlib import Path

import pytest

from sse_middleware.clock import SystemClock
from sse_middleware.resume import Channel, MemoryLog
from sse_middleware.resume.frames import Frames, Place
from sse_middleware.testing.clock import VirtualClock

sys.path.insert(0, str(Path(__file__).resolve().parent))  # pytest adds no folder
pytest.register_assert_rewrite("resume_contract")

from resume_contract import *  # noqa: E402, F403
from resume_contract import DEADLINE_S, LogMachine, frame, written  # noqa: E402


@pytest.fixture
def make_log():
    return lambda **options: MemoryLog(**{"owner": None, **options})


def test_a_finished_stream_is_forgotten_max_age_after_its_last_event():
    clock = VirtualClock()
    log = MemoryLog(owner=None, max_age=60, clock=clock)
    writer = written(log, 1)
    clock.advance(50)
    writer.append(frame(2))
    writer.finish()
    clock.advance(59)
    assert log.find("name", 1) is not None
    clock.advance(1)
    assert log.find("name", 1) is None
    assert len(log._streams) == 0


def test_a_live_stream_is_not_forgotten_because_it_is_silent():
    clock = VirtualClock()
    log = MemoryLog(owner=None, max_age=60, clock=clock)
    written(log, 1)
    clock.advance(1000)
    assert log.find("name", 0) is not None


def test_a_stream_is_followed_until_linger_after_its_last_reader_left():
    clock = VirtualClock()
    log = MemoryLog(owner=None, linger=30, clock=clock)
    writer = written(log, 1)
    reader = log.find("name", 0)
    next(reader)
    clock.advance(100)
    assert writer.followed_s() == 30
    reader.close()
    clock.advance(10)
    assert writer.followed_s() == 20
    clock.advance(20)
    assert writer.followed_s() == 0


class CollectingClock(SystemClock):
    """Garbage is collected whenever somebody asks for the time, also inside the log."""

    def monotonic(self):
        gc.collect()
        return super().monotonic()


def in_time(call):
    """Make ``call`` in a thread of its own, which it may block."""
    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(DEADLINE_S)
    assert not thread.is_alive(), f"{call} waits for ever"


def test_the_garbage_collector_may_close_an_abandoned_reader_at_any_time():
    log = MemoryLog(owner=None, clock=CollectingClock())
    news = Channel("news", log)
    follow = news.subscribe()
    news.publish({"data": "1"})
    next(follow)
    abandoned = [follow]
    abandoned.append(abandoned)
    del follow, abandoned
    in_time(lambda: news.publish({"data": "2"}))
    gc.collect()
    (frames,) = log._streams.values()
    assert (frames.last, frames.followers) == (2, 0)


def test_what_is_published_just_before_a_reader_waits_is_not_lost(monkeypatch):
    news, looked, came = Channel("news", MemoryLog(owner=None)), [], []
    has_news = Place.has_news.fget

    def publish_after_the_look(place):
        found = has_news(place)
        if not looked:  # as a signal's handler, or a generator that is collected, may do
            looked.append(place)
            news.publish({"data": "1"})
        return found

    follow = news.subscribe()
    monkeypatch.setattr(Place, "has_news", property(publish_after_the_look))
    in_time(lambda: came.append(next(follow).data))
    assert came == ["1"]


def test_a_stream_that_is_discarded_while_room_is_made_is_dropped_once(monkeypatch):
    log = MemoryLog(owner=None, max_streams=1)
    writer = written(log, 1)
    is_done = Frames.is_done.fget

    def discard_at_the_look(frames):
        writer.discard()
        return is_done(frames)

    monkeypatch.setattr(Frames, "is_done", property(discard_at_the_look))
    in_time(lambda: log.open("other", ""))
    assert list(log._streams) == ["other"]


def test_a_stream_that_was_dropped_for_room_goes_on_for_who_reads_it():
    log = MemoryLog(owner=None, max_streams=1)
    writer = written(log, 1)
    reader = log.find("name", 0)
    log.open("other", "")
    writer.append(frame(2))
    writer.finish()
    assert list(reader) == [frame(1), frame(2)]


def test_of_the_streams_past_the_bound_finished_ones_go_first():
    log = MemoryLog(owner=None, max_streams=2)
    written(log, 1, "live")
    written(log, 1, "done").finish()
    written(log, 1, "new")
    assert [log.find(name, 0) is None for name in ("live", "done", "new")] == [False, True, False]


def test_a_stream_that_was_written_lately_is_not_the_quietest():
    log = MemoryLog(owner=None, max_streams=2)
    writer = written(log, 1, "old but busy")
    written(log, 1, "quiet")
    writer.append(frame(2))
    written(log, 1, "new")
    assert log.find("old but busy", 0) is not None
    assert log.find("quiet", 0) is None


def test_a_channel_that_was_dropped_ends_its_subscriptions_and_forgets_its_ids():
    log = MemoryLog(owner=None, max_streams=1)
    follow = Channel("news", log).subscribe("")
    Channel("news", log).publish({"data": "a"})
    last = next(follow).id
    written(log, 1).finish()
    assert list(follow) == []
    for _ in range(2):
        Channel("news", log).publish({"data": "old"})
    again = Channel("news", log).subscribe(last)
    Channel("news", log).publish({"data": "new"})
    assert next(again).data == "new"


def test_a_subscriber_that_was_killed_while_it_waited_leaves_nothing_behind():
    gevent = pytest.importorskip("gevent")
    log = MemoryLog(owner=None)

    def wait():
        follow = log.subscribe("news", "")
        try:
            next(follow)
        finally:
            follow.close()

    waiting = gevent.spawn(wait)
    gevent.sleep(0)
    ((_, frames),) = log._streams.items()
    assert len(frames.waiting) == 1
    waiting.kill()
    assert (len(frames.waiting), frames.followers) == (0, 0)


class MemoryMachine(LogMachine):
    def make_log(self, **options):
        return MemoryLog(owner=None, **options)


test_any_order_of_events_agrees_with_a_model = MemoryMachine.TestCase
