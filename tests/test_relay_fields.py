"""Reading any JSON and any object without a surprise."""

import json
import math
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sse_middleware import encode
from sse_middleware.errors import UpstreamError
from sse_middleware.relay import relay
from sse_middleware.relay.fields import as_index, as_items, get, json_text, whole_text

TEXTS = st.text(st.characters(), max_size=6) | st.sampled_from(
    ["\ud83d", "\ude00", "type", "error"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
#: A chunk of each vendor, with a hole in it for anything at all.
HOLES = [
    lambda x: x,
    lambda x: {"choices": x},
    lambda x: {"choices": [x, {"index": x, "delta": {"content": "Hi"}}]},
    lambda x: {"choices": [{"delta": x, "text": x, "finish_reason": x}]},
    lambda x: {"choices": [{"delta": {"content": x, "reasoning_details": x, "tool_calls": x}}]},
    lambda x: {"choices": [{"delta": {"tool_calls": [{"index": x, "id": x, "function": x}, x]}}]},
    lambda x: {"choices": [{"delta": {"function_call": {"name": x, "arguments": x}}}]},
    lambda x: {"type": "response.output_item.done", "item": {"type": "function_call", "name": x}},
    lambda x: {"type": "response.output_text.delta", "delta": x},
    lambda x: {"type": "response.failed", "response": x},
    lambda x: {"type": "content_block_start", "index": x, "content_block": {"type": "tool_use"}},
    lambda x: {"type": "content_block_delta", "index": x, "delta": x},
    lambda x: {"type": "message_delta", "delta": x, "usage": x},
    lambda x: {"type": "message-end", "delta": x},
    lambda x: {"type": "tool-call-delta", "delta": {"message": x}},
    lambda x: {"event": "thread.message.delta", "data": {"delta": {"content": x}}},
    lambda x: {"event": "thread.run.requires_action", "data": {"required_action": x}},
    lambda x: {"candidates": [{"content": {"parts": [{"functionCall": x}, x]}}]},
    lambda x: {"results": x, "usage": {"tokens": x}},
    lambda x: {"type": x, "event": x, "data": x},
]


@pytest.mark.parametrize("hole", HOLES, ids=range(len(HOLES)))
@pytest.mark.parametrize("shape", ["text", "openai"])
@given(value=VALUES)
def test_anything_may_stand_anywhere(hole, shape, value):
    chunk = hole(value)
    for upstream in ([chunk], [b"data: " + json.dumps(chunk).encode() + b"\n\n"]):
        try:
            events = list(relay([*upstream, *upstream], shape=shape))
        except UpstreamError:
            continue
        for event in events:
            assert isinstance(event, bytes) or encode(event)


@given(st.text(min_size=1, max_size=20), st.data())
def test_text_cut_between_any_two_code_units_arrives_whole(text, data):
    units = text.encode("utf-16-le")
    cuts = sorted(data.draw(st.lists(st.integers(0, len(units) // 2), max_size=8)))
    pieces = [units[2 * a : 2 * b] for a, b in zip([0, *cuts], [*cuts, len(units) // 2])]
    deltas = [piece.decode("utf-16-le", "surrogatepass") for piece in pieces]
    events = list(relay([{"choices": [{"delta": {"content": delta}}]} for delta in deltas]))
    assert "".join(event["data"]["data"] for event in events[:-1]) == text


def test_a_path_ends_at_what_has_no_fields():
    assert get([1], "index") is get("text", "count") is get(7, "real") is get(None, "x") is None
    assert get({"a": SimpleNamespace(b=[1])}, "a", "b") == [1]


@pytest.mark.parametrize("value", [None, True, -1, 1.0, "1", 1 << 60, [1]], ids=repr)
def test_what_counts_nothing_is_the_first(value):
    assert as_index(value) == 0
    assert as_index(3) == 3


def test_what_is_no_list_is_empty_but_for_a_lone_mapping():
    assert list(as_items({"a": 1})) == [{"a": 1}]
    assert [list(as_items(value)) for value in (None, 7, "ab", {})] == [[], [], [], [{}]]


def test_json_is_what_every_reader_takes():
    assert json_text({"a": math.nan, "b": ["é"]}) == '{"a":null,"b":["é"]}'
    assert json_text(["\ud83d"]) == '["\\ud83d"]'
    assert json_text(SimpleNamespace(a=SimpleNamespace(b=1))) == '{"a":{"b":1}}'


def test_half_a_pair_is_replaced_and_a_whole_one_joined():
    assert whole_text("a\ud83d\ude00b\ud83dc") == "a😀b\ufffdc"


def test_usage_that_no_json_can_say_is_passed_over():
    deep = {}
    for _ in range(100_000):
        deep = {"deep": deep}
    for usage in (deep, object(), {"a": object()}):
        events = list(relay([{"choices": [{"delta": {"content": "Hi"}}], "usage": usage}]))
        assert [event["event"] for event in events] == ["message", "close"]


def test_a_chunk_that_no_json_can_say_is_refused_in_the_shape_of_openai():
    with pytest.raises(UpstreamError, match="expected JSON"):
        list(relay([{"a": object()}], shape="openai"))


class OpenAIOnPydantic1:
    def model_dump(self, *, by_alias, exclude_unset, warnings=True):
        if warnings is not True:
            raise ValueError("warnings is only supported in Pydantic v2")
        return {"by_alias": by_alias, "exclude_unset": exclude_unset}


class Pydantic1:
    __fields_set__ = ()

    def dict(self, *, by_alias, exclude_unset):
        return {"by_alias": by_alias, "exclude_unset": exclude_unset}


@pytest.mark.parametrize("model", [OpenAIOnPydantic1, Pydantic1])
def test_objects_of_pydantic_1_are_read_too(model):
    assert json_text(model()) == '{"by_alias":true,"exclude_unset":true}'
