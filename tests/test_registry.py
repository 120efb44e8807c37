"""Who is told of streams, and the draining of those that are open."""

import pytest

from sse_middleware.current import CurrentStream
from sse_middleware.errors import OptionError
from sse_middleware.registry import Registry


class Response:
    woken = 0

    def wake(self):
        self.woken += 1


class Observer:
    def __init__(self):
        self.told = []

    def closed(self, stream, reason):
        self.told.append((stream, reason))


def test_an_observer_is_told_what_it_has_a_method_for():
    observer, stream, response = Observer(), CurrentStream(), Response()
    registry = Registry(observer)
    registry.opened(response, stream)
    registry.heartbeat(stream)
    registry.closed(response, stream, "end")
    assert observer.told == [(stream, "end")]


def test_an_observer_that_fails_is_logged_and_changes_nothing(caplog):
    class Broken:
        def opened(self, stream):
            raise KeyError("broken")

    registry = Registry(Broken())
    registry.opened(Response(), CurrentStream())
    assert "observer.opened failed" in caplog.text


def test_a_function_is_no_observer_unless_it_has_a_method():
    with pytest.raises(OptionError, match="observer is .*: expected an object with any of opened"):
        Registry(print)
    Registry(Observer)
    Registry(object())


@pytest.mark.parametrize("timeout_s", [None, "5"])
def test_a_drain_without_a_time_begins_nothing(timeout_s):
    registry = Registry(None)
    with pytest.raises(OptionError, match="timeout is .*: expected seconds"):
        registry.drain(timeout_s)
    assert not registry.is_draining


def test_draining_wakes_what_is_open_and_says_whether_it_ended():
    registry, response = Registry(None), Response()
    assert registry.drain(0) is True
    registry.opened(response, CurrentStream())
    assert registry.drain(0) is False
    assert response.woken == 1
    registry.closed(response, CurrentStream(), "drain")
    assert registry.drain(0) is True
