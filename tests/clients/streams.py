"""What the clients are played: recordings that ship, that are built, and of real vendors."""

import csv
import json
from pathlib import Path

from sse_middleware.testing import Recording

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "fixtures" / "recordings"
VENDORS = ROOT.parent / "shared" / "recordings"


def ours():
    """Each recording that ships, and one or two built ones of each API; by name, with its API."""
    paths = sorted(SHIPPED.glob("*.sse"))
    found = {path.stem: ("chat.completions", Recording.load(path)) for path in paths}
    return {**found, **BUILT}


def vendors():
    """Each recording of a real vendor with its API, by its name; none, if they are not here."""
    if not VENDORS.is_dir():
        return {}
    with open(VENDORS / "INDEX.tsv", encoding="utf-8", newline="") as index:
        rows = list(csv.DictReader(index, delimiter="\t"))
    return {
        Path(row["file"]).stem: (vendor_api(row), Recording.load(VENDORS / row["file"]))
        for row in rows
    }


def vendor_api(row):
    """The index calls some APIs ``other``, and tells two of them among the features."""
    told = row["features"].split(",")
    known = [api for api in ("assistants", "audio.transcriptions") if f"api={api}" in told]
    return known[0] if known else row["api"]


def completion(*texts):
    """A stream of the legacy Completions API; the last of ``texts`` is the end's."""
    head = {"id": "cmpl-1", "object": "text_completion", "created": 1700000000, "model": "m"}
    ends = [None] * (len(texts) - 1) + ["stop"]
    choices = [
        {"text": text, "index": 0, "logprobs": None, "finish_reason": end}
        for text, end in zip(texts, ends)
    ]
    lines = [f"data: {json.dumps({**head, 'choices': [choice]})}\n\n" for choice in choices]
    return Recording("".join([*lines, "data: [DONE]\n\n"]).encode("ascii"))


def typed(*items):
    """A stream whose events are named as their data's ``type`` says, as two APIs have it."""
    lines = [f"event: {item['type']}\ndata: {json.dumps(item)}\n\n" for item in items]
    return Recording("".join(lines).encode("ascii"))


COMPLETION = completion("Hello", " there", "")
ANTHROPIC = typed(
    {
        "type": "message_start",
        "message": {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "m",
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": 1, "output_tokens": 1},
        },
    },
    {
        "type": "content_block_start",
        "index": 0,
        "content_block": {"type": "text", "text": ""},
    },
    *(
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "text_delta", "text": text},
        }
        for text in ("Hello", " there")
    ),
    {"type": "content_block_stop", "index": 0},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": {"output_tokens": 2},
    },
    {"type": "message_stop"},
)

RESPONSES = Recording.response("Hello there")
CALL = {"name": "get_weather", "arguments": {"city": "Zürich"}}
BUILT = {
    "built-chat": ("chat.completions", Recording.chat("Hé", tool_calls=[CALL], usage=True)),
    "built-completion": ("completions", COMPLETION),
    "built-response": ("responses", RESPONSES),
    "built-response-tools": ("responses", Recording.response(tool_calls=[CALL], obfuscation=True)),
    "built-message": ("anthropic.messages", ANTHROPIC),
}
