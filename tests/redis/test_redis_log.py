"""`RedisLog` on a real Redis: the contract of every log, leases, ages, outages."""

import threading
import time
from wsgiref.util import setup_testing_defaults

import pytest
from hypothesis import settings

from resume_contract import *  # noqa: F403
from resume_contract import Beside, LogMachine, frame, written
from sse_middleware import EventParser, SSEMiddleware
from sse_middleware.errors import OptionError, StreamLostError
from sse_middleware.resume import Channel, RedisLog
from sse_middleware.resume.address import find_address
from sse_middleware.resume.commands import key_of

DEADLINE_S = 10


@pytest.fixture
def make_log(redis_server):
    redis_server.command("FLUSHALL")
    logs = []

    def make_log(**options):
        logs.append(RedisLog(redis_server.url, **{"owner": None, **options}))
        return logs[-1]

    yield make_log
    for log in logs:  # the tests all write to one name
        log.pulse.end("name")
        log.pulse.tidy()


def test_any_order_of_events_agrees_with_a_model(redis_server):
    class RedisMachine(LogMachine):
        def make_log(self, **options):
            redis_server.command("FLUSHALL")
            return RedisLog(redis_server.url, owner=None, **options)

    case = RedisMachine.TestCase()
    case.settings = settings(max_examples=25, deadline=None, stateful_step_count=30)
    case.runTest()


def orphaned(make_log, **options):
    """A log, and the name of a stream of one frame whose producer died silently."""
    log = make_log(lease=0.3, **options)
    written(log, 1)
    log.pulse.end("name")  # as in a process that was killed, nobody renews the lease
    return log


def keys(server):
    return [key.decode() for key in server.command("KEYS", "*")]


# --- leases


def test_the_readers_of_a_dead_producer_are_told_when_its_lease_has_run_out(make_log):
    log = orphaned(make_log)
    reader = log.find("name", 0)
    beside = Beside(reader)
    assert beside.next() == frame(1)
    lost = beside.next()
    assert isinstance(lost, StreamLostError)
    assert reader.is_orphaned


def test_a_silent_producer_that_lives_keeps_its_lease(make_log):
    log = make_log(lease=0.3)
    writer = written(log, 1)
    beside = Beside(log.find("name", 1))
    time.sleep(1.5)  # five leases
    writer.append(frame(2))
    assert beside.next() == frame(2)


def test_a_process_that_could_start_no_thread_keeps_its_lease_once_it_can(
    make_log, monkeypatch, redis_server
):
    def refused(thread):
        raise RuntimeError("can't start new thread")

    log = make_log(lease=0.3)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refused)
        with pytest.raises(RuntimeError):
            log.open("name", "")
    assert not log.pulse._live
    written(log, 1)
    key = key_of("lease", log.pulse._lease)
    redis_server.command("DEL", key)
    gives_up_at = time.monotonic() + DEADLINE_S
    while not redis_server.command("EXISTS", key):
        assert time.monotonic() < gives_up_at, "the lease was never renewed"
        time.sleep(0.02)


def test_the_last_frame_of_an_orphan_is_written_once_by_whoever_is_first(make_log):
    log = orphaned(make_log)
    readers = [log.find("name", 1) for _ in range(2)]
    for reader in readers:
        with pytest.raises(StreamLostError):
            next(reader)
    readers[0].conclude(b"data: first\n\n")
    with pytest.raises(Exception, match="smaller"):
        readers[1].conclude(b"data: second\n\n")
    assert list(log.find("name", 1)) == [b"data: first\n\n"]
    assert log.find("name", 2).nothing_follows


def test_a_producer_that_was_taken_for_dead_cannot_write_on(make_log):
    log = make_log(lease=0.3)
    writer = written(log, 1)
    log.pulse.end("name")
    reader = log.find("name", 1)
    with pytest.raises(StreamLostError):
        next(reader)
    reader.conclude(b"data: end\n\n")
    with pytest.raises(Exception, match="smaller"):
        writer.append(frame(2))


def test_a_process_without_streams_lets_its_lease_run_out(make_log, redis_server):
    log = make_log(lease=0.2)
    written(log, 1).finish()
    gives_up_at = time.monotonic() + DEADLINE_S
    while key_of("lease", log.pulse._lease) in keys(redis_server):
        assert time.monotonic() < gives_up_at, "the lease never ran out"
        time.sleep(0.02)


# --- bounds


def test_every_key_expires(make_log, redis_server):
    log = make_log(max_age=100)
    for name in ("live", "finished"):
        written(log, 3, name)
    log.find("live", 1)
    Beside(log.find("live", 0)).take(3)
    log.open("finished", "").finish()
    Channel("news", log).publish({"data": "a"})
    assert len(keys(redis_server)) >= 7
    for key in keys(redis_server):
        assert 0 < redis_server.command("PTTL", key) <= 200_000, key


def test_a_stream_is_forgotten_max_age_after_it_has_finished(make_log, redis_server):
    log = make_log(max_age=0.4)
    writer = written(log, 1)
    writer.finish()
    assert log.find("name", 0) is not None
    gives_up_at = time.monotonic() + DEADLINE_S
    while log.find("name", 0) is not None:
        assert time.monotonic() < gives_up_at, "the stream never expired"
        time.sleep(0.02)


def test_a_live_stream_is_not_forgotten_because_it_is_silent(make_log):
    log = make_log(max_age=0.8, lease=0.3)
    written(log, 1)
    time.sleep(2)
    assert log.find("name", 0) is not None


def test_a_stream_that_could_not_be_written_on_is_deleted_and_its_readers_are_told(
    make_log, redis_server
):
    log = make_log(lease=0.5)
    writer = written(log, 1)
    reader = Beside(log.find("name", 1))
    redis_server.command("CONFIG", "SET", "min-replicas-to-write", "1")
    try:
        with pytest.raises(Exception, match="NOREPLICAS|replicas"):
            writer.append(frame(2))
    finally:
        redis_server.command("CONFIG", "SET", "min-replicas-to-write", "0")
    assert isinstance(reader.next(), StreamLostError)
    assert log.find("name", 0) is None


def test_the_readers_of_a_stream_whose_end_could_not_be_written_are_told(make_log, redis_server):
    log = make_log(lease=0.5)
    written(log, 1, "another")  # this process lives, and so does its lease
    writer = written(log, 1)
    reader = Beside(log.find("name", 1))
    redis_server.command("CONFIG", "SET", "min-replicas-to-write", "1")
    try:
        with pytest.raises(Exception, match="NOREPLICAS|replicas"):
            writer.finish()
    finally:
        redis_server.command("CONFIG", "SET", "min-replicas-to-write", "0")
    assert isinstance(reader.next(), StreamLostError)
    log.pulse.end("another")


# --- outages


def test_a_reader_goes_on_after_a_redis_that_was_slow(make_log, redis_server):
    log = make_log(lease=5)
    writer = written(log, 1)
    reader = Beside(log.find("name", 1))
    redis_server.command("CLIENT", "PAUSE", "1500")
    time.sleep(1.6)
    writer.append(frame(2))
    assert reader.next() == frame(2)


def test_a_redis_that_does_not_answer_is_waited_for_for_a_second(make_log, redis_server):
    log = make_log()
    written(log, 1)
    redis_server.command("CLIENT", "PAUSE", "2000", "ALL")
    began = time.monotonic()
    with pytest.raises(Exception, match=r"(?i)time"):
        log.find("name", 0)
    took = time.monotonic() - began
    redis_server.command("CLIENT", "UNPAUSE")
    assert 0.5 < took < 3


def test_a_reader_of_a_redis_that_is_gone_gives_up_after_the_lease(own_redis):
    log = RedisLog(own_redis.url, owner=None, lease=0.5)
    written(log, 1)
    reader = Beside(log.find("name", 1))
    own_redis.stop()
    assert "Connection" in repr(reader.next())
    own_redis.start()


def test_a_subscriber_waits_for_a_redis_that_was_restarted(own_redis):
    log = RedisLog(own_redis.url, owner=None)
    channel = Channel("news", log)
    beside = Beside(channel.subscribe())
    own_redis.stop()
    own_redis.start()
    channel.publish({"data": "a"})
    assert beside.next().data == "a"


# --- options


@pytest.mark.parametrize("url", ["", "localhost", "http://localhost", None, 7], ids=repr)
def test_a_url_without_meaning_is_refused(url):
    with pytest.raises(OptionError, match="redis://"):
        RedisLog(url, owner=None)


@pytest.mark.parametrize("url", ["htp://me:hunter2@h/", "redis://me:hunter2@h:port/"])
def test_the_error_of_a_url_holds_no_password(url):
    with pytest.raises(OptionError) as caught:
        RedisLog(url, owner=None)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("lease", [0, -1, None, True, "1"], ids=repr)
def test_a_lease_without_meaning_is_refused(make_log, lease):
    with pytest.raises(OptionError, match="lease"):
        make_log(lease=lease)


def test_nothing_is_asked_of_redis_before_the_first_stream():
    RedisLog("redis://127.0.0.1:1/0", owner=None)


# --- in the middleware


REQUEST = {"REQUEST_METHOD": "GET", "HTTP_ACCEPT": "text/event-stream"}


HEAD = '["200 OK", [["Content-Type", "text/event-stream"]]]'


def connect(app, last_event_id=""):
    environ = {**REQUEST, "HTTP_LAST_EVENT_ID": last_event_id}
    setup_testing_defaults(environ)
    told = []
    body = app(environ, lambda *answer: told.append(answer))
    return told[0][0], EventParser().feed(b"".join(body))


def test_the_error_event_of_an_orphan_is_told_once_and_then_204(make_log):
    def app(environ, start_response):
        raise AssertionError("the app was asked")

    log = make_log(lease=0.3)
    name = find_address({**REQUEST, "SCRIPT_NAME": "", "PATH_INFO": "/"}, None).name("a" * 32)
    log.open(name, HEAD).append(b"data: a\nid: " + b"a" * 32 + b"-1\n\n")
    log.pulse.end(name)  # as in a process that was killed
    app = SSEMiddleware(app, resume=log)
    status, (error,) = connect(app, "a" * 32 + "-1")
    assert (status, error.event, error.id) == ("200 OK", "error", "a" * 32 + "-2")
    assert connect(app, "a" * 32 + "-1") == ("200 OK", [error])
    assert connect(app, error.id) == ("204 No Content", [])


def test_more_readers_wait_than_the_client_has_connections_by_default(make_log):
    log = make_log()
    writer = written(log, 1)
    readers = [Beside(log.find("name", 0)) for _ in range(130)]
    assert [reader.next() for reader in readers] == [frame(1)] * 130
    writer.append(frame(2))
    assert [reader.next() for reader in readers] == [frame(2)] * 130
    writer.finish()


def test_no_error_of_redis_holds_what_was_sent(own_redis, caplog):
    """The client would put the command that failed into its text."""

    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/event-stream"), ("X-A", "header-text")])
        yield {"data": "sent-text"}

    caplog.set_level("DEBUG", "sse_middleware")
    log = RedisLog(own_redis.url, owner=None)
    own_redis.command("ACL", "SETUSER", "default", "-hset", "-pexpire")
    assert connect(SSEMiddleware(app, resume=log))[1][0].data == "sent-text"
    with pytest.raises(Exception, match="pexpire") as failed:
        Channel("news", log).publish({"data": "sent-text"})
    told = f"{failed.value} {caplog.text}"
    assert "streams are not kept" in caplog.text
    assert [text for text in ("header-text", "sent-text") if text in told] == []
