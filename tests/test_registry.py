"""Who is told of streams, and the draining of those that are open."""

from sse_middleware.current import CurrentStream
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


def test_draining_wakes_what_is_open_and_says_whether_it_ended():
    registry, response = Registry(None), Response()
    assert registry.drain(0) is True
    registry.opened(response, CurrentStream())
    assert registry.drain(0) is False
    assert response.woken == 1
    registry.closed(response, CurrentStream(), "drain")
    assert registry.drain(0) is True
