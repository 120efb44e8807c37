"""sse_middleware.testing._built_chat: built streams are shaped like the recorded ones."""

import json
from functools import lru_cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sse_middleware import EventParser
from sse_middleware.errors import OptionError
from sse_middleware.testing import Recording
from sse_middleware.testing._built_answer import compact, padding

REAL = Path(__file__).resolve().parents[2] / "shared" / "recordings"
needs_real = pytest.mark.skipif(
    not REAL.is_dir(), reason="the recordings of real vendors do not stand beside this checkout"
)
WEATHER = {"name": "get_weather", "arguments": {"city": "T\u00f3rshavn"}}
ANSWERS = {
    "text": {"text": "Hello there"},
    "nothing": {},
    "usage": {"text": "Hello there", "usage": True},
    "obfuscation": {"text": "Hello there", "usage": True, "obfuscation": True},
    "a call": {"tool_calls": [WEATHER]},
    "two calls": {"tool_calls": [WEATHER, WEATHER], "usage": True, "obfuscation": True},
    "length": {"text": "Hello", "finish_reason": "length"},
    "refusal": {"refusal": "I will not."},
}


def chunks_of(body):
    return [json.loads(e.data) for e in EventParser().feed(body) if e.data.startswith("{")]


def built(**arguments):
    return chunks_of(Recording.chat(**arguments).body)


def joined(chunks, key):
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    return "".join(choice["delta"].get(key) or "" for choice in choices)


def shape(value):
    """The keys in their order, and the types; of what is not an object, the type."""
    if isinstance(value, dict):
        return tuple((key, shape(item)) for key, item in value.items())
    if isinstance(value, list):
        return tuple(shape(item) for item in value)
    return type(value).__name__


def unpadded(chunk):
    """The keys in their order, whether it was padded or not; padding comes last."""
    return tuple(key for key in chunk if key != "obfuscation")


@lru_cache(maxsize=None)
def real_chunks():
    files = sorted(REAL.glob("openai-chat-*.sse"))
    bodies = [file.read_bytes() for file in files]
    # Some were sorted and filled with other ids by those who published them.
    return [chunk for body in bodies if b"REDACTED" not in body for chunk in chunks_of(body)]


GOLDEN_HEAD = (
    '{"id":"chatcmpl-%s","object":"chat.completion.chunk","created":1700000000,'
    '"model":"gpt-4o","service_tier":"default","system_fingerprint":"fp_0000000001","choices":['
)


def test_the_bytes_are_these():
    recording = Recording.chat("Hi \u00e9", model="gpt-4o", usage=True)
    head = GOLDEN_HEAD % chunks_of(recording.body)[0]["id"][9:]
    end = '],"usage":null}\n\n'
    assert recording.body.decode() == "".join(
        [
            f'data: {head}{{"index":0,"delta":{{"role":"assistant","content":"","refusal":null}},'
            f'"logprobs":null,"finish_reason":null}}{end}',
            f'data: {head}{{"index":0,"delta":{{"content":"Hi"}},'
            f'"logprobs":null,"finish_reason":null}}{end}',
            f'data: {head}{{"index":0,"delta":{{"content":" \u00e9"}},'
            f'"logprobs":null,"finish_reason":null}}{end}',
            f'data: {head}{{"index":0,"delta":{{}},"logprobs":null,"finish_reason":"stop"}}{end}',
            f'data: {head}],"usage":{{"prompt_tokens":10,"completion_tokens":2,"total_tokens":12,'
            '"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},'
            '"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,'
            '"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}}\n\n',
            "data: [DONE]\n\n",
        ]
    )


def test_ids_and_padding_are_the_same_on_every_python():
    chunks = built(text="Hi", obfuscation=True)
    assert {chunk["id"] for chunk in chunks} == {"chatcmpl-967f723808302b8830a5557a3a33c"}
    assert [chunk["obfuscation"] for chunk in chunks] == ["c7298b", "27f3d6", "88"]


@needs_real
@pytest.mark.parametrize("arguments", ANSWERS.values(), ids=list(ANSWERS))
def test_each_chunk_has_the_shape_of_a_recorded_one(arguments):
    heads = {unpadded(chunk) for chunk in real_chunks()}
    choices = {shape(choice) for chunk in real_chunks() for choice in chunk["choices"]}
    usages = {shape(chunk["usage"]) for chunk in real_chunks() if chunk.get("usage")}
    for chunk in built(**arguments):
        assert unpadded(chunk) in heads
        assert {shape(choice) for choice in chunk["choices"]} <= choices
        if chunk.get("usage"):
            assert shape(chunk["usage"]) in usages


@needs_real
def test_padding_is_as_long_as_that_of_recorded_chunks():
    padded = [chunk for chunk in real_chunks() if "obfuscation" in chunk]
    assert len(padded) > 100
    for chunk in padded:
        found = chunk.copy()
        length = len(found.pop("obfuscation"))
        assert len(padding(compact(found), 0)) == length


@pytest.mark.parametrize("arguments", ANSWERS.values(), ids=list(ANSWERS))
def test_each_stream_is_of_one_answer_and_ends_with_done(arguments):
    body = Recording.chat(**arguments).body
    chunks = chunks_of(body)
    assert body.endswith(b"}\n\ndata: [DONE]\n\n")
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert len({(chunk["id"], chunk["created"], chunk["model"]) for chunk in chunks}) == 1
    assert [c["finish_reason"] for chunk in chunks for c in chunk["choices"]].count(None) == (
        len(chunks) - 1 - ("usage" in arguments)
    )


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_comes_back_exactly(text):
    assert joined(built(text=text), "content") == text


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]))))
def test_given_deltas_are_sent_as_they_are(deltas):
    chunks = built(text=deltas)[1:-1]
    assert [chunk["choices"][0]["delta"] for chunk in chunks] == [{"content": d} for d in deltas]


def test_a_lone_call_opens_in_the_first_chunk():
    first, *fragments, last = [chunk["choices"][0] for chunk in built(tool_calls=[WEATHER])]
    [opener] = first["delta"]["tool_calls"]
    assert (first["delta"]["content"], opener["index"], opener["type"]) == (None, 0, "function")
    assert opener["function"] == {"name": "get_weather", "arguments": ""}
    parts = [part["delta"]["tool_calls"][0]["function"]["arguments"] for part in fragments]
    assert "".join(parts) == '{"city":"T\u00f3rshavn"}'
    assert last["finish_reason"] == "tool_calls"


def test_calls_after_a_text_open_in_chunks_of_their_own():
    chunks = built(text="Hi", tool_calls=[WEATHER, {"name": "g", "id": "call_g"}])
    assert joined(chunks, "content") == "Hi"
    calls = [call for c in chunks for call in c["choices"][0]["delta"].get("tool_calls", [])]
    assert [(call["index"], call.get("id")) for call in calls if "id" in call] == [
        (0, calls[0]["id"]),
        (1, "call_g"),
    ]
    assert [call["index"] for call in calls] == sorted(call["index"] for call in calls)


def test_a_refusal_comes_instead_of_content():
    chunks = built(refusal="I will not.")
    assert joined(chunks, "refusal") == "I will not."
    assert joined(chunks, "content") == ""
    assert chunks[0]["choices"][0]["delta"] == {
        "role": "assistant",
        "content": None,
        "refusal": "",
    }
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize(
    ("usage", "counts"),
    [
        (True, (10, 2, 12)),
        ({}, (10, 2, 12)),
        ({"prompt_tokens": 3}, (3, 2, 5)),
        ({"prompt_tokens": 3, "completion_tokens": 4}, (3, 4, 7)),
        ({"total_tokens": 99}, (10, 2, 99)),
        ({"prompt_tokens": 0}, (0, 2, 2)),
    ],
)
def test_usage_counts_deltas_unless_it_is_told(usage, counts):
    found = built(text="Hello there", usage=usage)[-1]["usage"]
    assert tuple(found.values())[:3] == counts


def test_details_of_usage_keep_the_counts_that_are_not_told():
    details = {"reasoning_tokens": 7, "new_tokens": 1}
    found = built(usage={"completion_tokens_details": details})[-1]["usage"]
    assert found["completion_tokens_details"] == {
        "reasoning_tokens": 7,
        "audio_tokens": 0,
        "accepted_prediction_tokens": 0,
        "rejected_prediction_tokens": 0,
        "new_tokens": 1,
    }
    assert found["prompt_tokens_details"] == {"cached_tokens": 0, "audio_tokens": 0}


def test_without_usage_no_chunk_speaks_of_it():
    assert all("usage" not in chunk and chunk["choices"] for chunk in built(text="Hi"))


KEYS = (
    "prompt_tokens, completion_tokens, total_tokens, prompt_tokens_details, "
    "completion_tokens_details"
)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"finish_reason": "done"},
            "finish_reason is 'done': expected one of stop, length, tool_calls, content_filter, "
            "function_call",
        ),
        ({"usage": None}, f"usage is None: expected a mapping with keys of {KEYS}"),
        ({"usage": 12}, f"usage is 12: expected a mapping with keys of {KEYS}"),
        ({"usage": {"input_tokens": 1}}, f"usage key is 'input_tokens': expected one of {KEYS}"),
        (
            {"usage": {"prompt_tokens": -1}},
            "usage['prompt_tokens'] is -1: expected a number of tokens",
        ),
        (
            {"usage": {"prompt_tokens": True}},
            "usage['prompt_tokens'] is True: expected a number of tokens",
        ),
        (
            {"usage": {"prompt_tokens_details": 1}},
            "usage['prompt_tokens_details'] is 1: "
            "expected a mapping with keys of cached_tokens, audio_tokens",
        ),
        (
            {"usage": {"prompt_tokens_details": {"cached_tokens": 0.5}}},
            "usage['prompt_tokens_details']['cached_tokens'] is 0.5: expected a number of tokens",
        ),
        (
            {"usage": {"prompt_tokens_details": {"\ud800": 1}}},
            "usage['prompt_tokens_details'] key is '\\ud800': "
            "expected text without a lone surrogate",
        ),
        ({"usage": {1: 1}}, "usage key is 1: expected a str, not empty"),
    ],
)
def test_an_argument_without_meaning_is_refused_in_one_line(arguments, message):
    with pytest.raises(OptionError) as caught:
        Recording.chat("Hi", **arguments)
    assert str(caught.value) == message
