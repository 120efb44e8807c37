"""fixtures/recordings: ours are shaped like the real ones, and each holds what its name says."""

import json
import re
from functools import lru_cache
from pathlib import Path

import pytest

from sse_middleware import EventParser
from sse_middleware.testing import Recording

SHIPPED = Path(__file__).parents[1] / "fixtures" / "recordings"
NAMES = sorted(path.stem for path in SHIPPED.glob("*.sse"))
REAL = Path(__file__).resolve().parents[2] / "shared" / "recordings"
needs_real = pytest.mark.skipif(
    not REAL.is_dir(), reason="the recordings of real vendors do not stand beside this checkout"
)
ERROR_KEYS = {"error", "error.message", "error.type", "error.param", "error.code"}


def chunks_in(path):
    """The JSON objects in the data of the events of a file."""
    events = EventParser().feed(path.read_bytes())
    return [json.loads(event.data) for event in events if event.data.startswith("{")]


def key_paths(value, prefix=""):
    """The path of each key: ``choices[].delta.content``."""
    if isinstance(value, list):
        return {path for item in value for path in key_paths(item, f"{prefix}[]")}
    if not isinstance(value, dict):
        return set()
    found = set()
    for key, item in value.items():
        path = f"{prefix}.{key}" if prefix else key
        found |= {path} | key_paths(item, path)
    return found


@lru_cache(maxsize=None)
def real_key_paths(pattern):
    files = sorted(REAL.glob(pattern))
    assert files, f"no real recording is named {pattern}"
    return {path for file in files for chunk in chunks_in(file) for path in key_paths(chunk)}


def shipped(name):
    return chunks_in(SHIPPED / f"{name}.sse")


def told(chunks, key):
    """What the deltas say under ``key``, joined."""
    deltas = [choice["delta"] for chunk in chunks for choice in chunk.get("choices", [])]
    return "".join(delta.get(key) or "" for delta in deltas)


@needs_real
@pytest.mark.parametrize("name", NAMES)
def test_every_key_was_seen_in_a_real_stream_of_that_vendor(name):
    family = "azure-chat-*.sse" if name.startswith("azure-") else "openai-chat-*.sse"
    for chunk in shipped(name):
        known = real_key_paths(family)
        if "error" in chunk:  # recorded in a Responses stream: the object is the same
            known = real_key_paths("openai-responses-error-failed.sse")
        assert key_paths(chunk) - known == set()


@pytest.mark.parametrize("name", NAMES)
def test_every_chunk_has_the_keys_that_clients_rely_on(name):
    chunks = shipped(name)
    assert len(chunks) >= 5
    for chunk in chunks:
        if "error" in chunk:
            assert key_paths(chunk) == ERROR_KEYS
            continue
        assert {"id", "object", "created", "model", "choices"} <= set(chunk)
        for choice in chunk["choices"]:
            assert {"index", "delta", "logprobs", "finish_reason"} <= set(choice)
    whole = [chunk for chunk in chunks if chunk.get("id")]
    assert {chunk["object"] for chunk in whole} == {"chat.completion.chunk"}
    for key in ("id", "created", "model"):
        assert len({chunk[key] for chunk in whole}) == 1


@pytest.mark.parametrize("name", NAMES)
def test_ids_and_times_are_invented_and_differ_by_file(name):
    chunk = shipped(name)[-2]
    assert re.fullmatch(r"chatcmpl-\d{4}", chunk["id"])
    assert chunk["created"] == 1_700_000_000 + int(chunk["id"][-4:])


@pytest.mark.parametrize("name", NAMES)
def test_the_json_is_compact_and_utf8_as_on_the_wire(name):
    events = EventParser().feed((SHIPPED / f"{name}.sse").read_bytes())
    for event in events:
        if event.data.startswith("{"):
            compact = json.dumps(json.loads(event.data), ensure_ascii=False, separators=(",", ":"))
            assert event.data == compact


@pytest.mark.parametrize("name", NAMES)
def test_loading_and_saving_leaves_both_files_as_they_are(tmp_path, name):
    Recording.load(SHIPPED / f"{name}.sse").save(tmp_path / f"{name}.sse")
    for file in tmp_path.iterdir():
        assert file.read_bytes() == (SHIPPED / file.name).read_bytes()
    assert len(list(tmp_path.iterdir())) == len(list(SHIPPED.glob(f"{name}.*")))


@pytest.mark.parametrize("name", [name for name in NAMES if name != "chat-cut"])
def test_each_but_the_cut_one_ends_with_done(name):
    recording = Recording.named(name)
    events = EventParser().feed(recording.body)
    assert events[-1].data == "[DONE]"
    assert recording.end == "complete"


@pytest.mark.parametrize("name", NAMES)
def test_a_recording_takes_at_most_three_seconds(name):
    assert sum(chunk.delay_s for chunk in Recording.named(name).chunks) <= 3


def test_the_readme_has_one_line_a_recording():
    lines = (SHIPPED / "README.md").read_text(encoding="utf-8").splitlines()
    assert [line.split("`")[1] for line in lines if line.startswith("| `")] == NAMES


def test_chat_text_streams_visibly():
    recording = Recording.named("chat-text")
    assert 2 <= sum(chunk.delay_s for chunk in recording.chunks) <= 3
    assert len(recording.chunks) > 20
    assert told(shipped("chat-text"), "content") == (
        "Hello! This answer was recorded once, and now it streams to you, word by word, "
        "at the pace at which it came."
    )


def test_chat_newlines_holds_what_breaks_naive_code():
    chunks = shipped("chat-newlines")
    parts = [choice["delta"].get("content", "") for chunk in chunks for choice in chunk["choices"]]
    assert "\n" in parts
    assert "\r" in parts
    assert any(part.startswith("   ") for part in parts)
    text = "".join(parts)
    for piece in ("\r\n", "\t", "\u2028", "\u2029", "\x85", "\ufeff", "\0", "```python\n"):
        assert piece in text
    assert any(ord(character) > 0xFFFF for character in text)
    raw = (SHIPPED / "chat-newlines.sse").read_bytes()
    assert "\u2028".encode() in raw


def test_chat_tool_call_is_one_call_in_fragments():
    calls = [
        call
        for chunk in shipped("chat-tool-call")
        for choice in chunk["choices"]
        for call in choice["delta"].get("tool_calls", [])
    ]
    assert [(call["id"], call["type"]) for call in calls if "id" in call] == [
        ("call_0001", "function")
    ]
    arguments = "".join(call["function"]["arguments"] for call in calls)
    assert json.loads(arguments) == {"city": "T\u00f3rshavn", "days": 3}
    assert shipped("chat-tool-call")[-1]["choices"][0]["finish_reason"] == "tool_calls"


def test_chat_usage_ends_with_a_chunk_without_choices():
    *chunks, last = shipped("chat-usage")
    assert all(chunk["usage"] is None for chunk in chunks)
    assert last["choices"] == []
    assert last["usage"]["total_tokens"] == 17
    recording = Recording.named("chat-usage")
    assert len(recording.chunks) < len(chunks)
    sizes = {len(json.dumps(chunk)) for chunk in chunks[1:-1]}
    assert len(sizes) == 1, "obfuscation pads the lines of deltas to one length"


def test_chat_refusal_has_no_content():
    chunks = shipped("chat-refusal")
    assert told(chunks, "content") == ""
    assert told(chunks, "refusal") == "I will not write that."
    assert "refusal" in chunks[0]["choices"][0]["delta"]


def test_azure_chat_starts_with_the_verdict_on_the_prompt():
    first, *chunks = shipped("azure-chat")
    assert (first["choices"], first["id"], first["created"]) == ([], "", 0)
    assert "prompt_filter_results" in first
    assert all("content_filter_results" in chunk["choices"][0] for chunk in chunks)


def test_chat_error_holds_an_error_object_after_some_text():
    chunks = shipped("chat-error")
    assert told(chunks, "content") == "The first half of"
    assert chunks[-1]["error"]["type"] == "server_error"


def test_chat_cut_ends_inside_an_event_by_a_closed_connection():
    recording = Recording.named("chat-cut")
    assert recording.end == "eof"
    assert b"[DONE]" not in recording.body
    assert not recording.body.endswith(b"\n")
    assert told(shipped("chat-cut"), "content") == "This answer ends in the"


def test_chat_crlf_comments_has_crlf_only_and_comments_between_events():
    body = Recording.named("chat-crlf-comments").body
    assert body.count(b"\n") == body.count(b"\r") == body.count(b"\r\n")
    assert body.startswith(b": KEEPALIVE\r\n\r\n")
    assert body.count(b": KEEPALIVE\r\n") == 4
    assert told(shipped("chat-crlf-comments"), "content") == "Slow but steady."
