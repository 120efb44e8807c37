"""`relay` on every recording of a real vendor, against readings that share no code with it."""

import csv
import json
import random
from pathlib import Path

import pytest

from sse_middleware import EventParser, encode
from sse_middleware.errors import UpstreamError
from sse_middleware.relay import relay
from sse_middleware.testing import Recording, rechunk

SHARED = Path(__file__).parents[1].parent / "shared" / "recordings"
pytestmark = pytest.mark.skipif(
    not SHARED.is_dir(), reason="the recordings of real vendors do not stand beside this checkout"
)


def rows():
    if not SHARED.is_dir():
        return []
    with open(SHARED / "INDEX.tsv", encoding="utf-8", newline="") as index:
        return list(csv.DictReader(index, delimiter="\t"))


def each_where(is_chosen):
    """Run a test for each recording that ``is_chosen``."""
    chosen = [row for row in rows() if is_chosen(row)]
    return pytest.mark.parametrize("row", chosen, ids=[row["file"] for row in chosen])


each = each_where(lambda row: True)


def body_of(row):
    return (SHARED / row["file"]).read_bytes()


def fails(row):
    return "error" in row["features"].split(",")


def outcome(items):
    came = []
    try:
        for item in items:
            came.append(item)
    except UpstreamError as error:
        return came, error
    return came, None


# Readings of our own: a few lines a vendor, from the JSON


def blocks(body):
    """(event name, data) of each whole block that has data."""
    text = body.decode().replace("\r\n", "\n").replace("\r", "\n")
    for block in text.split("\n\n")[:-1]:
        lines = [line.partition(":") for line in block.split("\n") if line[:1] not in ("", ":")]
        fields = [(name, value[value.startswith(" ") :]) for name, _, value in lines]
        data = [value for name, value in fields if name == "data"]
        if data:
            yield dict(fields).get("event"), "\n".join(data)


def contents(body):
    """The JSON of each block up to [DONE] or an error."""
    for name, data in blocks(body):
        if data.startswith("[DONE]") or name == "error":
            return
        content = json.loads(data)
        if content.get("error"):
            return
        yield content


def chat(body, choice=0, *, message=True):
    """The text of a choice: the answer, or else the thoughts before it."""
    text = ""
    for content in contents(body):
        for said in content.get("choices") or []:
            delta = said.get("delta") or {}
            if said["index"] != choice:
                continue
            if not message:
                text += delta.get("reasoning_content") or delta.get("reasoning") or ""
            elif isinstance(delta.get("content"), str):
                text += delta["content"]
            elif delta.get("content"):
                text += "".join(part.get("text", "") for part in delta["content"])
    return text


def by_path(*path, name=None):
    """A reading of the text at a path of each block; a number stands for an item of a list."""

    def read(body):
        text = ""
        for event, data in blocks(body):
            if data.startswith("[DONE]") or (name and event != name):
                continue
            found = json.loads(data)
            try:
                for step in path:
                    found = found[step]
            except (KeyError, IndexError, TypeError):
                continue
            text += found
        return text

    return read


def responses(body):
    kinds = [c for c in contents(body) if c["type"] == "response.output_text.delta"]
    return "".join(c["delta"] for c in kinds)


READINGS = {
    "chat.completions": chat,
    "completions": lambda body: "".join(
        said.get("text", "") for c in contents(body) for said in c["choices"]
    ),
    "responses": responses,
    "anthropic.messages": by_path("delta", "text"),
    "anthropic-legacy-completion.sse": by_path("completion"),
    "cohere-v2-tools.sse": by_path("delta", "message", "content", "text"),
    "gemini-native-crlf.sse": by_path("candidates", 0, "content", "parts", 0, "text"),
    "mcp-streamable-http-message.sse": lambda body: "",
    "openai-assistants-run.sse": by_path(
        "delta", "content", 0, "text", "value", name="thread.message.delta"
    ),
    "openai-transcription-deltas.sse": by_path("delta"),
    "replicate-plain-text-events.sse": lambda body: "".join(
        data for name, data in blocks(body) if name == "output"
    ),
    "watsonx-id-event-fields.sse": by_path("results", 0, "generated_text"),
}


def reading(row):
    return READINGS.get(row["file"]) or READINGS[row["api"]]


def said(events, event="message", choice=0):
    return "".join(
        item["data"]["data"]
        for item in events
        if item["event"] == event and item["data"].get("choice", 0) == choice
    )


# Shape "text"


@each
def test_the_text_is_what_an_independent_reading_finds(row):
    events, error = outcome(relay([body_of(row)]))
    assert said(events) == reading(row)(body_of(row))
    assert (error is not None) == fails(row)
    assert fails(row) or events.pop() == {"event": "close", "id": "sse:end", "data": ""}
    assert [event["id"] for event in events] == list(range(1, len(events) + 1))
    assert all(event["data"] != {"data": ""} for event in events)


@pytest.mark.sweep
@each
def test_the_events_are_the_same_in_every_rechunk_mode(row):
    recording = Recording.load(SHARED / row["file"])
    for shape in ("text", "openai"):
        whole = repr(outcome(relay([recording.body], shape=shape)))
        for mode in (*rechunk.MODES, rechunk.seeded(len(recording.body))):
            pieces = [data for _, data in mode(recording).pieces()]
            assert repr(outcome(relay(pieces, shape=shape))) == whole, mode.__name__


@pytest.mark.parametrize("choice", [0, 1, 2])
def test_every_choice_has_its_text(choice):
    body = (SHARED / "openai-chat-n3-choices.sse").read_bytes()
    events, _ = outcome(relay([body]))
    assert said(events, choice=choice) == chat(body, choice) != ""


@each_where(lambda row: row["api"] == "chat.completions" and "content_parts" not in row["features"])
def test_reasoning_under_a_plain_name_is_found(row):
    found = chat(body_of(row), message=False)
    if found:
        assert said(outcome(relay([body_of(row)]))[0], "reasoning") == found


REASONING = {
    "anthropic-thinking-signature.sse": by_path("delta", "thinking"),
    "cohere-v2-tools.sse": by_path("delta", "message", "tool_plan"),
    "deepseek-responses-reasoning-text.sse": by_path("delta", name="response.reasoning_text.delta"),
    "minimax-reasoning-details.sse": by_path("choices", 0, "delta", "reasoning_details", 0, "text"),
    "mistral-thinking-content-parts.sse": by_path(
        "choices", 0, "delta", "content", 0, "thinking", 0, "text"
    ),
    "openai-responses-reasoning-summary.sse": by_path(
        "delta", name="response.reasoning_summary_text.delta"
    ),
    "snowflake-thinking.sse": by_path("choices", 0, "delta", "reasoning_details", 0, "text"),
}


@pytest.mark.parametrize(("file", "read"), REASONING.items(), ids=REASONING)
def test_reasoning_of_every_other_form_is_found(file, read):
    body = (SHARED / file).read_bytes()
    assert said(outcome(relay([body]))[0], "reasoning") == read(body) != ""


REFUSALS = {
    "openai-chat-refusal.sse": by_path("choices", 0, "delta", "refusal"),
    "openai-responses-refusal.sse": by_path("delta", name="response.refusal.delta"),
}


def test_a_refusal_is_found_and_is_no_message():
    for file, read in REFUSALS.items():
        body = (SHARED / file).read_bytes().replace(b'"refusal":null', b'"refusal":""')
        events, _ = outcome(relay([body]))
        assert said(events, "refusal") == read(body) != ""
        assert said(events) == ""


TWO = [("add", {"a": 2, "b": 3}), ("multiply", {"a": 2, "b": 3})]
HARBOR = [("lookup_harbor_label", {}), ("lookup_orchard_label", {})]
FLORENCE = [("weather", {"location": "Florence, Italy"})]
CALLS = {
    "anthropic-parallel-tool-use.sse": TWO,
    "anthropic-web-search-citations.sse": [],  # the vendor's own tool
    "azure-chat-tool-call.sse": FLORENCE,
    "azure-responses-tool-call.sse": FLORENCE,
    "cohere-v2-tools.sse": [
        ("get_time", {"location": "Tokyo"}),
        ("get_weather", {"location": "Tokyo"}),
    ],
    "copilot-parallel-tools.sse": HARBOR,
    "deepseek-tool-cut-by-length.sse": [],
    "llamacpp-tool-cut-mid-args.sse": [],
    "mistral-tool-whole-call.sse": [("get_weather", {"city": "San Francisco"})],
    "openai-responses-function-call.sse": [("get_capital", {"country": "France"})],
    "openai-responses-incomplete-mid-tool-call.sse": [],
    "openai-responses-mcp-list-tools.sse": [],
    "vercel-gateway-gpt5-tools.sse": TWO,
    "xai-reasoning-tools.sse": TWO,
}


@pytest.mark.parametrize(("file", "calls"), CALLS.items(), ids=CALLS)
def test_calls_come_whole_and_calls_that_were_cut_do_not_come(file, calls):
    events, _ = outcome(relay([(SHARED / file).read_bytes()]))
    called = [event["data"] for event in events if event["event"] == "tool_call"]
    assert [(call["name"], json.loads(call["arguments"])) for call in called] == calls
    assert [call["index"] for call in called] == list(range(len(calls)))
    assert all(isinstance(call["id"], str) for call in called)


@each
def test_usage_comes_once_before_the_end(row):
    events, error = outcome(relay([body_of(row)]))
    names = [event["event"] for event in events]
    if error is None:
        expected = "usage" in row["features"] or row["api"] == "responses"
        assert names[-2:-1] == ["usage"] or not expected
    assert names.count("usage") == (names[-2:-1] == ["usage"])


# Shape "openai"


def on_the_wire(items):
    return b"".join(item if isinstance(item, bytes) else encode(item) for item in items)


def without_comments(body):
    lines = body.splitlines(keepends=True)
    kept, is_comment = [], False
    for line in lines:
        blank = line in (b"\n", b"\r\n")
        if not line.startswith(b":") and not (blank and is_comment):
            kept.append(line)
        is_comment = line.startswith(b":")
    return b"".join(kept)


@each
def test_the_frames_leave_byte_for_byte_and_done_is_last(row):
    body = without_comments(body_of(row))
    sent, error = outcome(relay([body_of(row)], shape="openai"))
    wire = on_the_wire(sent)
    if "UNTERMINATED_TAIL" in row["features"]:
        body = body[: body.rindex(b"\n\n") + 2]
    if error is not None:
        assert body.startswith(wire)
        assert b"[DONE]" not in wire
        return
    done = b"" if row["last_event"] == "DONE" else b"data: [DONE]\n\n"
    assert wire == body + done
    assert EventParser().feed(wire)[-1].data == "[DONE]"


@each
def test_dicts_of_the_same_content_leave_as_equal_json(row):
    try:
        chunks = [json.loads(data) for _, data in blocks(body_of(row)) if data[:1] == "{"]
    except ValueError:
        pytest.skip("its data is no JSON")
    sent, _ = outcome(relay(chunks, shape="openai"))
    data = [json.loads(item["data"]) for item in sent if item["data"] != "[DONE]"]
    assert data == chunks[: len(data)]
    assert len(data) == len(chunks) or fails(row)


# Anything in place of any field


def places(value, path=()):
    """The path to every field below ``value``."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for step, below in items:
        yield (*path, step)
        if isinstance(below, (dict, list)):
            yield from places(below, (*path, step))


def changed(value, path, new):
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = changed(copy[path[0]], path[1:], new)
    return copy


ANYTHING = [
    None, True, False, 0, -1, 7, 1 << 70, 2.5, float("nan"), "", "x", "\ud83d", "\ude00", [], {},
    [[]], [None], ["x"], [7], {"x": 1}, {"text": 5}, {"type": []}, [{"index": []}], [{"id": {}}],
]  # fmt: skip


@pytest.mark.sweep
@each
def test_any_json_in_place_of_any_field_is_relayed_or_refused(row):
    chosen = random.Random(row["file"])
    chunks = [json.loads(data) for _, data in blocks(body_of(row)) if data[:1] == "{"][:40]
    fields = [(number, path) for number, chunk in enumerate(chunks) for path in places(chunk)]
    for _ in range(40 if fields else 0):
        number, path = chosen.choice(fields)
        mutated = list(chunks)
        mutated[number] = changed(chunks[number], path, chosen.choice(ANYTHING))
        lines = [b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in mutated]
        for upstream, shape in [(mutated, "text"), (mutated, "openai"), (lines, "text")]:
            sent, _ = outcome(relay(upstream, shape=shape))  # or another exception
            EventParser().feed(on_the_wire(sent))


@each_where(lambda row: row["api"] == "chat.completions" and not fails(row))
def test_a_field_of_no_meaning_for_the_text_loses_none_of_it(row):
    chosen = random.Random(row["file"])
    chunks = list(contents(body_of(row)))
    told = {"choices", "delta", "content", "text", "index", "error", "type", "thinking"}
    fields = [
        (number, path)
        for number, chunk in enumerate(chunks)
        for path in places(chunk)
        if path[-1] not in told and not isinstance(path[-1], int)
    ]
    expected = chat(body_of(row))
    for _ in range(20):
        number, path = chosen.choice(fields)
        mutated = list(chunks)
        mutated[number] = changed(chunks[number], path, chosen.choice(ANYTHING))
        events, error = outcome(relay(mutated))
        assert (said(events), error) == (expected, None), path


@each_where(lambda row: not fails(row) and row["vendor"] != "replicate")
def test_an_event_that_was_cut_short_is_never_passed_over(row):
    chosen = random.Random(row["file"])
    body = body_of(row)
    starts = [at for at in range(len(body)) if body.startswith(b"\ndata: {", at)]
    for start in chosen.sample(starts, min(5, len(starts))):
        end = min(at for at in (body.find(e, start + 1) for e in (b"\n", b"\r")) if at > 0)
        damaged = body[: chosen.randrange(start + 8, end)] + body[end:]
        for shape in ("text", "openai"):
            sent, error = outcome(relay([damaged], shape=shape))
            assert error is not None
            assert on_the_wire(sent) in on_the_wire(outcome(relay([body], shape=shape))[0])


@each
def test_damaged_bytes_are_relayed_or_refused(row):
    chosen = random.Random(row["file"])
    body = bytearray(body_of(row)[:20000])
    for _ in range(20):
        damaged = bytearray(body)
        for _ in range(chosen.randrange(1, 6)):
            damaged[chosen.randrange(len(body))] = chosen.choice(b'\r\n:{}[]",\\\x00\xff\xc3 a7')
        for shape in ("text", "openai"):
            sent, _ = outcome(relay([bytes(damaged)], shape=shape))  # or another exception
            EventParser().feed(on_the_wire(sent))
