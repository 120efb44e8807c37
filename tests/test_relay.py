"""`relay`, on plain dicts and raw bytes.

SDK objects: test_relay_sdk.py. Streams of real vendors: test_relay_recordings.py.
"""

import json
from types import SimpleNamespace

import pytest

from sse_middleware import EventParser, SSEMiddleware, encode
from sse_middleware.current import CurrentStream, showing
from sse_middleware.errors import OptionError, UpstreamError
from sse_middleware.relay import relay

CLOSE = {"event": "close", "id": "sse:end", "data": ""}


def chunk(content, **fields):
    return {"choices": [{"index": 0, "delta": {"content": content}}], **fields}


def line(value):
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def texts(events):
    assert events[-1] == CLOSE
    assert [event["id"] for event in events[:-1]] == list(range(1, len(events)))
    assert {event["event"] for event in events[:-1]} <= {"message"}
    return [event["data"]["data"] for event in events[:-1]]


def test_text_becomes_numbered_events_and_the_close_event():
    assert list(relay([chunk("Hel"), chunk("lo\n")])) == [
        {"event": "message", "id": 1, "data": {"data": "Hel"}},
        {"event": "message", "id": 2, "data": {"data": "lo\n"}},
        CLOSE,
    ]


def test_key_renames_the_field_of_the_text():
    assert next(relay([chunk("Hi")], key="text"))["data"] == {"text": "Hi"}


WITHOUT_TEXT = {
    "the role": {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]},
    "no content": chunk(None),
    "an empty delta": {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
    "no delta": {"choices": [{"index": 0, "delta": None}]},
    "no choices": {"choices": []},
    "null choices": {"choices": None},
    "nothing": {},
    "azure's filter": {"choices": [], "prompt_filter_results": [{"prompt_index": 0}]},
    "a null error": chunk(None, error=None),
    "a helper's event": SimpleNamespace(type="content.delta", delta="x", snapshot="x"),
    "an unknown type": {"type": "response.steer.accepted", "delta": "x"},
}


@pytest.mark.parametrize("item", WITHOUT_TEXT.values(), ids=WITHOUT_TEXT)
def test_a_chunk_without_text_makes_no_event(item):
    assert texts(list(relay([item, chunk("Hi"), item]))) == ["Hi"]
    if isinstance(item, dict):
        assert texts(list(relay([line(item), line(chunk("Hi")), line(item)]))) == ["Hi"]


def test_text_among_content_parts_is_read():
    parts = [{"type": "text", "text": "a"}, {"type": "thinking"}, {"type": "text", "text": "b"}]
    assert texts(list(relay([chunk(parts)]))) == ["ab"]


def test_objects_are_read_by_attribute():
    delta = SimpleNamespace(content="Hi")
    item = SimpleNamespace(choices=[SimpleNamespace(index=0, delta=delta)])
    assert texts(list(relay([item]))) == ["Hi"]


BODY = b": hello\r\n\r\n" + line(chunk("a")).replace(b"\n", b"\r\n") + line(chunk("ü\n")) + line({})
BODY += b"data: [DONE]\n\n" + line(chunk("after"))


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_raw_bytes_are_read_however_they_are_cut_and_end_at_done(size):
    pieces = [BODY[start : start + size] for start in range(0, len(BODY), size)]
    assert texts(list(relay(pieces))) == ["a", "ü\n"]


def test_a_stream_without_done_ends_as_well():
    assert texts(list(relay([line(chunk("a"))]))) == ["a"]


FAILURES = {
    "an error object": ([{"error": {"message": "Rate limited"}}], "'Rate limited'"),
    "an error as text": ([{"error": "overloaded"}], "'overloaded'"),
    "an error beside choices": ([chunk("", error={"code": 400, "message": "limit"})], "'limit'"),
    "an error event": ([b'event: error\ndata: {"error": {"message": "x"}}\n\n'], "'x'"),
    "data that is no JSON": ([b"data: {\n\n"], "upstream sent '{': expected JSON"),
    "lines without their ends": ([b"data: {}", b"data: {}"], "rather than its iter_lines"),
    "a web page": ([b"<html></html>\n"], "ended before its first event"),
    "text": (
        ["data: {}\n\n"],
        "chunk is 'data: {}\\n\\n': expected an SDK object, a dict or bytes",
    ),
    "None": ([None], "chunk is None"),
}


@pytest.mark.parametrize(("items", "message"), FAILURES.values(), ids=FAILURES)
def test_what_the_upstream_got_wrong_is_said(items, message):
    events = relay([chunk("first"), *items, chunk("never")])
    assert next(events)["data"] == {"data": "first"}
    with pytest.raises(UpstreamError) as caught:
        list(events)
    assert message in str(caught.value)


class Closable(list):
    closed = 0

    def close(self):
        self.closed += 1


def test_the_upstream_is_closed_at_the_end():
    upstream = Closable([chunk("a")])
    list(relay(upstream))
    assert upstream.closed == 1


def test_the_upstream_is_closed_when_the_consumer_stops_early():
    upstream = Closable([chunk("a"), chunk("b")])
    events = relay(upstream)
    next(events)
    events.close()
    assert upstream.closed == 1


def test_the_upstream_is_closed_when_it_fails():
    upstream = Closable([{"error": "x"}])
    with pytest.raises(UpstreamError):
        list(relay(upstream))
    assert upstream.closed == 1


class Response:
    """What the streaming responses of requests and of httpx have in common."""

    def __init__(self, status_code=200, content_type="text/event-stream"):
        self.status_code = status_code
        self.headers = {"content-type": content_type}

    def iter_bytes(self):
        return iter([line(chunk("a"))])


def test_a_response_that_is_no_stream_is_refused():
    assert texts(list(relay(Response()))) == ["a"]
    with pytest.raises(UpstreamError, match="upstream answered 429: expected 200"):
        next(relay(Response(429)))
    with pytest.raises(
        UpstreamError, match="upstream sent 'application/json': expected text/event"
    ):
        next(relay(Response(content_type="application/json")))


@pytest.mark.parametrize(
    "upstream",
    ["text", b"bytes", {"choices": []}, None, 7, SimpleNamespace(choices=[], __iter__=iter)],
    ids=repr,
)
def test_what_is_no_stream_is_refused_when_relay_is_called(upstream):
    with pytest.raises(OptionError, match="stream=True"):
        relay(upstream)


def test_an_asynchronous_stream_is_named():
    class Asynchronous:
        def __aiter__(self):
            raise NotImplementedError

    with pytest.raises(OptionError, match="use the synchronous client"):
        relay(Asynchronous())


def test_a_raw_response_is_told_to_be_parsed():
    with pytest.raises(OptionError, match=r"of a raw response, pass .parse\(\)"):
        relay(SimpleNamespace(parse=lambda: []))


def test_a_response_without_a_byte_is_no_answer():
    response = Response()
    response.iter_bytes = lambda: iter([])
    with pytest.raises(UpstreamError, match="upstream ended before its first event"):
        list(relay(response))


def test_an_unknown_shape_is_refused():
    with pytest.raises(OptionError, match="shape is 'html': expected 'text' or 'openai'"):
        relay([], shape="html")


@pytest.mark.parametrize("key", [None, 7, "choice"])
def test_a_key_without_meaning_is_refused(key):
    with pytest.raises(OptionError, match="key is .*: expected a str, other than 'choice'"):
        relay([], key=key)


def events(*items, **options):
    """(event, data) of all but the close event."""
    return [(event["event"], event["data"]) for event in relay(items, **options)][:-1]


def delta(index=0, **fields):
    return {"choices": [{"index": index, "delta": fields}]}


def finish(reason="tool_calls", index=0):
    return {"choices": [{"index": index, "delta": {}, "finish_reason": reason}]}


def test_other_choices_say_which_they_are():
    items = delta(content="a"), delta(1, content="b"), delta(2, refusal="no"), delta(1, content="c")
    assert events(*items) == [
        ("message", {"data": "a"}),
        ("message", {"data": "b", "choice": 1}),
        ("refusal", {"data": "no", "choice": 2}),
        ("message", {"data": "c", "choice": 1}),
    ]


REASONING = {
    "DeepSeek": delta(reasoning_content="hm"),
    "Groq": delta(reasoning="hm"),
    "both": delta(reasoning="hm", reasoning_content="hm"),
    "OpenRouter": delta(reasoning="hm", reasoning_details=[{"text": "hm"}]),
    "details": delta(reasoning_details=[{"type": "reasoning.text", "text": "hm"}]),
    "summary": delta(reasoning_details=[{"type": "reasoning.summary", "summary": "hm"}]),
    "Mistral": delta(content=[{"type": "thinking", "thinking": [{"text": "h"}, {"text": "m"}]}]),
    "Responses": {"type": "response.reasoning_text.delta", "delta": "hm"},
    "Responses, summary": {"type": "response.reasoning_summary_text.delta", "delta": "hm"},
    "Anthropic": {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "thinking_delta", "thinking": "hm"},
    },
    "Gemini": {"candidates": [{"content": {"parts": [{"text": "hm", "thought": True}]}}]},
    "Cohere": {"type": "content-delta", "delta": {"message": {"content": {"thinking": "hm"}}}},
}


@pytest.mark.parametrize("item", REASONING.values(), ids=REASONING)
def test_reasoning_comes_once_under_its_own_name(item):
    assert events(item) == [("reasoning", {"data": "hm"})]
    assert events(item, key="text") == [("reasoning", {"text": "hm"})]


TEXTS = {
    "chat": delta(content="Hi"),
    "legacy": {"choices": [{"index": 0, "text": "Hi"}]},
    "both": {"choices": [{"index": 0, "text": "Hi", "delta": {"content": "Hi"}}]},
    "legacy with an empty delta": {"choices": [{"index": 0, "text": "Hi", "delta": {}}]},
    "a null index": {"choices": [{"index": None, "delta": {"content": "Hi"}}]},
    "one part": delta(content={"type": "text", "text": "Hi"}),
    "parts of text": delta(content=["H", {"text": "i"}]),
    "spoken": delta(audio={"transcript": "Hi"}),
    "Responses": {"type": "response.output_text.delta", "delta": "Hi"},
    "Responses, spoken": {"type": "response.audio.transcript.delta", "delta": "Hi"},
    "Anthropic": {"type": "content_block_delta", "index": 0, "delta": {"text": "Hi"}},
    "Anthropic, at the start": {"type": "content_block_start", "content_block": {"text": "Hi"}},
    "Anthropic, legacy": {"type": "completion", "completion": "Hi"},
    "Assistants": {
        "event": "thread.message.delta",
        "data": {"delta": {"content": [{"type": "text", "text": {"value": "Hi"}}]}},
    },
    "Gemini": {"candidates": [{"content": {"parts": [{"text": "H"}]}}, {}]},
    "Gemini, another candidate": {
        "candidates": [{"index": 1, "content": {"parts": [{"text": "Hi"}]}}]
    },
    "Cohere": {"type": "content-delta", "delta": {"message": {"content": {"text": "Hi"}}}},
    "watsonx": {"results": [{"generated_text": "Hi"}]},
    "transcription": {"type": "transcript.text.delta", "delta": "Hi"},
    "Mistral's SDK": SimpleNamespace(data=SimpleNamespace(**delta(content="Hi"))),
}
OTHER = {"Gemini": {"data": "H"}, "Gemini, another candidate": {"data": "Hi", "choice": 1}}


@pytest.mark.parametrize("name", TEXTS)
def test_text_of_every_form_is_a_message(name):
    assert events(TEXTS[name]) == [("message", OTHER.get(name, {"data": "Hi"}))]


NAMED_FRAMES = {
    "an unknown type": b'event: content_block_delta\ndata: {"type":7,"delta":{"text":"Hi"}}\n\n',
    "Replicate": b"event: output\ndata: Hi\n\n",
    "Replicate, what looks like JSON": b'event: output\ndata: {"a":1}\n\n',
    "DONE and more": b"event: output\ndata: Hi\n\ndata: [DONE] bye\n\ndata: {\n\n",
}


@pytest.mark.parametrize("name", NAMED_FRAMES)
def test_a_frame_is_known_by_its_event_as_well(name):
    text = '{"a":1}' if "JSON" in name else "Hi"
    assert events(NAMED_FRAMES[name]) == [("message", {"data": text})]


def item_done(kind="function_call", status="completed", **fields):
    item = {"type": kind, "id": "fc", "call_id": "c", "name": "f", "status": status, **fields}
    return {"type": "response.output_item.done", "item": item}


def test_calls_of_responses_come_when_their_items_are_done():
    items = [
        item_done(arguments="{}"),
        item_done(status="incomplete", arguments='{"a'),
        item_done("web_search_call"),
        item_done("custom_tool_call", input="SELECT 1", status=None),
    ]
    common = {"id": "c", "name": "f"}
    assert events(*items) == [
        ("tool_call", {"index": 0, **common, "arguments": "{}"}),
        ("tool_call", {"index": 1, **common, "arguments": "SELECT 1", "type": "custom"}),
    ]


def test_a_call_of_cohere_that_was_cut_is_left_out():
    start = {"id": "1", "function": {"name": "f", "arguments": '{"a'}}
    items = [
        {"type": "tool-call-start", "index": 0, "delta": {"message": {"tool_calls": start}}},
        {"type": "message-end", "delta": {"finish_reason": "MAX_TOKENS"}},
    ]
    assert events(*items) == []


USAGES = {
    "Groq": {"x_groq": {"usage": {"n": 1}}, "choices": []},
    "Responses": {"type": "response.completed", "response": {"usage": {"n": 1}}},
    "Cohere": {"type": "message-end", "delta": {"usage": {"n": 1}}},
    "Gemini": {"candidates": [], "usageMetadata": {"n": 1}},
    "Gemini's SDK": SimpleNamespace(candidates=[], usage_metadata=SimpleNamespace(n=1)),
}


@pytest.mark.parametrize("item", USAGES.values(), ids=USAGES)
def test_usage_of_every_form_is_found(item):
    assert events(item) == [("usage", {"n": 1})]


def call(index, **fields):
    return delta(tool_calls=[{"index": index, **fields}])


def function(name="", arguments=""):
    return {"name": name, "arguments": arguments}


CALLS = {
    "fragments": [
        call(0, id="c1", function=function("add")),
        call(0, function=function(arguments='{"a":')),
        call(0, function=function(arguments="1}")),
    ],
    "whole": [call(0, id="c1", function=function("add", '{"a":1}'))],
    "without a number": [
        delta(tool_calls=[{"id": "c1", "function": function("add", '{"a":')}]),
        delta(tool_calls=[{"function": function("", "1}")}]),
    ],
    "the id and name repeated": [
        call(0, id="c1", function=function("add", '{"a"')),
        call(0, id="c1", function=function("add", ":1}")),
    ],
    "an object": [call(0, id="c1", function={"name": "add", "arguments": {"a": 1}})],
}


@pytest.mark.parametrize("items", CALLS.values(), ids=CALLS)
def test_a_tool_call_comes_whole_when_its_choice_is_finished(items):
    expected = {"index": 0, "id": "c1", "name": "add", "arguments": '{"a":1}'}
    assert events(*items) == [("tool_call", expected)]
    after = [*items, finish(), chunk("later")]
    assert events(*after) == [("tool_call", expected), ("message", {"data": "later"})]


def test_calls_under_one_number_are_told_apart_by_their_ids():
    items = [call(0, id=id, function=function(name, "{}")) for id, name in [("1", "f"), ("2", "g")]]
    came = [data for _, data in events(*items, finish())]
    assert [(data["index"], data["id"], data["name"]) for data in came] == [
        (0, "1", "f"),
        (1, "2", "g"),
    ]


def test_calls_that_interleave_come_apart():
    items = [
        call(0, id="1", function=function("f", "[")),
        call(1, id="2", function=function("g", "[")),
        call(0, function=function("", "0]")),
        call(1, function=function("", "1]")),
    ]
    assert [data["arguments"] for _, data in events(*items, finish())] == ["[0]", "[1]"]


@pytest.mark.parametrize("reason", ["length", "content_filter", None])
def test_a_call_that_was_cut_is_left_out_and_logged(reason, caplog):
    cut = [call(0, id="1", function=function("f", "{}")), call(1, function=function("g", '{"a'))]
    assert [data["name"] for _, data in events(*cut, finish(reason))] == ["f"]
    assert "a call of 'g' was cut by its upstream: left out" in caplog.text


def test_a_call_without_arguments_is_whole_where_its_choice_finished():
    [(_, data)] = events(call(0, id="1", function=function("now")), finish())
    assert data == {"index": 0, "id": "1", "name": "now", "arguments": ""}


def test_a_legacy_function_call_has_no_id():
    items = delta(function_call=function("f")), delta(function_call=function("", "{}"))
    assert events(*items) == [
        ("tool_call", {"index": 0, "id": None, "name": "f", "arguments": "{}"})
    ]


def test_a_custom_tool_says_that_its_input_is_free_text():
    item = call(0, id="1", type="custom", custom={"name": "sql", "input": "SELECT 1"})
    expected = {"index": 0, "id": "1", "name": "sql", "arguments": "SELECT 1", "type": "custom"}
    assert events(item, finish()) == [("tool_call", expected)]


def anthropic_tool(*deltas, kind="tool_use", stop_reason="tool_use", **fields):
    block = {"type": kind, "id": "1", "name": "f", "input": {}, **fields}
    yield {"type": "content_block_start", "index": 1, "content_block": block}
    for text in deltas:
        part = {"type": "input_json_delta", "partial_json": text}
        yield {"type": "content_block_delta", "index": 1, "delta": part}
    yield {"type": "content_block_stop", "index": 1}
    yield {"type": "message_delta", "delta": {"stop_reason": stop_reason}}


ANTHROPIC = {
    "deltas": (anthropic_tool("", '{"a"', ":1}"), ['{"a":1}']),
    "no input": (anthropic_tool(), ["{}"]),
    "input at the start": (anthropic_tool(input={"a": 1}), ['{"a":1}']),
    "cut": (anthropic_tool('{"a', stop_reason="max_tokens"), []),
    "cut before the input": (anthropic_tool(stop_reason="max_tokens"), []),
    "a server's tool": (anthropic_tool("{}", kind="server_tool_use"), []),
}


@pytest.mark.parametrize(("items", "arguments"), ANTHROPIC.values(), ids=ANTHROPIC)
def test_a_tool_of_anthropic_comes_whole(items, arguments):
    assert [data["arguments"] for _, data in events(*items)] == arguments


def test_an_assistant_that_waits_for_tools_calls_them():
    tool = {"id": "1", "type": "function", "function": function("f", "{}")}
    asked = {"submit_tool_outputs": {"tool_calls": [tool]}}
    run = {"object": "thread.run", "required_action": asked, "usage": None}
    items = [{"event": "thread.run.requires_action", "data": run}]
    assert events(*items) == [
        ("tool_call", {"index": 0, "id": "1", "name": "f", "arguments": "{}"})
    ]


def test_a_call_of_gemini_comes_whole():
    part = {"functionCall": {"name": "f", "args": {"a": 1}}}
    items = {"candidates": [{"content": {"parts": [part, part]}}]}
    assert [(data["index"], data["arguments"]) for _, data in events(items)] == [
        (0, '{"a":1}'),
        (1, '{"a":1}'),
    ]


def test_usage_is_the_last_word_on_each_field():
    items = [
        {"type": "message_start", "message": {"usage": {"input_tokens": 5, "output_tokens": 1}}},
        {"type": "message_delta", "usage": {"input_tokens": None, "output_tokens": 9}},
    ]
    assert events(*items) == [("usage", {"input_tokens": 5, "output_tokens": 9})]


PAIRS = {
    "joined": (["a\ud83d", "\ude00b"], ["a", "😀b"]),
    "alone": (["\ud83d", "b"], ["\ufffdb"]),
    "at the end": (["a\ud83d"], ["a", "\ufffd"]),
    "the low one first": (["\ude00", "b"], ["\ufffd", "b"]),
    "two pairs": (["\ud83d", "\ude00\ud83d", "\ude00"], ["😀", "😀"]),
    "an empty delta between": (["\ud83d", "", "\ude00"], ["😀"]),
}


@pytest.mark.parametrize(("pieces", "expected"), PAIRS.values(), ids=PAIRS)
def test_surrogate_pairs_are_joined_over_deltas(pieces, expected):
    items = [chunk(text) for text in pieces]
    assert texts(list(relay(items))) == expected
    assert texts(list(relay([line(item) for item in items]))) == expected


def test_a_pair_is_joined_over_what_comes_between():
    items = delta(content="\ud83d"), delta(reasoning="hm"), delta(1, content="x"), chunk("\ude00")
    assert [data["data"] for _, data in events(*items)] == ["hm", "x", "😀"]


def test_half_a_pair_in_a_call_or_in_usage_does_not_end_the_stream():
    items = [
        call(0, id="\ud83d", function=function("f", '"\ud83d')),
        call(0, function=function("", '\ude00"')),
        {"choices": [], "usage": {"\ud83d": float("nan"), "tier": ["\ude00"]}},
    ]
    assert events(*items) == [
        ("tool_call", {"index": 0, "id": "\ufffd", "name": "f", "arguments": '"😀"'}),
        ("usage", {"\ufffd": None, "tier": ["\ufffd"]}),
    ]
    assert b"".join(map(encode, relay(items)))


FAILED = {
    "Responses": b'event: error\ndata: {"type":"error","code":"x","message":"told"}',
    "Responses, failed": b'data: {"type":"response.failed","response":{"error":"told"}}',
    "Anthropic": b'event: error\ndata: {"type":"error","error":{"message":"told"}}',
    "Assistants": b'data: {"object":"thread.run","status":"failed","last_error":"told"}',
    "Cohere": b'data: {"type":"message-end","delta":{"error":"told","finish_reason":"ERROR"}}',
    "a choice": b'data: {"choices":[{"index":0,"delta":{},"error":{"message":"told"}}]}',
    "text": b"event: error\ndata: told",
}


@pytest.mark.parametrize("frame", FAILED.values(), ids=FAILED)
@pytest.mark.parametrize("shape", ["text", "openai"])
def test_an_error_of_every_vendor_is_one(frame, shape):
    came = relay([line(chunk("Hi")), frame + b"\n\n"], shape=shape)
    assert "Hi" in str(next(came))
    with pytest.raises(UpstreamError, match="in mid-stream: 'told'"):
        next(came)


@pytest.mark.parametrize("name", ["response.created", "content_block_delta", "x"])
@pytest.mark.parametrize("shape", ["text", "openai"])
def test_half_an_event_under_a_name_is_no_event_to_pass_over(name, shape):
    frame = f'event: {name}\ndata: {{"type": "{name}", "de\n\n'.encode()
    with pytest.raises(UpstreamError, match="expected JSON"):
        list(relay([frame], shape=shape))


def test_an_event_that_nobody_knows_is_passed_over():
    strange = b"event: tick\ndata: tock\n\nevent: empty\ndata:\n\ndata:\n\ndata: [7]\n\n"
    assert texts(list(relay([strange, line(chunk("Hi"))]))) == ["Hi"]


def test_an_upstream_of_which_nothing_was_asked_is_closed_too():
    upstream = Closable([chunk("a")])
    came = relay(upstream)
    came.close()
    came.close()
    assert upstream.closed == 1
    assert list(came) == []


class Identified(Response):
    def __init__(self, **headers):
        super().__init__(429)
        self.headers = headers


@pytest.mark.parametrize("name", ["x-request-id", "request-id", "apim-request-id"])
def test_the_request_id_of_the_upstream_is_logged_and_kept(name, caplog):
    with pytest.raises(UpstreamError) as caught:
        next(relay(Identified(**{name: "req_1"})))
    assert caught.value.request_id == "req_1"
    assert "upstream failed (request id 'req_1'): UpstreamError" in caplog.text


def test_the_id_of_the_answer_stands_in_for_headers(caplog):
    items = [line({"id": "chatcmpl-1"}), line({"error": "x"})]
    with pytest.raises(UpstreamError) as caught:
        list(relay(items))
    assert caught.value.request_id == "chatcmpl-1"


def test_the_id_that_the_error_itself_has_comes_first():
    items = [line({"id": "msg_1"}), line({"type": "error", "error": {}, "request_id": "req_2"})]
    with pytest.raises(UpstreamError) as caught:
        list(relay(items))
    assert caught.value.request_id == "req_2"


def test_the_first_id_of_an_answer_stands():
    items = [line({"x_groq": {"id": "req_1"}}), line({"id": "chatcmpl-1"}), line({"error": "x"})]
    with pytest.raises(UpstreamError) as caught:
        list(relay(items))
    assert caught.value.request_id == "req_1"


def test_the_id_is_read_off_an_sdks_error(caplog):
    class StatusError(Exception):
        response = SimpleNamespace(headers={"request-id": "req_3"})

    class NamedError(Exception):
        request_id = "req_4"

    def failing(error):
        yield chunk("Hi")
        raise error

    for error, id in ((StatusError(), "req_3"), (NamedError(), "req_4")):
        with pytest.raises(type(error)):
            list(relay(failing(error)))
        assert f"upstream failed (request id '{id}')" in caplog.text


def test_what_leaving_brings_about_is_no_failure_of_the_upstream(caplog):
    stream = CurrentStream()

    def left():
        yield chunk("Hi", id="chatcmpl-1")
        stream.disconnect()
        raise OSError("shut down")

    with showing(stream), pytest.raises(OSError, match="shut down"):
        list(relay(left()))
    assert "upstream failed" not in caplog.text


def test_no_close_of_an_upstream_hides_why_it_failed():
    class Broken(Closable):
        def close(self):
            raise OSError("gone")

    with pytest.raises(UpstreamError, match="'x'"):
        list(relay(Broken([{"error": "x"}])))


# Shape "openai"


def test_chunks_leave_as_json_and_done_is_last():
    assert list(relay([{"id": 1}, chunk("é\n")], shape="openai")) == [
        {"data": '{"id":1}'},
        {"data": '{"choices":[{"index":0,"delta":{"content":"é\\n"}}]}'},
        {"data": "[DONE]"},
    ]


NAMED = {"response.created": "response.created", "message_stop": "message_stop", "a\nb": None}


@pytest.mark.parametrize(("kind", "name"), NAMED.items())
def test_an_object_with_a_type_is_named_by_it(kind, name):
    [event, _] = relay([{"type": kind}], shape="openai")
    assert event.get("event") == name


def test_half_a_pair_leaves_escaped_as_it_came():
    [event, _] = relay([chunk("\ud83d")], shape="openai")
    assert '"content":"\\ud83d"' in event["data"]
    assert encode(event)


FRAMES = {
    "LF": b"data: {}\n\n",
    "CRLF": b"data: {}\r\n\r\n",
    "CR": b"data: {}\r\r",
    "no space": b"data:{}\n\n",
    "an id": b"id: 1\nevent: message\ndata: {}\n\n",
    "two lines": b'data: {"a":\ndata: 1}\n\n',
    "retry": b"retry: 5\ndata: {}\n\n",
}


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
@pytest.mark.parametrize("size", [1, 2, 100])
def test_a_frame_leaves_byte_for_byte(frame, size):
    body = frame * 3
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    items = list(relay(pieces, shape="openai"))
    wire = b"".join(item if isinstance(item, bytes) else encode(item) for item in items)
    assert wire == body + b"data: [DONE]\n\n"


def test_what_crashes_an_sdk_does_not_leave():
    blocks = b"\xef\xbb\xbf: hi\n\nid: 1\n\nretry: 1\n\nevent: x\n\ndata:\n\n"
    items = list(relay([blocks, b'data: {"a":"\xff"}\n\n'], shape="openai"))
    assert items == [{"data": '{"a":"\ufffd"}'}, {"data": "[DONE]"}]


def test_the_end_event_of_the_middleware_does_not_follow():
    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        return iter(relay([line(chunk("Hi"))], shape="openai"))

    answer = SSEMiddleware(app, end_event="close")({"REQUEST_METHOD": "GET"}, lambda *told: None)
    assert b"".join(answer) == line(chunk("Hi")) + b"data: [DONE]\n\n"


# Inside the middleware


def answered(upstream, **options):
    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        return relay(upstream, **options)

    body = SSEMiddleware(app)({"REQUEST_METHOD": "GET"}, lambda *told: None)
    return EventParser().feed(b"".join(body))


def test_a_failure_becomes_the_error_event_without_the_words_of_the_upstream(caplog):
    first, error = answered([chunk("Hi"), {"error": {"message": "secret"}}])
    assert first.json() == {"data": "Hi"}
    assert (error.event, error.id) == ("error", "sse:end")  # an EventSource must not ask again
    assert error.json()["error"]["type"] == "stream_error"
    assert "secret" not in error.data
    assert "secret" in caplog.text


def test_a_failure_before_the_first_event_is_the_servers_own():
    with pytest.raises(UpstreamError):
        answered([{"error": "x"}])


def test_a_failure_in_the_shape_of_openai_is_in_its_form():
    _, error = answered([chunk("Hi"), {"error": {"message": "secret"}}], shape="openai")
    assert set(error.json()) == {"error"}
    assert error.id is None


def test_the_middleware_numbers_where_the_stream_can_be_resumed():
    stream = CurrentStream()
    stream.is_resumable = True
    with showing(stream):
        first, _ = relay([chunk("Hi")])
    assert first == {"event": "message", "data": {"data": "Hi"}}
