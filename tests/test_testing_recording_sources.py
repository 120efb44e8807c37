"""sse_middleware.testing._recording_sources: what is built suits the SDK of OpenAI."""

import json
import os
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sse_middleware.errors import RecordingError
from sse_middleware.testing import FakeUpstream, Recording

try:
    OPENAI = tuple(int(part) for part in version("openai").split(".")[:2])
except PackageNotFoundError:
    OPENAI = (0, 0)
needs_openai = pytest.mark.skipif(OPENAI < (2, 0), reason="openai 2 or newer is not installed")

DEADLINE_S = 20
TEXT = "Hello there,\n\n  caf\u00e9 \U0001f44b\u2028 \r\n"
ASKED = [{"role": "user", "content": "Hi"}]
WEATHER = {"name": "get_weather", "arguments": {"city": "T\u00f3rshavn", "days": 3}}
TIME = {"name": "get_time", "arguments": '{"zone": "UTC"}', "id": "call_time"}


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@contextmanager
def playing(recording):
    """An SDK client whose next request is answered with the recording."""
    import openai

    upstream = FakeUpstream()
    upstream.play(recording)
    with upstream.serve() as base_url:
        with openai.OpenAI(
            base_url=base_url, api_key="none", max_retries=0, timeout=DEADLINE_S
        ) as client:
            yield client
        upstream.verify()


def chat_chunks(recording):
    with playing(recording) as client:
        return list(client.chat.completions.create(model="m", messages=ASKED, stream=True))


def chat_completion(recording):
    with playing(recording) as client, client.chat.completions.stream(
        model="m", messages=ASKED
    ) as stream:
        return stream.get_final_completion()


def response_events(recording):
    with playing(recording) as client:
        return list(client.responses.create(model="m", input="Hi", stream=True))


def final_response(recording):
    with playing(recording) as client, client.responses.stream(model="m", input="Hi") as stream:
        return stream.get_final_response()


@needs_openai
@pytest.mark.parametrize("obfuscation", [False, True], ids=["plain", "padded"])
def test_chat_text_arrives_in_its_deltas(obfuscation):
    deltas = ["Hello", " there", "\n"]
    chunks = chat_chunks(Recording.chat(deltas, model="m-1", usage=True, obfuscation=obfuscation))
    first, *middle, finish, usage = chunks
    assert (first.choices[0].delta.role, first.choices[0].delta.content) == ("assistant", "")
    assert [chunk.choices[0].delta.content for chunk in middle] == deltas
    assert finish.choices[0].finish_reason == "stop"
    assert usage.choices == []
    assert usage.usage.total_tokens == 13
    assert {chunk.model for chunk in chunks} == {"m-1"}
    assert {chunk.object for chunk in chunks} == {"chat.completion.chunk"}


@needs_openai
def test_chat_text_is_accumulated_to_a_completion():
    completion = chat_completion(Recording.chat(TEXT, usage={"prompt_tokens": 7}))
    [choice] = completion.choices
    assert choice.message.content == TEXT
    assert choice.finish_reason == "stop"
    assert completion.usage.prompt_tokens == 7


@needs_openai
@pytest.mark.parametrize("text", ["", "Let me see."], ids=["alone", "after text"])
@pytest.mark.parametrize("calls", [[WEATHER], [WEATHER, TIME]], ids=["one", "two"])
def test_chat_calls_are_accumulated(text, calls):
    [choice] = chat_completion(Recording.chat(text, tool_calls=calls)).choices
    assert choice.finish_reason == "tool_calls"
    assert (choice.message.content or "") == text
    found = choice.message.tool_calls
    assert [call.function.name for call in found] == [call["name"] for call in calls]
    assert json.loads(found[0].function.arguments) == WEATHER["arguments"]
    assert [call.type for call in found] == ["function"] * len(calls)
    if len(calls) == 2:
        assert (found[1].id, found[1].function.arguments) == ("call_time", TIME["arguments"])


@needs_openai
def test_a_chat_refusal_is_accumulated():
    [choice] = chat_completion(Recording.chat(refusal="I will not.")).choices
    assert choice.message.refusal == "I will not."
    assert choice.message.content is None


@needs_openai
def test_a_chat_answer_cut_by_length_is_the_error_that_the_sdk_has_for_it():
    import openai

    recording = Recording.chat("Hello", finish_reason="length")
    assert chat_chunks(recording)[-1].choices[0].finish_reason == "length"
    with pytest.raises(openai.LengthFinishReasonError):
        chat_completion(recording)


@needs_openai
def test_responses_text_arrives_in_its_deltas():
    deltas = ["Hello", " there", "\n"]
    events = response_events(Recording.response(deltas, obfuscation=True))
    assert [e.delta for e in events if e.type == "response.output_text.delta"] == deltas
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[-1].response.output_text == "Hello there\n"
    assert type(events[-1]).__name__ == "ResponseCompletedEvent"


@needs_openai
def test_responses_text_is_accumulated_to_a_response():
    response = final_response(Recording.response(TEXT, model="m-1"))
    assert response.output_text == TEXT
    assert (response.status, response.model) == ("completed", "m-1")
    assert response.usage.input_tokens == 10


@needs_openai
def test_responses_calls_are_accumulated():
    response = final_response(Recording.response("Let me see.", tool_calls=[WEATHER, TIME]))
    message, weather, time = response.output
    assert message.content[0].text == "Let me see."
    assert (weather.type, weather.name) == ("function_call", "get_weather")
    assert json.loads(weather.arguments) == WEATHER["arguments"]
    assert (time.call_id, time.arguments) == ("call_time", TIME["arguments"])


@needs_openai
def test_a_responses_refusal_is_accumulated():
    [message] = final_response(Recording.response(refusal="I will not.")).output
    assert [(part.type, part.refusal) for part in message.content] == [("refusal", "I will not.")]


@needs_openai
def test_a_response_that_was_cut_short_says_why():
    events = response_events(Recording.response("Hi", incomplete_reason="max_output_tokens"))
    assert events[-1].type == "response.incomplete"
    assert events[-1].response.incomplete_details.reason == "max_output_tokens"


SETTINGS = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 999) | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=9,
)
KEYS = st.sampled_from(["status", "headers", "request", "chunks", "end"]) | st.text(max_size=3)


def find_refusal(read, *files):
    """What is said of these files; None if they are read."""
    try:
        assert isinstance(read(*files), Recording)
    except RecordingError as error:
        return str(error)
    return None


@given(st.binary(), st.binary() | st.dictionaries(KEYS, SETTINGS).map(json.dumps).map(str.encode))
def test_any_bytes_are_loaded_or_refused(tmp_path_factory, body, settings):
    path = tmp_path_factory.mktemp("fuzz") / "r.sse"
    path.write_bytes(body)
    assert find_refusal(Recording.load, path) is None
    path.with_suffix(".json").write_bytes(settings)
    refusal = find_refusal(Recording.load, path)
    assert refusal is None or str(path.with_suffix(".json")) in refusal


@given(st.binary())
def test_any_bytes_are_imported_or_refused(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("fuzz") / "r"
    for known in (b"", b"HTTP/1.1 200 OK\r\n"):
        path.write_bytes(known + content)
        for read in (Recording.from_curl, Recording.from_cassette):
            refusal = find_refusal(read, path)
            assert refusal is None or refusal.startswith(str(path))
