"""sse_middleware.doctor.evidence: what an EventSource would make of it, silences and heartbeats."""

import json
from pathlib import Path

import pytest

from sse_middleware.doctor.arrival import Verdict
from sse_middleware.doctor.asking import ask
from sse_middleware.doctor.evidence import Evidence
from sse_middleware.doctor.probe import Heard, Read
from sse_middleware.doctor.stream import stream_of

TABLE = Path(__file__).parents[1] / "fixtures" / "conformance" / "eventsource-http.jsonl"
ROWS = [json.loads(line) for line in TABLE.read_text("ascii").splitlines()]


def evidence(*reads, ended_at_s):
    heard = Heard(ask("http://h"), reads=[Read(*read) for read in reads], ended_at_s=ended_at_s)
    return Evidence(heard, stream_of(heard), Verdict("streams"), 10.0)


EVENT, BEAT = b"data: 1\n\n", b":\n"


@pytest.mark.parametrize(
    ("reads", "ended_at_s", "silence_s", "beat_s"),
    [
        ([], 10.0, 10.0, None),
        ([(0.5, EVENT), (2.0, EVENT)], 2.5, 1.5, None),
        ([(4.0, EVENT)], 5.0, 4.0, None),
        ([(0.5, EVENT)], 9.5, 9.0, None),
        ([(0.5, EVENT), (1.5, BEAT), (4.5, BEAT)], 5.0, 3.0, 1.0),
        ([(0.5, EVENT + BEAT)], 1.0, 0.5, None),  # not in a silence
    ],
)
def test_silences_and_the_comments_that_fill_them(reads, ended_at_s, silence_s, beat_s):
    seen = evidence(*reads, ended_at_s=ended_at_s)
    assert seen.longest_silence_s == pytest.approx(silence_s)
    assert seen.beat_s == (None if beat_s is None else pytest.approx(beat_s))


def test_a_comment_at_the_start_ends_the_first_silence():
    assert evidence((1.5, BEAT), ended_at_s=2.0).beat_s == pytest.approx(1.5)


@pytest.mark.parametrize("row", ROWS, ids=[row["name"] for row in ROWS])
def test_an_event_source_opens_what_is_a_stream_here_and_comes_back_with_the_same_id(row):
    response = row["response"]
    names = {"content_type": "Content-Type", "location": "Location"}
    given = [(names[key], value) for key, value in response.items() if key in names]
    headers = [(name, value) for name, value in given if value is not None]
    heard = Heard(ask("http://h"), response["status"], headers=headers, end="whole")
    heard.reads = [Read(0.0, response.get("body", "").encode("utf-8"))]
    seen = Evidence(heard, stream_of(heard), Verdict("streams"), 10.0)
    assert seen.is_stream == (row["expect"] in ("open", "reconnect"))
    asked = row.get("next_request", {})
    id = bytes.fromhex(asked.get("last-event-id-bytes-hex", "")).decode("utf-8")
    assert seen.stream.last_event_id == (asked.get("last-event-id") or id)
