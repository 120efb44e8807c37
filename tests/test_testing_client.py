"""`StreamClient`: reads any WSGI app, or a server, and never hangs."""

import contextvars
import gc
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
import traceback
from queue import Empty
from wsgiref.validate import validator

import pytest

from sse_middleware import Event, SSEMiddleware, current_stream
from sse_middleware.errors import (
    EventTooLargeError,
    OptionError,
    ResponseError,
    SSEError,
    StillRunningError,
    StreamCutError,
    StreamEndedError,
)
from sse_middleware.signals import ThreadSignal
from sse_middleware.testing import StreamClient, VirtualClock
from sse_middleware.testing._steps import Steps

DEADLINE_S = 30
SHORT_S = 0.05
SSE = [("Content-Type", "text/event-stream")]
HTML = [("Content-Type", "text/html; charset=utf-8")]


class Gate:
    """An iterable that blocks after its items until it is opened; knows who called what."""

    def __init__(self, *items, then=()):
        self.items, self.then = items, then
        self.opened = threading.Event()
        self.calls = []

    def __iter__(self):
        self._note("iter")
        self._made = self._make()
        return self

    def __next__(self):
        self._note("next")
        return next(self._made)

    def _make(self):
        yield from self.items
        assert self.opened.wait(DEADLINE_S), "nobody opened the gate"
        yield from self.then

    def close(self):
        self._note("close")

    def _note(self, name):
        self.calls.append((name, threading.current_thread()))

    @property
    def names(self):
        return [name for name, _ in self.calls]


@pytest.fixture
def gate():
    made = []

    def make(*items, **options):
        made.append(Gate(*items, **options))
        return made[-1]

    yield make
    for each in made:
        each.opened.set()


def app_of(body, headers=SSE, status="200 OK"):
    def app(environ, start_response):
        start_response(status, list(headers))
        return body() if callable(body) else body

    return app


def endless():
    number = 0
    while True:
        number += 1
        yield {"data": number}


def endless_bytes():
    for item in endless():
        yield b"data: %d\n\n" % item["data"]


def data(events):
    return [event.data for event in events]


# --- reading


def test_an_endless_stream_is_read_event_by_event():
    with StreamClient(app_of(endless_bytes)).get("/") as stream:
        assert stream.status_code == 200
        assert stream.headers["CONTENT-TYPE"] == "text/event-stream"
        assert stream.event() == Event("1")
        assert data(stream.events(3)) == ["2", "3", "4"]
        for event in stream:
            if event.data == "7":
                break
        assert next(stream).data == "8"
    assert [chunk.data for chunk in stream.chunks[:2]] == [b"data: 1\n\n", b"data: 2\n\n"]
    assert len(stream.chunks) == 8


@pytest.mark.parametrize("wrapped", [False, True], ids=["bare", "in the middleware"])
def test_an_item_is_made_when_it_is_asked_for_and_not_before(wrapped):
    made = []

    def body():
        for item in endless():
            made.append(item)
            yield item if wrapped else b"data: %d\n\n" % item["data"]

    app = SSEMiddleware(app_of(body)) if wrapped else app_of(body)
    for _ in range(50 if wrapped else 1):  # whichever thread is faster
        made.clear()
        with StreamClient(app).get("/") as stream:
            for number in (1, 2, 3):
                assert stream.event().data == str(number)
                assert len(made) == number


def test_iteration_ends_where_the_stream_does():
    with StreamClient(app_of([b"data: 1\n\nda", b"ta: 2\n\n", b"data: lost"])).get("/") as stream:
        assert data(stream) == ["1", "2"]
        assert list(stream) == []
        assert stream.read() == b"data: 1\n\ndata: 2\n\ndata: lost"


def test_comments_and_events_are_kept_for_each_other():
    body = [b": one\n\ndata: 1\n\n:two\n", b":\n\ndata: 2\n\n: three\r\n\r\n"]
    with StreamClient(app_of(body)).get("/") as stream:
        assert stream.event().data == "1"
        assert stream.comments == ["one", "two"]
        assert [stream.comment() for _ in range(4)] == ["one", "two", "", "three"]
        assert stream.event().data == "2"
        assert stream.comments == ["one", "two", "", "three"]
        with pytest.raises(StreamEndedError):
            stream.comment()


@pytest.mark.parametrize("cut", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"], ids=repr)
def test_comments_are_read_however_they_are_cut(cut, newline):
    text = "\ufeff: é\nid: 1\n::x\n:  y\n data: :no\n:\ndata: a\n\n: unfinished"
    raw = text.replace("\n", newline).encode()
    body = [raw[at : at + cut] for at in range(0, len(raw), cut)]
    with StreamClient(app_of(body)).get("/") as stream:
        assert data(stream) == ["a"]
    assert stream.comments == ["é", ":x", " y", ""]


def test_chunks_hold_what_was_yielded_and_when(gate):
    class Bytes(bytes):
        pass

    clock = VirtualClock()
    clock.advance(100)
    body = gate(b"", Bytes(b"data: 1\n\n"), then=[b"data: 2\n\n"])
    with StreamClient(app_of(body), clock=clock).get("/") as stream:
        stream.event()
        body.opened.set()
        clock.advance(3)
        stream.event()
    assert stream.chunks == [(b"", 0), (b"data: 1\n\n", 0), (b"data: 2\n\n", 3)]
    assert [type(chunk.data) for chunk in stream.chunks] == [bytes, Bytes, bytes]
    assert stream.chunks[2].at_s == 3


def test_without_a_clock_chunks_come_in_real_time():
    before = time.monotonic()
    with StreamClient(app_of([b"data: 1\n\n"])).get("/") as stream:
        stream.event()
    assert 0 <= stream.chunks[0].at_s <= time.monotonic() - before


def test_what_is_written_comes_before_what_is_yielded():
    def app(environ, start_response):
        write = start_response("200 OK", SSE)
        write(b"data: 1\n\n")
        write(b"data: 2\n\n")
        return [b"data: 3\n\n"]

    with StreamClient(validator(app)).get("/") as stream:
        assert data(stream) == ["1", "2", "3"]


def test_an_app_that_writes_without_an_end_is_held_and_left():
    written = []

    def app(environ, start_response):
        write = start_response("200 OK", SSE)
        for item in endless_bytes():
            written.append(item)
            write(item)

    with StreamClient(app).get("/") as stream:
        assert stream.status_code == 200
        assert stream.event().data == "1"
        assert len(written) == 1
        assert data(stream.events(2)) == ["2", "3"]
        assert len(written) == 3
    stream._steps._thread.join(DEADLINE_S)
    assert len(written) == 3


def test_an_app_that_is_a_generator_answers_when_its_status_is_asked_for():
    def app(environ, start_response):
        start_response("201 Created", SSE)
        yield b"data: 1\n\n"

    with StreamClient(app).get("/") as stream:
        assert stream.chunks == []
        assert stream.status_code == 201
        assert stream.event().data == "1"


def test_an_event_past_the_bound_is_an_error_after_those_before_it():
    body = b"data: 1\n\ndata: " + b"x" * (1 << 24)
    with StreamClient(app_of([body, b"\n\n"])).get("/") as stream:
        assert stream.event().data == "1"
        for _ in range(2):
            with pytest.raises(EventTooLargeError):
                stream.event()


# --- the request


def told(environ, start_response):
    start_response("200 OK", SSE)
    environ["test.told"].append(environ)
    size = int(environ.get("CONTENT_LENGTH") or 0)
    return [b"data: " + environ["wsgi.input"].read(size) + b"\n\n"]


def environ_of(method="get", path="/", **options):
    """The environ that the app sees, and the body that it reads, where the app is valid."""
    seen = []
    extra = {"test.told": seen, **options.pop("environ", {})}
    with getattr(StreamClient(validator(told)), method)(path, environ=extra, **options) as stream:
        body = stream.event().data
    return seen[0], body


def test_an_event_stream_is_asked_for_unless_the_test_says_otherwise():
    assert environ_of()[0]["HTTP_ACCEPT"] == "text/event-stream"
    assert environ_of(headers={"accept": "*/*"})[0]["HTTP_ACCEPT"] == "*/*"
    assert environ_of(headers=[("ACCEPT", "text/html")])[0]["HTTP_ACCEPT"] == "text/html"


@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete", "options"])
def test_each_method_has_its_name(method):
    assert environ_of(method)[0]["REQUEST_METHOD"] == method.upper()


def test_a_head_request_has_a_status():
    with StreamClient(validator(app_of([]))).head("/") as stream:
        assert stream.status_code == 200
        assert stream.read() == b""


def test_the_path_may_have_a_query():
    environ, _ = environ_of(path="/caf%C3%A9/x?a=1&b=%20")
    assert environ["PATH_INFO"].encode("latin-1").decode() == "/café/x"
    assert environ["QUERY_STRING"] == "a=1&b=%20"


def test_a_body_is_json_or_a_form_or_bytes():
    environ, body = environ_of("post", json={"a": [1, "é"]})
    assert environ["CONTENT_TYPE"] == "application/json"
    assert body.replace(" ", "") in ('{"a":[1,"é"]}', '{"a":[1,"\\u00e9"]}')
    environ, body = environ_of("post", data={"a": "1"})
    assert (environ["CONTENT_TYPE"], body) == ("application/x-www-form-urlencoded", "a=1")
    headers = {"Content-Type": "text/plain"}
    environ, body = environ_of("post", data=b"raw", headers=headers)
    assert (environ["CONTENT_TYPE"], body) == ("text/plain", "raw")


def test_the_last_event_id_goes_as_a_browser_sends_it():
    environ, _ = environ_of(last_event_id="é7")
    assert environ["HTTP_LAST_EVENT_ID"].encode("latin-1").decode() == "é7"
    assert "HTTP_LAST_EVENT_ID" not in environ_of()[0]


def test_the_environ_can_be_added_to():
    environ, _ = environ_of(environ={"REMOTE_USER": "me", "REMOTE_ADDR": "10.0.0.1"})
    assert (environ["REMOTE_USER"], environ["REMOTE_ADDR"]) == ("me", "10.0.0.1")
    assert environ_of()[0]["REMOTE_ADDR"] == "127.0.0.1"


def test_a_clock_is_handed_to_the_app_itself():
    clock, seen = VirtualClock(), []
    client = StreamClient(told, clock=clock)
    with client.get("/", environ={"test.told": seen}) as stream:
        stream.event()
    assert seen[0]["sse_middleware.clock"] is clock
    assert seen[0]["sse_middleware.read_ahead"] == 0


OPTION_ERRORS = {
    "app": (lambda: StreamClient(7), "app_or_url is 7: expected a WSGI app, or a URL"),
    "no app": (lambda: StreamClient(None), "app_or_url is None: expected a WSGI app, or a URL"),
    "url": (lambda: StreamClient("localhost:80"), "app_or_url is 'localhost:80': expected"),
    "port": (lambda: StreamClient("http://localhost:eighty"), "app_or_url is 'http://localhost:e"),
    "clock": (lambda: StreamClient("http://x", clock=VirtualClock()), "clock is .*: expected None"),
    "no clock": (lambda: StreamClient(told, clock=7), "clock is 7: expected a clock such as"),
    "host": (
        lambda: StreamClient("http://a..b"),
        r"app_or_url is 'http://a\.\.b': expected a WSGI",
    ),
    "headers": (
        lambda: StreamClient(told).get(headers="a: b"),
        "headers is 'a: b': expected a map",
    ),
    "no mapping": (
        lambda: StreamClient(told).get(environ=[1]),
        r"environ is \[1\]: expected a map",
    ),
    "data": (lambda: StreamClient(told).post(data=object()), "data is <object .*: expected what"),
    "json": (lambda: StreamClient(told).post(json={1}), r"json is \{1\}: expected .*serializable"),
    "both": (
        lambda: StreamClient(told).post(json={}, data=b"x"),
        r"json is \{\}: expected .* both",
    ),
    "path": (lambda: StreamClient(told).get("stream"), "path is 'stream': expected"),
    "environ": (lambda: StreamClient("http://x").get("/", environ={}), "environ is {}: expected"),
    "timeout": (lambda: StreamClient(told).get("/", timeout=None), "timeout is None: expected"),
    "negative": (lambda: StreamClient(told).get("/", timeout=-1), "timeout is -1: expected"),
    "endless": (lambda: StreamClient(told).get("/", timeout=float("inf")), "timeout is inf: expec"),
}


@pytest.mark.parametrize("case", OPTION_ERRORS)
def test_an_argument_without_meaning_is_refused(case):
    call, message = OPTION_ERRORS[case]
    with pytest.raises(OptionError, match=message):
        call()


@pytest.mark.parametrize("n", [-1, "2", None], ids=repr)
def test_the_number_of_events_is_a_number(n):
    with StreamClient(app_of([])).get("/") as stream:
        with pytest.raises(OptionError, match="n is .*: expected an int >= 0"):
            stream.events(n)
        assert stream.events(0) == []


def test_a_stream_is_read_inside_its_with_and_only_once():
    opened = StreamClient(app_of([b"data: 1\n\ndata: 2\n\n"])).get("/")
    with pytest.raises(SSEError, match="stream is not open: expected 'with client.get"):
        opened.event()
    with opened:
        opened.event()
    assert opened.event().data == "2"
    with pytest.raises(StreamEndedError, match="the 'with' was left before the next event"):
        opened.event()
    with pytest.raises(SSEError, match="opened before"), opened:
        pass


def test_importing_the_client_does_not_import_werkzeug():
    code = "import sys; import sse_middleware.testing.client; print('werkzeug' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code]).strip() == b"False"


# --- timeouts


def test_a_timeout_says_what_has_come_and_leaves_the_stream_readable(gate):
    body = gate(b": hello\n\ndata: 1\n\nda", then=[b"ta: 2\n\n", b"data: 3\n\n"])
    with StreamClient(app_of(body)).get("/a?b") as stream:
        stream.event()
        with pytest.raises(TimeoutError) as caught:
            stream.event(timeout=SHORT_S)
        assert str(caught.value).splitlines() == [
            "waited 0.05 s for the next event: GET /a?b, 200 OK, text/event-stream",
            "  events so far: 1 (Event('1', event='message'))",
            "  comments so far: 1 (['hello'])",
            "  an event is unfinished: b'da'",
        ]
        body.opened.set()
        assert data(stream) == ["2", "3"]
    assert body.names == ["iter", *["next"] * 4, "close"]


@pytest.mark.parametrize(
    "read",
    [
        lambda stream: stream.event(timeout=0),
        lambda stream: stream.events(2, timeout=0),
        lambda stream: stream.comment(timeout=0),
        lambda stream: stream.read(timeout=0),
    ],
    ids=["event", "events", "comment", "read"],
)
def test_every_read_has_its_timeout_and_takes_nothing_when_it_is_over(gate, read):
    body = gate(b"data: 1\n\n", then=[b"data: 2\n\n:\n\n"])
    with StreamClient(app_of(body)).get("/") as stream:
        assert stream.status_code == 200
        for _ in range(3):
            with pytest.raises(TimeoutError, match=r"waited 0 s for the "):
                read(stream)
                read(stream)
        body.opened.set()
        assert len(list(stream)) in (1, 2)  # event() may have had the first
        assert data(stream._came) == ["1", "2"]


def test_events_that_did_not_all_come_are_there_for_the_next_read(gate):
    body = gate(b"data: 1\n\n", b"data: 2\n\n")
    with StreamClient(app_of(body)).get("/") as stream:
        with pytest.raises(TimeoutError, match="for the next 3 events"):
            stream.events(3, timeout=SHORT_S)
        assert data(stream.events(2)) == ["1", "2"]
        body.opened.set()


def test_iteration_and_the_answer_are_bounded_by_the_timeout_of_the_request(gate):
    body = gate(b"data: 1\n\n")
    with StreamClient(app_of(body)).get("/", timeout=SHORT_S) as stream:
        iterated = iter(stream)
        assert next(iterated).data == "1"
        with pytest.raises(TimeoutError, match="waited 0.05 s"):
            next(iterated)
        body.opened.set()
        assert list(iterated) == []
    silent = gate()
    app = lambda environ, start_response: [b"", *silent]  # noqa: E731
    with StreamClient(app).get("/", timeout=SHORT_S) as stream:
        for name in ("status_code", "headers"):
            with pytest.raises(TimeoutError, match="for an answer: GET /, which was not answered"):
                getattr(stream, name)
        silent.opened.set()
        with pytest.raises(ResponseError):
            stream.event()


def test_a_flood_of_what_is_not_wanted_is_bounded_too():
    def body():
        while True:
            yield b": no event\n\n"

    with StreamClient(app_of(body)).get("/") as stream:
        gives_up_at = time.monotonic() + DEADLINE_S
        while len(stream.comments) < 10:
            assert time.monotonic() < gives_up_at
            with pytest.raises(TimeoutError):
                stream.event(timeout=SHORT_S)
        with pytest.raises(
            TimeoutError, match=r"comments so far: \d+ \(\['no event', .*\.\.\.\]\)"
        ):
            stream.event(timeout=SHORT_S)
        assert stream.comment() == "no event"


def test_only_the_last_events_are_shown():
    def body():
        yield from (b"data: %d\n\n" % number for number in range(9))

    with StreamClient(app_of(body)).get("/") as stream:
        stream.events(9)
        with pytest.raises(StreamEndedError, match=r"so far: 9 \(\.\.\., Event\('4'") as caught:
            stream.event()
    assert "Event('8'" in str(caught.value)


# --- leaving


@pytest.mark.parametrize("reads", [0, 1, 2])
def test_leaving_closes_once_and_all_is_in_one_thread(reads):
    body = Gate(b"data: 1\n\n", b"data: 2\n\n")
    seen = []

    def app(environ, start_response):
        seen.append(threading.current_thread())
        start_response("200 OK", SSE)
        return body

    with StreamClient(app).get("/") as stream:
        stream.events(reads)
    assert body.names == ["iter", *["next"] * reads, "close"]
    assert {thread for _, thread in body.calls} == set(seen) != {threading.current_thread()}


def test_context_variables_last_for_the_request_and_no_longer():
    variable = contextvars.ContextVar("variable", default="unset")
    variable.set("the test's")
    seen = []

    def app(environ, start_response):
        seen.append(variable.get())
        variable.set("set")
        start_response("200 OK", SSE)
        try:
            yield b"data: %s\n\n" % variable.get().encode()
        finally:
            seen.append(variable.get())

    for _ in range(2):
        with StreamClient(app).get("/") as stream:
            assert stream.event().data == "set"
    assert seen == ["unset", "set"] * 2
    assert variable.get() == "the test's"


def test_a_read_that_goes_on_ends_before_the_response_is_closed(gate):
    body = gate(then=[b"data: 1\n\n"])
    with StreamClient(app_of(body)).get("/") as stream:
        gives_up_at = time.monotonic() + DEADLINE_S
        while "next" not in body.names:
            assert time.monotonic() < gives_up_at, "the body is not asked"
            with pytest.raises(TimeoutError):
                stream.event(timeout=0)
        timer = threading.Timer(SHORT_S, body.opened.set)
        timer.start()
    assert body.names == ["iter", "next", "close"]
    assert stream.event().data == "1"


@pytest.fixture
def ends_at_once(monkeypatch):
    """No test waits for a second until an app is reported."""
    monkeypatch.setattr("sse_middleware.testing._open_stream._ENDS_WITHIN_S", SHORT_S)


def test_an_app_has_a_second_to_end_though_its_reads_are_shorter(gate):
    body = gate()
    opened = StreamClient(app_of(body)).get("/", timeout=0)
    with opened as stream:
        with pytest.raises(TimeoutError):
            stream.event()
        threading.Timer(SHORT_S, body.opened.set).start()
    assert body.names[-1] == "close"


def test_a_wait_of_no_time_is_over_at_once():
    """A queue of CPython's own, written in C, may never end such a one before Python 3.12."""

    def wait_often():
        for _ in range(20_000):
            with pytest.raises(Empty):
                Steps(None, None).take(0)

    waiting = threading.Thread(target=wait_often, daemon=True)
    waiting.start()
    waiting.join(DEADLINE_S)
    assert not waiting.is_alive()


def stays(event):
    yield b"data: 1\n\n"
    event.wait(DEADLINE_S)  # here it stays


def test_an_app_that_does_not_come_back_is_reported_with_its_line(ends_at_once):
    event = threading.Event()
    opened = StreamClient(app_of(lambda: stays(event))).get("/x", timeout=SHORT_S)
    with pytest.raises(StillRunningError) as caught, opened as stream:
        stream.event()
        with pytest.raises(TimeoutError):
            stream.event()
    event.set()
    first = str(caught.value).splitlines()[0]
    assert first.startswith("GET /x did not end within 0.05 s after its client left: the app is")
    assert first.endswith("in stays: event.wait(DEADLINE_S)  # here it stays")
    assert f"{__file__}:{stays.__code__.co_firstlineno + 2}" in first


def test_an_app_that_never_answers_is_reported_with_its_line(ends_at_once):
    event = threading.Event()

    def app(environ, start_response):
        event.wait(DEADLINE_S)

    opened = StreamClient(app).get("/", timeout=SHORT_S)
    with pytest.raises(StillRunningError, match="in app: event.wait"), opened:
        pass
    event.set()


def test_an_iterable_that_blocks_outside_python_is_reported(ends_at_once):
    event = threading.Event()
    with pytest.raises(StillRunningError, match="at a place outside its Python code|wait"):
        body = map(event.wait, [DEADLINE_S])
        opened = StreamClient(app_of(body)).get("/", timeout=SHORT_S)
        with opened as stream, pytest.raises(TimeoutError):
            stream.event()
    event.set()


def test_the_line_reported_is_the_apps_and_not_a_librarys(ends_at_once):
    signal = ThreadSignal()

    def body():
        yield b"data: 1\n\n"
        signal.wait(DEADLINE_S)

    opened = StreamClient(app_of(body)).get("/", timeout=SHORT_S)
    at_line = r"in body: signal.wait\(DEADLINE_S\)"
    with pytest.raises(StillRunningError, match=at_line), opened as stream:
        stream.event()
        with pytest.raises(TimeoutError):
            stream.event()
    signal.set()


def test_a_generator_that_refuses_to_close_is_reported():
    def body():
        try:
            yield b"data: 1\n\n"
        except GeneratorExit:
            yield b"data: 2\n\n"

    opened = StreamClient(app_of(body)).get("/")
    with pytest.raises(RuntimeError, match="generator ignored GeneratorExit"), opened as stream:
        stream.event()


@pytest.mark.parametrize("is_waiting", [False, True], ids=["between reads", "in a read"])
def test_a_worker_that_goes_on_is_reported_with_the_line_of_the_app(is_waiting, ends_at_once):
    event = threading.Event()

    def body():
        yield {"data": "1"}
        event.wait(DEADLINE_S)

    app = SSEMiddleware(app_of(body))
    copying = lambda environ, start_response: app(dict(environ), start_response)  # noqa: E731
    with pytest.raises(StillRunningError, match=r"in body: event.wait\(DEADLINE_S\)"):
        client = StreamClient(copying, clock=VirtualClock() if is_waiting else None)
        with client.get("/", timeout=SHORT_S) as stream:
            stream.event()
            with pytest.raises(TimeoutError):
                stream.event()
            if not is_waiting:
                stream._steps.exchange.leave()
                with pytest.raises(StreamEndedError):
                    stream.event()
    event.set()


@pytest.mark.parametrize("wrapped", [False, True], ids=["bare", "in the middleware"])
def test_one_stream_is_not_reported_for_another(wrapped, gate):
    body = gate({"data": "1"} if wrapped else b"data: 1\n\n")
    blocked = SSEMiddleware(app_of(body)) if wrapped else app_of(body)
    with StreamClient(blocked).get("/") as one:
        one.event()
        with pytest.raises(TimeoutError):
            one.event(timeout=SHORT_S)
        with StreamClient(SSEMiddleware(app_of(endless))).get("/") as other:
            other.event()
        body.opened.set()


@pytest.mark.parametrize("clock", [None, VirtualClock()], ids=["real time", "virtual time"])
def test_an_app_that_heeds_its_leaving_client_is_waited_for(clock):
    ended = []

    def body():
        event = threading.Event()
        current_stream().on_disconnect(event.set)
        try:
            yield {"data": "1"}
            assert event.wait(DEADLINE_S)
        finally:
            ended.append(True)

    with StreamClient(SSEMiddleware(app_of(body)), clock=clock).get("/") as stream:
        stream.event()
        with pytest.raises(TimeoutError):
            stream.event(timeout=SHORT_S)
    assert ended == [True]


def test_an_app_that_was_not_answered_for_is_left_too():
    def app(environ, start_response):
        event = threading.Event()
        current_stream().on_disconnect(event.set)
        assert event.wait(DEADLINE_S)
        start_response("200 OK", HTML)
        return []

    began = time.monotonic()
    opened = StreamClient(SSEMiddleware(app)).get("/")
    with opened as stream, pytest.raises(TimeoutError):
        _ = stream.event(timeout=SHORT_S)
    assert time.monotonic() - began < DEADLINE_S / 2
    with pytest.raises(StreamEndedError, match="before an answer: GET /, which was not answered"):
        _ = stream.status_code


def test_the_failure_of_the_test_itself_is_not_hidden(ends_at_once):
    event = threading.Event()
    opened = StreamClient(app_of(lambda: stays(event))).get("/", timeout=SHORT_S)
    with pytest.raises(ZeroDivisionError), opened as stream:
        stream.event()
        with pytest.raises(TimeoutError):
            stream.event()
        _ = 1 / 0
    event.set()


def test_a_hundred_streams_leave_no_thread_behind():
    gc.collect()
    before = threading.active_count()
    for _ in range(100):
        with StreamClient(app_of(endless_bytes)).get("/") as stream:
            stream.event()
        stream._steps._thread.join(DEADLINE_S)
    assert threading.active_count() <= before


# --- what the app raises


class AppError(Exception):
    pass


def raises(kind=AppError):
    raise kind("the app's")


FAILING = {
    "in its call": lambda environ, start_response: raises(),
    "after start_response": lambda environ, start_response: [
        start_response("200 OK", SSE),
        raises(),
    ],
    "in its first item": app_of(lambda: (raises() for _ in range(1))),
}


@pytest.mark.parametrize("where", FAILING)
@pytest.mark.parametrize(
    "read",
    [
        lambda stream: stream.event(),
        lambda stream: stream.events(2),
        lambda stream: stream.comment(),
        lambda stream: stream.read(),
        list,
    ],
    ids=["event", "events", "comment", "read", "list"],
)
def test_what_the_app_raises_reaches_the_test_with_its_traceback(where, read):
    with StreamClient(FAILING[where]).get("/") as stream:
        for _ in range(2):
            with pytest.raises(AppError) as caught:
                read(stream)
            names = [call.name for call in traceback.extract_tb(caught.value.__traceback__)]
            assert names[-1] == "raises"
            assert len(names) < 15


def test_an_app_that_failed_before_its_first_byte_has_no_status():
    opened = StreamClient(FAILING["after start_response"]).get("/")
    with opened as stream, pytest.raises(AppError):
        _ = stream.status_code


def test_what_came_before_the_failure_is_read_before_it():
    def body():
        yield b"data: 1\n\ndata: 2\n\n"
        raises()

    with StreamClient(app_of(body)).get("/") as stream:
        assert stream.event().data == "1"
        with pytest.raises(AppError):
            stream.events(2)
        assert stream.event().data == "2"
        with pytest.raises(AppError):
            stream.event()


def test_a_failure_that_no_read_has_met_is_raised_at_the_end():
    opened = StreamClient(FAILING["in its call"]).get("/")
    with pytest.raises(AppError), opened:
        pass


def test_a_failing_close_is_raised_at_the_end():
    class Body:
        def __iter__(self):
            return iter([b"data: 1\n\n"])

        def close(self):
            raises()

    opened = StreamClient(app_of(Body())).get("/")
    with pytest.raises(AppError), opened as stream:
        assert data(stream) == ["1"]


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_what_is_no_exception_reaches_the_test_too(kind):
    opened = StreamClient(app_of(lambda: (raises(kind) for _ in range(1)))).get("/")
    with opened as stream, pytest.raises(kind):
        stream.event()


def test_a_stop_iteration_of_the_app_is_not_taken_for_the_end():
    opened = StreamClient(lambda environ, start_response: raises(StopIteration)).get("/")
    with opened as stream, pytest.raises(ResponseError, match="the app raised StopIteration"):
        list(stream)


def misuse(*calls, body=(b"data: 1\n\n",), late=None):
    def app(environ, start_response):
        for call in calls:
            start_response(*call)
        yield from body
        if late:
            start_response(*late)

    return app


def exc_info():
    try:
        raises()
    except AppError:
        return sys.exc_info()


MISUSES = {
    "never called": (misuse(), "the app yielded its first item without having called start_respo"),
    "never called, empty": (misuse(body=()), "the app ended without having called start_response"),
    "twice": (misuse(("200 OK", SSE), ("500 Oh", SSE)), "twice, with '200 OK' and '500 Oh': expec"),
    "late": (misuse(("200 OK", SSE), late=("500 Oh", SSE)), "start_response was called twice"),
    "a number": (misuse((200, SSE)), 'status is 200: expected a str such as "200 OK"'),
    "no number": (misuse(("OK", SSE)), "status is 'OK': expected"),
    "a dict": (misuse(("200 OK", dict(SSE))), "headers is {'Content-Type': .*: expected a list"),
    "a list": (misuse(("200 OK", [["a", "b"]])), r"header is \['a', 'b'\]: expected a tuple of tw"),
    "bytes": (misuse(("200 OK", [("a", b"b")])), r"header is \('a', b'b'\): expected a tuple"),
    "None": (lambda environ, start_response: None, "the response is None: expected an iterable"),
    "text": (misuse(("200 OK", SSE), body="a"), "item 1 of the response is 'a': expected bytes"),
    "dicts": (
        misuse(("200 OK", SSE), body=[b":\n\n", {"data": 1}]),
        r"item 2 of the response is {'data': 1}: expected bytes \(a generator of dicts needs SSEMi",
    ),
    "written text": (
        lambda environ, start_response: [start_response("200 OK", SSE)("a")],
        r"write\(\) got 'a': expected bytes",
    ),
}


@pytest.mark.parametrize("case", MISUSES)
def test_a_misuse_of_wsgi_is_told(case):
    app, message = MISUSES[case]
    opened = StreamClient(app).get("/")
    with opened as stream, pytest.raises(ResponseError, match=message):
        while True:
            stream.event()


def test_exc_info_replaces_the_answer_until_a_byte_was_sent():
    app = misuse(("200 OK", SSE), ("500 Oh", HTML, exc_info()), body=[b"", b"sorry"])
    with StreamClient(app).get("/") as stream:
        assert stream.status_code == 500
        assert stream.headers == {"content-type": "text/html; charset=utf-8"}
        assert stream.read() == b"sorry"


def test_an_empty_item_sends_nothing_so_that_exc_info_may_follow():
    app = misuse(("200 OK", SSE), body=[b""], late=("500 Oh", HTML, exc_info()))
    with StreamClient(app).get("/") as stream:
        assert stream.read() == b""
        assert stream.status_code == 500


def test_headers_are_those_that_start_response_was_given():
    headers = list(SSE)

    def app(environ, start_response):
        start_response("200 OK", headers)
        headers.append(("X-Late", "yes"))
        return []

    with StreamClient(app).get("/") as stream:
        assert stream.headers == {"content-type": "text/event-stream"}


def written_first(environ, start_response):
    start_response("200 OK", SSE)(b"data: 1\n\n")
    start_response("500 Oh", HTML, exc_info())


@pytest.mark.parametrize(
    "app",
    [misuse(("200 OK", SSE), late=("500 Oh", HTML, exc_info())), written_first],
    ids=["yielded", "written"],
)
def test_exc_info_after_a_byte_was_sent_is_raised_again(app):
    with StreamClient(app).get("/") as stream:
        assert stream.event().data == "1"
        with pytest.raises(AppError):
            stream.event()


# --- what is no stream


def test_an_event_of_what_is_no_stream_says_what_came_instead():
    page = b"<!doctype html>\n\n<title>404</title>" + b"x" * 1000
    with StreamClient(app_of([page], HTML, "404 NOT FOUND")).get("/nowhere") as stream:
        assert stream.status_code == 404
        assert stream.headers["content-type"].startswith("text/html")
        with pytest.raises(StreamEndedError) as caught:
            stream.event()
        assert stream.read() == page
        assert list(stream) == []
    lines = str(caught.value).splitlines()
    assert lines[0] == (
        "the response ended before the next event: GET /nowhere, 404 NOT FOUND, "
        "text/html; charset=utf-8, not an event stream"
    )
    assert lines[1] == "  events so far: 0"
    assert lines[2].startswith("  the body begins with b'<!doctype html>\\n\\n<title>404</title>xx")
    assert len(lines[2]) < 300


def test_an_encoded_body_is_named():
    headers = [*SSE, ("Content-Encoding", "gzip")]
    opened = StreamClient(app_of([b"\x1f\x8b"], headers)).get("/")
    with opened as stream, pytest.raises(StreamEndedError, match="Content-Encoding gzip"):
        stream.event()


def test_the_end_is_both_our_error_and_an_assertion():
    with StreamClient(app_of([])).get("/") as stream:
        for kind in (SSEError, AssertionError):
            with pytest.raises(kind):
                stream.event()


# --- virtual time


def silent(*items):
    """A body that waits after its items until its client leaves."""

    def body():
        event = threading.Event()
        current_stream().on_disconnect(event.set)
        yield from items
        assert event.wait(DEADLINE_S)

    return body


def test_a_heartbeat_comes_when_the_test_says_so():
    clock = VirtualClock()
    app = SSEMiddleware(app_of(silent({"data": "1"})))
    for _ in range(20):
        with StreamClient(app, clock=clock).get("/") as stream:
            assert stream.event().data == "1"
            for _ in range(3):
                clock.advance(15)
                assert stream.comment() == ""
            assert [chunk.at_s for chunk in stream.chunks] == [0, 15, 30, 45]


def test_a_heartbeat_comes_before_an_event_that_nobody_asked_for():
    clock = VirtualClock()
    app = SSEMiddleware(app_of(endless))
    for _ in range(50):
        with StreamClient(app, clock=clock).get("/") as stream:
            stream.event()
            clock.advance(15)
            stream.comment()
            assert data(stream._came) == ["1"]
            assert stream.event().data == "2"


def test_a_silent_app_is_opened_when_the_test_says_so():
    clock = VirtualClock()
    app = SSEMiddleware(app_of(silent()))
    for _ in range(5):
        with StreamClient(app, clock=clock).get("/") as stream:
            clock.advance(1)
            assert stream.status_code == 200
            assert stream.comment() == ""


def test_an_app_that_answers_at_once_has_answered_before_time_passes():
    clock = VirtualClock()
    app = SSEMiddleware(app_of(lambda: iter([{"data": "1"}, {"data": "2"}])))
    for _ in range(50):
        with StreamClient(app, clock=clock).get("/") as stream:
            clock.advance(100)
            assert stream.event().data == "1"
            assert stream.comments == []


def test_an_app_that_needs_a_moment_has_answered_before_time_passes():
    def body():
        until = time.monotonic() + 0.005
        while time.monotonic() < until:  # it works
            pass
        yield {"data": "1"}

    clock = VirtualClock()
    with StreamClient(SSEMiddleware(app_of(body)), clock=clock).get("/") as stream:
        clock.advance(100)
        assert stream.event().data == "1"
        assert stream.comments == []


def test_a_pending_read_meets_the_time_that_passes():
    clock = VirtualClock()
    app = SSEMiddleware(app_of(silent({"data": "1"})))
    with StreamClient(app, clock=clock).get("/") as stream:
        stream.event()
        with pytest.raises(TimeoutError):
            stream.comment(timeout=SHORT_S)
        clock.advance(14.9)
        with pytest.raises(TimeoutError):
            stream.comment(timeout=SHORT_S)
        clock.advance(0.1)
        assert stream.comment() == ""


def test_max_age_ends_the_stream_when_the_test_says_so():
    clock = VirtualClock()
    app = SSEMiddleware(app_of(silent({"data": "1"})), max_age=60, heartbeat=None)
    with StreamClient(app, clock=clock).get("/") as stream:
        stream.event()
        clock.advance(60)
        assert list(stream) == []


def test_an_app_that_does_not_answer_does_not_hold_up_the_test_for_long(gate):
    body = gate(then=[{"data": "1"}])
    with StreamClient(SSEMiddleware(app_of(body, HTML)), clock=VirtualClock()).get("/") as stream:
        body.opened.set()
        assert stream.event().data == "1"


# --- frameworks


def flask_app():
    flask = pytest.importorskip("flask")
    app = flask.Flask(__name__)

    @app.route("/stream", methods=["POST"])
    def stream():
        asked = flask.request.get_json()
        body = flask.stream_with_context({"data": flask.request.path + asked["x"]} for _ in "ab")
        return flask.Response(body)

    return app


def bottle_app():
    bottle = pytest.importorskip("bottle")
    app = bottle.Bottle()

    @app.post("/stream")
    def stream():
        asked = bottle.request.json
        return ({"data": bottle.request.path + asked["x"]} for _ in "ab")

    return app


@pytest.mark.parametrize("make", [flask_app, bottle_app])
def test_an_app_of_any_framework_is_read(make):
    with StreamClient(SSEMiddleware(make())).post("/stream", json={"x": "!"}) as stream:
        assert stream.status_code == 200
        assert data(stream) == ["/stream!"] * 2


@pytest.mark.parametrize("make", [flask_app, bottle_app])
def test_what_is_not_found_is_not_found(make):
    with StreamClient(SSEMiddleware(make())).get("/nowhere") as stream:
        assert stream.status_code == 404
        with pytest.raises(StreamEndedError, match="404 .*not an event stream"):
            stream.event()


DJANGO = """
import django
from django.conf import settings
from django.http import StreamingHttpResponse
from django.urls import path
from sse_middleware import SSEMiddleware, event_stream
from sse_middleware.signals import ThreadSignal
from sse_middleware.testing import StreamClient

def stream(request):
    body = event_stream({"data": number} for number in range(10**9))
    return StreamingHttpResponse(body, content_type="text/event-stream")

urlpatterns = [path("stream", stream)]
settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["localhost"], SECRET_KEY="x")
django.setup()
from django.core.wsgi import get_wsgi_application
with StreamClient(SSEMiddleware(get_wsgi_application())).get("/stream") as stream:
    print(stream.status_code, [event.data for event in stream.events(2)])
"""


def test_djangos_too():
    pytest.importorskip("django")
    printed = subprocess.check_output([sys.executable, "-c", DJANGO], timeout=60)
    assert printed.decode().split("\n")[0] == "200 ['0', '1']"


def test_the_environ_is_valid_inside_and_outside_of_the_middleware():
    app = validator(SSEMiddleware(app_of(endless)))
    with StreamClient(app).get("/") as stream:
        assert data(stream.events(2)) == ["1", "2"]


# --- a running server


@pytest.fixture
def served():
    """Starts waitress with an app; its URL."""
    waitress = pytest.importorskip("waitress")
    servers = []

    def serve(app):
        server = waitress.create_server(app, host="127.0.0.1", port=0, threads=8)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.effective_port}"

    yield serve
    for server, thread in servers:
        server.trigger.pull_trigger(server.close)  # in its own thread, which waits on its sockets
        thread.join(DEADLINE_S)


@pytest.mark.parametrize("where", ["in process", "waitress"])
def test_one_test_runs_in_process_and_against_a_server(where, served):
    seen = []

    def app(environ, start_response):
        seen.append((environ["HTTP_ACCEPT"], environ.get("HTTP_LAST_EVENT_ID")))
        size = int(environ["CONTENT_LENGTH"] or 0)
        body = environ["wsgi.input"].read(size).decode()
        start_response("200 OK", HTML)
        asked = environ["PATH_INFO"] + "?" + environ["QUERY_STRING"] + " " + body
        return ({"data": f"{number} {asked}"} for number in range(1000000))

    app = SSEMiddleware(app)
    client = StreamClient(app if where == "in process" else served(app))
    with client.post("/a%20b?c=d", json=[1], last_event_id="é") as stream:
        assert stream.status_code == 200
        assert stream.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        assert data(stream.events(2)) == ["0 /a b?c=d [1]", "1 /a b?c=d [1]"]
        assert next(stream).data.startswith("2 ")
    assert seen == [("text/event-stream", "é".encode().decode("latin-1"))]


@pytest.mark.parametrize("where", ["in process", "waitress"])
def test_a_clean_end_is_a_clean_end(where, served):
    app = SSEMiddleware(app_of(lambda: ({"data": n} for n in "ab")))
    client = StreamClient(app if where == "in process" else served(app))
    with client.get("/") as stream:
        assert data(stream) == ["a", "b"]
        with pytest.raises(StreamEndedError) as caught:
            stream.event()
    assert type(caught.value) is StreamEndedError


def test_a_server_is_left_while_it_is_read_and_the_app_hears_of_it(served):
    left = threading.Event()

    def body():
        current_stream().on_disconnect(left.set)
        yield {"data": "1"}
        assert left.wait(DEADLINE_S)

    client = StreamClient(served(SSEMiddleware(app_of(body), heartbeat=0.1)))
    with client.get("/") as stream:
        assert stream.event().data == "1"
        with pytest.raises(TimeoutError):
            stream.event(timeout=SHORT_S)
        assert stream.comment() == ""
    assert left.wait(DEADLINE_S), "the app did not hear that its client left"
    times = [chunk.at_s for chunk in stream.chunks]
    assert times == sorted(times)


@pytest.fixture
def sends():
    """Starts a server that sends these bytes, then ends as told; its URL and what it was sent."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(DEADLINE_S)
    threads, received = [], []
    released = threading.Event()

    def start(raw, end="close"):
        def run():
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(DEADLINE_S)
                received.append(connection.recv(65536))
                connection.sendall(raw)
                if end == "stall":
                    released.wait(DEADLINE_S)
                if end == "reset":
                    linger = struct.pack("ii", 1, 0)
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

        threads.append(threading.Thread(target=run, daemon=True))
        threads[-1].start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}", received

    yield start
    released.set()
    for thread in threads:
        thread.join(DEADLINE_S)
    listener.close()


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
EVENT = b"data: 1\n\n"
CUTS = {
    "between chunks": (CHUNKED + b"9\r\n" + EVENT + b"\r\n", "close"),
    "in a chunk": (CHUNKED + b"10\r\n" + EVENT, "close"),
    "before Content-Length": (HEAD + b"Content-Length: 10\r\n\r\n" + EVENT, "close"),
    "by a reset": (CHUNKED + b"9\r\n" + EVENT + b"\r\n", "reset"),
}


@pytest.mark.parametrize("case", CUTS)
def test_a_cut_connection_is_not_taken_for_the_end(case, sends):
    url, _ = sends(*CUTS[case])
    with StreamClient(url).get("/") as stream:
        if case != "by a reset":  # which may overtake what was sent
            assert stream.event().data == "1"
        reads = [stream.event, stream.read, stream.comment, lambda: list(stream)]
        for read in reads:
            with pytest.raises(
                StreamCutError, match=r"the connection was cut before .* \(.+\): GET"
            ):
                read()
                read()


CLEAN = {
    "chunked": CHUNKED + b"9\r\n" + EVENT + b"\r\n0\r\n\r\n",
    "Content-Length": HEAD + b"Content-Length: 9\r\n\r\n" + EVENT,
    "closed": HEAD + b"Connection: close\r\n\r\n" + EVENT,
}


@pytest.mark.parametrize("case", CLEAN)
def test_a_whole_response_ends_cleanly(case, sends):
    url, _ = sends(CLEAN[case])
    with StreamClient(url).get("/") as stream:
        assert data(stream) == ["1"]


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
def test_no_chunks_are_waited_for_where_none_can_come(status, raw_server):
    head = b"HTTP/1.1 " + status + b"\r\nTransfer-Encoding: chunked\r\n\r\n"
    with StreamClient(raw_server([head, None]).url).get("/") as stream:
        assert stream.read() == b""
        assert stream.chunks == []


def test_a_server_that_does_not_answer_is_a_cut():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(DEADLINE_S)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with StreamClient(url).get("/") as stream:
            listener.accept()[0].close()
            with pytest.raises(StreamCutError, match="before an answer .*which was not answered"):
                _ = stream.status_code


def test_each_read_of_the_socket_is_a_chunk_and_a_stalled_one_can_be_left(sends):
    url, received = sends(CHUNKED + b"9\r\n" + EVENT + b"\r\n", "stall")
    with StreamClient(url + "/base/").post("/a?b=c d", headers={"X": "y"}) as stream:
        assert stream.event().data == "1"
        with pytest.raises(TimeoutError):
            stream.event(timeout=SHORT_S)
    assert [chunk.data for chunk in stream.chunks] == [EVENT]
    lines = received[0].decode().split("\r\n")
    assert lines[0] == "POST /base/a?b=c%20d HTTP/1.1"
    assert {"Accept: text/event-stream", "X: y", "Content-Length: 0"} < set(lines)
    assert not any(line.startswith("Accept-Encoding") for line in lines)


def test_a_server_that_is_not_there_is_told():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    opened = StreamClient(f"http://127.0.0.1:{port}").get("/")
    with opened as stream, pytest.raises(ConnectionRefusedError):
        stream.event()


@pytest.mark.parametrize("headers", [{}, {"host": "app.test"}], ids=["its own", "the test's"])
def test_a_request_names_one_host(sends, headers):
    url, received = sends(HEAD + b"\r\n" + EVENT)
    with StreamClient(url).get("/", headers=headers) as stream:
        stream.event()
    hosts = [line for line in received[0].split(b"\r\n") if line.lower().startswith(b"host:")]
    expected = headers.get("host") or url.partition("//")[2]
    assert [host[5:].strip().decode() for host in hosts] == [expected]


def test_a_proxy_in_the_environment_is_not_used(sends, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    url, received = sends(CLEAN["chunked"])
    with StreamClient(url).get("/") as stream:
        assert data(stream) == ["1"]
    assert received[0].startswith(b"GET / HTTP/1.1")


def test_https_is_spoken_to_https(sends):
    url, received = sends(b"no TLS at all\r\n")
    opened = StreamClient(url.replace("http", "https")).get("/")
    with opened as stream, pytest.raises(ssl.SSLError):
        stream.event()
    assert received[0][:1] == b"\x16"  # a TLS handshake


def test_where_a_worker_is_can_be_asked_while_it_goes_on():
    """Its frames come and go meanwhile."""
    asked, over = [], threading.Event()

    def deep(levels):
        return deep(levels - 1) if levels else time.monotonic()

    @SSEMiddleware
    def app(environ, start_response):
        start_response("200 OK", SSE)
        while not over.is_set():
            deep(20)
        return iter([{"data": "x"}])

    with StreamClient(app).get("/") as stream:
        gives_up_at = time.monotonic() + DEADLINE_S
        while len(asked) < 3000 and time.monotonic() < gives_up_at:
            asked.append(stream._steps.find_blocked())
        over.set()
        assert stream.event().data == "x"
    assert any("in deep" in place or "in app" in place for place in asked if place)
