"""sse_middleware.testing.faults: what goes wrong, byte for byte."""

import json
from itertools import takewhile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sse_middleware import EventParser
from sse_middleware.errors import OptionError, RecordingError
from sse_middleware.testing import FakeUpstream, Recording, faults

BODY = b': hi\n\ndata: {"a":"1"}\n\ndata: {"b":{"c":"2"}}\n\ndata: [DONE]\n\n'
FIRST, SECOND, THIRD = 23, 46, 60  # where the events end
RECORDING = Recording(BODY, chunks=[(1, 23), (2, 0), (3, 37)], name="three", end="stall")
DONE = b"data: [DONE]\n\n"


def pieces(recording):
    return [(delay_s, data) for delay_s, data in recording.pieces()]


def events(recording):
    return EventParser().feed(recording.body)


def test_the_places_of_these_tests_are_where_the_events_end():
    assert BODY[:FIRST].endswith(b'"1"}\n\n')
    assert BODY[:SECOND].endswith(b'"2"}}\n\n')
    assert len(BODY) == THIRD


@pytest.mark.parametrize(
    ("fault", "end"),
    [
        (faults.cut, "eof"),
        (lambda **place: faults.cut(reset=True, **place), "reset"),
        (faults.stall, "stall"),
        (faults.early_end, "complete"),
    ],
    ids=["cut", "reset", "stall", "early_end"],
)
@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ({}, [(1, BODY[:23])]),
        ({"after_events": 0}, []),
        ({"after_events": 1}, [(1, BODY[:23])]),
        ({"after_events": 2}, [(1, BODY[:23]), (2, b""), (3, BODY[23:46])]),
        ({"after_events": 3}, [(1, BODY[:23]), (2, b""), (3, BODY[23:])]),
        ({"after_bytes": 0}, []),
        ({"after_bytes": 7}, [(1, BODY[:7])]),
        ({"after_bytes": 24}, [(1, BODY[:23]), (2, b""), (3, BODY[23:24])]),
        ({"after_bytes": 60}, [(1, BODY[:23]), (2, b""), (3, BODY[23:])]),
    ],
    ids=str,
)
def test_the_stream_stops_where_it_was_said(fault, end, place, expected):
    broken = fault(**place)(RECORDING)
    assert pieces(broken) == expected
    assert (broken.end, broken.status, broken.name) == (end, 200, "three")
    assert broken.headers == RECORDING.headers


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ({"after_events": 4}, "after_events is 4: expected at most the 3 events of 'three'"),
        ({"after_bytes": 61}, "after_bytes is 61: expected at most the 60 bytes of 'three'"),
    ],
    ids=str,
)
def test_a_place_past_the_end_is_refused_when_the_recording_is_known(place, message):
    with pytest.raises(OptionError) as caught:
        faults.cut(**place)(RECORDING)
    assert str(caught.value) == message
    with pytest.raises(OptionError, match="of the recording$"):
        faults.cut(**place)(Recording(BODY))


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ({"after_events": -1}, "after_events is -1: expected an int >= 0"),
        ({"after_events": True}, "after_events is True: expected an int >= 0"),
        ({"after_bytes": 1.0}, "after_bytes is 1.0: expected an int >= 0"),
        (
            {"after_events": 1, "after_bytes": 2},
            "the fault's place is after_events=1 and after_bytes=2: expected one of the two",
        ),
    ],
    ids=str,
)
def test_a_place_that_is_none_is_refused_at_once(place, message):
    with pytest.raises(OptionError) as caught:
        faults.stall(**place)
    assert str(caught.value) == message


def test_an_http_error_has_the_status_and_openais_error_object():
    broken = faults.http_error(429, retry_after=1)(RECORDING)
    assert (broken.status, broken.end) == (429, "complete")
    assert broken.headers == {"content-type": "application/json", "retry-after": "1"}
    assert json.loads(broken.body) == {
        "error": {
            "message": "Rate limit reached for requests.",
            "type": "requests",
            "param": None,
            "code": "rate_limit_exceeded",
        }
    }
    assert pieces(broken) == [(0, broken.body)]


@pytest.mark.parametrize(
    ("status", "kind"), [(402, "invalid_request_error"), (502, "server_error")], ids=str
)
def test_any_error_status_has_a_body_and_it_may_be_worded(status, kind):
    error = json.loads(faults.http_error(status)(RECORDING).body)["error"]
    assert (error["type"], error["code"]) == (kind, None)
    worded = faults.http_error(status, message="No money.", code="broke")(RECORDING)
    assert json.loads(worded.body)["error"]["message"] == "No money."
    assert json.loads(worded.body)["error"]["code"] == "broke"
    assert "retry-after" not in worded.headers


@pytest.mark.parametrize("value", [200, 399, 600, True, "429", 429.0])
def test_a_status_that_is_no_error_is_refused(value):
    with pytest.raises(OptionError, match="status is .*: expected an int of 400 to 599"):
        faults.http_error(value)


@pytest.mark.parametrize("value", [-1, float("nan"), float("inf"), "1", True])
def test_seconds_that_are_none_are_refused(value):
    with pytest.raises(OptionError, match="retry_after is .*: expected seconds, from 0"):
        faults.http_error(429, retry_after=value)
    with pytest.raises(OptionError, match="seconds is .*: expected seconds, from 0"):
        faults.slow_first_token(value)


def test_only_http_errors_repeat():
    repeating = [fault for fault in every_fault() if fault.repeats]
    assert [repr(fault) for fault in repeating] == ["faults.http_error(503)"]


def test_a_slow_first_token_is_a_delay_before_all():
    broken = faults.slow_first_token(2.5)(RECORDING)
    assert pieces(broken) == [(2.5, b""), *pieces(RECORDING)]


def test_done_may_be_absent_or_come_twice():
    assert faults.without_done()(RECORDING).body == BODY[:SECOND]
    assert faults.duplicate_done()(RECORDING).body == BODY + DONE
    crlf = Recording(b"data: 1\r\n\r\ndata: [DONE]\r\n\r\n")
    assert faults.without_done()(crlf).body == b"data: 1\r\n\r\n"
    assert faults.duplicate_done()(crlf).body == crlf.body + b"data: [DONE]\r\n\r\n"


def test_a_done_inside_a_text_is_none():
    recording = Recording(b'data: "data: [DONE]"\n\n: data: [DONE]\n\n', name="texts")
    for fault in (faults.without_done(), faults.duplicate_done()):
        with pytest.raises(OptionError) as caught:
            fault(recording)
        assert str(caught.value) == "the fault's place is absent: expected [DONE] in 'texts'"


def test_done_is_looked_for_behind_an_event_of_any_size():
    large = Recording(b"data: [DONE]\n\ndata: " + b"x" * 2**24 + b"\n\n")
    assert faults.without_done()(large).body == large.body[14:]


@pytest.mark.parametrize(
    "block",
    [b"data: [DONE]\r\r", b"event: done\ndata: [DONE]\n\n", b": bye\ndata:[DONE]\nid: 7\n\n"],
    ids=str,
)
def test_done_is_a_whole_block(block):
    recording = Recording(b"data: 1\n\n" + block)
    assert faults.without_done()(recording).body == b"data: 1\n\n"
    assert faults.duplicate_done()(recording).body == recording.body + block


@pytest.mark.parametrize(
    ("block", "truncated"),
    [
        (b'data: {"a":1}\nid: 7\n\n', b'data: {"a\nid: 7\n\n'),
        (b"event: a:b\ndata: [1,2]\n\n", b"event: a:b\ndata: [1\n\n"),
        (b"data:[1,2]\r\r", b"data:[1\r\r"),
        (b': {"a": 1}\r\ndata: {}\r\n\r\n', b': {"a": 1}\r\ndata: {\r\n\r\n'),
        (b'data: {"a":\ndata: 1}\n\n', b'data: {"a":\ndata: 1\n\n'),
        (b'data: "\xc3\xa9\xc3\xa9"\n\n', b'data: "\xc3\xa9\n\n'),
        (b'data: "\xf0\x9f\x98\x80"\n\n', b'data: "\n\n'),
        (b'\xef\xbb\xbfdata: {"a":1}\n\n', b'\xef\xbb\xbfdata: {"a\n\n'),
    ],
    ids=str,
)
def test_json_is_truncated_in_the_middle_of_the_last_line_of_data(block, truncated):
    assert faults.truncated_json(after_events=0)(Recording(block)).body == truncated
    with pytest.raises(ValueError, match=r".*"):
        events(Recording(truncated))[0].json()


@given(
    value=st.recursive(st.text(), lambda of: st.lists(of) | st.dictionaries(st.text(), of)),
    line_end=st.sampled_from(["\n", "\r\n", "\r"]),
    before=st.sampled_from(["", ": {}", "id: 1", "event: a"]),
)
def test_truncated_json_is_no_json_whatever_it_was(value, line_end, before):
    data = f"data: {json.dumps(value, ensure_ascii=False)}"
    block = line_end.join([*filter(None, [before]), data, "retry: 5", "", ""])
    broken = faults.truncated_json(after_events=0)(Recording(block.encode()))
    (told,) = events(broken)
    with pytest.raises(ValueError, match=r".*"):
        told.json()


@pytest.mark.parametrize("after_events", [0, 1])
def test_truncated_json_is_an_event_still(after_events):
    broken = faults.truncated_json(after_events=after_events)(RECORDING)
    told = events(broken)
    assert len(told) == 3
    for number, event in enumerate(told[:2]):
        if number == after_events:
            with pytest.raises(ValueError, match=r".*"):
                event.json()
        else:
            assert event == events(RECORDING)[number]
    assert told[2].data == "[DONE]"


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (b"data: [1]\n\n", b"data: [\n\n"),
        (b"event: x\ndata: {\ndata: }\r\n\r\n", b"event: x\ndata: {\ndata: \r\n\r\n"),
        (b"data:12345678\n\n", b"data:1234\n\n"),
        (b"data\n\n", b"data\n\n"),
    ],
    ids=repr,
)
def test_half_of_the_last_data_line_is_cut(event, expected):
    assert faults.truncated_json(after_events=0)(Recording(event)).body == expected


def test_invalid_utf8_is_one_byte_inside_a_string():
    broken = faults.invalid_utf8(after_events=1)(RECORDING)
    assert broken.body == BODY.replace(b'"2"', b'"\xff2"')
    assert faults.invalid_utf8(after_events=0)(Recording(b"data: x\n\n")).body == b"data: \xffx\n\n"
    commented = Recording(b': "a"\revent: "b"\rdata: {"c": "d"}\r\r')
    broken = faults.invalid_utf8(after_events=0)(commented)
    assert broken.body == commented.body.replace(b'"d"', b'"\xffd"')


@pytest.mark.parametrize("fault", [faults.truncated_json, faults.invalid_utf8])
def test_a_fault_of_an_event_needs_one(fault):
    with pytest.raises(OptionError) as caught:
        fault(after_events=3)(RECORDING)
    assert str(caught.value) == "after_events is 3: expected fewer than the 3 events of 'three'"


@pytest.mark.parametrize(
    ("form", "names", "done"),
    [
        ("openai", ["message"], True),
        ("responses", ["error", "response.failed"], False),
        ("groq", ["error"], False),
        ("openrouter", ["message"], True),
        ("anthropic", ["error"], False),
        ("text", ["message"], False),
    ],
)
def test_an_error_object_comes_in_a_vendors_form_and_ends_the_stream(form, names, done):
    broken = faults.error_object(form, after_events=1)(RECORDING)
    assert broken.body.startswith(BODY[:FIRST])
    assert broken.end == "complete"
    first, *told = events(broken)
    assert first == events(RECORDING)[0]
    assert (told[-1].data == "[DONE]") is done
    told = list(takewhile(lambda event: event.data != "[DONE]", told))
    assert [event.event for event in told] == names
    error = told[0].json()["error"]
    assert error if form == "text" else error["message"]


def test_an_unknown_form_is_refused():
    with pytest.raises(OptionError) as caught:
        faults.error_object("azure")
    assert str(caught.value) == (
        "form is 'azure': expected one of openai, responses, responses_flat, groq, "
        "openrouter, anthropic, text"
    )


@pytest.mark.parametrize(("form", "told"), [("responses", "error"), ("responses_flat", "message")])
@pytest.mark.parametrize("after_events", [0, 2])
def test_errors_of_the_responses_api_go_on_with_its_numbers(form, told, after_events):
    broken = faults.error_object(form, after_events=after_events)(RECORDING)
    error, failed = (event.json() for event in events(broken)[after_events:])
    assert told in error
    assert [error["sequence_number"], failed["sequence_number"]] == [after_events, after_events + 1]
    assert (failed["type"], failed["response"]["status"]) == ("response.failed", "failed")


def test_an_error_event_is_the_middlewares_or_yours():
    told = events(faults.error_event()(RECORDING))
    assert (told[-1].event, told[-1].json()["error"]["type"]) == ("error", "stream_error")
    mine = faults.error_event({"event": "error", "data": "out of\norder"}, after_events=0)
    assert mine(RECORDING).body == b"event: error\ndata: out of\ndata: order\n\n"


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (faults.bom(), b"\xef\xbb\xbf" + BODY),
        (faults.id_only(), BODY[:FIRST] + b"id: 1\n\n" + BODY[FIRST:]),
        (faults.retry_only(after_events=2), BODY[:SECOND] + b"retry: 3000\n\n" + BODY[SECOND:]),
        (faults.event_only(after_events=0), b"event: ping\n\n" + BODY),
    ],
    ids=repr,
)
def test_what_the_format_allows_is_put_in(fault, expected):
    broken = fault(RECORDING)
    assert broken.body == expected
    assert sum(delay_s for delay_s, _ in broken.chunks) == 6
    assert broken.end == "stall"


def test_the_content_type_is_another_and_the_other_headers_stay():
    recording = Recording(BODY, headers={"Content-Type": "text/event-stream", "x-a": "b"})
    broken = faults.content_type()(recording)
    assert broken.headers == {"x-a": "b", "content-type": "text/plain; charset=utf-8"}
    assert broken.body == BODY
    with pytest.raises(RecordingError, match="content-type"):
        FakeUpstream().play("chat-text", fault=faults.content_type("a\nb"))


@pytest.mark.parametrize("body", [[1], "{}", {"a": {1}}, {"a": b""}], ids=repr)
def test_what_is_no_json_object_is_no_body(body):
    with pytest.raises(OptionError, match="body is .*: expected a mapping that JSON can hold"):
        faults.json_body(body)


def test_a_json_body_is_no_stream():
    broken = faults.json_body({"id": "1"})(RECORDING)
    assert (broken.status, broken.body, broken.end) == (200, b'{"id": "1"}', "complete")
    assert broken.headers == {"content-type": "application/json"}
    assert json.loads(faults.json_body()(RECORDING).body)["object"] == "chat.completion"


def every_fault():
    """One of each, for a recording with three events and [DONE]."""
    return [
        faults.bom(),
        faults.content_type("text/html"),
        faults.cut(after_bytes=3, reset=True),
        faults.duplicate_done(),
        faults.early_end(after_events=2),
        faults.error_event(after_events=2),
        faults.error_object("groq", after_events=2),
        faults.event_only(),
        faults.http_error(503),
        faults.id_only(after_events=2),
        faults.invalid_utf8(),
        faults.json_body(),
        faults.retry_only(),
        faults.slow_first_token(1),
        faults.stall(after_bytes=7),
        faults.truncated_json(after_events=0),
        faults.without_done(),
    ]


def test_each_fault_is_shown_as_it_is_written():
    shown = [repr(fault) for fault in every_fault()]
    assert {text[len("faults.") :].split("(")[0] for text in shown} == set(faults.__all__) - {
        "Fault"
    }
    for text, fault in zip(shown, every_fault()):
        again = eval(text, {"faults": faults})
        assert again(RECORDING) == fault(RECORDING), text


@pytest.mark.parametrize("fault", every_fault(), ids=repr)
def test_no_fault_changes_its_recording(fault):
    before = pieces(RECORDING), dict(RECORDING.headers)
    fault(RECORDING)
    assert (pieces(RECORDING), dict(RECORDING.headers)) == before
