"""A stream in the thread of the server: its ends, each told once with its reason."""

import gc
import threading

import pytest

from sse_middleware import SSEMiddleware, current_stream
from sse_middleware.testing import VirtualClock

HTML = [("Content-Type", "text/html")]
SSE = [("Content-Type", "text/event-stream")]


class Observer:
    def __init__(self):
        self.told = []

    def opened(self, stream):
        self.told.append("opened")

    def closed(self, stream, reason):
        self.told.append(reason)


def started(items, headers=HTML, **options):
    """The response to one request, what the observer was told, and whether the app heard of it."""
    observer, left, clock = Observer(), [], VirtualClock()

    def app(environ, start_response):
        stream = current_stream()
        stream.on_disconnect(lambda: left.append(current_stream() is stream and "left"))
        start_response("200 OK", headers)
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


LAST = {"the end": ([], "end"), "an error": ([KeyError()], "error")}


@pytest.mark.parametrize(("last", "reason"), LAST.values(), ids=LAST)
def test_a_server_that_closes_with_the_last_frame_has_had_it_all(last, reason):
    wrapped, response, told, left, _ = started([*ITEMS, *last], end_event="close")
    for _ in range(3):
        next(response)
    response.close()
    assert (told, left) == (["opened", reason], [])
    assert wrapped.drain(0) is True


def test_a_cut():
    _, response, told, _, _ = started([b"data: half", KeyError()])
    assert told == [], "bytes under text/html are no stream"
    _, response, told, left, _ = started([{"data": "a"}, SystemExit()])
    next(response)
    with pytest.raises(SystemExit):
        next(response)
    response.close()
    assert (told, left) == (["opened", "error"], [])


def test_a_server_that_drops_the_response_unclosed():
    _, response, told, left, _ = started(ITEMS)
    next(response)
    del response
    gc.collect()
    assert (told, left) == (["opened", "disconnect"], ["left"])


def test_a_server_that_closes_before_it_has_read():
    _, response, told, left, _ = started(ITEMS)
    response.close()
    assert (told, left) == (["opened", "disconnect"], ["left"])


def test_the_observer_sees_the_apps_own_stream_and_what_was_sent_of_it():
    class Sizes:
        def opened(self, stream):
            seen.append((stream, stream.frames_sent, stream.bytes_sent))

        def closed(self, stream, reason):
            self.opened(stream)

    def app(environ, start_response):
        start_response("200 OK", HTML)
        own.append(current_stream())
        return iter([{"data": "a"}, {"data": "bc"}])

    seen, own = [], []
    response = SSEMiddleware(app, observer=Sizes())({"REQUEST_METHOD": "GET"}, lambda *answer: None)
    assert list(response) == [b"data: a\n\n", b"data: bc\n\n"]
    assert seen == [(own[0], 0, 0), (own[0], 2, 19)]


def test_the_app_runs_and_is_closed_as_the_request_that_it_is():
    seen = []

    def app(environ, start_response):
        start_response("200 OK", HTML)
        stream = current_stream()
        try:
            yield {"data": "a"}
            seen.append(current_stream() is stream)
            yield {"data": "b"}
        finally:
            seen.append(current_stream() is stream)

    response = SSEMiddleware(app)({"REQUEST_METHOD": "GET"}, lambda *answer: None)
    next(response), next(response)
    response.close()
    assert seen == [True, True]


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


def test_an_age_is_over_in_the_moment_that_it_is_reached(monkeypatch):
    monkeypatch.setattr("sse_middleware.serving.random.uniform", lambda least, most: most)
    _, response, told, _, clock = started([*ITEMS, {"data": "c"}], max_age=10)
    assert next(response) == b"data: a\n\n"
    clock.advance(9.5)
    assert next(response) == b"data: b\n\n"
    clock.advance(0.5)
    assert list(response) == []
    assert told == ["opened", "max_age"]


def test_the_age_is_counted_on_the_clock_of_the_request_where_it_has_one():
    def app(environ, start_response):
        start_response("200 OK", HTML)
        return iter(ITEMS)

    clock, environ = VirtualClock(), {"REQUEST_METHOD": "GET"}
    environ["sse_middleware.clock"] = clock
    response = SSEMiddleware(app, max_age=10, clock=VirtualClock())(environ, lambda *_: None)
    assert next(response) == b"data: a\n\n"
    clock.advance(10)
    assert list(response) == []


def test_an_age_before_the_first_frame_waits_for_it():
    _, response, told, _, clock = started(ITEMS, max_age=10)
    clock.advance(10)
    assert list(response) == [b"data: a\n\n"]
    assert told == ["opened", "max_age"]


def test_an_age_inside_a_half_sent_event_waits_for_the_rest():
    parts = [b"data: a", b"\n\n", b"data: b\n\n"]
    _, response, told, _, clock = started(parts, SSE, max_age=10)
    assert next(response) == parts[0]
    clock.advance(10)
    assert list(response) == parts[1:2]
    assert told == ["opened", "max_age"]


def test_an_age_after_the_last_frame_is_the_end():
    _, response, told, left, clock = started(ITEMS, max_age=10, end_event="close")
    for _ in range(3):
        next(response)
    clock.advance(10)
    assert list(response) == []
    assert (told, left) == (["opened", "end"], [])


def test_a_drain():
    wrapped, response, told, left, _ = started(ITEMS, end_event="close")
    next(response)
    assert wrapped.drain(0) is False, "the server has not asked for the next frame yet"
    assert list(response) == []
    assert wrapped.drain(0) is True
    assert (told, left) == (["opened", "drain"], ["left"])
