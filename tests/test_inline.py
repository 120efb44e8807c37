"""A stream in the thread of the server: its ends, each told once with its reason."""

import threading

import pytest

from sse_middleware import SSEMiddleware, current_stream
from sse_middleware.testing import VirtualClock

HTML = [("Content-Type", "text/html")]


class Observer:
    def __init__(self):
        self.told = []

    def opened(self, stream):
        self.told.append("opened")

    def closed(self, stream, reason):
        self.told.append(reason)


def started(items, **options):
    """The response to one request, what the observer was told, and whether the app heard of it."""
    observer, left, clock = Observer(), [], VirtualClock()

    def app(environ, start_response):
        current_stream().on_disconnect(lambda: left.append("left"))
        start_response("200 OK", HTML)
        for item in items:
            if isinstance(item, BaseException):
                raise item
            yield item

    wrapped = SSEMiddleware(app, observer=observer, clock=clock, **options)
    response = wrapped({"REQUEST_METHOD": "GET"}, lambda *answer: None)
    return wrapped, response, observer.told, left, clock


ITEMS = [{"data": "a"}, {"data": "b"}]


def test_the_end():
    _, response, told, left, _ = started(ITEMS)
    assert len(list(response)) == 2
    response.close()
    assert (told, left) == (["opened", "end"], [])
    assert list(response) == []


def test_an_error():
    _, response, told, left, _ = started([*ITEMS, KeyError()])
    assert len(list(response)) == 3
    response.close()
    assert (told, left) == (["opened", "error"], [])


def test_a_cut():
    _, response, told, _, _ = started([b"data: half", KeyError()])
    assert told == [], "bytes under text/html are no stream"
    _, response, told, _, _ = started([{"data": "a"}, SystemExit()])
    next(response)
    with pytest.raises(SystemExit):
        next(response)
    response.close()
    assert told == ["opened", "error"]


def test_a_disconnect():
    _, response, told, left, _ = started(ITEMS)
    next(response)
    response.close()
    response.close()
    assert (told, left) == (["opened", "disconnect"], ["left"])


def test_a_server_that_closes_in_another_thread_waits_for_the_app_to_have_run():
    reading, go_on = threading.Event(), threading.Event()
    closed = []

    def items():
        try:
            yield {"data": "a"}
            reading.set()
            assert go_on.wait(10)
            yield {"data": "b"}
        finally:
            closed.append(threading.current_thread())

    _, response, told, _, _ = started(items())
    next(response)
    reader = threading.Thread(target=lambda: next(response), daemon=True)
    reader.start()
    assert reading.wait(10)
    response.close()
    assert closed == []
    go_on.set()
    reader.join(10)
    assert told == ["opened", "disconnect"]


def test_an_age():
    _, response, told, left, clock = started(ITEMS, max_age=10, end_event="close")
    assert next(response) == b"data: a\n\n"
    clock.advance(10)
    assert list(response) == []
    response.close()
    assert (told, left) == (["opened", "max_age"], ["left"])


def test_a_drain():
    wrapped, response, told, left, _ = started(ITEMS, end_event="close")
    next(response)
    assert wrapped.drain(0) is False, "the server has not asked for the next frame yet"
    assert list(response) == []
    assert wrapped.drain(0) is True
    assert (told, left) == (["opened", "drain"], ["left"])
