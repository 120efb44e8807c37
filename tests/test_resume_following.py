"""The middleware's option ``resume``: what a client that comes back gets, and who gets nothing.

What the server does is done in a thread (`Connection`); each wait has a deadline.
"""

import threading
from queue import Queue
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest

from sse_middleware import Event, EventParser, SSEMiddleware, current_stream, event_stream, worker
from sse_middleware.errors import EventError, OptionError, ResponseError
from sse_middleware.relay import relay
from sse_middleware.resume import Channel, MemoryLog, keeping
from sse_middleware.testing.clock import VirtualClock
from sse_middleware.worker import workers

DEADLINE_S = 30
SSE = [("Content-Type", "text/event-stream")]


@pytest.fixture(autouse=True)
def own_workers(monkeypatch):
    """A pool for each test: another test's workers may still be closing."""
    monkeypatch.setattr(worker, "_threads", None)


class Source:
    """The app: its generator yields what the test puts; exceptions are raised, None is the end."""

    def __init__(self, *items):
        self.items, self.requests, self.streams = Queue(), [], []
        self.finished, self.left = threading.Event(), threading.Event()
        self.headers = [("Content-Type", "text/html")]
        self.put(*items)

    def put(self, *items):
        for item in items:
            self.items.put(item)

    def __call__(self, environ, start_response):
        self.requests.append(environ)
        start_response("200 OK", self.headers)
        self.streams.append(current_stream())
        current_stream().on_disconnect(self._leave)
        return self._generated()

    def _leave(self):
        self.left.set()
        self.put(None)

    def _generated(self):
        try:
            while True:
                item = self.items.get(timeout=DEADLINE_S)
                if item is None:
                    return
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            self.finished.set()


class Connection:
    """One request, run by a thread as a server's does; the test orders each step."""

    def __init__(self, app, last_event_id="", validate=True, **environ):
        self.environ = {"REQUEST_METHOD": "GET", "QUERY_STRING": ""}
        self.environ["HTTP_ACCEPT"] = "text/event-stream"
        if last_event_id:
            self.environ["HTTP_LAST_EVENT_ID"] = last_event_id
        setup_testing_defaults(self.environ)
        self.environ.update(environ)
        self.parser, self.raw, self._ready = EventParser(), b"", []
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
            self.status, self.headers = status, headers
            return lambda data: None

        self.body = self._app(self.environ, start_response)
        self._items = iter(self.body)
        return self

    def _do(self, step):
        self._orders.put(step)
        return self.result()

    def result(self):
        result, error = self._results.get(timeout=DEADLINE_S)
        if error is not None:
            raise error
        return result

    def start(self):
        return self._do(self._start)

    def order(self):
        """Read in the background; `result` is what came."""
        self._orders.put(lambda: next(self._items))

    def chunk(self):
        data = self._do(lambda: next(self._items))
        self.raw += data
        return data

    def event(self):
        while not self._ready:
            self._ready += self.parser.feed(self.chunk())
        return self._ready.pop(0)

    def events(self, count):
        return [self.event() for _ in range(count)]

    def rest(self):
        events = []
        try:
            while True:
                events.append(self.event())
        except StopIteration:
            return events

    def leave(self):
        self._do(self.body.close)


def wrapped(app, log=None, **options):
    return SSEMiddleware(app, resume=MemoryLog(owner=None) if log is None else log, **options)


def connect(app, last_event_id="", **environ):
    return Connection(app, last_event_id, **environ).start()


def data_of(events):
    return [event.data for event in events]


def until(condition, what):
    pause = threading.Event()
    for _ in range(int(DEADLINE_S / 0.001)):
        if condition():
            return
        pause.wait(0.001)
    raise AssertionError(f"waited in vain for {what}")


def until_it_waits_for(clock, seconds):
    """Return once somebody waits for just that long."""
    moment_ns = round((clock.monotonic() + seconds) * 10**9)
    until(lambda: any(at_ns == moment_ns for at_ns, _ in clock._waiting), f"a wait of {seconds} s")


def advance_when_it_waits_for(clock, seconds):
    until_it_waits_for(clock, seconds)
    clock.advance(seconds)


def followers(log):
    return sum(frames.followers for frames in log._streams.values())


def finished_stream(count=3, **options):
    """A middleware, and the events that a first client saw of a stream that has ended."""
    source = Source(*({"data": str(n)} for n in range(count)), None)
    app = wrapped(source, **options)
    connection = connect(app)
    events = connection.rest()
    connection.leave()
    return app, source, events


# --- what is numbered


def test_every_event_is_numbered_after_a_stream_id_of_128_random_bits():
    _, _, events = finished_stream()
    _, _, others = finished_stream()
    stream_id = events[0].id.rpartition("-")[0]
    assert [event.id for event in events] == [f"{stream_id}-{n}" for n in (1, 2, 3)]
    assert len(bytes.fromhex(stream_id)) == 16
    assert not others[0].id.startswith(stream_id)


def test_the_app_can_tell_that_its_stream_is_resumable():
    _, source, _ = finished_stream()
    assert source.streams[0].is_resumable


@pytest.mark.parametrize(
    "item", [{"data": "a", "id": 7}, {"data": "a", "id": ""}, Event("a", id="x")], ids=repr
)
def test_an_id_of_the_apps_own_is_refused_and_the_fix_is_named(item):
    with pytest.raises(EventError, match="leave the id out"):
        connect(wrapped(Source(item)))


def test_an_id_of_the_apps_own_in_mid_stream_is_the_error_event():
    connection = connect(wrapped(Source({"data": "a"}, {"data": "b", "id": 1})))
    assert [event.event for event in connection.rest()] == ["message", "error"]


def test_an_id_from_error_event_is_not_sent():
    told = wrapped(
        Source({"data": "a"}, KeyError()),
        error_event=lambda *_: {"event": "error", "data": "x", "id": 9},
    )
    events = connect(told).rest()
    assert "stream_error" in events[1].data
    assert events[1].id.endswith("-2")


@pytest.mark.parametrize("cut", range(1, 8))
@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\r"], ids=repr)
def test_relayed_bytes_are_numbered_per_whole_event(newline, cut):
    text = b"\xef\xbb\xbfdata: a\n\n: c\n\nevent: x\ndata: b\ndata\n\n\nid: 7\ndata: c\n\n"
    sent = text.replace(b"\n", newline)
    pieces = [sent[at : at + cut] for at in range(0, len(sent), cut)]
    source = Source(*pieces, None)
    source.headers = SSE
    app = wrapped(source)
    connection = connect(app)
    events = connection.rest()
    stream_id = events[0].id.rpartition("-")[0]
    assert [(event.event, event.data) for event in events] == [
        ("message", "a"),
        ("x", "b\n"),
        ("message", "c"),
    ]
    assert [event.id for event in events] == [f"{stream_id}-{n}" for n in (1, 2, 3)]
    assert b": c" in connection.raw
    assert data_of(connect(app, events[0].id).rest()) == ["b\n", "c"]


def test_half_an_event_is_never_sent_and_what_fails_in_it_is_the_error_event():
    source = Source(b"data: a\n\ndata: b\n", KeyError())
    source.headers = SSE
    events = connect(wrapped(source)).rest()
    assert [event.event for event in events] == ["message", "error"]
    assert events[1].json()["error"]["type"] == "stream_error"


def test_half_an_event_at_the_end_is_never_sent():
    source = Source(b"data: a\n\ndata: b\n", None)
    source.headers = SSE
    connection = connect(wrapped(source))
    assert data_of(connection.rest()) == ["a"]
    assert b"data: b" not in connection.raw


def test_comments_and_retry_have_no_number_and_are_not_sent_again():
    source = Source({"comment": "hi"}, {"data": "a"}, {"comment": "x"}, {"retry": 5}, None)
    app = wrapped(source)
    connection = connect(app)
    (event,) = connection.rest()
    assert event.id.endswith("-1")
    assert b": hi\n\n" in connection.raw
    assert b": x\n" in connection.raw
    assert connect(app, event.id).status == "204 No Content"


@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\r"], ids=repr)
@pytest.mark.parametrize("block", [b"id: 7\n", b"id\n", b": c\nid:7\nretry: 5\n"], ids=repr)
def test_an_id_without_an_event_never_takes_the_place_of_the_last_number(newline, block):
    source = Source((b"data: a\n\n" + block + b"\n").replace(b"\n", newline), None)
    source.headers = SSE
    app = wrapped(source)
    connection = connect(app)
    (event,) = connection.rest()
    assert [line for line in connection.raw.splitlines() if line.startswith(b"id")] == [
        b"id: " + event.id.encode()
    ]
    assert (b"retry: 5" in connection.raw) == (b"retry" in block)


def test_an_event_stream_inside_the_app_is_numbered_too():
    def app(environ, start_response):
        start_response("200 OK", SSE)
        return event_stream([{"data": "a"}, {"data": "b"}], end_event="bye")

    app = wrapped(app)
    events = connect(app).rest()
    assert [event.id.rpartition("-")[2] for event in events] == ["1", "2", "sse:end"]
    assert data_of(connect(app, events[0].id).rest()) == ["b", ""]


def test_an_id_inside_an_event_stream_is_refused():
    def app(environ, start_response):
        start_response("200 OK", SSE)
        return event_stream([{"data": "a", "id": 1}])

    with pytest.raises(EventError, match="leave the id out"):
        connect(wrapped(app))


def test_the_first_event_carries_retry_and_a_resumed_stream_is_byte_for_byte_the_rest():
    source = Source({"data": "a"}, {"data": "b"}, {"data": "c"}, None)
    app = wrapped(source, retry=100, end_event="close")
    connection = connect(app)
    events = connection.rest()
    again = connect(app, events[0].id)
    again.rest()
    assert connection.raw.startswith(b"retry: 100\n")
    assert connection.raw.endswith(again.raw)
    assert again.raw.count(b"\n\n") == 3


def test_what_is_no_stream_leaves_as_it_came():
    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return iter([b"a", b"", b"b"])

    log = MemoryLog(owner=None)
    connection = connect(wrapped(app, log))
    assert b"".join([connection.chunk(), connection.chunk(), connection.chunk()]) == b"ab"
    assert len(log._streams) == 0


# --- who comes back


@pytest.mark.parametrize("seen", [1, 2, 3])
def test_a_known_id_gets_all_that_followed_and_the_app_is_not_asked_again(seen):
    app, source, events = finished_stream(4)
    assert connect(app, events[seen - 1].id).rest() == events[seen:]
    assert len(source.requests) == 1


def test_a_stream_goes_on_where_it_was_lost_and_then_live():
    source = Source({"data": "a"}, {"data": "b"})
    app = wrapped(source)
    first = connect(app)
    events = first.events(2)
    first.leave()
    source.put({"data": "c"})
    again = connect(app, events[0].id)
    assert data_of(again.events(2)) == ["b", "c"]
    source.put({"data": "d"}, None)
    assert data_of(again.rest()) == ["d"]
    assert len(source.requests) == 1
    again.leave()


def test_two_clients_follow_one_stream_while_the_first_is_still_there():
    source = Source({"data": "a"})
    app = wrapped(source)
    first = connect(app)
    (event,) = first.events(1)
    source.put({"data": "b"})
    others = [connect(app, event.id), connect(app, event.id)]
    source.put({"data": "c"}, None)
    assert [data_of(each.rest()) for each in (first, *others)] == [["b", "c"]] * 3


def test_the_end_is_kept_and_carries_its_own_id():
    app, _, events = finished_stream(2, end_event="close")
    assert events[-1] == Event("", event="close", id="sse:end")
    assert connect(app, events[1].id).rest() == events[2:]
    assert connect(app, "sse:end").status == "204 No Content"


def test_a_finished_stream_of_which_nothing_follows_is_204():
    app, source, events = finished_stream()
    connection = connect(app, events[-1].id)
    assert (connection.status, connection.rest()) == ("204 No Content", [])
    assert len(source.requests) == 1


def test_the_error_event_is_kept_and_is_the_end(caplog):
    source = Source({"data": "a"}, KeyError("secret"))
    app = wrapped(source)
    events = connect(app).rest()
    assert [event.event for event in events] == ["message", "error"]
    assert connect(app, events[0].id).rest() == events[1:]
    assert connect(app, events[1].id).status == "204 No Content"


def test_a_client_that_comes_back_is_shown_the_apps_headers_but_no_cookies():
    source = Source({"data": "a"}, {"data": "b"}, None)
    cors = ("Access-Control-Allow-Origin", "https://example.org")
    source.headers = [*SSE, cors, ("Set-Cookie", "a=b"), ("Cache-Control", "private")]
    app = wrapped(source)
    (event, _) = connect(app).rest()
    again = connect(app, event.id)
    assert (again.status, cors in again.headers) == ("200 OK", True)
    headers = dict(again.headers)
    assert headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert headers["Cache-Control"] == "private, no-transform"
    assert "Set-Cookie" not in headers
    again.leave()


def test_a_resumed_request_runs_in_a_worker_with_heartbeats_whatever_it_accepts():
    clock = VirtualClock()
    source = Source({"data": "a"})
    app = wrapped(source, clock=clock, worker=lambda environ: "HTTP_ACCEPT" in environ)
    (event,) = connect(app).events(1)
    again = Connection(app, event.id)
    del again.environ["HTTP_ACCEPT"]
    again._orders.put(again._start)
    advance_when_it_waits_for(clock, 1)
    assert again.result().chunk().startswith(b":")
    again.order()
    advance_when_it_waits_for(clock, 15)
    assert again.result().startswith(b":")
    source.put(None)
    assert again.rest() == []


def test_a_post_is_resumed_too():
    source = Source({"data": "a"}, {"data": "b"}, None)
    app = wrapped(source)
    post = {"REQUEST_METHOD": "POST", "CONTENT_LENGTH": "0"}
    events = connect(app, **post).rest()
    assert connect(app, events[0].id, **post).rest() == events[1:]
    assert len(source.requests) == 1


# --- whose ids are whose


SAME = {"REQUEST_METHOD": "GET", "PATH_INFO": "/a", "QUERY_STRING": "q=1", "REMOTE_USER": "ada"}


@pytest.mark.parametrize(
    "other",
    [
        {"REQUEST_METHOD": "POST", "CONTENT_LENGTH": "0"},
        {"REQUEST_METHOD": "HEAD"},
        {"PATH_INFO": "/b"},
        {"PATH_INFO": "/a/"},
        {"PATH_INFO": "/A"},
        {"SCRIPT_NAME": "/x"},
        {"QUERY_STRING": ""},
        {"QUERY_STRING": "q=1&"},
        {"REMOTE_USER": "bob"},
        {"REMOTE_USER": ""},
        {"REMOTE_USER": None},
        {"REMOTE_USER": "adaq=1"},
    ],
    ids=str,
)
def test_an_id_is_valid_for_its_method_path_query_and_owner_only(other):
    log = MemoryLog(owner=lambda environ: environ.get("REMOTE_USER"))
    source = Source({"data": "a"}, {"data": "b"}, None)
    app = wrapped(source, log)
    events = connect(app, **SAME).rest()
    source.put({"data": "fresh"}, None)
    answer = connect(app, events[0].id, validate=False, **{**SAME, **other})
    assert len(source.requests) == 2
    assert "b" not in data_of(answer.rest())
    assert connect(app, events[0].id, **SAME).rest() == events[1:]


def test_a_mounted_path_is_the_same_path_however_it_is_split():
    source = Source({"data": "a"}, {"data": "b"}, None)
    app = wrapped(source)
    events = connect(app, SCRIPT_NAME="/x", PATH_INFO="/y").rest()
    assert connect(app, events[0].id, SCRIPT_NAME="", PATH_INFO="/x/y").rest() == events[1:]


MALFORMED = {
    "another stream": lambda i: "0" * 32 + i[32:],
    "truncated": lambda i: i[:-1],
    "without its first digit": lambda i: i[1:],
    "its stream id alone": lambda i: i[:32],
    "number 0": lambda i: i[:33] + "0",
    "a number that was never sent": lambda i: i[:33] + "99",
    "a huge number": lambda i: i[:33] + "9" * 40,
    "a negative number": lambda i: i[:33] + "-1",
    "a number with a sign": lambda i: i[:33] + "+1",
    "a number with a zero": lambda i: i[:33] + "01",
    "a number with a space": lambda i: i + " ",
    "a digit of another script": lambda i: (i[:33] + "\u0661").encode().decode("latin-1"),
    "upper case": lambda i: i.upper() if i.upper() != i else "x",
    "quoted": lambda i: f'"{i}"',
    "with a newline": lambda i: i + "\x0b",
    "no UTF-8": lambda i: i + "\xff",
    "too long": lambda i: i * 1000,
    "something else": lambda i: "7",
}


@pytest.mark.parametrize("forge", MALFORMED.values(), ids=MALFORMED.keys())
def test_an_id_that_is_not_known_goes_to_the_app(forge):
    app, source, events = finished_stream()
    source.put({"data": "fresh"}, None)
    connection = connect(app, forge(events[0].id), validate=False)
    assert data_of(connection.rest()) == ["fresh"]
    assert len(source.requests) == 2


def test_an_expired_id_goes_to_the_app():
    clock = VirtualClock()
    app, source, events = finished_stream(log=MemoryLog(owner=None, max_age=60, clock=clock))
    clock.advance(60)
    source.put({"data": "fresh"}, None)
    assert data_of(connect(app, events[0].id).rest()) == ["fresh"]


def test_what_is_nobodys_cannot_be_resumed_and_may_have_ids_of_its_own():
    log = MemoryLog(owner=lambda environ: environ.get("REMOTE_USER"))
    source = Source({"data": "a", "id": 7}, None)
    (event,) = connect(wrapped(source, log)).rest()
    assert event.id == "7"
    assert not source.streams[0].is_resumable
    assert len(log._streams) == 0


def test_owners_of_two_kinds_are_two():
    log = MemoryLog(owner=lambda environ: environ["the owner"])
    source = Source({"data": "a"}, {"data": "b"}, None)
    app = wrapped(source, log)
    events = connect(app, validate=False, **{"the owner": 7}).rest()
    assert connect(app, events[0].id, validate=False, **{"the owner": 7}).rest() == events[1:]
    source.put({"data": "fresh"}, None)
    assert data_of(connect(app, events[0].id, validate=False, **{"the owner": "7"}).rest()) == [
        "fresh"
    ]


@pytest.mark.parametrize("whose", [True, b"ada", 1.5, ["ada"]], ids=repr)
def test_an_owner_that_names_nobody_is_refused(whose):
    app = wrapped(Source(), MemoryLog(owner=lambda environ: whose))
    with pytest.raises(OptionError, match="owner"):
        connect(app)


def test_an_owner_that_fails_is_the_servers_500():
    app = wrapped(Source(), MemoryLog(owner=lambda environ: environ["absent"]))
    with pytest.raises(KeyError, match="absent"):
        connect(app, "7")


@pytest.mark.parametrize("log", [True, {}, "redis://localhost", MemoryLog], ids=repr)
def test_what_is_no_log_is_refused(log):
    with pytest.raises(OptionError, match="resume"):
        SSEMiddleware(Source(), resume=log)


# --- the client leaves


def lingering(**options):
    clock = VirtualClock()
    source = Source({"data": "a"})
    log = MemoryLog(owner=None, linger=30, clock=clock)
    app = wrapped(source, log, clock=clock, **options)
    connection = connect(app)
    (event,) = connection.events(1)
    return app, clock, source, connection, event, log


def test_the_app_goes_on_for_linger_seconds_and_is_then_told_and_closed():
    app, clock, source, connection, event, _ = lingering()
    connection.leave()
    until_it_waits_for(clock, 30)
    clock.advance(30 - 0.001)
    source.put({"data": "b"})
    until(lambda: source.items.empty(), "the app to go on")
    assert not source.left.is_set()
    assert not source.streams[0].disconnected
    clock.advance(0.001)
    assert source.left.wait(DEADLINE_S), "on_disconnect was not called"
    assert source.finished.wait(DEADLINE_S), "the generator was not closed"
    assert source.streams[0].disconnected
    source.put({"data": "fresh"}, None)
    assert data_of(connect(app, event.id).rest()) == ["fresh"]


def test_the_app_is_not_told_of_a_leaving_when_it_ends_within_linger():
    app, _, source, connection, event, _ = lingering()
    connection.leave()
    source.put({"data": "b"}, None)
    assert source.finished.wait(DEADLINE_S)
    assert data_of(connect(app, event.id).rest()) == ["b"]
    assert not source.left.is_set()


def test_while_somebody_follows_the_app_goes_on():
    app, clock, source, connection, event, log = lingering(heartbeat=None, max_age=1e6)
    connection.leave()
    again = connect_waiting(app, event.id, source, log)
    advance_when_it_waits_for(clock, 30)
    advance_when_it_waits_for(clock, 30)
    assert not source.left.is_set()
    source.put({"data": "c"})
    assert again.event().data == "c"
    again.leave()
    until(lambda: not followers(log), "nobody to follow")
    advance_when_it_waits_for(clock, 30)
    assert source.left.wait(DEADLINE_S)


def connect_waiting(app, event_id, source, log):
    """A follower that has read one event, so that it follows."""
    source.put({"data": "b"})
    again = connect(app, event_id)
    assert again.event().data == "b"
    until(lambda: followers(log) == 1, "a follower")
    return again


def test_a_client_that_left_before_its_first_event_stops_the_app_at_once():
    source, has_left = Source(), threading.Event()
    clock = VirtualClock()
    log = MemoryLog(owner=None)
    app = wrapped(source, log, clock=clock)
    connection = Connection(app, **{"waitress.client_disconnected": has_left.is_set})
    connection._orders.put(connection._start)
    has_left.set()
    advance_when_it_waits_for(clock, 1)
    assert source.left.wait(DEADLINE_S)
    connection.result()
    assert len(log._streams) == 0


def test_where_no_thread_can_wait_for_the_app_it_stops_with_its_client(monkeypatch):
    _, _, source, connection, _, _ = lingering()

    def refused(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(worker._Thread, "start", refused)
    connection.leave()
    assert source.left.is_set(), "on_disconnect was not called"
    assert source.finished.wait(DEADLINE_S), "the generator was not closed"


def test_with_linger_0_the_app_stops_at_once():
    source = Source({"data": "a"})
    app = wrapped(source, MemoryLog(owner=None, linger=0))
    connection = connect(app)
    connection.events(1)
    connection.leave()
    assert source.left.wait(DEADLINE_S)


def test_a_client_that_takes_nothing_holds_nobody_back():
    source = Source(*({"data": str(n)} for n in range(3000)), None)
    app = wrapped(source)
    stuck = connect(app)
    (event,) = stuck.events(1)
    assert source.finished.wait(DEADLINE_S), "the app waits for a client that takes nothing"
    seen = [event, *stuck.rest()]
    assert 0 < len(seen) < 3000
    seen += connect(app, seen[-1].id).rest()
    assert data_of(seen) == [str(n) for n in range(3000)]


# --- ages and drains


def test_at_max_age_the_client_continues_where_it_was():
    clock = VirtualClock()
    source = Source({"data": "a"})
    app = wrapped(source, clock=clock, max_age=10, heartbeat=None)
    first = connect(app)
    (event,) = first.events(1)
    clock.advance(10)
    assert first.rest() == []
    source.put({"data": "b"}, None)
    again = connect(app, event.id)
    assert data_of(again.rest()) == ["b"]
    first.leave()
    assert not source.left.is_set()
    assert len(source.requests) == 1


def test_a_drain_ends_the_connection_and_lets_the_app_finish():
    source = Source({"data": "a"})
    app = wrapped(source)
    first = connect(app)
    first.events(1)
    drained = Queue()
    threading.Thread(target=lambda: drained.put(app.drain(DEADLINE_S)), daemon=True).start()
    assert first.rest() == []
    source.put({"data": "b"}, None)
    assert drained.get(timeout=DEADLINE_S)
    assert not source.left.is_set()


# --- inline


def test_a_stream_that_runs_inline_is_not_kept_and_that_is_told_once(caplog):
    source = Source({"data": "a", "id": 7}, None, {"data": "b"}, None)
    log = MemoryLog(owner=None)
    app = wrapped(source, log, worker=lambda environ: False)
    assert [event.id for event in connect(app).rest()] == ["7"]
    assert [event.id for event in connect(app).rest()] == [None]
    told = [text for text in caplog.messages if "cannot be resumed" in text]
    assert len(told) == 1
    assert "worker='/'" in told[0]
    assert len(log._streams) == 0
    assert not source.streams[0].is_resumable


# --- a log that fails


class Broken(MemoryLog):
    """A log whose calls fail when they are told to."""

    fails = frozenset()

    def open(self, name, head):
        self._may("open")
        return BrokenWriter(self, super().open(name, head))

    def find(self, name, after):
        self._may("find")
        return super().find(name, after)

    def _may(self, what):
        if what in self.fails:
            raise ConnectionError(what)


class BrokenWriter:
    def __init__(self, log, writer):
        self._log, self._writer = log, writer
        self.finish, self.discard = writer.finish, writer.discard

    def append(self, frame):
        self._log._may("append")
        self._writer.append(frame)

    def followed_s(self):
        self._log._may("followed_s")
        return self._writer.followed_s()


@pytest.mark.parametrize("fails", ["open", "append", "find"])
def test_a_log_that_fails_breaks_no_stream_and_is_told_once(fails, caplog):
    log = Broken(owner=None)
    source = Source({"data": "a"}, None)
    app = wrapped(source, log)
    connect(app).rest()
    log.fails = {fails}
    source.put({"data": "b"}, {"data": "c"}, None)
    assert data_of(connect(app, "0" * 32 + "-1").rest()) == ["b", "c"]
    assert [text for text in caplog.messages if "not kept" in text and fails in text]
    assert len([text for text in caplog.messages if "not kept" in text]) == 1


def test_after_a_failure_the_numbers_go_on_and_name_nothing():
    log = Broken(owner=None)
    source = Source({"data": "a"}, {"data": "b"})
    app = wrapped(source, log)
    connection = connect(app)
    connection.events(2)
    log.fails = {"append"}
    source.put({"data": "c"})
    event = connection.event()
    log.fails = set()
    source.put({"data": "d"}, None)
    connection.rest()
    assert event.id.endswith("-3")
    source.put({"data": "fresh"}, None)
    assert data_of(connect(app, event.id).rest()) == ["fresh"]


def test_a_stream_that_is_not_kept_does_not_linger():
    log = Broken(owner=None)
    source = Source({"data": "a"})
    log.fails = {"append"}
    connection = connect(wrapped(source, log))
    connection.events(1)
    connection.leave()
    assert source.left.wait(DEADLINE_S)


def test_where_nobody_knows_who_follows_nobody_does():
    clock = VirtualClock()
    log = Broken(owner=None, linger=5)
    source = Source({"data": "a"})
    connection = connect(wrapped(source, log, clock=clock))
    connection.events(1)
    log.fails = {"followed_s"}
    connection.leave()
    advance_when_it_waits_for(clock, 5)
    assert source.left.wait(DEADLINE_S)


# --- channels


def test_the_events_of_a_channel_keep_their_ids_and_are_not_kept_for_each_client():
    log = MemoryLog(owner=None)
    channel = Channel("news", log)

    def app(environ, start_response):
        start_response("200 OK", SSE)
        return channel.subscribe()

    app = wrapped(app, log, heartbeat=None)
    connections = [Connection(app) for _ in range(2)]
    for connection in connections:
        connection._orders.put(connection._start)
    until(lambda: followers(log) == 2, "two subscribers")
    for n in range(3):
        channel.publish({"data": n})
    seen = [connection.result().events(3) for connection in connections]
    assert seen[0] == seen[1]
    assert data_of(seen[0]) == ["0", "1", "2"]
    assert len(log._streams) == 1
    connections[0].leave()
    channel.publish({"data": 3})
    assert connect(app, seen[0][1].id).events(2)[1].data == "3"


def test_what_came_before_a_channel_was_followed_is_forgotten():
    log = MemoryLog(owner=None)
    channel = Channel("news", log)

    def app(environ, start_response):
        def events():
            yield {"data": "hello"}
            yield from channel.subscribe()

        start_response("200 OK", SSE)
        return events()

    app = wrapped(app, log)
    connection = connect(app)
    (hello,) = connection.events(1)
    until(lambda: followers(log), "a subscriber")
    channel.publish({"data": "a"})
    assert connection.event().data == "a"
    assert connect(app, hello.id).event().data == "hello"


def test_made_on_demand_a_stream_goes_on_without_demands_when_its_client_has_left():
    source = Source({"data": "a"}, {"comment": "x"}, {"data": "b"})
    source.headers = SSE
    app = wrapped(source)
    connection = connect(app, **{"sse_middleware.read_ahead": 0})
    event = connection.event()
    assert connection.chunk() == b": x\n\n"
    connection.leave()
    source.put({"data": "c"}, None)
    assert source.finished.wait(DEADLINE_S)
    assert data_of(connect(app, event.id).rest()) == ["b", "c"]


def test_half_an_event_made_on_demand_is_waited_for():
    source = Source(b"data: a", b"\n", b"\n", b"data: b\n\n", None)
    source.headers = SSE
    app = wrapped(source)
    assert data_of(connect(app, **{"sse_middleware.read_ahead": 0}).rest()) == ["a", "b"]


def test_an_event_past_a_mebibyte_is_sent_and_ends_the_keeping(caplog):
    log = MemoryLog(owner=None)
    half = b"data: " + b"a" * 600_000 + b"\n"
    source = Source({"data": "first"}, None)
    source.headers = SSE
    source.items = Queue()
    source.put(b"data: first\n\n", half, half, b"data: end\n", b"\n", None)
    connection = connect(wrapped(source, log))
    assert data_of(connection.rest()) == ["first", "\n".join(["a" * 600_000] * 2 + ["end"])]
    assert "kept no more" in caplog.text
    assert not log._streams


def test_a_client_that_was_sent_nothing_stops_the_app_at_once():
    log = MemoryLog(owner=None)
    source = Source({"data": "a"})
    connection = connect(wrapped(source, log), validate=False)
    connection.leave()
    assert source.left.wait(DEADLINE_S)
    assert not log._streams


def test_a_stream_whose_client_leaves_while_it_is_opened_is_forgotten():
    opening, left = threading.Event(), threading.Event()

    class SlowLog(MemoryLog):
        def open(self, name, head):
            opening.set()
            assert left.wait(DEADLINE_S), "the client did not leave"
            return super().open(name, head)

    earlier = worker.running()
    log = SlowLog(owner=None)
    connection = connect(wrapped(Source({"data": "a"}), log), validate=False)
    assert opening.wait(DEADLINE_S), "no stream was opened"
    connection.leave()
    left.set()
    until(lambda: worker.running() <= earlier, "the end of the worker")
    assert not log._streams


def test_after_a_number_the_heartbeat_has_no_blank_line():
    clock = VirtualClock()
    connection = connect(wrapped(Source({"data": "a"}), clock=clock))
    connection.event()
    connection.order()
    advance_when_it_waits_for(clock, 15)
    assert connection.result() == b":\n"


def test_a_follower_that_has_read_to_the_end_follows_no_more():
    log = MemoryLog(owner=None)
    source = Source({"data": "a"}, {"data": "b"}, None)
    app = wrapped(source, log)
    events = connect(app).rest()
    assert connect(app, events[0].id).rest() == events[1:]
    until(lambda: not followers(log), "nobody to follow")


def test_a_stream_whose_app_exits_is_forgotten():
    log = MemoryLog(owner=None)
    source = Source({"data": "a"})
    app = wrapped(source, log)
    first = connect(app)
    (event,) = first.events(1)
    source.put(SystemExit())
    with pytest.raises(ResponseError):
        first.rest()
    source.put({"data": "fresh"}, None)
    assert data_of(connect(app, event.id).rest()) == ["fresh"]


def test_without_a_last_event_id_the_log_is_not_asked():
    log = Broken(owner=None)
    log.fails = {"find"}
    source = Source({"data": "a"}, None)
    app = wrapped(source, log)
    (event,) = connect(app).rest()
    log.fails = set()
    assert connect(app, event.id).status == "204 No Content"


def test_relay_leaves_the_numbers_to_the_middleware():
    chunks = [{"choices": [{"index": 0, "delta": {"content": text}}]} for text in "abc"]

    def app(environ, start_response):
        start_response("200 OK", SSE)
        return relay(chunks)

    app = wrapped(app)
    events = connect(app).rest()
    assert [event.id.rpartition("-")[2] for event in events] == ["1", "2", "3", "sse:end"]
    assert [event.event for event in connect(app, events[1].id).rest()] == ["message", "close"]


def test_linger_counts_from_the_leaving_however_late_it_is_looked_after():
    _, clock, source, connection, _, _ = lingering()
    connection.leave()
    clock.advance(30)
    assert source.left.wait(DEADLINE_S)


def test_a_client_that_was_given_up_is_no_end_though_the_app_has_ended(monkeypatch):
    monkeypatch.setattr(keeping, "_PATIENCE_S", 0.05)
    reasons, done = [], threading.Event()

    class Observer:
        def closed(self, stream, reason):
            reasons.append(reason)

    def app(environ, start_response):
        start_response("200 OK", SSE)
        yield from ({"data": str(number)} for number in range(3000))
        done.set()

    wrapper = SSEMiddleware(app, resume=MemoryLog(owner=None), worker="*", observer=Observer())
    body = wrapper({"REQUEST_METHOD": "GET", "PATH_INFO": "/"}, lambda *answer: None)
    assert done.wait(DEADLINE_S), "the app went on without its client"
    until(lambda: not len(workers()), "the worker to end")
    assert b"data: 2999\n" not in b"".join(body)
    assert reasons == ["disconnect"]
