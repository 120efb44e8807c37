"""The worker's half alone: what the app did lies in the handover when the call is over.

The requests run in the thread of the test, which takes what was handed over afterwards; only
what is made on demand runs beside it.
"""

import errno
import io
import logging
import threading
from types import SimpleNamespace

import pytest

from sse_middleware import EventParser, current_stream
from sse_middleware.advice import Advice
from sse_middleware.current import CurrentStream
from sse_middleware.errors import ResponseError, StreamLostError
from sse_middleware.framing import Framing
from sse_middleware.handover import Handover
from sse_middleware.headers import stream_headers
from sse_middleware.recognise import Recogniser
from sse_middleware.remote import RemoteAnswer, run_request
from sse_middleware.resume.keeping import Unkept
from sse_middleware.signals import ThreadSignal
from sse_middleware.testing import VirtualClock

HTML = [("Content-Type", "text/html")]
SSE = [("Content-Type", "text/event-stream")]
GZIP = [*SSE, ("Content-Encoding", "gzip")]
EXC_INFO = (KeyError, KeyError("planned"), None)
DEADLINE_S = 10


def answer_of(may_open=True):
    """An answer that nobody has given, and the handover that it tells."""
    clock = VirtualClock()
    clock.advance(7)
    hand = Handover(ThreadSignal(), ThreadSignal())
    return RemoteAnswer(hand, clock, may_open), hand


class Noted(Unkept):
    """A keeper that marks what passes, drops some of it, and notes what it is told."""

    patience_s = 0.0
    goes_on = False

    def __init__(self, goes_on=False):
        self.told, self.kept, self.goes_on = [], [], goes_on

    def keep(self, data):
        self.kept.append(data)
        return b"" if b"dropped" in data else b": kept\n" + data

    def finish(self):
        self.told.append("finish")

    def discard(self):
        self.told.append("discard")


class Request:
    """One request, run when it is made; ``before`` is called when all is ready for it."""

    def __init__(self, app, *, keeper=None, before=None, on_demand=False, method="GET", **framing):
        self.keeper = keeper or Noted()
        self.hand = Handover(ThreadSignal(), ThreadSignal(), on_demand=on_demand)
        self.answer = RemoteAnswer(self.hand, VirtualClock(), True)
        self.stream = CurrentStream("", Framing())
        self.stream.is_open = self.answer.is_open
        self._recogniser = Recogniser(Framing(**framing), Advice())
        self._app, self._method = app, method
        if before is not None:
            before(self)
        if not on_demand:
            self.run()

    def run(self):
        environ = {"REQUEST_METHOD": self._method}
        parts = (self.hand, self.answer, self.stream, self._recogniser, self.keeper)
        run_request(self._app, environ, *parts)

    def taken(self):
        return self.hand.take(joined=True)


def app_of(body, headers=HTML, status="200 OK"):
    def app(environ, start_response):
        start_response(status, headers)
        return body() if callable(body) else body

    return app


# --- the answer


DECLARED = {
    "a declared stream": (True, "200 OK", SSE, 7),
    "one that may not be opened": (False, "200 OK", SSE, None),
    "a page": (True, "200 OK", HTML, None),
    "a compressed stream": (True, "200 OK", GZIP, None),
    "a status without body": (True, "204 No Content", SSE, None),
}


@pytest.mark.parametrize(("may_open", "status", "headers", "at"), DECLARED.values(), ids=DECLARED)
def test_only_what_may_be_opened_is_declared_and_the_taker_is_told(may_open, status, headers, at):
    answer, hand = answer_of(may_open)
    version = hand.version
    assert answer.declared_at is None
    write = answer.start_response(status, headers)
    assert (answer.status, answer.headers, answer.declared_at) == (status, headers, at)
    assert callable(write)
    assert hand.version > version


def test_an_answer_that_is_no_stream_any_more_is_declared_no_more():
    answer, _ = answer_of()
    answer.start_response("200 OK", SSE)
    answer.start_response("500 Oops", HTML, EXC_INFO)
    assert (answer.status, answer.declared_at) == ("500 Oops", None)


def test_a_stream_known_by_its_first_item_is_declared_then():
    answer, hand = answer_of()
    answer.start_response("200 OK", HTML)
    version = hand.version
    answer.recognised()
    assert answer.declared_at == 7
    assert hand.version > version


def test_a_stream_declared_before_keeps_its_moment_and_one_that_may_not_be_opened_has_none():
    answer, hand = answer_of()
    answer.start_response("200 OK", SSE)
    answer._clock.advance(1)
    version = hand.version
    answer.recognised()
    assert (answer.declared_at, hand.version) == (7, version)
    answer, hand = answer_of(may_open=False)
    version = hand.version
    answer.recognised()
    assert (answer.declared_at, hand.version) == (None, version)


def test_after_the_body_began_no_answer_is_heard():
    answer, _ = answer_of()
    answer.start_response("200 OK", HTML)
    answer.forward()
    with pytest.raises(ResponseError) as caught:
        answer.start_response("500 Late", HTML)
    assert str(caught.value) == "start_response came after the body"
    with pytest.raises(KeyError, match="planned"):
        answer.start_response("500 Late", HTML, EXC_INFO)
    assert answer.told() == ("200 OK", HTML)


def test_what_is_forwarded_is_told_by_the_servers_thread():
    for headers, sent in ((None, HTML), (GZIP, GZIP)):
        answer, _ = answer_of()
        answer.start_response("200 OK", HTML)
        answer.forward(headers)
        assert told_by(answer) == ("200 OK", sent)
        assert answer.told() == ("200 OK", sent)


def test_the_server_is_told_once_of_what_the_first_answer_was_replaced_for():
    answer, _ = answer_of()
    answer.start_response("500 Oops", HTML, EXC_INFO)
    answer.forward()
    assert told_by(answer) == ("500 Oops", HTML, EXC_INFO)
    assert told_by(answer) == ("500 Oops", HTML)


def told_by(answer):
    """What a server hears that asks now."""
    told = []
    answer.tell(lambda *args: told.append(args))
    (args,) = told
    return args


def test_a_stream_is_opened_by_the_server_or_by_the_app_whoever_is_first():
    answer, _ = answer_of()
    answer.start_response("200 OK", SSE)
    assert answer.open_early() is True
    assert (answer.is_stream, answer.is_ready) == (True, True)
    assert answer.told() == ("200 OK", stream_headers(SSE))
    assert answer.is_open() is True
    with pytest.raises(ResponseError, match="after the body"):
        answer.start_response("500 Late", HTML)

    answer, _ = answer_of()
    answer.start_response("200 OK", SSE)
    answer.forward()
    assert answer.open_early() is False
    assert (answer.is_stream, answer.is_ready) == (False, False)
    assert answer.is_open() is False


def test_after_a_failure_before_the_answer_nothing_is_opened():
    answer, _ = answer_of()
    answer.start_response("200 OK", SSE)
    assert answer.is_open() is False
    assert answer.open_early() is False
    assert answer.is_open() is False


def test_what_is_ready_is_there_before_the_taker_is_told():
    answer, hand = answer_of()
    assert (answer.is_ready, answer.whole, answer.is_stream) == (False, None, False)
    version = hand.version
    answer.ready(whole=[b"a"])
    assert (answer.is_ready, answer.whole, answer.is_stream) == (True, [b"a"], False)
    assert hand.version > version
    answer.ready(is_stream=True)
    assert (answer.is_ready, answer.whole, answer.is_stream) == (True, None, True)


@pytest.mark.parametrize("is_opened", [True, False], ids=["opened before", "not opened"])
def test_what_is_written_is_handed_over_and_keeps_what_the_response_is(is_opened):
    answer, hand = answer_of()
    write = answer.start_response("200 OK", SSE)
    if is_opened:
        answer.open_early()
    write(b"a")
    write(b"b")
    assert (answer.is_ready, answer.has_written, answer.is_stream) == (True, True, is_opened)
    assert answer.told() == ("200 OK", stream_headers(SSE) if is_opened else SSE)
    assert hand.take(joined=True) == [b"a", b"b"]


def test_a_write_to_a_client_that_left_fails_as_a_servers_own_does():
    answer, hand = answer_of()
    write = answer.start_response("200 OK", SSE)
    hand.cancel()
    with pytest.raises(BrokenPipeError) as caught:
        write(b"a")
    assert (caught.value.errno, caught.value.strerror) == (errno.EPIPE, "the client left")


# --- the request


def test_a_stream_is_handed_over_and_ended():
    seen = []

    def items():
        seen.append(current_stream())
        yield {"data": "a"}
        yield {"data": "b"}

    request = Request(app_of(items), keeper=Unkept())
    assert request.taken() == [b"data: a\n\n", b"data: b\n\n"]
    assert request.hand.is_over
    assert (request.answer.is_stream, request.answer.whole) == (True, None)
    assert request.answer.told() == ("200 OK", stream_headers(HTML))
    assert seen == [request.stream]
    assert current_stream() is not request.stream


class File(io.BytesIO):
    """A body that the server is to get as it is, and to close."""


WHOLE = {"a list": [b"a", b"b"], "a tuple": (b"a",), "a file": File(b"abc"), "nothing": []}


@pytest.mark.parametrize("body", WHOLE.values(), ids=WHOLE)
def test_a_whole_body_is_left_to_the_server_unread_and_unclosed(body, caplog):
    request = Request(app_of(lambda: body))
    assert request.answer.whole is body
    assert (request.answer.is_ready, request.answer.is_stream) == (True, False)
    assert request.taken() == []
    assert request.hand.is_over
    assert not getattr(body, "closed", False)
    assert request.keeper.told == ["finish"]
    assert caplog.records == []


def test_a_whole_body_after_a_write_follows_what_was_written():
    def app(environ, start_response):
        start_response("200 OK", HTML)(b"written")
        return [b"a", b"b"]

    request = Request(app)
    assert request.answer.whole is None
    assert request.taken() == [b"written", b"a", b"b"]
    assert request.hand.is_over
    assert request.keeper.kept == []


def test_a_declared_list_is_a_stream():
    request = Request(app_of([{"data": "a"}], SSE), keeper=Unkept())
    assert (request.answer.whole, request.answer.is_stream) == (None, True)
    assert request.taken() == [b"data: a\n\n"]


def test_what_has_no_body_is_closed_unrun():
    ran = []

    def items():
        ran.append("ran")
        yield {"data": "a"}

    request = Request(app_of(items, SSE), method="HEAD")
    assert (request.answer.whole, ran) == ([], [])
    assert request.hand.is_over


class Closing:
    """An iterator that notes that it was closed, and in which thread it was."""

    def __init__(self, *items, fails=False):
        self._items, self._fails = iter(items), fails
        self.closed = []

    def __iter__(self):
        return self

    def __next__(self):
        item = next(self._items)
        if isinstance(item, BaseException):
            raise item
        return item

    def close(self):
        self.closed.append(threading.current_thread())
        if self._fails:
            raise KeyError("in close")


def test_what_is_no_stream_is_handed_over_item_by_item_and_closed():
    body = Closing(b"a", b"", b"b")
    request = Request(app_of(lambda: body))
    assert [request.hand.take(joined=False) for _ in range(4)] == [[b"a"], [b""], [b"b"], []]
    assert (request.answer.is_stream, request.answer.is_ready) == (False, True)
    assert request.hand.is_over
    assert len(body.closed) == 1
    assert request.keeper.kept == []
    assert request.keeper.told == ["finish"]


def test_nothing_more_is_asked_for_than_is_wanted():
    asked = []

    def items():
        for item in (b"a", b"b", b"c"):
            asked.append(item)
            yield item

    request = Request(app_of(items), on_demand=True)
    runner = threading.Thread(target=request.run, daemon=True)
    runner.start()
    got = taken_on_demand(request, 2)
    request.hand.cancel()
    runner.join(DEADLINE_S)
    assert not runner.is_alive()
    assert got == asked == [b"a", b"b"]


def taken_on_demand(request, count):
    """As many items, each waited for with a deadline."""
    got = []
    while len(got) < count:
        version = request.hand.version
        taken = request.hand.take(joined=True)
        got.extend(taken)
        if not taken:
            clock = SimpleNamespace(wait=lambda signal, until_s: signal.wait(DEADLINE_S))
            assert request.hand.wait(clock, None, version), f"nothing came after {got}"
    return got


def test_an_item_that_the_client_left_before_is_the_last():
    asked = []

    def items():
        for number in range(3):
            asked.append(number)
            request_hand[0].cancel()
            yield b"x"

    request_hand = []
    request = Request(app_of(items), before=lambda request: request_hand.append(request.hand))
    assert (request.taken(), asked) == ([], [0])


@pytest.mark.parametrize("keeper", [Unkept(), Noted()], ids=["unkept", "kept"])
def test_frames_on_demand_are_made_when_they_are_waited_for(keeper):
    made = []

    def items():
        for number in range(3):
            made.append(number)
            yield {"data": str(number)}

    request = Request(app_of(items), keeper=keeper, on_demand=True)
    runner = threading.Thread(target=request.run, daemon=True)
    runner.start()
    mark = b": kept\n" if isinstance(keeper, Noted) else b""
    for number in range(2):
        assert taken_on_demand(request, 1) == [mark + b"data: %d\n\n" % number]
        assert len(made) == number + 1
    request.hand.cancel()
    runner.join(DEADLINE_S)
    assert not runner.is_alive()
    assert made == [0, 1], "another was made for nobody"


def test_frames_that_nobody_keeps_go_the_short_way():
    def watched(request):
        request.hand.put_all = lambda frames: ways.append(list(frames)) or False

    ways = []
    Request(app_of(lambda: iter([{"data": "a"}])), keeper=Unkept(), before=watched)
    assert ways == [[b"data: a\n\n"]]


# --- what is kept


def test_what_is_sent_is_what_the_keeper_makes_of_it():
    items = [{"data": "a"}, {"data": "dropped"}, {"data": "b"}]
    request = Request(app_of(lambda: iter(items)))
    assert request.keeper.kept == [b"data: a\n\n", b"data: dropped\n\n", b"data: b\n\n"]
    assert request.taken() == [b": kept\ndata: a\n\n", b": kept\ndata: b\n\n"]
    assert request.hand.is_over
    assert request.keeper.told == ["finish"]


@pytest.mark.parametrize("goes_on", [True, False])
def test_an_app_whose_client_left_goes_on_where_its_stream_is_kept(goes_on):
    body = Closing(*[{"data": str(number)} for number in range(3)])
    keeper = Noted(goes_on)
    request = Request(app_of(body), keeper=keeper, before=lambda request: request.hand.cancel())
    assert len(keeper.kept) == (3 if goes_on else 0)
    assert request.taken() == []
    assert len(body.closed) == 1
    assert keeper.told[-1] == "finish"


def test_a_kept_app_that_has_nothing_to_say_to_a_client_that_left_is_not_asked_again():
    asked = []

    def items():
        yield {"data": "a"}
        current_stream().disconnected = True
        yield {"data": None}
        asked.append("again")

    request = Request(app_of(items), keeper=Noted(goes_on=True))
    assert request.taken() == [b": kept\ndata: a\n\n"]
    assert asked == []


@pytest.mark.parametrize("goes_on", [True, False])
def test_a_client_that_takes_nothing_for_too_long_is_given_up(goes_on):
    large = {"data": "x" * 200 * 1024}
    body, keeper = Closing(*[large] * 4), Noted(goes_on)
    request = Request(app_of(body), keeper=keeper)  # which has no patience at all
    assert request.hand.is_cancelled
    assert len(keeper.kept) == (4 if goes_on else 2)
    assert len(list(body)) == (0 if goes_on else 2), "an item was made for nobody"
    assert len(request.taken()) == 1


@pytest.mark.parametrize("keeper", [Unkept(), Noted()], ids=["unkept", "kept"])
def test_nobody_waits_for_what_the_app_does_after_its_last_event(keeper):
    was_over = []

    def items():
        yield {"data": "a"}
        yield {"event": "close", "data": ""}
        was_over.append((len(request_made[0].taken()), request_made[0].hand.is_over))

    request_made = []
    request = Request(app_of(items), keeper=keeper, before=request_made.append, end_event="close")
    assert was_over == [(2, True)]
    if isinstance(keeper, Noted):
        assert keeper.told[0] == "finish"
    assert request.hand.is_over


@pytest.mark.parametrize("keeper", [Unkept(), Noted()], ids=["unkept", "kept"])
def test_an_app_that_ends_by_itself_has_its_end_event_and_no_more(keeper):
    body = Closing({"data": "a"})
    request = Request(app_of(body), keeper=keeper, end_event="close")
    frames = EventParser().feed(b"".join(request.taken()))
    assert [frame.event for frame in frames] == ["message", "close"]
    assert request.hand.is_over


# --- failures


def raised_by(request):
    with pytest.raises(BaseException) as caught:  # noqa: PT011 it is compared by the callers
        request.hand.is_over  # noqa: B018
    return caught.value


def failing(error, meanwhile=lambda: None):
    def app(environ, start_response):
        start_response("200 OK", SSE)
        meanwhile()
        raise error

    return app


def request_opened_before(error, **options):
    """The server's thread has opened the stream of an app that then fails."""
    made = []
    app = failing(error, lambda: made[0].answer.open_early())
    return Request(app, before=made.append, **options)


@pytest.mark.parametrize("error", [KeyError("planned"), SystemExit("planned")], ids=repr)
def test_what_fails_before_the_answer_goes_to_the_server_as_it_is(error, caplog):
    request = Request(failing(error))
    assert raised_by(request) is error
    assert request.answer.open_early() is isinstance(error, SystemExit)
    assert request.keeper.told == ["discard"]
    assert request.taken() == []
    assert caplog.records == []


def test_what_fails_after_it_was_opened_is_the_error_event_as_it_is_kept(caplog):
    error = KeyError("planned")
    told = []

    def error_event(failed, error_id):
        told.append(failed)
        return {"event": "error", "data": "failed"}

    request = request_opened_before(error, error_event=error_event)
    assert request.taken() == [b": kept\nevent: error\ndata: failed\n\n"]
    assert told == [error]
    assert request.hand.is_over
    assert request.keeper.told[0] == "finish"
    assert "discard" not in request.keeper.told
    assert "KeyError: 'planned'" in caplog.text


def test_what_would_end_the_process_is_no_error_event():
    request = request_opened_before(SystemExit("planned"))
    assert isinstance(raised_by(request), SystemExit)
    assert request.keeper.told == ["discard"]


class Failing(Noted):
    """A keeper that fails at what it is to keep."""

    def keep(self, data):
        raise StreamLostError("planned")


def test_an_error_event_that_fails_too_is_what_the_server_gets(caplog):
    request = request_opened_before(KeyError("first"), keeper=Failing())
    assert isinstance(raised_by(request), StreamLostError)
    assert request.keeper.told == ["discard"]


def test_a_body_that_fails_is_closed_and_its_error_handed_over():
    error = KeyError("planned")
    body = Closing(b"a", error)
    request = Request(app_of(body))
    assert request.taken() == [b"a"]
    assert raised_by(request) is error
    assert len(body.closed) == 1
    assert request.keeper.told == ["discard"]


def test_a_body_that_fails_as_it_is_closed_is_logged_and_the_response_whole(caplog):
    request = Request(app_of(Closing(b"a", fails=True)))
    assert request.taken() == [b"a"]
    assert request.hand.is_over
    (record,) = caplog.records
    assert record.getMessage() == "closing the response of the app failed"
    assert (record.name, record.levelno) == ("sse_middleware", logging.ERROR)
    assert isinstance(record.exc_info[1], KeyError)
