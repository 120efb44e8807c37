"""sse_middleware.testing.upstream: scripts, journal, verdicts, and the WSGI callable."""

import errno
import io
import json
import math
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest

from sse_middleware.errors import OptionError, RecordingError
from sse_middleware.testing import FakeUpstream, Recording, VirtualClock, faults, rechunk
from sse_middleware.testing.exchange import ReceivedRequest, RequestHeaders

DEADLINE_S = 30
SHIPPED = sorted((Path(__file__).parents[1] / "fixtures" / "recordings").glob("*.sse"))
BODY = b"data: 1\n\ndata: 2\n\n"
CHAT = {"model": "gpt-4o-mini", "stream": True}


class RecordedClock:
    """A clock on which all time passes at once; it remembers who waited how long."""

    def __init__(self):
        self.waited = []

    def monotonic(self):
        return sum(self.waited)

    def wait(self, signal, until_s):
        self.waited.append(until_s - self.monotonic())
        return False


class WSGIAnswer:
    """One response of a WSGI app, checked by wsgiref.validate; it is read by iteration."""

    def __init__(self, app, payload=CHAT, *, method="POST", path="/v1/chat/completions", **extra):
        body = json.dumps(payload).encode()
        environ = {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": "",
            "PATH_INFO": path,
            "CONTENT_LENGTH": str(len(body)),
            "CONTENT_TYPE": "application/json",
            "wsgi.input": io.BytesIO(body),
            **extra,
        }
        setup_testing_defaults(environ)
        environ["QUERY_STRING"] = extra.get("QUERY_STRING", "")
        self.body = validator(app)(environ, self._start_response)
        self.chunks = iter(self.body)

    def _start_response(self, status, headers, exc_info=None):
        self.status = status
        self.headers = dict(headers)
        return lambda data: None

    def __iter__(self):
        return self.chunks

    def close(self):
        self.body.close()


def ask(app, payload=CHAT, **options):
    """The whole body of one answer."""
    with closing(WSGIAnswer(app, payload, **options)) as answer:
        return b"".join(answer)


def wait_for(is_so, what):
    until = time.monotonic() + DEADLINE_S
    while not is_so():
        assert time.monotonic() < until, f"waited {DEADLINE_S} s for {what}"


def not_found(app, **options):
    """The error object of an answer that must be a 404."""
    with closing(WSGIAnswer(app, **options)) as answer:
        body = b"".join(answer)
    assert answer.status == "404 Not Found"
    assert answer.headers == {"content-type": "application/json"}
    return json.loads(body)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_wsgi_yields_exactly_the_recorded_chunks(path):
    recording = Recording.load(path)
    upstream = FakeUpstream()
    upstream.play(path.stem)
    got = []
    with closing(WSGIAnswer(upstream)) as answer:
        try:
            got.extend(answer)
        except ConnectionAbortedError:
            assert recording.end == "eof"
        else:
            assert recording.end == "complete"
    assert got == [data for _, data in recording.pieces()]
    assert b"".join(got) == path.read_bytes()
    assert not upstream.requests[0].client_left


def test_wsgi_sends_the_recorded_status_and_headers_but_not_those_of_the_connection():
    headers = {"content-type": "text/plain", "X-A": "1", "Connection": "close", "te": "x"}
    upstream = FakeUpstream()
    upstream.play(Recording(b"", status=299, headers=headers))
    upstream.play(Recording(b"", status=429))
    with closing(WSGIAnswer(upstream)) as answer:
        assert list(answer) == []
    assert (answer.status, answer.headers) == (
        "299 Unknown",
        {"content-type": "text/plain", "X-A": "1"},
    )
    with closing(WSGIAnswer(upstream)) as answer:
        assert list(answer) == []
    assert answer.status == "429 Too Many Requests"


@pytest.mark.parametrize(
    ("end", "error", "number"),
    [
        ("eof", ConnectionAbortedError, errno.ECONNABORTED),
        ("reset", ConnectionResetError, errno.ECONNRESET),
    ],
)
def test_wsgi_raises_where_the_connection_was_cut(end, error, number):
    upstream = FakeUpstream()
    upstream.play(Recording(BODY, end=end))
    with closing(WSGIAnswer(upstream)) as answer:
        assert [next(answer.chunks), next(answer.chunks)] == [b"data: 1\n\n", b"data: 2\n\n"]
        with pytest.raises(error) as caught:
            next(answer.chunks)
    assert caught.value.errno == number
    assert not upstream.requests[0].client_left


def test_wsgi_stalls_until_the_upstream_is_closed():
    upstream = FakeUpstream()
    upstream.play(Recording(BODY, end="stall"))
    caught = []

    def read():
        with closing(WSGIAnswer(upstream)) as answer:
            caught.extend([next(answer.chunks), next(answer.chunks)])
            stalling.set()
            with pytest.raises(ConnectionAbortedError):
                next(answer.chunks)
            caught.append("ended")

    stalling = threading.Event()
    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    assert stalling.wait(DEADLINE_S)
    thread.join(0.1)
    assert caught == [b"data: 1\n\n", b"data: 2\n\n"]
    upstream.close()
    thread.join(DEADLINE_S)
    assert caught[2:] == ["ended"]
    assert not upstream.requests[0].client_left


def test_wsgi_skips_a_chunk_without_bytes_and_keeps_its_delay():
    clock = RecordedClock()
    upstream = FakeUpstream(clock)
    upstream.play(Recording(BODY, chunks=[(1, 0), (2, 18), (3, 0)]))
    with closing(WSGIAnswer(upstream)) as answer:
        assert list(answer) == [BODY]
    assert clock.waited == [3, 3]


def test_a_wsgi_body_that_is_closed_early_tells_that_the_client_left():
    upstream = FakeUpstream()
    upstream.play(Recording(BODY), times=2)
    answer = WSGIAnswer(upstream)
    assert next(answer.chunks) == b"data: 1\n\n"
    assert not upstream.requests[0].client_left
    answer.close()
    assert upstream.requests[0].client_left
    ask(upstream)
    assert not upstream.requests[1].client_left


def test_a_wsgi_body_that_is_closed_behind_its_last_byte_was_not_left():
    upstream = FakeUpstream()
    upstream.play(Recording(BODY))
    upstream.play(Recording(BODY, end="stall"))
    for _ in range(2):
        answer = WSGIAnswer(upstream)
        assert next(answer.chunks) + next(answer.chunks) == BODY
        answer.close()
    assert [request.client_left for request in upstream.requests] == [False, True]


def test_wsgi_answers_head_without_a_body():
    upstream = FakeUpstream()
    with closing(WSGIAnswer(upstream, method="HEAD")) as answer:
        assert list(answer) == []
    assert answer.status == "404 Not Found"


@pytest.mark.parametrize(
    ("extra", "body"),
    [
        ({"CONTENT_LENGTH": ""}, b""),
        ({"CONTENT_LENGTH": "2"}, b"da"),
        ({"CONTENT_LENGTH": "", "wsgi.input_terminated": True}, b"data"),
    ],
    ids=["no length", "length", "input_terminated"],
)
def test_wsgi_reads_the_request_body(extra, body):
    upstream = FakeUpstream()
    upstream.play(Recording(BODY))
    ask(upstream, **{"wsgi.input": io.BytesIO(b"data"), **extra})
    assert upstream.requests[0].body == body


def test_wsgi_keeps_the_same_journal_as_the_server():
    upstream = FakeUpstream()
    upstream.play(Recording(BODY))
    ask(
        upstream,
        SCRIPT_NAME="/openai",
        path="/caf\u00c3\u00a9",
        QUERY_STRING="api-version=1%202",
        HTTP_AUTHORIZATION="Bearer k",
    )
    (request,) = upstream.requests
    assert (request.method, request.path, request.query) == (
        "POST",
        "/openai/caf\u00e9",
        "api-version=1%202",
    )
    assert request.headers["Authorization"] == "Bearer k"
    assert request.headers["content-type"] == "application/json"
    assert request.json == CHAT


def test_scripts_are_played_in_order_each_as_often_as_it_says():
    upstream = FakeUpstream()
    upstream.play(Recording(b"a"))
    upstream.play(Recording(b"b"), times=2)
    upstream.play(Recording(b"c"), times=None)
    assert [ask(upstream) for _ in range(6)] == [b"a", b"b", b"b", b"c", b"c", b"c"]
    upstream.verify()


TIMED = Recording(BODY, chunks=[(0.5, 9), (2, 9)])


@pytest.mark.parametrize(
    ("speed", "waited"), [(None, [0.5, 2]), (1, [0.5, 2]), (2, [0.25, 1]), (0.5, [1, 4])]
)
def test_delays_are_waited_on_the_clock_that_was_given(speed, waited):
    clock = RecordedClock()
    upstream = FakeUpstream(clock)
    upstream.play(TIMED, speed=speed)
    assert ask(upstream) == BODY
    assert clock.waited == waited


def test_without_a_clock_delays_are_skipped():
    upstream = FakeUpstream()
    upstream.play(Recording(BODY, chunks=[(DEADLINE_S, 9), (DEADLINE_S, 9)]))
    began = time.monotonic()
    assert ask(upstream) == BODY
    assert time.monotonic() - began < DEADLINE_S


def test_without_a_clock_a_speed_is_in_real_time():
    upstream = FakeUpstream()
    upstream.play(Recording(BODY, chunks=[(0.1, 9), (0.1, 9)]), speed=2.0)
    began = time.monotonic()
    assert ask(upstream) == BODY
    assert 0.1 <= time.monotonic() - began < DEADLINE_S


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"recording": b"x"},
            "recording is b'x': expected a Recording, or the name of one (Recording.load reads a "
            "file)",
        ),
        ({"times": 0}, "times is 0: expected an int >= 1, or None for any number"),
        ({"times": True}, "times is True: expected an int >= 1, or None for any number"),
        ({"times": 1.0}, "times is 1.0: expected an int >= 1, or None for any number"),
        ({"times": "2"}, "times is '2': expected an int >= 1, or None for any number"),
        ({"speed": 0}, "speed is 0: expected a number > 0, or None"),
        ({"speed": -1.0}, "speed is -1.0: expected a number > 0, or None"),
        ({"speed": math.nan}, "speed is nan: expected a number > 0, or None"),
        ({"speed": True}, "speed is True: expected a number > 0, or None"),
        ({"speed": "1"}, "speed is '1': expected a number > 0, or None"),
    ],
)
def test_a_bad_argument_of_play_is_refused_and_scripts_nothing(arguments, message):
    upstream = FakeUpstream()
    with pytest.raises(OptionError) as caught:
        upstream.play(**{"recording": Recording(BODY), **arguments})
    assert str(caught.value) == message
    upstream.verify()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"fault": faults.bom}, r"fault is the function bom: expected .* faults\.bom\(\.\.\.\)"),
        ({"fault": faults.http_error}, "fault is the function http_error: expected"),
        ({"fault": lambda recording: None}, "what fault returns is None: expected a Recording"),
        ({"rechunk": lambda recording: b""}, "what rechunk returns is b'': expected a Recording"),
        ({"rechunk": rechunk.every}, r"rechunk is the function every: .* rechunk\.every\(\.\.\.\)"),
        ({"rechunk": rechunk.seeded}, "rechunk is the function seeded: expected what it returns"),
    ],
    ids=[
        "a fault without its call",
        "one with arguments",
        "a fault of nothing",
        "no recording",
        "a size without its call",
        "a seed without its call",
    ],
)
def test_what_makes_no_recording_is_refused_by_play(arguments, message):
    with pytest.raises(OptionError, match=message):
        FakeUpstream().play("chat-text", **arguments)


@pytest.mark.parametrize("clock", [VirtualClock, 7, math.inf], ids=repr)
def test_what_is_no_clock_is_refused(clock):
    with pytest.raises(OptionError, match="clock is .*: expected a clock such as VirtualClock()"):
        FakeUpstream(clock)


def test_an_unknown_name_is_refused_by_play():
    with pytest.raises(RecordingError, match="recording 'chat-tekst' is unknown"):
        FakeUpstream().play("chat-tekst")


TO_ANSWER = "to answer it: upstream.play(recording), times=N for more, times=None for any number"


def test_a_request_with_nothing_scripted_says_so_and_how_to_script_it():
    assert not_found(FakeUpstream(), payload=CHAT) == {
        "error": {
            "message": (
                "no recording answers POST /v1/chat/completions (model 'gpt-4o-mini', stream True):"
                f" nothing is scripted; {TO_ANSWER}"
            ),
            "type": "invalid_request_error",
            "param": None,
            "code": "no_recording",
        }
    }


def test_a_request_too_many_says_what_was_played():
    upstream = FakeUpstream()
    upstream.play("chat-text")
    upstream.play(Recording(BODY), times=2)
    for _ in range(3):
        ask(upstream)
    assert not_found(upstream, payload=[])["error"]["message"] == (
        "no recording answers POST /v1/chat/completions: all that matches was played: "
        f"'chat-text' (played 1 of 1), 18 bytes (played 2 of 2); {TO_ANSWER}"
    )


def test_a_retry_of_an_sdk_is_told_as_such():
    upstream = FakeUpstream()
    message = not_found(upstream, HTTP_X_STAINLESS_RETRY_COUNT="2")["error"]["message"]
    assert message == (
        "no recording answers POST /v1/chat/completions (model 'gpt-4o-mini', stream True): "
        "nothing is scripted; the SDK asks again (retry 2): max_retries=0 on its client turns that "
        f"off; {TO_ANSWER}"
    )


def test_a_retry_that_is_no_number_is_not_told():
    message = not_found(FakeUpstream(), HTTP_X_STAINLESS_RETRY_COUNT="\x1b[2J")["error"]["message"]
    assert "retry" not in message


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_only_a_post_plays_a_recording_that_is_for_no_method(method):
    upstream = FakeUpstream()
    upstream.play("chat-text", times=None)
    assert not_found(upstream, payload={}, method=method)["error"]["message"] == (
        f"no recording answers {method} /v1/chat/completions: nearest: 'chat-text' (played 0 of 1 "
        f"or more); method is '{method}': expected 'POST'; {TO_ANSWER}"
    )


def test_a_script_answers_only_what_matches_it():
    upstream = FakeUpstream()
    upstream.play(Recording(b"mini"), when={"json": {"model": "gpt-4o-mini"}})
    upstream.play(Recording(b"other"), when={"json": {"model": "o1"}})
    upstream.play(Recording(b"got"), when={"method": "get", "path": "*/models"})
    assert ask(upstream, payload={"model": "o1"}) == b"other"
    assert ask(upstream, method="GET", path="/v1/models") == b"got"
    assert ask(upstream) == b"mini"
    upstream.verify()


def test_a_request_that_differs_is_told_the_nearest_script_and_the_difference():
    upstream = FakeUpstream()
    upstream.play("chat-text", when={"path": "/v1/responses", "json": {"model": "o1"}})
    upstream.play("chat-usage", when={"json": {"model": "gpt-4o"}}, fault=faults.bom())
    assert not_found(upstream)["error"]["message"] == (
        "no recording answers POST /v1/chat/completions (model 'gpt-4o-mini', stream True): "
        "nearest: 'chat-usage' with faults.bom() for json {'model': 'gpt-4o'} (played 0 of 1); "
        f"json['model'] is 'gpt-4o-mini': expected 'gpt-4o'; {TO_ANSWER}"
    )


def test_a_function_decides_too_and_may_look_into_the_journal():
    upstream = FakeUpstream()

    def is_second(request):
        return len(upstream.requests) == 2

    upstream.play(Recording(b"second"), when=is_second)
    upstream.play(Recording(b"first"))
    assert [ask(upstream), ask(upstream)] == [b"first", b"second"]
    assert "nearest" not in not_found(upstream)["error"]["message"]
    upstream.play(Recording(b""), when=lambda request: request.json["no"])
    assert "<lambda> raised KeyError('no')" in not_found(upstream, payload={})["error"]["message"]


def test_an_http_error_repeats_unless_a_number_is_given():
    upstream = FakeUpstream()
    upstream.play("chat-text", fault=faults.http_error(503), times=1)
    upstream.play("chat-text", fault=faults.http_error(429, retry_after=1))
    statuses = []
    for _ in range(4):
        with closing(WSGIAnswer(upstream)) as answer:
            list(answer)
        statuses.append(answer.status[:3])
    assert statuses == ["503", "429", "429", "429"]
    assert answer.headers == {"content-type": "application/json", "retry-after": "1"}
    upstream.verify()


def test_a_fault_is_put_in_before_the_chunks_are_cut_and_its_time_is_its_own():
    clock = RecordedClock()
    upstream = FakeUpstream(clock)
    upstream.play(
        Recording(b"data: 1\n\ndata: 2\n\n", chunks=[(1, 9), (1, 9)]),
        speed=2,
        fault=faults.slow_first_token(10),
        rechunk=rechunk.coalesced,
    )
    assert ask(upstream) == BODY
    assert clock.waited == [11]


def test_names_are_found_in_the_folder_first(tmp_path):
    Recording(b"mine").save(tmp_path / "chat-text.sse")
    Recording(b"other").save(tmp_path / "other.sse")
    upstream = FakeUpstream(recordings=tmp_path)
    for name in ("chat-text", "other", "chat-usage"):
        upstream.play(name)
    assert [ask(upstream), ask(upstream)] == [b"mine", b"other"]
    assert ask(upstream) == Recording.named("chat-usage").body
    with pytest.raises(RecordingError, match="'none' is unknown: expected one of chat-text, other"):
        upstream.play("none")


def test_verify_accepts_what_was_scripted_and_nothing_else():
    upstream = FakeUpstream()
    upstream.verify()
    upstream.play(Recording(BODY))
    ask(upstream)
    upstream.verify()


def test_verify_tells_requests_that_found_nothing_and_recordings_that_waited():
    upstream = FakeUpstream()
    upstream.play("chat-text", when={"path": "*/completions"})
    ask(upstream)
    ask(upstream)
    ask(upstream, payload={"model": "o1"}, path="/v1/responses")
    upstream.play("chat-usage", times=3)
    ask(upstream)
    upstream.play("chat-cut", times=None)
    with pytest.raises(AssertionError) as caught:
        upstream.verify()
    requests = (
        "requests without a recording:\n"
        "  POST /v1/chat/completions (model 'gpt-4o-mini', stream True)\n"
        "    all that matches was played: 'chat-text' for path '*/completions' (played 1 of 1)\n"
        "  POST /v1/responses (model 'o1')\n"
        "    nearest: 'chat-text' for path '*/completions' (played 1 of 1)\n"
        "    path is '/v1/responses': expected '*/completions'\n"
        f"  {TO_ANSWER}\n"
        "  to allow them: assert_all_requests_were_expected=False, "
        "in @pytest.mark.fake_upstream(...) or verify(...)"
    )
    scripts = (
        "recordings not played as often as scripted:\n"
        "  'chat-usage' (played 1 of 3)\n"
        "  'chat-cut' (played 0 of 1 or more)\n"
        "  to allow them: assert_all_responses_were_requested=False, "
        "in @pytest.mark.fake_upstream(...) or verify(...)"
    )
    heading = "what came is not what was scripted"
    assert str(caught.value) == f"{heading}\n{requests}\n{scripts}"
    with pytest.raises(AssertionError) as caught:
        upstream.verify(assert_all_requests_were_expected=False)
    assert str(caught.value) == f"{heading}\n{scripts}"
    with pytest.raises(AssertionError) as caught:
        upstream.verify(assert_all_responses_were_requested=False)
    assert str(caught.value) == f"{heading}\n{requests}"
    upstream.verify(
        assert_all_requests_were_expected=False, assert_all_responses_were_requested=False
    )


def test_the_report_tells_every_request_and_every_script():
    upstream = FakeUpstream(clock=VirtualClock())
    assert upstream.report() == "requests:\n  none\nscripted:\n  nothing"
    late = Recording(b"data: 1\n\n", chunks=[(2, 9)], name="late")
    upstream.play(late, when={"json": {"model": "late"}})
    upstream.play(Recording(BODY), fault=faults.bom())
    upstream.play(Recording(BODY), when={"json": {"model": "never"}}, times=None)
    ask(upstream)
    waiting = WSGIAnswer(upstream, {"model": "late"})
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(next, waiting.chunks)
        wait_for(lambda: "not ended" in upstream.report(), "the wait")
        left = WSGIAnswer(upstream, {"model": "never"})
        left.close()
        assert upstream.report() == (
            "requests:\n"
            "  POST /v1/chat/completions (model 'gpt-4o-mini', stream True)\n"
            "    answered by 21 bytes with faults.bom()\n"
            "  POST /v1/chat/completions (model 'late')\n"
            "    answered by 'late'\n"
            "    not ended: silent for 2 s more, on its clock\n"
            "  POST /v1/chat/completions (model 'never')\n"
            "    answered by 18 bytes\n"
            "    the client left before the end\n"
            "scripted:\n"
            "  'late' for json {'model': 'late'} (played 1 of 1)\n"
            "  21 bytes with faults.bom() (played 1 of 1)\n"
            "  18 bytes for json {'model': 'never'} (played 1 of 1 or more)"
        )
        upstream._clock.advance(2)
        assert answer.result(DEADLINE_S) == b"data: 1\n\n"
    waiting.close()


def test_the_report_tells_what_stalls_for_ever_and_what_nothing_answered():
    upstream = FakeUpstream()
    ask(upstream)
    upstream.play(Recording(b"", end="stall"))
    waiting = WSGIAnswer(upstream)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(next, waiting.chunks)
        wait_for(lambda: "not ended" in upstream.report(), "the stall")
        report = upstream.report()
        upstream.close()
        assert isinstance(answer.exception(DEADLINE_S), ConnectionAbortedError)
    waiting.close()
    request = "  POST /v1/chat/completions (model 'gpt-4o-mini', stream True)\n"
    assert report == (
        f"requests:\n{request}    nothing is scripted\n"
        f"{request}    answered by 0 bytes\n    not ended: silent for ever, on its clock\n"
        "scripted:\n  0 bytes (played 1 of 1)"
    )


def test_the_journal_is_a_copy_of_live_entries():
    upstream = FakeUpstream()
    upstream.requests.append("mine")
    ask(upstream)
    assert len(upstream.requests) == 1
    assert repr(upstream.requests[0]) == (
        "<ReceivedRequest POST /v1/chat/completions (model 'gpt-4o-mini', stream True)>"
    )


def test_a_body_that_is_no_json_is_a_value_error():
    request = ReceivedRequest("POST", "/", "", RequestHeaders([]), b"\xff")
    with pytest.raises(ValueError, match="utf-8"):
        request.json  # noqa: B018
    assert str(request) == "POST /"


def test_request_headers_are_a_mapping_in_any_case():
    headers = RequestHeaders([("Accept", "a"), ("X-Id", "1"), ("ACCEPT", "b")])
    assert dict(headers) == {"accept": "a, b", "x-id": "1"}
    assert len(headers) == 2
    assert "ACCEPT" in headers
    assert headers.get("x-none") is None
    assert repr(headers) == "RequestHeaders([('accept', 'a, b'), ('x-id', '1')])"


@pytest.mark.parametrize("name", ["Authorization", "Cookie", "api-key", "X-API-Key"])
def test_no_message_tells_a_key(name):
    headers = RequestHeaders([(name, "key-text"), ("X-Id", "1")])
    assert headers[name] == "key-text"
    assert repr(headers) == f"RequestHeaders([({name.lower()!r}, '***'), ('x-id', '1')])"
    request = ReceivedRequest(
        "POST", "/\x1b[2J\n", "key=key-text", headers, b'{"user": "key-text"}'
    )
    assert (str(request), repr(request)) == (
        "POST /\\x1b[2J\\n",
        "<ReceivedRequest POST /\\x1b[2J\\n>",
    )
    upstream = FakeUpstream()
    upstream.play("chat-text", when={"headers": {name: "another"}})
    upstream.answer(request)
    with pytest.raises(AssertionError) as told:
        upstream.verify()
    assert f"header {name} is '***': expected 'another'" in str(told.value)
    assert "key-text" not in str(told.value) + upstream.report()
