"""Who is told of streams, and the draining of those that are open."""

import gc

import pytest

from sse_middleware import registry as registry_module
from sse_middleware.current import CurrentStream
from sse_middleware.errors import OptionError
from sse_middleware.registry import Registry


@pytest.fixture
def free_workers(monkeypatch):
    """Another test's workers may still be closing."""
    monkeypatch.setattr(registry_module, "running", lambda: 0)


class Response:
    woken = 0

    def wake(self):
        self.woken += 1


class Observer:
    """Has those of the three methods that it is asked for, and keeps what they were told."""

    def __init__(self, *names):
        self.told = []
        for name in names:
            setattr(self, name, lambda *told, name=name: self.told.append((name, *told)))


OBSERVERS = [("opened", "heartbeat", "closed"), ("opened",), ("heartbeat",), ("closed",), ()]


@pytest.mark.parametrize("names", OBSERVERS)
def test_an_observer_is_told_what_it_has_a_method_for(names, caplog):
    observer, stream, response = Observer(*names), CurrentStream(), Response()
    registry = Registry(observer)
    registry.opened(response, stream)
    registry.heartbeat(stream)
    registry.closed(response, stream, "end")
    told = [("opened", stream), ("heartbeat", stream), ("closed", stream, "end")]
    assert observer.told == [call for call in told if call[0] in names]
    assert caplog.text == ""


def test_a_stream_that_is_closed_twice_or_was_never_opened_is_told_of_once_or_never():
    observer, stream, response = Observer("closed"), CurrentStream(), Response()
    registry = Registry(observer)
    registry.closed(response, stream, "error")
    registry.opened(response, stream)
    registry.closed(response, stream, "end")
    registry.closed(response, stream, "disconnect")
    assert observer.told == [("closed", stream, "end")]


def test_an_observer_that_fails_is_logged_and_changes_nothing(caplog):
    class Broken:
        def opened(self, stream):
            raise KeyError("broken")

    registry = Registry(Broken())
    registry.opened(Response(), CurrentStream())
    (record,) = caplog.records
    assert record.getMessage() == "observer.opened failed"
    assert record.exc_info[0] is KeyError


def test_a_function_is_no_observer_unless_it_has_a_method():
    with pytest.raises(OptionError) as caught:
        Registry(print)
    assert str(caught.value) == (
        "observer is <built-in function print>: "
        "expected an object with any of opened, closed, heartbeat"
    )
    Registry(type("Quiet", (), {"heartbeat": lambda response: None}))
    Registry(object())


@pytest.mark.parametrize("timeout_s", [None, "5"])
def test_a_drain_without_a_time_begins_nothing(timeout_s):
    registry = Registry(None)
    with pytest.raises(OptionError) as caught:
        registry.drain(timeout_s)
    assert str(caught.value) == f"timeout is {timeout_s!r}: expected seconds, a number >= 0"
    assert not registry.is_draining


@pytest.mark.usefixtures("free_workers")
def test_draining_wakes_what_is_open_and_says_whether_it_ended():
    registry, response = Registry(None), Response()
    assert registry.is_draining is False
    assert registry.drain(0) is True
    assert registry.is_draining is True
    registry.opened(response, CurrentStream())
    assert registry.drain(0) is False
    assert response.woken == 1
    registry.closed(response, CurrentStream(), "drain")
    assert registry.drain(0) is True


class Time:
    """Each sleep takes a second, and may end a stream."""

    def __init__(self, on_sleep=lambda: None):
        self.now_s = 100
        self.slept_s = []
        self._on_sleep = on_sleep

    def monotonic(self):
        return self.now_s

    def sleep(self, seconds):
        assert len(self.slept_s) < 10, "it never gives up"
        self.slept_s.append(seconds)
        self.now_s += 1
        self._on_sleep()


def test_draining_looks_fifty_times_a_second_until_it_gives_up(monkeypatch):
    monkeypatch.setattr(registry_module, "time", Time())
    registry, response = Registry(None), Response()
    registry.opened(response, CurrentStream())
    assert registry.drain(3) is False
    assert registry_module.time.slept_s == [0.02] * 3


@pytest.mark.usefixtures("free_workers")
def test_draining_is_done_when_the_last_stream_has_ended(monkeypatch):
    registry, response, stream = Registry(None), Response(), CurrentStream()
    clock = Time(lambda: registry.closed(response, stream, "drain"))
    monkeypatch.setattr(registry_module, "time", clock)
    registry.opened(response, stream)
    assert registry.drain(3) is True
    assert len(clock.slept_s) == 1


@pytest.mark.parametrize("running", [0, 1, 2])
def test_draining_is_done_when_the_workers_are_free_too(running, monkeypatch):
    monkeypatch.setattr(registry_module, "running", lambda: running)
    assert Registry(None).drain(0) is (running == 0)


def test_a_response_that_its_server_dropped_is_not_woken():
    registry, response = Registry(None), Response()
    registry.opened(response, CurrentStream())
    registry.opened(Response(), CurrentStream())
    gc.collect()
    registry.drain(0)
    assert response.woken == 1
