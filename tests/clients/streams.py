"""What the clients are played: the recordings that ship, those of real vendors, two of our own."""

import csv
import json
from pathlib import Path

from sse_middleware.testing import Recording

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "fixtures" / "recordings"
VENDORS = ROOT.parent / "shared" / "recordings"


def shipped():
    """Each recording that ships with its API, by its name."""
    paths = sorted(SHIPPED.glob("*.sse"))
    return {path.stem: (api_of(path.stem), Recording.load(path)) for path in paths}


def api_of(name):
    """The API that the name of a recording tells: ``chat``, unless it says another."""
    for word in ("responses", "completions", "anthropic"):
        if word in name:
            return {"anthropic": "anthropic.messages"}.get(word, word)
    return "chat.completions"


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


def typed(*items):
    """A stream whose events are named as their data's ``type`` says, as two APIs have it."""
    lines = [f"event: {item['type']}\ndata: {json.dumps(item)}\n\n" for item in items]
    return Recording("".join(lines).encode("ascii"))


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

_RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1700000000,
    "model": "m",
    "output": [],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
}
RESPONSES = typed(
    {"type": "response.created", "sequence_number": 0, "response": _RESPONSE},
    {"type": "response.completed", "sequence_number": 1, "response": _RESPONSE},
)
