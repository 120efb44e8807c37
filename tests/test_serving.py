"""Requests in a worker: heartbeats, leaving, ages, drains, errors, by a virtual clock.

A read that may have to wait runs beside the test (`Reader`); each wait has a deadline.
"""

import contextlib
import contextvars
import logging
import sqlite3
import sys
import threading
from queue import Empty, Queue
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest

from sse_middleware import EventParser, SSEMiddleware, current_stream, event_stream, worker
from sse_middleware.current import CurrentStream
from sse_middleware.errors import EventError, ResponseError
from sse_middleware.handover import Handover
from sse_middleware.registry import Registry
from sse_middleware.remote import RemoteAnswer
from sse_middleware.response import LaterFile
from sse_middleware.resume.keeping import Unkept
from sse_middleware.serving import Pace, Serving
from sse_middleware.signals import ThreadSignal
from sse_middleware.testing.clock import VirtualClock

HTML = [("Content-Type", "text/html")]
SSE = [("Content-Type", "text/event-stream")]
DEADLINE_S = 30


class Gate:
    """A source of items that blocks until the test puts the next; exceptions are raised."""

    def __init__(self, *items):
        self.items = Queue()
        self.finished = threading.Event()
        self.thread = None
        self.put(*items)

    def put(self, *items):
        for item in items:
            self.items.put(item)

    def __iter__(self):
        self.thread = threading.current_thread()
        try:
            while True:
                item = self.items.get(timeout=DEADLINE_S)
                if item is StopIteration:
                    return
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            self.finished.set()


class Reader:
    """The server's thread: starts a request, and reads when it is told to."""

    def __init__(self, app, method="GET", validate=True, **environ):
        self.environ = {"REQUEST_METHOD": method, "QUERY_STRING": ""}
        setup_testing_defaults(self.environ)
        self.environ.update(environ)
        self.answers, self.written = [], []
        self._app = validator(app) if validate else app
        self._orders, self._results = Queue(), Queue()
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            order = self._orders.get()
            try:
                self._results.put((order(), None))
            except BaseException as error:
                self._results.put((None, error))

    def _start(self):
        def start_response(status, headers, exc_info=None):
            self.answers.append((status, headers, exc_info, threading.current_thread()))
            return self.written.append

        self.body = self._app(self.environ, start_response)
        self._items = iter(self.body)
        return self

    def begin(self):
        """Order the request to start."""
        self._orders.put(self._start)
        return self

    def order(self):
        """Order one read."""
        self._orders.put(lambda: next(self._items))

    def result(self, timeout=DEADLINE_S):
        """What the oldest order came to."""
        result, error = self._results.get(timeout=timeout)
        if error is not None:
            raise error
        return result

    def started(self):
        self.begin()
        self.result()
        return self

    def next(self):
        self.order()
        return self.result()

    def rest(self):
        items = []
        while True:
            try:
                items.append(self.next())
            except StopIteration:
                return items

    def close(self):
        self._orders.put(self.body.close)
        self.result()

    @property
    def is_waiting(self):
        try:
            result = self._results.get(timeout=0.05)
        except Empty:
            return True
        self._results.put(result)
        return False


def app_of(body, headers=HTML, status="200 OK"):
    def app(environ, start_response):
        start_response(status, headers)
        return body() if callable(body) else iter(body)

    return app


def wrapped(app, **options):
    clock = VirtualClock()
    options.setdefault("worker", lambda environ: True)
    return SSEMiddleware(app, clock=clock, **options), clock


def until_somebody_waits(clock):
    pause = threading.Event()
    for _ in range(int(DEADLINE_S / 0.001)):
        if clock._waiting:
            return
        pause.wait(0.001)
    raise AssertionError("nobody waited on the clock")


def until(condition, what):
    pause = threading.Event()
    for _ in range(int(DEADLINE_S / 0.001)):
        if condition():
            return
        pause.wait(0.001)
    raise AssertionError(f"waited in vain for {what}")


def advance_when_it_waits_for(clock, seconds):
    """Advance once somebody waits for just that long, as a wait for the first comment does."""
    moment_ns = round((clock.monotonic() + seconds) * 10**9)
    until(lambda: any(at_ns == moment_ns for at_ns, _ in clock._waiting), f"a wait of {seconds} s")
    clock.advance(seconds)


def advance_when_it_waits(clock, seconds):
    """Advance once somebody waits on ``clock``, so that the order of things is the same always."""
    until_somebody_waits(clock)
    clock.advance(seconds)


@pytest.fixture(autouse=True)
def own_workers(monkeypatch):
    """A pool for each test: another test's workers may still be closing."""
    monkeypatch.setattr(worker, "_threads", None)


# --- heartbeats


def test_a_silent_stream_is_kept_alive_by_comments():
    gate = Gate({"data": "a"})
    app, clock = wrapped(app_of(gate))
    reader = Reader(app).started()
    assert reader.next() == b"data: a\n\n"
    for _ in range(3):
        reader.order()
        advance_when_it_waits(clock, 14.9)
        assert reader.is_waiting
        advance_when_it_waits(clock, 0.1)
        assert reader.result() == b": \n\n"
    gate.put(StopIteration)
    assert reader.rest() == []
    reader.close()


def test_the_heartbeat_counts_from_the_last_frame():
    gate = Gate({"data": "a"})
    app, clock = wrapped(app_of(gate), heartbeat=10)
    reader = Reader(app).started()
    reader.next()
    reader.order()
    advance_when_it_waits(clock, 9)
    gate.put({"data": "b"})
    assert reader.result() == b"data: b\n\n"
    reader.order()
    advance_when_it_waits(clock, 9)
    assert reader.is_waiting
    advance_when_it_waits(clock, 1)
    assert reader.result() == b": \n\n"
    reader.close()


@pytest.mark.parametrize(
    "item",
    [{"data": "a", "id": 1}, {"data": "a", "id": ""}, b"id: 1\ndata: a\n\n"],
    ids=["a mapping", "an empty id", "bytes"],
)
def test_after_an_id_the_heartbeat_has_no_blank_line(item):
    app, clock = wrapped(app_of(Gate(item), SSE))
    reader = Reader(app).started()
    reader.next()
    reader.order()
    advance_when_it_waits(clock, 15)
    assert reader.result() == b":\n"
    reader.close()


def test_no_heartbeat_is_sent_inside_a_half_sent_event():
    gate = Gate(b"data: a\n")
    app, clock = wrapped(app_of(gate, SSE))
    reader = Reader(app).started()
    assert reader.next() == b"data: a\n"
    reader.order()
    advance_when_it_waits(clock, 100)
    gate.put(b"\n")
    assert reader.result() == b"\n"
    reader.order()
    advance_when_it_waits(clock, 15)
    assert reader.result() == b": \n\n"
    reader.close()


def test_without_heartbeat_there_is_no_comment():
    gate = Gate({"data": "a"})
    app, clock = wrapped(app_of(gate, SSE), heartbeat=None, max_age=1000)
    reader = Reader(app).started()
    reader.next()
    reader.order()
    advance_when_it_waits(clock, 800)
    assert reader.is_waiting
    gate.put({"data": "b"})
    assert reader.result() == b"data: b\n\n"
    reader.close()


def test_a_declared_stream_that_is_silent_for_a_second_is_opened_with_a_comment():
    gate = Gate()
    app, clock = wrapped(app_of(gate, SSE))
    reader = Reader(app).begin()
    advance_when_it_waits(clock, 0.9)
    assert reader.is_waiting
    assert reader.answers == []
    advance_when_it_waits(clock, 0.1)
    reader.result()
    assert dict(reader.answers[0][1])["X-Accel-Buffering"] == "no"
    assert reader.next() == b": \n\n"
    reader.order()
    advance_when_it_waits(clock, 15)
    assert reader.result() == b": \n\n"
    gate.put({"data": "a"})
    assert reader.next() == b"data: a\n\n"
    reader.close()


def test_a_failure_of_a_stream_that_was_opened_with_a_comment_is_the_error_event(caplog):
    gate = Gate()
    app, clock = wrapped(app_of(gate, SSE), end_event="close")
    reader = Reader(app).begin()
    advance_when_it_waits(clock, 1)
    reader.result()
    assert reader.next() == b": \n\n"
    gate.put(KeyError("secret"))
    (event,) = EventParser().feed(b"".join(reader.rest()))
    assert (event.event, event.id) == ("error", "sse:end")
    assert "KeyError: 'secret'" in caplog.text
    reader.close()


def test_before_its_first_event_an_undeclared_response_sends_nothing_however_long():
    gate = Gate()
    app, clock = wrapped(app_of(gate), heartbeat=1)
    reader = Reader(app).begin()
    assert reader.is_waiting
    clock.advance(100)
    assert reader.is_waiting
    gate.put(KeyError("honest"))
    with pytest.raises(KeyError, match="honest"):
        reader.result()
    assert reader.answers == []


def test_head_is_never_opened_with_a_comment():
    app, _ = wrapped(app_of(Gate(), SSE))
    reader = Reader(app, "HEAD").started()
    assert list(reader.body) == []


def test_a_stream_known_by_its_first_item_is_opened_when_it_says_nothing_else():
    gate = Gate({"data": None})
    app, clock = wrapped(app_of(gate))
    reader = Reader(app).begin()
    advance_when_it_waits_for(clock, 1)
    reader.result()
    assert reader.next() == b": \n\n"
    gate.put({"data": "a"})
    assert reader.next() == b"data: a\n\n"
    reader.close()


def test_a_comment_comes_after_half_a_second_where_the_heartbeat_is_that_short():
    app, clock = wrapped(app_of(Gate(), SSE), heartbeat=0.5)
    reader = Reader(app).begin()
    advance_when_it_waits_for(clock, 0.5)
    reader.result()
    assert reader.next() == b": \n\n"
    reader.close()


def test_no_comment_gets_into_what_is_written_or_into_a_page():
    blocked = Gate()

    def writing(environ, start_response):
        write = start_response("200 OK", SSE)
        write(b"data: a")
        next(iter(blocked))
        return []

    def turning_into_a_page(environ, start_response):
        import sys

        start_response("200 OK", SSE)
        try:
            raise ValueError
        except ValueError:
            start_response("500 Oops", HTML, sys.exc_info())
        return iter([b"<p>", *blocked])

    for app in (writing, turning_into_a_page):
        app, clock = wrapped(app, max_age=1e6)
        reader = Reader(app, **{"waitress.client_disconnected": lambda: False}).begin()
        if app.app is turning_into_a_page:
            blocked.put(b"</p>", StopIteration)
        reader.result()
        clock.advance(100)
        first = reader.next()
        reader.order()
        clock.advance(100)
        blocked.put(b"end", StopIteration)
        with contextlib.suppress(StopIteration):
            assert b":" not in reader.result().replace(b"data:", b"")
        assert b": \n" not in first
        reader.close()


def test_an_apps_own_500_is_not_opened_as_a_stream():
    gate = Gate()

    def app(environ, start_response):
        import sys

        start_response("200 OK", SSE)
        try:
            raise ValueError
        except ValueError:
            start_response("500 Oops", HTML, sys.exc_info())
        next(iter(gate))
        return [b"error page"]

    app, clock = wrapped(app)
    reader = Reader(app, **{"waitress.client_disconnected": lambda: False}).begin()
    advance_when_it_waits_for(clock, 1)
    advance_when_it_waits_for(clock, 1)
    gate.put("go")
    reader.result()
    assert (reader.answers[0][0], list(reader.body)) == ("500 Oops", [b"error page"])


@pytest.mark.parametrize("told", [None, lambda *_: None], ids=["generic", "none"])
def test_an_app_call_that_fails_after_it_was_opened_is_the_error_event(told, caplog):
    gate = Gate()

    def app(environ, start_response):
        start_response("200 OK", SSE)
        next(iter(gate))

    app, clock = wrapped(app, end_event="close", error_event=told)
    reader = Reader(app).begin()
    advance_when_it_waits_for(clock, 1)
    reader.result()
    gate.put(KeyError("secret"))
    events = EventParser().feed(b"".join(reader.rest()))
    assert [(event.event, event.id) for event in events] == [("error", "sse:end")] * (not told)
    assert "KeyError: 'secret'" in caplog.text
    reader.close()


# --- what leaves


def test_frames_that_are_ready_together_leave_joined_and_a_lone_one_alone():
    gate = Gate({"data": "a"})
    app, _ = wrapped(app_of(gate))
    reader = Reader(app).started()
    assert reader.next() == b"data: a\n\n"
    gate.put({"data": "b"}, {"data": "c"}, StopIteration)
    assert gate.finished.wait(DEADLINE_S)
    assert b"".join(reader.rest()) == b"data: b\n\ndata: c\n\n"
    reader.close()


def test_the_server_is_told_in_its_own_thread_and_the_app_runs_in_another():
    gate = Gate({"data": "a"}, StopIteration)
    app, _ = wrapped(app_of(gate))
    reader = Reader(app).started()
    reader.rest()
    assert reader.answers[0][3] is not gate.thread
    assert gate.thread.daemon
    reader.close()


def test_lists_tuples_and_files_go_to_the_server_untouched():
    import io
    from wsgiref.util import FileWrapper

    for body in ([b"a", b"b"], (b"a",), [], FileWrapper(io.BytesIO(b"abc"))):
        app, _ = wrapped(app_of(lambda body=body: body))
        reader = Reader(app, validate=False).started()
        assert reader.body is body


def test_another_iterable_runs_and_closes_in_the_worker_item_for_item_without_heartbeat():
    gate = Gate(b"a", b"", b"b", StopIteration)
    app, clock = wrapped(app_of(gate), heartbeat=1)
    reader = Reader(app).started()
    clock.advance(100)
    assert reader.rest() == [b"a", b"", b"b"]
    assert reader.answers[0][1] == HTML
    assert gate.thread is not None
    reader.close()


def test_write_is_queued_before_the_body():
    def app(environ, start_response):
        write = start_response("200 OK", HTML)
        write(b"one")
        write(b"two")
        return [b"three"]

    app, _ = wrapped(app)
    reader = Reader(app).started()
    assert reader.rest() == [b"one", b"two", b"three"]
    assert reader.answers[0][1] == HTML
    reader.close()


def test_an_app_that_answers_again_with_exc_info_is_heard():
    import sys

    def app(environ, start_response):
        start_response("200 OK", SSE)
        try:
            raise ValueError
        except ValueError:
            start_response("500 Oops", HTML, sys.exc_info())
        return [b"oops"]

    app, _ = wrapped(app)
    reader = Reader(app).started()
    assert [(answer[0], bool(answer[2])) for answer in reader.answers] == [("500 Oops", True)]


def test_the_request_body_is_readable_in_the_worker():
    import io

    def app(environ, start_response):
        start_response("200 OK", HTML)
        yield {"data": environ["wsgi.input"].read(5).decode()}

    app, _ = wrapped(app)
    reader = Reader(app, "POST", **{"wsgi.input": io.BytesIO(b"hello"), "CONTENT_LENGTH": "5"})
    assert reader.started().rest() == [b"data: hello\n\n"]
    reader.close()


# --- one thread, one context


def test_what_is_kept_by_thread_and_by_context_works_inside_and_none_is_left_outside():
    variable = contextvars.ContextVar("variable", default="default")
    local = threading.local()
    threads = []

    def app(environ, start_response):
        start_response("200 OK", HTML)
        seen = variable.get()
        variable.set("changed")
        local.value = "kept"
        database = sqlite3.connect(":memory:")
        database.execute("create table t (n)")
        try:
            for number in range(3):
                threads.append(threading.current_thread())
                database.execute("insert into t values (?)", (number,))
                (count,) = database.execute("select count(*) from t").fetchone()
                yield {"data": [seen, variable.get(), local.value, count, current_stream().ended]}
        finally:
            threads.append(threading.current_thread())
            database.close()

    app, _ = wrapped(app)
    reader = Reader(app)
    before = []
    reader._orders.put(lambda: before.append(variable.set("outer")))
    reader.result()
    seen = EventParser().feed(b"".join(reader.started().rest()))
    assert [event.json()[:4] for event in seen] == [
        ["outer", "changed", "kept", number] for number in (1, 2, 3)
    ]
    reader._orders.put(variable.get)
    assert reader.result() == "outer"
    assert len(set(threads)) == 1
    reader.close()


def test_workers_are_used_again():
    threads = []

    def app(environ, start_response):
        start_response("200 OK", HTML)
        threads.append(threading.current_thread())
        yield {"data": "x"}

    app, _ = wrapped(app)
    for _ in range(20):
        reader = Reader(app).started()
        reader.rest()
        reader.close()
        until(lambda: worker.workers()._idle, "the worker to be free")
    assert len(set(threads)) == 1


# --- leaving


def test_closing_tells_the_app_frees_its_upstream_and_does_not_wait_for_it():
    gate = Gate({"data": "a"})
    left = []

    def app(environ, start_response):
        current_stream().on_disconnect(lambda: (left.append("told"), gate.put(StopIteration)))
        start_response("200 OK", HTML)
        return iter(gate)

    reader = Reader(wrapped(app)[0]).started()
    reader.next()
    reader.close()
    until(lambda: left == ["told"], "the callback")
    assert gate.finished.wait(DEADLINE_S), "the blocked read did not return"


def test_a_callback_that_blocks_does_not_block_the_servers_thread():
    gate, free = Gate({"data": "a"}), threading.Event()

    def app(environ, start_response):
        current_stream().on_disconnect(lambda: (free.wait(DEADLINE_S), gate.put(StopIteration)))
        start_response("200 OK", HTML)
        return iter(gate)

    reader = Reader(wrapped(app)[0]).started()
    reader.next()
    reader.close()
    free.set()
    assert gate.finished.wait(DEADLINE_S)


def test_a_generator_that_says_nothing_is_stopped_when_its_client_has_left():
    stopped, pause = threading.Event(), threading.Event()

    def app(environ, start_response):
        start_response("200 OK", HTML)
        try:
            yield {"data": "a"}
            while not pause.wait(0.001):
                yield {"data": None}
        finally:
            stopped.set()

    reader = Reader(wrapped(app)[0]).started()
    reader.next()
    reader.close()
    assert stopped.wait(DEADLINE_S)


def test_a_client_that_leaves_after_the_end_event_has_not_left():
    gate, told, observer = threading.Event(), [], Observer()
    after = threading.Event()

    def app(environ, start_response):
        current_stream().on_disconnect(lambda: told.append("left"))
        start_response("200 OK", HTML)
        yield {"event": "close", "data": ""}
        assert gate.wait(DEADLINE_S)
        after.set()

    reader = Reader(wrapped(app, end_event="close", observer=observer)[0]).started()
    reader.next()
    reader.close()
    gate.set()
    assert after.wait(DEADLINE_S)
    assert (told, observer.told) == ([], ["opened", "end"])


def test_closing_while_the_app_is_blocked_returns_at_once():
    gate = Gate({"data": "a"})
    reader = Reader(wrapped(app_of(gate))[0]).started()
    reader.next()
    reader.close()
    assert not gate.finished.is_set()
    gate.put({"data": "unwanted"})
    assert gate.finished.wait(DEADLINE_S), "the generator was not closed by its worker"


def test_a_server_may_close_in_another_thread_than_the_one_that_waits():
    gate = Gate({"data": "a"})
    app, clock = wrapped(app_of(gate))
    reader = Reader(app, validate=False).started()
    reader.next()
    reader.order()
    until_somebody_waits(clock)
    reader.body.close()
    with pytest.raises(StopIteration):
        reader.result()
    gate.put(StopIteration)


def test_a_client_that_is_seen_to_have_left_ends_a_silent_stream():
    gate = Gate({"data": "a"})
    gone = threading.Event()
    told = threading.Event()

    def app(environ, start_response):
        current_stream().on_disconnect(told.set)
        start_response("200 OK", HTML)
        return iter(gate)

    app, clock = wrapped(app)
    reader = Reader(app, **{"waitress.client_disconnected": gone.is_set}).started()
    reader.next()
    reader.order()
    advance_when_it_waits(clock, 1)
    assert reader.is_waiting
    gone.set()
    advance_when_it_waits(clock, 1)
    with pytest.raises(StopIteration):
        reader.result()
    assert told.wait(DEADLINE_S)
    gate.put(StopIteration)
    reader.close()


def test_an_app_that_has_nothing_to_say_to_a_client_that_left_is_not_asked_again():
    gate, asked = Gate({"data": "a"}), []

    def items():
        for item in gate:
            asked.append(item)
            yield item

    def app(environ, start_response):
        current_stream().on_disconnect(lambda: gate.put({"data": None}, {"data": "b"}))
        start_response("200 OK", HTML)
        return items()

    reader = Reader(wrapped(app)[0]).started()
    reader.next()
    reader.close()
    assert gate.finished.wait(DEADLINE_S)
    assert asked == [{"data": "a"}, {"data": None}]


def test_a_client_that_leaves_before_the_app_answered_is_seen():
    gate, told = Gate(), threading.Event()

    def app(environ, start_response):
        current_stream().on_disconnect(told.set)
        start_response("200 OK", HTML)
        return iter(gate)

    app, clock = wrapped(app)
    reader = Reader(app, **{"waitress.client_disconnected": lambda: True}).begin()
    advance_when_it_waits(clock, 1)
    reader.result()
    assert told.wait(DEADLINE_S)
    assert [answer[0] for answer in reader.answers] == ["204 No Content"]
    assert list(reader.body) == []
    gate.put(StopIteration)


def test_a_failure_after_the_client_left_is_no_error_in_the_log(caplog):
    gate = Gate({"data": "a"})

    def app(environ, start_response):
        current_stream().on_disconnect(lambda: gate.put(OSError("closed by the callback")))
        start_response("200 OK", HTML)
        return iter(gate)

    reader = Reader(wrapped(app)[0]).started()
    reader.next()
    with caplog.at_level(logging.INFO, "sse_middleware"):
        reader.close()
        assert gate.finished.wait(DEADLINE_S)
    assert caplog.text == ""


# --- ages and drains


class Observer:
    def __init__(self):
        self.told = []

    def opened(self, stream):
        self.told.append("opened")

    def closed(self, stream, reason):
        self.told.append(reason)

    def heartbeat(self, stream):
        self.told.append("heartbeat")


@pytest.mark.parametrize("worker", [lambda environ: True, lambda environ: False], ids=["w", "i"])
def test_a_stream_past_its_age_ends_cleanly_without_an_end_event(worker):
    gate, observer = Gate({"data": "a"}), Observer()
    app, clock = wrapped(
        app_of(gate),
        max_age=100,
        end_event="close",
        observer=observer,
        worker=worker,
        heartbeat=None,
    )
    reader = Reader(app).started()
    assert reader.next() == b"data: a\n\n"
    clock.advance(89)
    gate.put({"data": "b"})
    assert reader.next() == b"data: b\n\n"
    clock.advance(11)
    assert reader.rest() == []
    assert observer.told == ["opened", "max_age"]
    gate.put(StopIteration)
    reader.close()


def test_an_answer_that_is_complete_keeps_its_end_event_whatever_the_time():
    gate = Gate({"data": "a"})
    app, clock = wrapped(app_of(gate), max_age=10, end_event="close", heartbeat=None)
    reader = Reader(app).started()
    assert reader.next() == b"data: a\n\n"
    gate.put({"data": "b"}, StopIteration)
    assert gate.finished.wait(DEADLINE_S)
    until(lambda: reader.body.iterator._stream.ended, "the end event")
    clock.advance(10)
    end = b"event: close\nid: sse:end\ndata: \n\n"
    assert b"".join(reader.rest()) == b"data: b\n\n" + end
    reader.close()


def test_an_observer_hears_of_no_end_without_a_beginning():
    observer = Observer()
    app, _ = wrapped(app_of(Gate({"data": "a"}, StopIteration)), observer=observer)

    def refusing(*answer):
        raise OSError("gone")

    environ = {"REQUEST_METHOD": "GET"}
    with pytest.raises(OSError, match="gone"):
        app(environ, refusing)
    assert observer.told == []


def test_an_environ_that_is_used_again_is_another_request():
    app, _ = wrapped(app_of(lambda: iter([{"data": "a"}])))
    environ = {"REQUEST_METHOD": "GET"}
    for _ in range(2):
        body = app(environ, lambda *answer: None)
        assert type(body).__name__ == "Serving"
        assert list(body) == [b"data: a\n\n"]
        body.close()


def test_ages_differ_by_a_tenth():
    from sse_middleware.serving import Pace

    ages = {Pace(VirtualClock(), None, 100.0).expiry() for _ in range(100)}
    assert len(ages) > 50
    assert 90 <= min(ages) <= max(ages) <= 100


def test_drain_ends_streams_between_events_and_lets_no_other_begin():
    gate, observer = Gate({"data": "a"}), Observer()

    def app(environ, start_response):
        current_stream().on_disconnect(lambda: gate.put(StopIteration))
        start_response("200 OK", HTML)
        return iter(gate)

    app, _ = wrapped(app, end_event="close", observer=observer)
    reader = Reader(app).started()
    reader.next()
    reader.order()
    assert app.drain(DEADLINE_S) is True
    assert gate.finished.is_set(), "drain did not wait for the generator"
    with pytest.raises(StopIteration):
        reader.result()
    assert observer.told == ["opened", "drain"]
    late = Reader(app).started()
    assert late.answers[0][0] == "503 Service Unavailable"
    assert dict(late.answers[0][1])["Retry-After"] == "5"
    reader.close()


def test_drain_waits_for_a_generator_but_no_longer_than_it_was_told():
    gate = Gate({"data": "a"})
    app, _ = wrapped(app_of(gate))
    reader = Reader(app).started()
    reader.next()
    reader.order()
    assert app.drain(0.05) is False
    with pytest.raises(StopIteration):
        reader.result()
    gate.put(StopIteration)
    assert app.drain(DEADLINE_S) is True
    reader.close()


def test_drain_says_when_a_stream_would_not_end():
    gate = Gate(b"data: half")
    app, _ = wrapped(app_of(gate, SSE))
    reader = Reader(app).started()
    reader.next()
    reader.order()
    assert app.drain(0.05) is False
    gate.put(b"\n\n")
    assert reader.result() == b"\n\n"
    gate.put(StopIteration)
    reader.rest()
    reader.close()


def test_the_response_ends_with_its_end_event_whatever_the_app_does_afterwards():
    gate, saved = threading.Event(), threading.Event()

    def app(environ, start_response):
        start_response("200 OK", HTML)
        yield {"event": "close", "data": ""}
        assert gate.wait(DEADLINE_S)
        saved.set()

    reader = Reader(wrapped(app, end_event="close")[0]).started()
    assert reader.rest() == [b"event: close\nid: sse:end\ndata: \n\n"]
    assert not saved.is_set()
    gate.set()
    assert saved.wait(DEADLINE_S), "the code after the end event did not run"
    reader.close()


def test_a_page_in_a_worker_is_neither_drained_nor_told_of():
    gate, observer = Gate(b"<p>"), Observer()
    app, _ = wrapped(app_of(gate), observer=observer)
    reader = Reader(app).started()
    assert reader.next() == b"<p>"
    assert app.drain(0) is False
    gate.put(b"</p>", StopIteration)
    assert reader.rest() == [b"</p>"]
    reader.close()
    assert observer.told == []


NEVER_OPENED = {
    "a status without body": ("GET", "204 No Content", SSE),
    "a compressed body": ("GET", "200 OK", [*SSE, ("Content-Encoding", "gzip")]),
    "a HEAD request": ("HEAD", "200 OK", SSE),
}


@pytest.mark.parametrize(("method", "status", "headers"), NEVER_OPENED.values(), ids=NEVER_OPENED)
def test_what_is_no_stream_is_not_opened_while_the_app_is_silent(method, status, headers):
    gate = Gate()

    def app(environ, start_response):
        start_response(status, headers)
        next(iter(gate))
        return []

    app, clock = wrapped(app)
    reader = Reader(app, method, False, **{"waitress.client_disconnected": lambda: False}).begin()
    advance_when_it_waits_for(clock, 1)
    advance_when_it_waits_for(clock, 1)
    assert reader.answers == []
    gate.put("go")
    reader.result()
    assert [answer[0] for answer in reader.answers] == [status]


def test_what_was_written_is_sent_though_the_app_blocks_afterwards():
    gate = Gate()

    def app(environ, start_response):
        start_response("200 OK", HTML)(b"written")
        next(iter(gate))
        return []

    reader = Reader(wrapped(app)[0]).started()
    assert reader.next() == b"written"
    gate.put("go")
    assert reader.rest() == []
    reader.close()


def test_a_list_beside_an_event_stream_that_nobody_reads_stays_as_it_came():
    def app(environ, start_response):
        event_stream([{"data": "unread"}])
        start_response("200 OK", HTML)
        return [b"a page"]

    for method in ("GET", "HEAD"):
        for worker_rule in (lambda environ: True, lambda environ: False):
            app_, _ = wrapped(app, worker=worker_rule)
            reader = Reader(app_, method, validate=False).started()
            assert (reader.answers[0][1], reader.body) == (HTML, [b"a page"])


@pytest.mark.parametrize("kind", [OSError, SystemExit])
def test_a_server_that_refuses_the_answer_has_the_generator_closed(kind):
    gate = Gate({"data": "a"}, {"data": "b"})
    app, _ = wrapped(app_of(gate))

    def refusing(*answer):
        raise kind

    with pytest.raises(kind):
        app({"REQUEST_METHOD": "GET"}, refusing)
    gate.put({"data": "unwanted"})
    assert gate.finished.wait(DEADLINE_S)


class Probe:
    looks_every_s = 1.0
    stopped = 0

    def has_left(self):
        return False

    def stop(self):
        self.stopped += 1


@pytest.mark.parametrize(
    "body", [[b"whole"], lambda: iter([{"data": "a"}])], ids=["a whole body", "a stream"]
)
def test_the_connection_is_watched_no_longer_than_the_response_lasts(body, monkeypatch):
    probe = Probe()
    monkeypatch.setattr("sse_middleware.middleware.find_probe", lambda *args, **kwargs: probe)
    app, _ = wrapped(app_of(body if callable(body) else lambda: body))
    reader = Reader(app, validate=False).started()
    list(reader.body)
    getattr(reader.body, "close", lambda: None)()
    assert probe.stopped == 1


# --- the server's thread alone: what the worker has made is put there by the test


class Job:
    killed = 0

    def kill(self):
        self.killed += 1


class Watcher(Observer):
    """Notes of which stream it was told."""

    def __init__(self):
        super().__init__()
        self.streams, self.closed_streams = [], []

    def opened(self, stream):
        self.streams.append(stream)
        super().opened(stream)

    def heartbeat(self, stream):
        self.streams.append(stream)
        super().heartbeat(stream)

    def closed(self, stream, reason):
        self.closed_streams.append(stream)
        super().closed(stream, reason)


class Lingering(Unkept):
    """A keeper that notes what it is told, and lets the app go on if it is to."""

    def __init__(self, *, goes_on=False):
        self.told, self._goes_on = [], goes_on

    def discard(self):
        self.told.append("discard")

    def linger(self, clock, beside, stop):
        self.told.append((clock, beside))
        self.stop = stop
        return self._goes_on


class OnClock(VirtualClock):
    """Notes until when it was waited on; then ``meanwhile()`` happens."""

    def __init__(self):
        super().__init__()
        self.waits, self.meanwhile = [], lambda: None

    def wait(self, signal, until_s):
        self.waits.append(until_s)
        assert len(self.waits) < 100, "it waits again and again"
        self.meanwhile()
        return True


class Served:
    """A `Serving` and its parts; of a stream that the app has opened, unless that is left out."""

    def __init__(self, *, heartbeat=15.0, max_age=None, probe=None, keeper=None, opens=True):
        self.clock, self.stream, self.job = OnClock(), CurrentStream(), Job()
        self.clock.advance(100)
        self.keeper = keeper or Unkept()
        self.hand = Handover(ThreadSignal(), ThreadSignal())
        self.answer = RemoteAnswer(self.hand, self.clock, True)
        self.observer, self.told, self.ran = Watcher(), [], []
        self.registry = Registry(self.observer)
        pace = Pace(self.clock, heartbeat, max_age)
        parts = (self.hand, self.answer, self.stream, pace, probe, self.registry)
        self.serving = Serving(*parts, self.beside, self.keeper)
        assert self.serving.job is None
        self.serving.job = self.job
        if opens:
            self.answer.start_response("200 OK", SSE)
            self.answer.forward()
            self.answer.ready(is_stream=True)
            assert self.begin() is self.serving

    def beside(self, call):
        self.ran.append(call)
        return True

    def begin(self):
        return self.serving.begin(lambda *args: self.told.append(args))

    def next(self):
        return next(self.serving, None)

    @property
    def reasons(self):
        """Why it was closed, as the observer heard it, after it was opened."""
        assert self.observer.told[0] == "opened"
        return [reason for reason in self.observer.told[1:] if reason != "heartbeat"]


ENDS = {
    "all was sent": (True, False, [], "end"),
    "all was sent, of a failure": (True, True, [], "error"),
    "some was not": (True, False, [b"a"], "disconnect"),
    "the app had more to say": (False, False, [], "disconnect"),
}


@pytest.mark.parametrize(("ended", "failed", "left", "reason"), ENDS.values(), ids=ENDS)
def test_why_a_stream_was_closed_by_its_server(ended, failed, left, reason):
    served = Served()
    served.stream.ended, served.stream.failed = ended, failed
    for item in left:
        served.hand.put(item)
    served.serving.close()
    served.serving.close()
    assert served.reasons == [reason]
    assert served.hand.is_cancelled
    assert served.next() is None
    is_left = reason == "disconnect"
    assert (served.stream.disconnected, served.job.killed) == (is_left, int(is_left))


@pytest.mark.parametrize(
    ("ended", "failed", "given_up", "reason"),
    [
        (True, False, False, "end"),
        (True, True, False, "error"),
        (True, False, True, "disconnect"),
        (False, False, True, "disconnect"),
    ],
)
def test_why_a_stream_came_to_its_end(ended, failed, given_up, reason):
    served = Served()
    served.hand.put(b"data: a\n\n")
    served.stream.ended, served.stream.failed = ended, failed
    served.hand.finish()
    if given_up:
        served.hand.cancel()
    assert served.next() == (b"data: a\n\n" if ended else None)
    assert served.next() is None
    assert served.reasons == [reason]
    assert served.observer.closed_streams == [served.stream]
    assert served.hand.is_cancelled is given_up


@pytest.mark.parametrize("error", [KeyError("planned"), SystemExit("planned")], ids=repr)
def test_what_ended_a_stream_is_raised_once_and_is_its_reason(error):
    served = Served()
    served.hand.finish(error)
    with pytest.raises((KeyError, ResponseError)) as caught:
        served.next()
    if isinstance(error, KeyError):
        assert caught.value is error
    else:
        assert str(caught.value) == "the app raised SystemExit"
        assert caught.value.__cause__ is error
    assert served.reasons == ["error"]
    assert served.next() is None


def test_a_response_that_is_dropped_is_closed_unless_it_is_over():
    served = Served()
    served.serving = None
    assert served.reasons == ["disconnect"]
    assert served.hand.is_cancelled
    served = Served()
    served.hand.finish()
    assert served.next() is None
    served.serving = None
    assert served.reasons == ["end"]
    assert not served.hand.is_cancelled


def test_a_response_that_the_end_of_the_process_drops_is_left_alone(monkeypatch):
    served = Served()
    monkeypatch.setattr(sys, "is_finalizing", lambda: True)
    served.serving = None
    assert served.reasons == []


def test_frames_and_bytes_that_were_sent_are_counted_on_streams_alone():
    served = Served()
    for item in (b"data: a\n\n", b"data: bc\n\n"):
        served.hand.put(item)
    served.next()
    served.hand.put(b"data: d\n\n")
    served.next()
    assert (served.stream.frames_sent, served.stream.bytes_sent) == (3, 28)
    page = Served(opens=False)
    page.answer.start_response("200 OK", HTML)
    page.answer.forward()
    page.answer.ready()
    page.begin()
    for item in ("no bytes", b"a page"):  # what it is is between the app and its server
        page.hand.put(item)
        assert page.next() is item
    assert (page.stream.frames_sent, page.observer.told) == (0, [])
    page.clock.advance(1000)
    page.clock.meanwhile = lambda: page.hand.put(b"its end")
    assert page.next() == b"its end"
    assert page.clock.waits == [None]


TAILS = {
    "a frame": ([b"data: a\n\n"], True),
    "half a frame": ([b"data: a\n"], False),
    "a frame in two": ([b"data: a\n", b"\n"], True),
    "a frame in pieces": ([b"data: a", b"\r", b"\n", b"\r", b"\n"], True),
    "one of them is missing": ([b"data: a\r\n\r\n", b":", b"\r", b"\n"], False),
    "a long one, of CR": ([b"data: a\r", b"\r"], True),
    "another begun": ([b"data: a\n\n", b"d"], False),
}


@pytest.mark.parametrize(("pieces", "is_between"), TAILS.values(), ids=TAILS)
def test_a_stream_ends_and_is_kept_alive_between_events_alone(pieces, is_between):
    served = Served()
    for piece in pieces:
        served.hand.put(piece)
        assert served.next() == piece
    served.clock.advance(15)
    served.clock.meanwhile = lambda: served.hand.put(b"more")
    assert served.next() == (b": \n\n" if is_between else b"more")
    if is_between:
        served.registry.is_draining = True
        served.hand.put(b"more")
        assert served.next() is None
        assert served.reasons == ["drain"]


@pytest.mark.parametrize(("has_sent_id", "comment"), [(False, b": \n\n"), (True, b":\n")])
def test_a_heartbeat_is_told_of_and_the_next_is_a_whole_one_away(has_sent_id, comment):
    served = Served(heartbeat=15.0)
    served.stream.has_sent_id = has_sent_id
    served.hand.put(b"data: a\n\n")
    served.next()
    served.clock.meanwhile = lambda: served.clock.advance(15)
    assert [served.next(), served.next()] == [comment, comment]
    assert served.clock.waits == [115, 130]
    assert served.observer.streams == [served.stream] * 3
    assert served.stream.frames_sent == 1


def test_without_a_heartbeat_nothing_is_waited_for_but_the_app():
    served = Served(heartbeat=None)
    served.hand.put(b"data: a\n\n")
    served.next()
    served.clock.meanwhile = lambda: served.hand.put(b"data: b\n\n")
    assert served.next() == b"data: b\n\n"
    assert served.clock.waits == [None]


class Asked(Probe):
    """A probe that notes when it was asked; the client has left at ``left_at``."""

    def __init__(self, clock_of, every_s, left_at):
        self.asked, self.looks_every_s = [], every_s
        self._clock_of, self._left_at = clock_of, left_at

    def has_left(self):
        self.asked.append(self._clock_of().monotonic())
        return self.asked[-1] >= self._left_at


@pytest.mark.parametrize(
    ("every_s", "waits", "asked"),
    [
        (1.0, [101, 101, 102, 102], [101, 102]),
        (None, [115, 115, 115], [100, 100.5, 101, 101.5]),
    ],
    ids=["polled", "told"],
)
def test_a_client_is_looked_for_in_time_and_then_left_alone(every_s, waits, asked):
    probe = Asked(lambda: served.clock, every_s, 102 if every_s else 101.5)
    served = Served(probe=probe)
    probe.asked.clear()
    served.hand.put(b"data: a\n\n")
    served.next()
    probe.asked.clear()
    served.clock.meanwhile = lambda: served.clock.advance(0.5)
    assert served.next() is None
    assert served.reasons == ["disconnect"]
    assert (served.clock.waits, probe.asked, probe.stopped) == (waits, asked, 1)
    served.serving.close()
    assert probe.stopped == 1


def test_a_client_that_left_before_the_answer_is_told_to_the_app():
    served = Served(opens=False, probe=Asked(lambda: served.clock, None, 0))
    assert list(served.begin()) == []
    assert served.told == [("204 No Content", [])]
    assert (served.stream.disconnected, served.job.killed) == (True, 1)
    assert served.hand.is_cancelled
    assert served.observer.told == []


def test_an_answer_that_never_comes_is_said():
    served = Served(opens=False)
    served.hand.finish()
    with pytest.raises(ResponseError) as caught:
        served.begin()
    assert str(caught.value) == "the app ended without an answer"
    assert served.hand.is_cancelled


def test_a_whole_body_is_the_servers_and_its_stream_is_over():
    served = Served(opens=False, probe=Probe())
    probe = served.serving._probe
    served.answer.start_response("200 OK", HTML)
    served.answer.forward()
    served.answer.ready(whole=[b"a page"])
    assert served.begin() == [b"a page"]
    served.serving.close()
    assert (served.stream.disconnected, probe.stopped) == (False, 1)
    assert served.told == [("200 OK", HTML)]


def test_a_file_that_only_the_servers_thread_can_wrap_is_wrapped_there():
    class Later(LaterFile):
        wrap = staticmethod(lambda file, block_size: [file, block_size])

    served = Served(opens=False)
    served.answer.start_response("200 OK", HTML)
    served.answer.forward()
    served.answer.ready(whole=Later("file", 7))
    assert served.begin() == ["file", 7]


def test_a_declared_stream_is_waited_for_until_it_may_be_opened():
    served = Served(opens=False, heartbeat=15.0)
    served.clock.meanwhile = lambda: served.clock.advance(0.5)
    served.answer.start_response("200 OK", SSE)
    assert served.begin() is served.serving
    assert served.clock.waits == [101, 101]
    assert served.next() == b": \n\n"
    assert served.next() == b": \n\n"
    assert served.clock.waits[2:] == [116] * 30


def test_a_stream_ends_at_its_age(monkeypatch):
    monkeypatch.setattr("random.uniform", lambda low, high: (low + high) / 2)
    served = Served(heartbeat=None, max_age=100)
    served.clock.meanwhile = lambda: served.clock.advance(94.5)
    assert served.next() is None
    assert served.clock.waits == [195, 195]
    assert served.reasons == ["max_age"]


def test_the_app_is_killed_before_its_callbacks_run_beside():
    served = Served(keeper=Lingering())
    heard = []
    served.stream.on_disconnect(lambda: heard.append(served.job.killed))
    served.serving.close()
    assert served.keeper.told == [(served.clock, served.beside), "discard"]
    assert (heard, served.stream.disconnected) == ([], True)
    (call,) = served.ran
    call()
    assert heard == [1]


def test_an_app_without_callbacks_has_nothing_run_beside():
    served = Served()
    served.serving.close()
    assert served.ran == []
    unstarted = Served()
    unstarted.serving.job = None
    unstarted.serving.close()
    assert unstarted.stream.disconnected


def test_an_app_that_may_go_on_is_stopped_when_its_keeper_says_so():
    served = Served(keeper=Lingering(goes_on=True))
    served.serving.close()
    assert served.reasons == ["disconnect"]
    assert served.hand.is_cancelled
    assert (served.stream.disconnected, served.job.killed) == (False, 0)
    assert served.next() is None
    served.keeper.stop()
    assert (served.stream.disconnected, served.job.killed) == (True, 1)
    assert served.keeper.told[1:] == ["discard"], "it lingers once, also where it is asked again"


# --- too many


def test_over_max_streams_a_request_is_refused_until_a_worker_is_free():
    gate = Gate({"data": "a"})
    app, _ = wrapped(app_of(gate), max_streams=1)
    first = Reader(app).started()
    refused = Reader(app).started()
    assert refused.answers[0][0] == "503 Service Unavailable"
    assert refused.rest() == [b"Too many streams are open. Try again in a moment.\n"]
    source = Reader(app, HTTP_ACCEPT="text/event-stream").started()
    assert source.answers[0][0] == "200 OK"
    assert source.rest() == [b"retry: 5000\n\n"]
    first.close()
    assert Reader(app).started().answers[0][0] == "503 Service Unavailable", "its worker is busy"
    gate.put(StopIteration)
    assert gate.finished.wait(DEADLINE_S)


# --- errors


def test_a_failure_before_the_answer_is_raised_in_the_servers_thread():
    def app(environ, start_response):
        raise KeyError("honest")

    reader = Reader(wrapped(app)[0])
    with pytest.raises(KeyError, match="honest"):
        reader.started()
    with pytest.raises(EventError, match="key is 'text'"):
        Reader(wrapped(app_of([{"text": "x"}]))[0]).started()


def test_a_failure_after_the_first_event_is_the_error_event(caplog):
    observer = Observer()
    app, _ = wrapped(app_of(Gate({"data": "a"}, KeyError("secret"))), observer=observer)
    reader = Reader(app).started()
    events = EventParser().feed(b"".join(reader.rest()))
    assert [event.event for event in events] == ["message", "error"]
    assert observer.told == ["opened", "error"]
    assert "KeyError: 'secret'" in caplog.text
    reader.close()


def test_a_failure_inside_a_half_sent_event_is_raised_in_the_servers_thread():
    app, _ = wrapped(app_of(Gate(b"data: a", KeyError("cut")), SSE))
    reader = Reader(app).started()
    assert reader.next() == b"data: a"
    with pytest.raises(KeyError, match="cut"):
        reader.next()
    reader.close()


def test_a_failure_of_another_response_is_raised_in_the_servers_thread():
    app, _ = wrapped(app_of(Gate(b"a", KeyError("cut"))))
    reader = Reader(app).started()
    assert reader.next() == b"a"
    with pytest.raises(KeyError, match="cut"):
        reader.next()
    reader.close()


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_what_would_end_the_process_ends_the_stream(kind):
    app, _ = wrapped(app_of(Gate({"data": "a"}, kind())))
    reader = Reader(app).started()
    reader.next()
    with pytest.raises(ResponseError, match=f"the app raised {kind.__name__}"):
        reader.next()
    reader.close()


def test_an_app_that_never_answers_is_said():
    with pytest.raises(ResponseError, match="never called start_response"):
        Reader(wrapped(lambda environ, start_response: [b""])[0]).started()


def test_an_app_that_answers_twice_is_said():
    def app(environ, start_response):
        start_response("200 OK", HTML)
        start_response("200 OK", HTML)
        return []

    with pytest.raises(ResponseError, match="called twice"):
        Reader(wrapped(app)[0]).started()


def test_an_app_that_answers_after_its_first_event_fails_as_events_do(caplog):
    def app(environ, start_response):
        start_response("200 OK", HTML)
        yield {"data": "a"}
        start_response("500 Late", HTML)

    reader = Reader(wrapped(app)[0]).started()
    events = EventParser().feed(b"".join(reader.rest()))
    assert [event.event for event in events] == ["message", "error"]
    assert "start_response came after the body" in caplog.text
    reader.close()


def test_a_generator_that_fails_as_it_is_closed_is_logged(caplog):
    done = threading.Event()

    def app(environ, start_response):
        start_response("200 OK", HTML)
        try:
            for _ in range(10_000):
                yield {"data": "x" * 1000}
        finally:
            done.set()
            raise KeyError("in finally")

    reader = Reader(wrapped(app)[0]).started()
    reader.next()
    reader.close()
    assert done.wait(DEADLINE_S)
    Reader(wrapped(app_of([{"data": "b"}]))[0]).started()
    assert_logged(caplog, "closing the response of the app failed")


def test_a_generator_that_ignores_its_closing_is_logged(caplog):
    def app(environ, start_response):
        start_response("200 OK", HTML)
        while True:
            try:
                yield {"data": "x" * 1000}
            except GeneratorExit:
                yield {"data": "no"}

    reader = Reader(wrapped(app)[0]).started()
    reader.next()
    reader.close()
    assert_logged(caplog, "closing the response of the app failed")


def assert_logged(caplog, text):
    pause = threading.Event()
    for _ in range(int(DEADLINE_S / 0.01)):
        if text in caplog.text:
            return
        pause.wait(0.01)
    raise AssertionError(f"{text!r} was not logged in time")


def test_an_app_that_writes_is_told_that_its_client_left():
    told = Queue()

    def app(environ, start_response):
        write = start_response("200 OK", SSE)
        try:
            while True:
                write(b"data: x\n\n")
        except OSError as error:
            told.put(error)
            return []

    app, _ = wrapped(app)
    reader = Reader(app, validate=False).started()
    assert reader.next().startswith(b"data: x\n\n")
    reader.body.close()
    assert isinstance(told.get(timeout=DEADLINE_S), BrokenPipeError)


def test_an_answer_that_comes_between_two_looks_is_not_missed(monkeypatch):
    """The server's thread looks for an answer, then for the end: here both come in between."""
    looks, finished = threading.Event(), threading.Event()
    is_over, finish = Handover.is_over.fget, Handover.finish

    def slow_is_over(hand):
        looks.set()
        assert finished.wait(DEADLINE_S), "the worker did not finish"
        return is_over(hand)

    def told_finish(hand, error=None):
        finish(hand, error)
        finished.set()

    def app(environ, start_response):
        assert looks.wait(DEADLINE_S), "nobody looks for the end"
        start_response("200 OK", HTML)
        return [b"whole"]

    monkeypatch.setattr(Handover, "is_over", property(slow_is_over))
    monkeypatch.setattr(Handover, "finish", told_finish)
    environ = {"HTTP_ACCEPT": "text/event-stream"}
    setup_testing_defaults(environ)
    answers = []
    body = SSEMiddleware(app)(environ, lambda *answer: answers.append(answer))
    assert (answers, list(body)) == ([("200 OK", HTML)], [b"whole"])
