"""sse_middleware.testing._built_responses: built streams are shaped like the recorded ones."""

import json
from functools import lru_cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sse_middleware import EventParser
from sse_middleware.errors import OptionError
from sse_middleware.testing import Recording
from sse_middleware.testing._built_answer import padding

REAL = Path(__file__).resolve().parents[2] / "shared" / "recordings"
needs_real = pytest.mark.skipif(
    not REAL.is_dir(), reason="the recordings of real vendors do not stand beside this checkout"
)
WEATHER = {"name": "get_weather", "arguments": {"city": "T\u00f3rshavn"}}
ANSWERS = {
    "text": {"text": "Hello there"},
    "nothing": {},
    "obfuscation": {"text": "Hello there", "obfuscation": True},
    "two calls": {"tool_calls": [WEATHER, WEATHER], "obfuscation": True},
    "a call after a text": {"text": "Hi", "tool_calls": [WEATHER]},
    "incomplete": {"text": "Hello", "incomplete_reason": "max_output_tokens"},
    "refusal": {"refusal": "I will not."},
}


def events_of(body):
    return [(e.event, json.loads(e.data)) for e in EventParser().feed(body)]


def built(**arguments):
    return events_of(Recording.response(**arguments).body)


def objects_of(kind, data):
    """Each object of the event under a name, with its keys in their order."""
    yield kind, tuple(key for key in data if key != "obfuscation")
    for key, value in data.items():
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, dict) and key in {"response", "item", "part", "output", "content"}:
                yield from objects_of(item.get("type", item.get("object")), item)


def find_responses(file):
    """The response objects in a recording of any vendor."""
    events = [e.data for e in EventParser().feed(file.read_bytes()) if e.data.startswith("{")]
    return [data["response"] for data in map(json.loads, events) if "response" in data]


@lru_cache(maxsize=None)
def real_events():
    """Of the recordings of the present API; some were sorted by those who published them."""
    names = ["basic", "chunked", "code-interpreter", "error-failed", "file-search", "web-search"]
    names += ["mcp-list-tools", "refusal", "incomplete-mid-tool-call", "incomplete-max-tokens"]
    files = [REAL / f"openai-responses-{name}.sse" for name in names]
    files.append(REAL / "azure-responses-tool-call.sse")
    return [event for file in files for event in events_of(file.read_bytes())]


@needs_real
@pytest.mark.parametrize("arguments", ANSWERS.values(), ids=list(ANSWERS))
def test_each_object_has_the_keys_of_a_recorded_one(arguments):
    known = {pair for kind, data in real_events() for pair in objects_of(kind, data)}
    for kind, data in built(**arguments):
        for name, keys in objects_of(kind, data):
            assert (name, keys) in known or (name, tuple(sorted(keys))) in known


@needs_real
def test_what_is_constant_in_the_response_was_recorded():
    recorded = [event for file in REAL.glob("*-responses-*.sse") for event in find_responses(file)]
    invented = {"id", "created_at", "completed_at", "model", "output", "usage"}
    for _, data in (built(text="Hi")[0], built(text="Hi")[-1]):
        for key, value in data["response"].items():
            if key not in invented:
                assert value in [response[key] for response in recorded if key in response], key


@needs_real
def test_padding_is_as_long_as_that_of_recorded_deltas():
    padded = [data for _, data in real_events() if "REDACTED" not in data.get("item_id", "")]
    padded = [data for data in padded if "obfuscation" in data]
    assert len(padded) > 100
    for data in padded:
        assert len(padding(data["delta"], 0)) == len(data["obfuscation"])


def test_padding_stands_where_openai_puts_it():
    body = Recording.response("Hi", obfuscation=True).body.decode()
    assert ',"logprobs":[],"obfuscation":"' in body
    padded = [data for _, data in built(text="Hi there", obfuscation=True) if "delta" in data]
    assert [len(data["delta"]) + len(data["obfuscation"]) for data in padded] == [16, 16]


@pytest.mark.parametrize("arguments", ANSWERS.values(), ids=list(ANSWERS))
def test_each_stream_is_numbered_and_framed(arguments):
    body = Recording.response(**arguments).body
    events = events_of(body)
    assert [kind for kind, _ in events] == [data["type"] for _, data in events]
    assert [data["sequence_number"] for _, data in events] == list(range(len(events)))
    assert b"[DONE]" not in body
    for frame in body.decode().split("\n\n")[:-1]:
        name, data = frame.split("\n")
        compact = json.dumps(json.loads(data[6:]), ensure_ascii=False, separators=(",", ":"))
        assert (name[:7], data) == ("event: ", f"data: {compact}")


def test_the_events_of_a_text_are_these():
    assert [kind for kind, _ in built(text="Hello there")] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]


def test_the_bytes_of_a_delta_are_these():
    frames = Recording.response("\u00e9\n").body.split(b"\n\n")
    item_id = json.loads(frames[2].split(b"data: ")[1])["item"]["id"]
    assert frames[4].decode() == (
        "event: response.output_text.delta\n"
        'data: {"type":"response.output_text.delta","content_index":0,"delta":"\u00e9",'
        f'"item_id":"{item_id}","logprobs":[],"output_index":0,"sequence_number":4}}'
    )


def test_ids_are_the_same_on_every_python():
    (_, created), *_, (_, completed) = built(text="Hi")
    assert (
        created["response"]["id"]
        == completed["response"]["id"]
        == "resp_c48b0750023fd91f876c13fde8964ed5a9925e51243a8e66c2"
    )
    assert (
        completed["response"]["output"][0]["id"]
        == "msg_14f29919439c2ae6d7ebba84279049a1abd7411a69d24d5e70"
    )


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_comes_back_exactly(text):
    events = built(text=text)
    assert "".join(d["delta"] for kind, d in events if kind.endswith("text.delta")) == text
    [item] = events[-1][1]["response"]["output"]
    assert item["content"][0]["text"] == text
    assert item["status"] == events[-1][1]["response"]["status"] == "completed"


def test_given_deltas_are_sent_as_they_are():
    deltas = ["Hello there", "", "\n"]
    events = built(text=deltas)
    assert [data["delta"] for _, data in events if "delta" in data] == deltas


def test_items_open_empty_and_have_the_ids_of_their_kind():
    events = built(text="Hi", tool_calls=[WEATHER])
    message, call = [d["item"] for kind, d in events if kind == "response.output_item.added"]
    assert (message["type"], message["role"], message["content"]) == ("message", "assistant", [])
    assert (call["type"], call["name"], call["arguments"]) == ("function_call", "get_weather", "")
    assert (message["id"][:4], call["id"][:3], call["call_id"][:5]) == ("msg_", "fc_", "call_")
    assert (len(message["id"]), len(call["id"]), len(call["call_id"])) == (54, 53, 29)
    [part] = [d["part"] for kind, d in events if kind == "response.content_part.added"]
    assert part == {"type": "output_text", "annotations": [], "logprobs": [], "text": ""}
    assert events[-1][1]["response"]["output"][0]["role"] == "assistant"


def test_calls_follow_the_text_in_items_of_their_own():
    events = built(text="Hi", tool_calls=[WEATHER, {"name": "g", "id": "call_g"}])
    output = events[-1][1]["response"]["output"]
    assert [item["type"] for item in output] == ["message", "function_call", "function_call"]
    assert [item.get("arguments") for item in output[1:]] == ['{"city":"T\u00f3rshavn"}', "{}"]
    assert output[2]["call_id"] == "call_g"
    assert len({item["id"] for item in output}) == 3
    for index, item in enumerate(output):
        of_item = [data for _, data in events if data.get("output_index") == index]
        ids = {data.get("item_id") or data["item"]["id"] for data in of_item}
        assert ids == {item["id"]}
        assert of_item[-1]["item"] == item
        assert of_item[0]["item"]["status"] == "in_progress"


def test_the_arguments_of_a_call_come_in_deltas():
    events = built(tool_calls=[WEATHER])
    deltas = [data["delta"] for _, data in events if "delta" in data]
    assert len(deltas) > 1
    [done] = [d for kind, d in events if kind == "response.function_call_arguments.done"]
    assert "".join(deltas) == done["arguments"] == '{"city":"T\u00f3rshavn"}'


def test_a_refusal_is_a_part_of_its_own():
    events = built(refusal="I will not.")
    deltas = [data["delta"] for kind, data in events if kind == "response.refusal.delta"]
    assert "".join(deltas) == "I will not."
    [item] = events[-1][1]["response"]["output"]
    assert item["content"] == [{"type": "refusal", "refusal": "I will not."}]


@pytest.mark.parametrize("reason", ["max_output_tokens", "content_filter"])
def test_an_answer_that_is_cut_short_is_incomplete(reason):
    kind, data = built(text="Hi", tool_calls=[WEATHER, WEATHER], incomplete_reason=reason)[-1]
    response = data["response"]
    assert kind == "response.incomplete"
    assert response["status"] == "incomplete"
    assert response["incomplete_details"] == {"reason": reason}
    assert response["completed_at"] is None
    statuses = [item["status"] for item in response["output"]]
    assert statuses == ["completed", "completed", "incomplete"]
    [item] = built(text="Hi", incomplete_reason=reason)[-1][1]["response"]["output"]
    assert item["status"] == "incomplete"


def test_usage_counts_deltas_unless_it_is_told():
    usage = built(text="Hello there")[-1][1]["response"]["usage"]
    assert usage == {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 2,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 12,
    }
    told = {"input_tokens": 3, "output_tokens_details": {"reasoning_tokens": 1}}
    assert built(text="Hello there", usage=told)[-1][1]["response"]["usage"] == {
        **usage,
        "input_tokens": 3,
        "output_tokens_details": {"reasoning_tokens": 1},
        "total_tokens": 5,
    }
    assert built(text="Hi")[0][1]["response"]["usage"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"incomplete_reason": "length"},
            "incomplete_reason is 'length': "
            "expected one of max_output_tokens, content_filter, or None",
        ),
        (
            {"usage": {"prompt_tokens": 1}},
            "usage key is 'prompt_tokens': expected one of input_tokens, input_tokens_details, "
            "output_tokens, output_tokens_details, total_tokens",
        ),
    ],
)
def test_an_argument_without_meaning_is_refused_in_one_line(arguments, message):
    with pytest.raises(OptionError) as caught:
        Recording.response("Hi", **arguments)
    assert str(caught.value) == message
