"""`SSEMiddleware` at the WSGI seam: what is a stream, what it looks like, how it ends.

Every app runs inside `wsgiref.validate`, which stands where the server would.
"""

import logging
import socket
import threading
from wsgiref.util import FileWrapper, setup_testing_defaults
from wsgiref.validate import validator

import pytest
import webtest

from sse_middleware import (
    Event,
    EventParser,
    SSEMiddleware,
    current_stream,
    encode,
    event_stream,
    worker,
)
from sse_middleware.clock import SystemClock
from sse_middleware.errors import EventError, OptionError, ResponseError
from sse_middleware.resume import MemoryLog
from sse_middleware.testing import VirtualClock

DEADLINE_S = 10
HTML = [("Content-Type", "text/html; charset=utf-8")]
SSE = [("Content-Type", "text/event-stream")]
STREAM = [
    ("Content-Type", "text/event-stream; charset=utf-8"),
    ("Cache-Control", "no-cache, no-transform"),
    ("X-Accel-Buffering", "no"),
]
ITEMS = [{"data": "a"}, {"data": "b"}]
FRAMES = [b"data: a\n\n", b"data: b\n\n"]


class Items:
    """An iterator of ``items`` that raises those which are exceptions and records what it met."""

    def __init__(self, *items):
        self.items = list(items)
        self.taken = self.closed = 0

    def __iter__(self):
        return self

    def __next__(self):
        if not self.items:
            raise StopIteration
        self.taken += 1
        item = self.items.pop(0)
        if isinstance(item, BaseException):
            raise item
        return item

    def close(self):
        self.closed += 1


def app_of(body, headers=HTML, status="200 OK"):
    def app(environ, start_response):
        start_response(status, headers)
        return body() if callable(body) else body

    return app


class Server:
    """One request to ``app``: the answer as a server sees it, with the body not yet read."""

    def __init__(self, app, method="GET", path="/", validate=True, **environ):
        self.environ = {"REQUEST_METHOD": method, "PATH_INFO": path, "SCRIPT_NAME": ""}
        self.environ["QUERY_STRING"] = ""
        setup_testing_defaults(self.environ)
        self.environ.update(environ)
        self.answers = []
        self.written = []
        self.body = (validator(app) if validate else app)(self.environ, self.start_response)

    def start_response(self, status, headers, exc_info=None):
        self.answers.append((status, headers, exc_info))
        return self.written.append

    @property
    def status(self):
        return self.answers[-1][0]

    @property
    def headers(self):
        return self.answers[-1][1]

    def read(self):
        items = list(self.body)
        self.body.close()
        return items


def test_a_generator_of_dicts_leaves_as_an_event_stream():
    server = Server(SSEMiddleware(app_of(Items(*ITEMS))))
    assert (server.status, server.headers) == ("200 OK", STREAM)
    assert server.read() == FRAMES


STREAMS = {
    "mappings": (HTML, Items(*ITEMS)),
    "events": (HTML, Items(Event("a"), Event("b"))),
    "an iterator without close": (HTML, iter(ITEMS)),
    "declared, bytes": (SSE, Items(*FRAMES)),
    "declared, a list": (SSE, list(FRAMES)),
    "declared, a list of dicts": (SSE, ITEMS),
    "declared, a tuple": (SSE, tuple(ITEMS)),
    "declared, with a length": ([*SSE, ("Content-Length", "18")], Items(*FRAMES)),
}


@pytest.mark.parametrize(("headers", "body"), STREAMS.values(), ids=STREAMS)
def test_this_is_a_stream(headers, body):
    server = Server(SSEMiddleware(app_of(body, headers)))
    assert server.headers == STREAM
    assert server.read() == FRAMES


class Iterable:
    """No iterator, as Django's responses are none."""

    def __init__(self, items):
        self.items = items
        self.closed = 0

    def __iter__(self):
        return map(bytes, self.items)

    def close(self):
        self.closed += 1


CARRIERS = {
    "as it is": lambda source: event_stream(source),
    "in a chain": lambda source: (frame for frame in event_stream(source)),
    "in an iterable": lambda source: Iterable(event_stream(source)),
}


@pytest.mark.parametrize("carry", CARRIERS.values(), ids=CARRIERS)
def test_an_event_stream_inside_is_a_stream_whatever_carries_it(carry):
    app = SSEMiddleware(app_of(lambda: carry(Items(*ITEMS))), end_event="close", retry=7)
    server = Server(app)
    assert server.headers == STREAM
    end = b"event: close\nid: sse:end\ndata: \n\n"
    assert server.read() == [b"retry: 7\ndata: a\n\n", FRAMES[1], end]


def test_an_event_stream_that_only_served_to_make_the_body_is_none():
    def app(environ, start_response):
        made = b"".join(event_stream(ITEMS))
        start_response("200 OK", HTML)
        return Items(b"<pre>" + made + b"</pre>")

    server = Server(SSEMiddleware(app))
    assert server.headers == HTML
    assert server.read() == [b"<pre>data: a\n\ndata: b\n\n</pre>"]


def test_frames_leave_one_by_one_and_only_on_demand():
    items = Items(*ITEMS, {"data": "c"})
    server = Server(SSEMiddleware(app_of(items)))
    assert items.taken == 1, "the first item decides what the response is"
    body = iter(server.body)
    for taken in (1, 2, 3):
        next(body)
        assert items.taken == taken
    server.body.close()


def test_what_is_returned_has_no_length_and_yields_exact_bytes():
    server = Server(SSEMiddleware(app_of(Items(*ITEMS))), validate=False)
    assert not hasattr(server.body, "__len__")
    assert iter(server.body) is server.body
    assert {type(item) for item in server.read()} == {bytes}


def test_the_server_is_told_before_the_call_returns_also_by_a_generator_app():
    def app(environ, start_response):
        start_response("200 OK", HTML)
        yield from ITEMS

    server = Server(SSEMiddleware(app), validate=False)
    assert server.headers == STREAM
    assert server.read() == FRAMES


def file_body():
    import io

    return FileWrapper(io.BytesIO(b"abc" * 10_000))


def write_app(environ, start_response):
    write = start_response("200 OK", [("Content-Type", "text/plain"), ("X-A", "1")])
    write(b"one")
    write(b"two")
    return [b"three"]


def generator_app(environ, start_response):
    start_response("404 Not Found", [("Content-Type", "text/plain"), ("X-A", "1")])
    yield b"one"
    yield b"two"


def changing_app(environ, start_response):
    import sys

    start_response("200 OK", HTML)
    try:
        raise ValueError
    except ValueError:
        start_response("500 Oops", HTML, sys.exc_info())
    return [b"oops"]


class ClassApp:
    def __init__(self, environ, start_response):
        start_response("200 OK", HTML)

    def __iter__(self):
        return iter([b"one", b"two"])


OTHERS = {
    "a list": app_of([b"one", b"two"], [("Content-Length", "6"), *HTML]),
    "an empty list": app_of([], [("Location", "/"), *HTML], "302 Found"),
    "a tuple": app_of((b"one",)),
    "bytes of unknown length": app_of(lambda: Items(b"one", b"", b"two")),
    "nothing": app_of(lambda: Items()),
    "bytes of known length": app_of(lambda: Items(b"one"), [("Content-Length", "3"), *HTML]),
    "a file": app_of(file_body),
    "hop-by-hop headers": app_of([b"one"], [("ETag", "x"), *HTML]),
    "an iterable": app_of(lambda: Iterable([b"one", b"two"])),
    "write": write_app,
    "a generator app": generator_app,
    "a class app": ClassApp,
    "exc_info": changing_app,
    "no body": app_of([], [("X-A", "1")], "204 No Content"),
    "not modified": app_of([], [("ETag", "x")], "304 Not Modified"),
    "compressed": app_of(
        lambda: Items(b"\x1f\x8b", b"\x08"), [*SSE, ("Content-Encoding", "gzip"), ("ETag", "x")]
    ),
}


@pytest.mark.parametrize("app", OTHERS.values(), ids=OTHERS)
def test_any_other_response_leaves_exactly_as_it_came(app):
    bare, wrapped = Server(app), Server(SSEMiddleware(app))
    assert bare.read() == wrapped.read()
    assert wrapped.written == bare.written
    assert wrapped.answers[-1][:2] == bare.answers[-1][:2]
    assert bool(wrapped.answers[-1][2]) is bool(bare.answers[-1][2])


@pytest.mark.parametrize("name", ["a list", "a file", "bytes of known length", "an iterable"])
def test_a_response_that_needs_no_look_keeps_its_very_object(name):
    made = []

    def app(environ, start_response):
        made.append(OTHERS[name](environ, start_response))
        return made[0]

    assert Server(SSEMiddleware(app), validate=False).body is made[0]


def test_a_file_wrapper_of_the_server_is_not_looked_into():
    class Wrapper:
        def __iter__(self):
            return self

        def __next__(self):
            raise AssertionError("was read")

    wrapper = Wrapper()
    app = SSEMiddleware(app_of(wrapper))
    assert Server(app, validate=False, **{"wsgi.file_wrapper": Wrapper}).body is wrapper


def test_close_reaches_the_app_once_and_after_an_early_end():
    for read in (0, 1, 2):
        items = Items(*ITEMS)
        server = Server(SSEMiddleware(app_of(items)), validate=False)
        for _ in range(read):
            next(server.body)
        server.body.close()
        server.body.close()
        assert items.closed == 1


def test_close_reaches_the_app_of_a_response_that_was_only_looked_at():
    items = Items(b"one", b"two")
    server = Server(SSEMiddleware(app_of(items)))
    assert server.read() == [b"one", b"two"]
    assert items.closed == 1


def test_a_failure_before_the_first_event_is_the_servers_500():
    items = Items(KeyError("secret"))
    with pytest.raises(KeyError, match="secret"):
        Server(SSEMiddleware(app_of(items)))
    assert items.closed == 1


def test_a_failure_before_the_first_event_leaves_the_server_untold():
    answers = []
    app = SSEMiddleware(app_of(Items({"data": None}, KeyError())))
    with pytest.raises(KeyError):
        app({"REQUEST_METHOD": "GET"}, lambda *answer: answers.append(answer))
    assert answers == []


def test_a_first_item_with_an_unknown_key_is_an_honest_500():
    with pytest.raises(EventError, match="key is 'text'"):
        Server(SSEMiddleware(app_of(Items({"text": "x"}))))


def test_a_failure_after_the_first_event_is_the_error_event_and_a_clean_end(caplog):
    items = Items(ITEMS[0], KeyError("secret"), ITEMS[1])
    server = Server(SSEMiddleware(app_of(items)))
    with caplog.at_level(logging.ERROR, "sse_middleware"):
        first, second = server.read()
    (event,) = EventParser().feed(second)
    assert (first, event.event) == (FRAMES[0], "error")
    assert b"secret" not in second
    assert event.json()["error"]["code"] in caplog.text
    assert items.closed == 1


def test_the_options_of_the_stream_are_those_of_the_middleware():
    def told(error, error_id):
        return {"event": "oops", "data": type(error).__name__}

    app = SSEMiddleware(
        app_of(lambda: Items({"n": 1}, KeyError())),
        items="data",
        dumps=lambda value: "dumped",
        retry=5,
        end_event="close",
        error_event=told,
    )
    assert Server(app).read() == [
        b"retry: 5\ndata: dumped\n\n",
        b"event: oops\nid: sse:end\ndata: KeyError\n\n",
    ]


BODILESS = {
    "204": ("204 No Content", "GET"),
    "304": ("304 Not Modified", "GET"),
}


@pytest.mark.parametrize(("status", "method"), BODILESS.values(), ids=BODILESS)
def test_a_status_without_body_carries_none_and_the_generator_is_not_run(status, method):
    items = Items(*ITEMS)
    server = Server(SSEMiddleware(app_of(items, [*SSE, ("X-A", "1")], status)), method)
    assert (server.status, server.headers) == (status, [("X-A", "1")])
    assert server.read() == []
    assert (items.taken, items.closed) == (0, 1)


def test_head_on_a_declared_stream_has_its_headers_and_does_not_run_it():
    items = Items(*ITEMS)
    server = Server(SSEMiddleware(app_of(items, SSE)), "HEAD")
    assert server.headers == STREAM
    assert server.read() == []
    assert (items.taken, items.closed) == (0, 1)


def test_head_on_what_might_be_a_stream_does_not_run_it_either():
    items = Items(*ITEMS)
    server = Server(SSEMiddleware(app_of(items)), "HEAD")
    assert server.headers == HTML
    assert server.read() == []
    assert (items.taken, items.closed) == (0, 1)


def test_head_on_a_generator_app_runs_it_to_its_first_item_and_no_further():
    taken = []

    def app(environ, start_response):
        start_response("200 OK", HTML)
        for item in ITEMS:
            taken.append(item)
            yield item

    server = Server(SSEMiddleware(app), "HEAD")
    assert server.headers == STREAM
    assert server.read() == []
    assert taken == ITEMS[:1]


def test_head_on_a_whole_response_leaves_as_it_came():
    server = Server(SSEMiddleware(app_of([], [("Content-Length", "6"), *HTML])), "HEAD")
    assert server.headers == [("Content-Length", "6"), *HTML]
    assert server.read() == []


EVENT_SOURCE = {"HTTP_ACCEPT": "text/event-stream"}
END = {**EVENT_SOURCE, "HTTP_LAST_EVENT_ID": "sse:end"}
STOP = ("204 No Content", [("Cache-Control", "no-store")], None)


def test_an_event_source_that_comes_back_after_the_end_is_stopped():
    def app(environ, start_response):
        raise AssertionError("was asked again")

    server = Server(SSEMiddleware(app), **END)
    assert server.answers == [STOP]
    assert server.read() == []


def test_an_event_source_that_has_seen_all_of_a_kept_stream_is_stopped():
    app = SSEMiddleware(app_of(lambda: Items(*ITEMS)), resume=MemoryLog(owner=None))
    events = EventParser().feed(b"".join(Server(app, **EVENT_SOURCE).read()))
    server = Server(app, **EVENT_SOURCE, HTTP_LAST_EVENT_ID=events[-1].id)
    assert server.answers == [STOP]
    assert server.read() == []


@pytest.mark.parametrize("items", ["event", "data"])
def test_the_rest_of_a_kept_stream_is_sent_as_it_was(items):
    app = app_of(lambda: Items({"data": "a"}, {"data": "b"}))
    app = SSEMiddleware(app, items=items, resume=MemoryLog(owner=None), retry=7)
    sent = b"".join(Server(app, **EVENT_SOURCE).read())
    first, _ = EventParser().feed(sent)
    again = Server(app, **EVENT_SOURCE, HTTP_LAST_EVENT_ID=first.id)
    assert sent.endswith(b"\n\n" + b"".join(again.read()))


AGAIN = {
    "another id": {**END, "HTTP_LAST_EVENT_ID": "7"},
    "no id": EVENT_SOURCE,
    "no event source": {**END, "HTTP_ACCEPT": "*/*"},
    "a post": {**END, "method": "POST"},
}


@pytest.mark.parametrize("request_", AGAIN.values(), ids=AGAIN)
def test_any_other_request_reaches_the_app(request_):
    server = Server(SSEMiddleware(app_of(lambda: Items(*ITEMS))), **request_)
    assert b"".join(server.read()) == b"".join(FRAMES)


def test_start_response_never_called_is_said():
    app = SSEMiddleware(lambda environ, start_response: [b"body"])
    with pytest.raises(ResponseError, match="never called start_response"):
        app({"REQUEST_METHOD": "GET"}, lambda *answer: None)


def test_start_response_called_twice_is_said():
    def app(environ, start_response):
        start_response("200 OK", HTML)
        start_response("201 Created", HTML)

    with pytest.raises(ResponseError, match="called twice, with '200 OK' and '201 Created'"):
        SSEMiddleware(app)({"REQUEST_METHOD": "GET"}, lambda *answer: None)


def test_write_on_a_server_that_has_none_is_said():
    with pytest.raises(ResponseError, match="this server has no write"):
        SSEMiddleware(write_app)({"REQUEST_METHOD": "GET"}, lambda *answer: None)


def test_a_late_error_answer_of_the_app_reaches_the_server_which_refuses_it():
    import sys

    def app(environ, start_response):
        start_response("200 OK", HTML)
        yield ITEMS[0]
        try:
            raise KeyError("late")
        except KeyError:
            start_response("500 Oops", HTML, sys.exc_info())

    def server(status, headers, exc_info=None):
        if exc_info:
            raise exc_info[1]

    body = SSEMiddleware(app)({"REQUEST_METHOD": "GET"}, server)
    _, second = body
    assert EventParser().feed(second)[0].event == "error"


@pytest.mark.parametrize("worker", ["/stream", None], ids=["picked", "not picked"])
def test_a_picked_request_is_not_asked_for_compression(worker):
    seen = []

    def app(environ, start_response):
        seen.append("HTTP_ACCEPT_ENCODING" in environ)
        start_response("200 OK", HTML)
        return []

    Server(SSEMiddleware(app, worker=worker), path="/stream", HTTP_ACCEPT_ENCODING="gzip").read()
    assert seen == [worker is None]


def test_a_compressed_stream_is_logged_once(caplog):
    app = SSEMiddleware(OTHERS["compressed"])
    for _ in range(2):
        Server(app).read()
    assert caplog.text.count("came compressed from the app") == 1


SECONDS = "expected seconds, a number > 0, or None"
BAD = {
    "app": ("app", {}, "app is 'app': expected a WSGI app, called with environ, start_response"),
    "worker": (
        app_of([]),
        {"worker": 7},
        "worker is 7: expected path patterns, or a predicate on environ",
    ),
    "items": (app_of([]), {"items": "x"}, "items is 'x': expected 'event' or 'data'"),
    "dumps": (app_of([]), {"dumps": "json"}, "dumps is 'json': expected a callable or None"),
    "retry": (app_of([]), {"retry": 1.5}, "retry is 1.5: expected an int >= 0, in milliseconds"),
    "end_event": (
        app_of([]),
        {"end_event": ""},
        "end_event is '': expected a name that tells it apart",
    ),
    "error_event": (
        app_of([]),
        {"error_event": "x"},
        "error_event is 'x': expected a callable or None",
    ),
    "heartbeat": (app_of([]), {"heartbeat": 0}, "heartbeat is 0: " + SECONDS),
    "heartbeat as text": (app_of([]), {"heartbeat": "15"}, "heartbeat is '15': " + SECONDS),
    "heartbeat as a bool": (app_of([]), {"heartbeat": True}, "heartbeat is True: " + SECONDS),
    "heartbeat as nan": (app_of([]), {"heartbeat": float("nan")}, "heartbeat is nan: " + SECONDS),
    "max_age": (app_of([]), {"max_age": float("inf")}, "max_age is inf: " + SECONDS),
    "max_age below 0": (app_of([]), {"max_age": -1.5}, "max_age is -1.5: " + SECONDS),
    "max_streams": (app_of([]), {"max_streams": 0}, "max_streams is 0: expected an int >= 1"),
    "max_streams as text": (
        app_of([]),
        {"max_streams": "9"},
        "max_streams is '9': expected an int >= 1",
    ),
    "worker as a list": (
        app_of([]),
        {"worker": [7]},
        "worker is [7]: expected path patterns, or a predicate on environ",
    ),
    "clock": (
        app_of([]),
        {"clock": SystemClock},
        "clock is <class 'sse_middleware.clock.SystemClock'>: "
        "expected a clock such as VirtualClock(), or None",
    ),
    "observer": (
        app_of([]),
        {"observer": print},
        "observer is <built-in function print>: "
        "expected an object with any of opened, closed, heartbeat",
    ),
}


@pytest.mark.parametrize(("app", "options", "message"), BAD.values(), ids=BAD)
def test_an_option_without_meaning_is_refused_when_the_app_is_wrapped(app, options, message):
    with pytest.raises(OptionError) as caught:
        SSEMiddleware(app, **options)
    assert str(caught.value) == message


GOOD = {
    "half a second": {"heartbeat": 0.5, "max_age": 0.5},
    "a second": {"heartbeat": 1, "max_age": 1},
    "never": {"heartbeat": None, "max_age": None},
    "one stream": {"max_streams": 1},
}


@pytest.mark.parametrize("options", GOOD.values(), ids=GOOD)
def test_the_smallest_of_an_option_has_a_meaning(options):
    app = SSEMiddleware(app_of(Items(*ITEMS)), **options)
    assert Server(app).read() == FRAMES


NESTED = {"mappings": lambda: Items(*ITEMS), "an event stream": lambda: event_stream(ITEMS)}


@pytest.mark.parametrize("environ", [{}, EVENT_SOURCE], ids=["inline", "in a worker"])
@pytest.mark.parametrize("body", NESTED.values(), ids=NESTED)
def test_inside_another_middleware_the_inner_one_frames_with_its_own_options(body, environ):
    outer_seen = []

    def app(environ, start_response):
        outer_seen.append(environ["sse_middleware.stream"] is current_stream())
        start_response("200 OK", HTML)
        return body()

    app = SSEMiddleware(SSEMiddleware(app, retry=5, end_event="inner"), retry=7, end_event="outer")
    server = Server(app, **environ)
    assert server.headers == STREAM
    assert b"".join(server.read()) == (
        b"retry: 5\ndata: a\n\ndata: b\n\nevent: inner\nid: sse:end\ndata: \n\n"
    )
    assert outer_seen == [True]


REFUSED = [
    ("Content-Type", "text/plain; charset=utf-8"),
    ("Retry-After", "5"),
]
BUSY = b"Too many streams are open. Try again in a moment.\n"
FULL = {
    "a request": ("POST", ("503 Service Unavailable", REFUSED, None), [BUSY]),
    "an event source": ("GET", ("200 OK", STREAM, None), [b"retry: 5000\n\n"]),
}


@pytest.mark.parametrize(("method", "answer", "body"), FULL.values(), ids=FULL)
def test_a_stream_too_many_is_sent_away_for_a_while(method, answer, body, monkeypatch):
    pool = worker._Threads()
    monkeypatch.setattr(worker, "_threads", pool)
    app = SSEMiddleware(app_of(lambda: Items(*ITEMS)))
    pool._running.update(range(511))
    served = Server(app, method, **EVENT_SOURCE)
    assert (served.status, b"".join(served.read())) == ("200 OK", b"".join(FRAMES))
    pool._running.update(range(512))
    server = Server(app, method, **EVENT_SOURCE)
    assert server.answers == [answer]
    assert server.read() == body


@pytest.mark.parametrize(("method", "answer", "body"), FULL.values(), ids=FULL)
def test_a_stream_that_would_begin_while_it_is_drained_is_sent_away(method, answer, body):
    app = SSEMiddleware(app_of(lambda: Items(*ITEMS)))
    app.drain(0)
    server = Server(app, method, **EVENT_SOURCE)
    assert server.answers == [answer]
    assert server.read() == body


class Leaving:
    """A connection whose client leaves, and an app that hears of it or goes on after all."""

    def __init__(self, told, clock):
        self.client, self.server = socket.socketpair()
        self._told = told
        self._app = SSEMiddleware(self._stream, clock=clock)

    def _stream(self, environ, start_response):
        current_stream().on_disconnect(self._told.set)
        start_response("200 OK", HTML)
        yield {"data": "a"}
        self._told.wait(DEADLINE_S)
        yield {"data": "nobody told"}

    def begun(self):
        environ = {"REQUEST_METHOD": "GET", "gunicorn.socket": self.server, **EVENT_SOURCE}
        body = self._app(environ, lambda *answer: None)
        assert next(body) == b"data: a\n\n"
        return body

    def ends(self, body):
        assert list(body) == []
        body.close()
        assert self._told.wait(DEADLINE_S), "the app was not told"
        self.server.close()


def test_in_a_thread_the_connection_is_looked_at_once_a_second():
    clock = VirtualClock()
    leaving = Leaving(threading.Event(), clock)
    body = leaving.begun()
    leaving.client.close()
    clock.advance(1)
    leaving.ends(body)


def test_in_a_greenlet_the_hub_tells_that_the_client_left_and_the_clock_may_stand(in_greenlet):
    def serve():
        import gevent
        from gevent.event import Event

        leaving = Leaving(Event(), VirtualClock())
        body = leaving.begun()
        gevent.spawn(leaving.client.close)
        leaving.ends(body)

    in_greenlet(serve)


def test_a_bottle_app_may_yield_events():
    bottle = pytest.importorskip("bottle")
    app = bottle.Bottle()
    app.route("/", callback=lambda: iter(ITEMS))
    assert Server(SSEMiddleware(app)).read() == FRAMES


async def asynchronous():
    yield {"data": "a"}


@pytest.mark.parametrize(
    ("returned", "told"),
    [
        (None, "None: expected an iterable"),
        (asynchronous, "<function asynchronous at 0x.*>: expected an iterable"),
        (
            asynchronous(),
            r"<async_generator .*>: expected an iterable \(WSGI has no async generators\)",
        ),
    ],
    ids=["nothing", "a function", "an async generator"],
)
@pytest.mark.parametrize("worker", [None, "/stream"], ids=["inline", "in a worker"])
def test_a_stream_that_is_no_iterable_is_told_of(returned, told, worker):
    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        return returned

    with pytest.raises(ResponseError, match=f"^the app returned {told}$"):
        Server(SSEMiddleware(app, worker=worker), path="/stream")


def test_current_stream_is_the_requests_own_while_the_app_runs_and_no_longer():
    seen = []

    def app(environ, start_response):
        start_response("200 OK", HTML)
        stream = current_stream()
        seen.append(stream)
        for item in ITEMS:
            assert current_stream() is stream
            yield item

    app = SSEMiddleware(app)
    one = Server(app, HTTP_LAST_EVENT_ID="é😀".encode().decode("latin-1"))
    two = Server(app)
    for server in (one, two):
        next(iter(server.body))
        assert current_stream() not in seen
    assert [stream.last_event_id for stream in seen] == ["é😀", ""]
    one.body.close(), two.body.close()


def test_a_last_event_id_that_is_no_utf8_is_read_all_the_same():
    seen = []

    def app(environ, start_response):
        seen.append(current_stream().last_event_id)
        start_response("200 OK", HTML)
        return []

    Server(SSEMiddleware(app), HTTP_LAST_EVENT_ID="\xff").read()
    assert seen == ["\ufffd"]


def counted(items):
    stream = None

    def app(environ, start_response):
        nonlocal stream
        stream = current_stream()
        stream.on_disconnect(lambda: left.append("left"))
        start_response("200 OK", HTML)
        return items

    left = []
    server = Server(SSEMiddleware(app, end_event="close"))
    return server, lambda: stream, left


def test_closing_before_the_end_tells_that_the_client_left_before_the_app_is_closed():
    items = Items(*ITEMS)
    server, stream, left = counted(items)
    items.close = lambda: left.append("closed")
    next(iter(server.body))
    server.body.close()
    assert left == ["left", "closed"]
    assert stream().disconnected
    assert (stream().frames_sent, stream().bytes_sent) == (1, 9)


def test_closing_after_the_end_tells_nothing():
    server, stream, left = counted(Items(*ITEMS))
    assert len(server.read()) == 3
    assert left == []
    assert not stream().disconnected
    assert stream().frames_sent == 3


def test_a_client_that_goes_after_the_end_event_has_not_left():
    server, _, left = counted(Items({"event": "close", "data": ""}, {"data": "late"}))
    next(iter(server.body))
    server.body.close()
    assert left == []


def test_the_first_stream_that_runs_inline_is_logged_with_what_it_goes_without(caplog):
    app = SSEMiddleware(app_of(lambda: Items(*ITEMS)))
    for path in ("/chat/7", "/other"):
        Server(app, path=path).read()
    (record,) = caplog.records
    assert record.getMessage() == (
        "the stream at '/chat/7' runs without heartbeats, and its client's leaving goes unseen "
        "while it is silent: wrap with worker='/chat/7', or send Accept: text/event-stream"
    )


def test_a_path_cannot_write_lines_of_its_own_into_the_log(caplog):
    app = SSEMiddleware(app_of(lambda: Items(*ITEMS)), resume=MemoryLog(owner=None))
    Server(app, path="/chat\n2026-01-01 ERROR all is lost\x1b[2J\u0085").read()
    assert [record.getMessage().count("all is lost") for record in caplog.records] == [2, 2]
    assert all(record.getMessage().isprintable() for record in caplog.records)


def test_a_stream_that_runs_inline_is_logged_as_not_resumable_where_others_are(caplog):
    app = SSEMiddleware(app_of(lambda: Items(*ITEMS)), resume=MemoryLog(owner=None))
    assert Server(app, path="/chat").read() == FRAMES
    assert [text for text in caplog.messages if "cannot be resumed" in text] == [
        "the stream at '/chat' cannot be resumed, because it does not run in a worker: wrap with "
        "worker='/chat', or send Accept: text/event-stream"
    ]


def test_with_read_ahead_0_an_item_is_made_when_the_server_asks_for_it():
    def items():
        yield ITEMS[0]
        asked.set()
        yield ITEMS[1]

    asked = threading.Event()
    options = {**EVENT_SOURCE, "sse_middleware.read_ahead": 0}
    body = Server(SSEMiddleware(app_of(items)), validate=False, **options).body
    assert next(body) == FRAMES[0]
    assert not asked.wait(0.1), "nobody had asked"
    assert next(body) == FRAMES[1]
    body.close()


def test_webtests_lint_finds_nothing_around_it():
    app = webtest.TestApp(SSEMiddleware(app_of(lambda: Items(*ITEMS))), lint=True)
    response = app.get("/")
    assert response.body == b"".join(FRAMES)
    assert response.headers["X-Accel-Buffering"] == "no"


def test_newlines_in_text_survive():
    text = "Hello,\n\n  world\n"
    app = SSEMiddleware(app_of(lambda: Items({"data": text}, {"data": {"data": text}})))
    one, two = EventParser().feed(b"".join(Server(app).read()))
    assert one.data == text
    assert two.json() == {"data": text}
    assert encode({"data": text}) == b"data: Hello,\ndata: \ndata:   world\ndata: \n\n"
