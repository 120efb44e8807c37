"""Any app, asked by a server with any habits: bodies, closing, and what is left, against a model.

Apps fail, wait, write, and close slowly; servers ask on after the end, close early, twice, from
another thread or never, and drop what they were given. Every wait has a deadline.
"""

import gc
import logging
import os
import re
import sys
import threading
import time
import weakref
from io import BytesIO
from pathlib import Path
from queue import Queue
from types import SimpleNamespace
from wsgiref.util import FileWrapper, setup_testing_defaults

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import rule

from sse_middleware import Event, SSEMiddleware, encode, event_stream, worker
from sse_middleware.errors import EventError, ResponseError
from sse_middleware.testing import VirtualClock

sys.path.insert(0, str(Path(__file__).parent))

from watched_machine import WatchedMachine

DEADLINE_S = 10
#: A long run is asked for with SSE_FUZZ_EXAMPLES=10000.
EXAMPLES = int(os.environ.get("SSE_FUZZ_EXAMPLES", "150"))
MAX_STREAMS = 3
AHEAD_BYTES = 200_000  # what a worker certainly makes though nobody takes it
HEARTBEAT = re.compile(rb"^: \n\n|^:\n", re.MULTILINE)
ERROR_EVENT = re.compile(rb"event: error\ndata: \{\"error\":[^\n]*\n\n\Z")
REASONS = {"end", "error", "disconnect", "max_age", "drain"}

ITERATORS = ("generator", "iterator", "event_stream", "late")  # their first item is looked at
AT_HAND = ("list", "tuple", "file")
EVENTS = st.sampled_from(
    [
        {"data": "a"},
        {"data": {"b": 1}, "event": "x", "id": 7},
        {"data": None},
        {"data": "", "retry": 5},
        Event("c\nd"),
        b"data: e\n\n",
        {"data": "f" * 120_000},
    ]
)
BYTES = st.sampled_from([b"data: e\n\n", b"data: f\n\n", b"", b"data: " + b"g" * 9_000 + b"\n\n"])
BAD = ("text", {"dta": 1}, {"data": "x", "id": "\n"}, 7)


class Plan(SimpleNamespace):
    """What one app does, and what is to be seen of it; see `plans`."""

    @property
    def is_declared(self):
        return self.content_type == "text/event-stream"

    @property
    def is_stream(self):
        if self.writes:
            return False
        if self.body == "event_stream":
            return self.is_declared or bool(self.frames)
        first_is_event = bool(self.items) and not isinstance(self.items[0], bytes)
        return self.is_declared or (self.body in ITERATORS and first_is_event)

    @property
    def number_of_failure(self):
        """Which item is not made, or is none; None if all are."""
        bad = [n for n, item in enumerate(self.items) if any(item is one for one in BAD)]
        fails = [] if self.fails_at is None else [min(self.fails_at, len(self.items))]
        return min([*bad, *fails], default=None)

    @property
    def frames(self):
        """What leaves before the failure, or before the end."""
        items = self.items[: self.number_of_failure]
        frames = [item if isinstance(item, bytes) else encode(item) for item in items]
        return [frame for frame in frames if frame]

    @property
    def failure(self):
        """What is raised instead of the end, or None."""
        number = self.number_of_failure
        if number is None:
            return None
        return self.error if number == self.fails_at or number == len(self.items) else EventError


@st.composite
def plans(draw):
    """An app: its items and what holds them, where it fails or waits, how it answers."""
    body = draw(st.sampled_from([*ITERATORS, *ITERATORS, "iterable", *AT_HAND]))
    content_type = draw(st.sampled_from(["text/event-stream", "text/html"]))
    writes = draw(st.sampled_from([0, 0, 0, 2])) if body in ("generator", "list") else 0
    is_declared = content_type == "text/event-stream"
    may_hold_events = not writes and body != "file" and (body in ITERATORS or is_declared)
    holds_events = may_hold_events and draw(st.booleans())
    items = draw(st.lists(EVENTS if holds_events else BYTES, max_size=6))
    if holds_events and draw(st.sampled_from([False, False, False, True])):
        items = [{"data": "first"}, *items]
        items.insert(draw(st.integers(1, len(items))), draw(st.sampled_from(BAD)))
    elif holds_events and not is_declared and items and body != "event_stream":
        items = [{"data": "first"}, *items]  # else it is no stream, and events are no bytes
    at = st.none() if body in AT_HAND else st.none() | st.integers(0, 6)
    return Plan(
        body=body,
        content_type=content_type,
        items=items,
        writes=writes,
        fails_at=draw(at),
        waits_at=draw(at),
        error=draw(st.sampled_from([LookupError, LookupError, SystemExit])),
        closes_slowly=draw(st.sampled_from([False, False, True])),
        start=draw(st.sampled_from(["once"] * 6 + ["exc_info", "again", "never", "raises"])),
    )


class Source:
    """The items of one request, and what happens to them."""

    def __init__(self, plan):
        self.gates = {"item": threading.Event(), "close": threading.Event()}
        self.begun, self.ended, self.closed = [], [], []
        #: Set when the app waits, or the server's thread does.
        self.rests = threading.Event()
        self._plan = plan

    def items(self):
        self.begun.append(threading.current_thread())
        try:
            for number, item in enumerate([*self._plan.items, None]):
                if number == self._plan.waits_at:
                    self.rests.set()
                    assert self.gates["item"].wait(DEADLINE_S), "nobody opened the gate"
                if number == self._plan.number_of_failure and self._plan.failure is not EventError:
                    raise self._plan.error("planned")
                if number < len(self._plan.items):
                    yield item
        finally:
            if self._plan.closes_slowly:
                assert self.gates["close"].wait(DEADLINE_S), "nobody let it close"
            self.ended.append(threading.current_thread())

    def close(self):
        self.closed.append(threading.current_thread())


class Iterable:
    """No iterator: each ``iter()`` is a generator. Its ``close`` is counted."""

    def __init__(self, source):
        self._source = source
        self._items = source.items()

    def __iter__(self):
        return self._items

    def close(self):
        self._source.close()
        self._items.close()


class Iterator(Iterable):
    """The same as an iterator."""

    def __iter__(self):
        return self

    def __next__(self):
        return next(self._items)


class File(BytesIO):
    """A file whose ``close`` is counted."""

    def __init__(self, source, content):
        super().__init__(content)
        self._source = source

    def close(self):
        if not self.closed:  # where nobody closes it, its end does
            self._source.close()
        super().close()


def app_of(plan, source):
    """The WSGI app that does what ``plan`` says."""
    headers = [("Content-Type", plan.content_type)]
    bodies = {
        "generator": source.items,
        "event_stream": lambda: event_stream(source.items()),
        "iterator": lambda: Iterator(source),
        "iterable": lambda: Iterable(source),
        "file": lambda: FileWrapper(File(source, b"".join(plan.items))),
        "list": lambda: list(plan.items),
        "tuple": lambda: tuple(plan.items),
    }

    def begin(start_response):
        if plan.start == "raises":
            raise plan.error("planned")
        if plan.start != "never":
            write = start_response("200 OK", headers)
        if plan.start == "again":
            start_response("200 OK", headers)
        if plan.start == "exc_info":
            error = LookupError("was answered")
            write = start_response("500 Failed", headers, (LookupError, error, None))
        for _ in range(0 if plan.start == "never" else plan.writes):
            write(b"written\n")

    def late(environ, start_response):
        begin(start_response)
        yield from source.items()

    def app(environ, start_response):
        begin(start_response)
        return bodies[plan.body]()

    return late if plan.body == "late" else app


class Request:
    """One request, with a thread of its server that does what it is told, in order."""

    def __init__(self, middleware, plan, environ):
        self.plan, self.source, self.environ = plan, Source(plan), environ
        self.answers, self.received, self.raised, self.broken = [], [], [], []
        self.body = self.items = None
        self.got_own = self.is_at_end = self.is_closed = self.is_dropped = self.may_be_short = False
        self._orders, self._middleware = Queue(), middleware
        self.threads = [threading.Thread(target=self._serve, daemon=True)]
        environ["tests.app"] = app_of(plan, self.source)
        self.order(self._call)
        self.threads[0].start()

    def _serve(self):
        for order in iter(self._orders.get, None):
            self._obey(order)

    def _obey(self, order):
        try:
            order()
        except BaseException as error:  # of close(): next() keeps its own
            self.broken.append(error)

    def order(self, order):
        """Have the server's thread do that, after all that it was told before."""
        self._orders.put(order)

    def beside(self, call):
        """Do that in another thread of the server."""
        self.threads.append(threading.Thread(target=self._obey, args=(call,), daemon=True))
        self.threads[-1].start()

    def finish(self):
        """Wait for all of these threads."""
        self._orders.put(None)
        for thread in self.threads:
            thread.join(DEADLINE_S)
            assert not thread.is_alive(), f"a thread of the server hangs: {self.plan}"

    def _call(self):
        try:
            self.body = self._middleware(self.environ, self._start_response)
        except BaseException as error:
            self.raised.append(error)
            self.is_at_end = True
        else:
            self.items = iter(self.body)
            self.got_own = not self.is_ours(self.body)

    def _start_response(self, status, headers, exc_info=None):
        assert threading.current_thread() is self.threads[0]
        assert exc_info or not self.answers, "start_response was called twice"
        self.answers.append(status)
        return self._write

    def _write(self, data):
        assert threading.current_thread() is self.threads[0]
        self.received.append(data)

    def ask(self):
        """``next()``, also after the end; not of an app's own file that was closed."""
        if self.items is None or (self.is_closed and self.plan.body == "file"):
            return
        try:
            item = next(self.items)
        except StopIteration:
            self.is_at_end = True
        except BaseException as error:
            self.raised.append(error)
            self.is_at_end = True
        else:
            self.received.append(item if self.answers and not self.is_at_end else None)

    def close(self):
        """``close()``, as often as it is asked for."""
        if self.body is not None:  # else there is nothing to close
            self.may_be_short |= not self.is_at_end
            self.is_closed = True
            getattr(self.body, "close", tuple)()

    def close_at_last(self):
        """As a server does that has not closed it yet."""
        if not self.is_closed:
            self.close()

    def close_elsewhere(self):
        """``close()`` in the middle of ``next()``, of what is not the app's own object."""
        if self.is_ours(self.body):
            self.close()

    @staticmethod
    def is_ours(body):
        """Whether the middleware made it; else it is what the app returned, or behaves as that."""
        return type(body).__module__ in ("sse_middleware.inline", "sse_middleware.serving")

    def drop(self):
        """Forget what was to be iterated, without closing it."""
        self.is_dropped = self.may_be_short = True
        self.body = self.items = None

    @property
    def is_picked(self):
        return "HTTP_ACCEPT" in self.environ

    @property
    def is_silent(self):
        """Whether a HEAD request gets nothing of what a GET would."""
        plan = self.plan
        is_head = self.environ["REQUEST_METHOD"] == "HEAD" and not plan.writes
        return is_head and (plan.is_declared or plan.body in ITERATORS)


def check(request, was_late):
    """What came, what was raised, and how often what was closed; ``was_late``: the clock moved."""
    check_source(request)
    plan, raised = request.plan, request.raised
    assert request.broken == []
    assert len(raised) <= 1
    assert None not in request.received, "an item after the end, or before start_response"
    assert all(type(item) is bytes for item in request.received)
    received = b"".join(request.received)
    if plan.start in ("again", "never", "raises"):
        assert not received
        if not request.is_dropped:
            assert isinstance(raised[0], (ResponseError, plan.error, EventError))
    elif request.is_silent:
        assert not received
    else:
        check_body(request, HEARTBEAT.sub(b"", received) if was_late else received, was_late)


def check_body(request, received, was_late):
    """The frames in their order, and then the end, the error event, or the failure."""
    plan, raised = request.plan, request.raised
    expected = b"written\n" * plan.writes + b"".join(plan.frames)
    is_open = bool(plan.frames) or (was_late and plan.is_declared)
    tells = plan.is_stream and is_open and plan.failure in (LookupError, EventError)
    error_event = ERROR_EVENT.search(received) if tells else None
    if error_event is not None:
        received = received[: error_event.start()]
    if request.may_be_short:
        assert expected.startswith(received)
        return
    assert received == expected
    assert len(request.answers) == 1 or raised
    if plan.failure is None or error_event is not None:
        assert raised == []
    else:
        (error,) = raised
        assert isinstance(error, (plan.failure, *([ResponseError] if request.is_picked else [])))
        assert was_late or not tells


def was_left(request):
    """Whether the only one who could close the app's iterable did not."""
    return request.is_dropped and (not request.is_picked or request.plan.body in AT_HAND)


def check_source(request):
    """The app's iterable was run by one thread, and closed once, by that thread."""
    plan, source = request.plan, request.source
    assert len(source.begun) <= 1
    assert len(source.ended) == len(source.begun) or was_left(request)
    is_counted = plan.body in ("iterator", "iterable", "file")
    if plan.start in ("once", "exc_info", "never") and is_counted:
        closed = len(source.closed)
        assert closed == 1 or (was_left(request) and not closed) or (request.got_own and closed)
    else:
        assert source.closed == []
    if request.is_picked and plan.body != "file":
        threads = {*source.begun, *source.ended, *source.closed}
        assert len(threads) <= 1
        assert not threads.intersection(request.threads)


class Observer:
    """Which streams were opened, and why they were closed."""

    def __init__(self):
        self.opened_streams, self.reasons = [], {}

    def opened(self, stream):
        self.opened_streams.append(stream)

    def closed(self, stream, reason):
        assert reason in REASONS
        self.reasons.setdefault(stream, []).append(reason)


@pytest.fixture(autouse=True)
def _quiet():
    """What is logged of failures is tested elsewhere; here there are thousands."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


INDEX = st.integers(0, 3)


class Requests(WatchedMachine):
    """A few requests at a time, in any order of what their servers do."""

    def __init__(self):
        super().__init__()
        self.clock, self.observer = VirtualClock(), Observer()
        self.was_late, self.requests = False, []
        self.earlier = worker.running()  # of other tests of this process
        self.middleware = SSEMiddleware(
            lambda environ, start_response: environ["tests.app"](environ, start_response),
            clock=self.clock,
            max_streams=MAX_STREAMS + self.earlier,
            observer=self.observer,
        )

    def begun(self, plan, method, is_picked, **environ):
        environ["REQUEST_METHOD"] = method
        setup_testing_defaults(environ)
        environ["wsgi.file_wrapper"] = FileWrapper
        if is_picked:
            environ["HTTP_ACCEPT"] = "text/event-stream"
        self.requests.append(Request(self.middleware, plan, environ))
        return self.requests[-1]

    def chosen(self, index):
        return self.requests[-1 - index] if index < len(self.requests) else None

    @rule(
        plan=plans(),
        method=st.sampled_from(["GET", "GET", "POST", "HEAD"]),
        is_picked=st.sampled_from([True, True, False]),
        read_ahead=st.sampled_from([None, None, None, 0]),
    )
    def begin(self, plan, method, is_picked, read_ahead):
        if sum(request.is_picked for request in self.requests) < MAX_STREAMS:
            self.begun(plan, method, is_picked, **{"sse_middleware.read_ahead": read_ahead})

    @rule(index=INDEX, times=st.sampled_from([1, 1, 2, 20]))
    def ask(self, index, times):
        request = self.chosen(index)
        for _ in range(times if request else 0):
            request.order(request.ask)

    @rule(index=INDEX, times=st.sampled_from([1, 1, 2]))
    def close(self, index, times):
        request = self.chosen(index)
        for _ in range(times if request else 0):
            request.order(request.close)

    @rule(index=INDEX, is_awaited=st.booleans())
    def close_elsewhere(self, index, is_awaited):
        request = self.chosen(index)
        if request is None:
            return
        if is_awaited:  # the app waits in the middle of next(), if it ever waits
            for _ in range(8):
                request.order(request.ask)
            request.order(request.source.rests.set)
            request.source.gates["close"].set()
            assert request.source.rests.wait(DEADLINE_S), "neither the app nor the server rests"
        request.beside(request.close_elsewhere)

    @rule(index=INDEX)
    def drop(self, index):
        """Only of what its worker ends by itself; see the test below for the others."""
        request = self.chosen(index)
        if request is None or request.environ.get("sse_middleware.read_ahead") is not None:
            return
        if sum(map(len, request.plan.frames)) < AHEAD_BYTES:
            request.order(request.drop)

    @rule(index=INDEX, gate=st.sampled_from(["item", "close"]))
    def open(self, index, gate):
        request = self.chosen(index)
        if request:
            request.source.gates[gate].set()

    @rule(seconds=st.sampled_from([1, 20]))
    def advance(self, seconds):
        self.was_late = True
        self.clock.advance(seconds)

    def teardown(self):
        for request in self.requests:
            for gate in request.source.gates.values():
                gate.set()
            request.order(request.close_at_last)
            request.finish()
        gc.collect(0)
        self.wait_for_workers()
        for request in self.requests:
            check(request, self.was_late)
        for stream in self.observer.opened_streams:
            assert len(self.observer.reasons.get(stream, [])) <= 1
        self.check_that_there_is_room()
        self.wait_for_workers()  # else the next example counts them as earlier ones
        super().teardown()

    def wait_for_workers(self):
        gives_up_at = time.monotonic() + DEADLINE_S
        while worker.running() > self.earlier:
            assert time.monotonic() < gives_up_at, "a worker hangs"
            time.sleep(0.0005)

    def check_that_there_is_room(self):
        """As many as may run at a time run at a time."""
        plan = Plan(
            body="generator",
            content_type="text/html",
            items=[b"x"],
            writes=0,
            fails_at=None,
            waits_at=0,
            error=LookupError,
            closes_slowly=False,
            start="once",
        )
        requests = [self.begun(plan, "GET", True) for _ in range(MAX_STREAMS)]
        for request in requests:
            assert request.source.rests.wait(DEADLINE_S), "a request was refused"
        for request in requests:
            request.source.gates["item"].set()
            request.order(request.close_at_last)
            request.finish()
            assert request.answers == ["200 OK"]


Requests.TestCase.settings = settings(max_examples=EXAMPLES, stateful_step_count=25)
test_any_app_with_any_server_leaves_nothing_behind = Requests.TestCase


@pytest.mark.parametrize("accept", ["text/event-stream", "*/*"], ids=["in a worker", "inline"])
def test_a_stream_that_its_server_dropped_unclosed_is_closed(accept):
    closed = threading.Event()

    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/event-stream")])

        def items():
            try:
                while True:
                    yield {"data": "x" * 1000}
            finally:
                closed.set()

        return items()

    environ = {"HTTP_ACCEPT": accept}
    setup_testing_defaults(environ)
    middleware = SSEMiddleware(app)
    body = middleware(environ, lambda *answer: None)
    next(iter(body))
    left = weakref.ref(body)
    del body
    gc.collect()
    try:
        assert closed.wait(DEADLINE_S), "the generator goes on for nobody"
    finally:
        if left() is not None:
            left().close()
            assert closed.wait(DEADLINE_S)
