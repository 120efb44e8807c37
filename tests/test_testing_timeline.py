"""sse_middleware.testing.timeline: what is printed of a recording."""

from pathlib import Path

import pytest

from sse_middleware.testing import Recording, rechunk
from sse_middleware.testing.timeline import summary, timeline

SHIPPED = sorted((Path(__file__).parents[1] / "fixtures" / "recordings").glob("*.sse"))
FILES = SHIPPED + sorted(
    (Path(__file__).resolve().parents[2] / "shared" / "recordings").glob("*.sse")
)
MODES = [(path, mode) for path in FILES for mode in ("as_recorded", "coalesced")]
MODES += [(path, mode) for path in SHIPPED for mode in ("bytewise", "by_line", "inside_utf8")]


def rows(recording):
    """The lines without the heading: (bytes, chunk, event, id, data) of each."""
    heading, *lines = timeline(recording)
    starts = [heading.index(name) for name in ("chunk", "event", "id", "data")]
    places = list(zip([heading.index("delta") + 5, *starts], [*starts, None]))
    return [tuple(line[first:last].strip() for first, last in places) for line in lines]


def test_a_chunk_that_is_one_event_has_one_line():
    recording = Recording(b'event: a\nid: 7\ndata: {"b": 1}\n\n', chunks=[(1.5, 31)])
    assert list(timeline(recording)) == [
        "seconds   delta  bytes  chunk  event  id  data",
        '  1.500  +1.500     31         a      7   {"b": 1}',
    ]


def test_several_events_in_a_chunk_are_numbered():
    recording = Recording(b"data: a\n\ndata: b\n\n", chunks=[(0, 18)])
    assert rows(recording) == [
        ("18", "1 of 2", "message", "", "a"),
        ("", "2 of 2", "message", "", "b"),
    ]


def test_an_event_cut_over_chunks_is_marked_and_stands_where_it_ends():
    recording = Recording(b"data: abc\n\n", chunks=[(0, 5), (0, 3), (0, 3)])
    assert rows(recording) == [
        ("5", "1 of 1+", "", "", "data:"),
        ("3", "+1 of 1+", "", "", "ab"),
        ("3", "+1 of 1", "message", "", "abc"),
    ]


def test_a_cut_inside_a_character_and_a_line_end_is_shown():
    recording = Recording("data: é\r\n\r\n".encode(), chunks=[(0, 7), (0, 4), (0, 1)])
    assert [row[-1] for row in rows(recording)] == ["data: \ufffd", "\ufffd\\r\\n\\r", "é"]


def test_a_delay_alone_has_its_line():
    recording = Recording(b"data: a\n\n", chunks=[(1, 0), (2, 9), (3, 0)])
    assert [row[2] for row in rows(recording)] == ["(a delay)", "message", "(a delay)"]


BLOCKS = {
    "a comment": (b": hi\n\n", ("(comment)", "", ": hi")),
    "two comments": (b":a\r\n:b\r\n\r\n", ("(comment)", "", ":a\\r\\n:b")),
    "a retry alone": (b"retry: 5\n\n", ("(no data)", "", "retry: 5")),
    "an id alone": (b"id: 5\n\n", ("(no data)", "", "id: 5")),
    "a blank line": (b"\n", ("(no data)", "", "")),
    "no blank line": (b"data: a\n", ("(unfinished)", "", "data: a")),
    "no blank line after CRLF": (b"data: a\r\n", ("(unfinished)", "", "data: a")),
    "no line end": (b"data: a", ("(unfinished)", "", "data: a")),
    "a comment and an event": (b":c\ndata: a\n\n", ("message", "", "a")),
    "CR": (b"data: a\r\r", ("message", "", "a")),
    "a BOM": (b"\xef\xbb\xbfdata: a\n\n", ("message", "", "a")),
    "lines": (b"data: a\ndata: b\n\n", ("message", "", "a\\nb")),
    "a terminal's orders": (b"data: \x1b[2J\x07\xe2\x80\x8b\xc2\xa0\t\n\n",
                            ("message", "", "\\x1b[2J\\x07\\u200b\\xa0\\t")),
    "invalid UTF-8": (b"data: \xff\n\n", ("message", "", "\ufffd")),
    "a long event": (b"data: " + b"a" * 200 + b"\n\n", ("message", "", "a" * 72 + "...")),
    "an event that just fits": (b"data: " + b"a" * 72 + b"\n\n", ("message", "", "a" * 72)),
}  # fmt: skip


@pytest.mark.parametrize(("body", "cells"), BLOCKS.values(), ids=BLOCKS)
def test_a_block_is_called(body, cells):
    [row] = rows(Recording(body))
    assert row[2:] == cells


def test_a_bom_in_the_middle_is_no_field():
    body = b"data: a\n\n\xef\xbb\xbfdata: b\n\n"
    assert [row[2] for row in rows(Recording(body))] == ["message", "(no data)"]


def test_a_body_that_is_no_stream_is_one_block():
    recording = Recording(b'{\n\n"a": 1}', status=429, headers={"Content-Type": "application/json"})
    assert [row[2:] for row in rows(recording)] == [
        ("", "", "{\\n\\n"),
        ("(body)", "", '{\\n\\n"a": 1}'),
    ]


def test_an_empty_body_has_no_lines():
    assert rows(Recording(b"", end="eof")) == []


@pytest.mark.parametrize(
    ("path", "mode"), MODES, ids=[f"{path.stem}-{mode}" for path, mode in MODES]
)
def test_however_it_is_cut_each_chunk_and_each_event_has_its_line(path, mode):
    original = Recording.load(path)
    recording = getattr(rechunk, mode)(original)
    got = rows(recording)
    sizes = [str(chunk.size_bytes) for chunk in recording.chunks]
    assert [row[0] for row in got if row[0]] == sizes
    whole = [row[2:] for row in rows(Recording(original.body, headers=original.headers))]
    assert [row[2:] for row in got if row[2] and row[2] != "(a delay)"] == whole


def test_the_summary_tells_what_the_recording_is():
    recording = Recording(
        b": hi\n\ndata: a\n\n",
        status=201,
        headers={"content-type": "text/event-stream", "x-a": "b\xa0c"},
        request={"method": "POST", "path": "/v1/x", "body": {"model": "m"}},
        chunks=[(0.5, 0), (0.25, 6), (1, 9)],
        end="reset",
    )
    assert summary(recording) == [
        "status 201, end reset",
        "content-type: text/event-stream",
        "x-a: b\\xa0c",
        "request POST /v1/x m",
        "chunks 3, events 1, bytes 15",
        "first byte 0.750 s, duration 1.750 s",
    ]


def test_the_summary_of_nothing():
    assert summary(Recording(b"", headers={}, end="stall")) == [
        "status 200, end stall",
        "chunks 0, events 0, bytes 0",
        "first byte never, duration 0.000 s",
    ]


def test_an_event_that_is_named_like_a_note_counts():
    recording = Recording(b"event: (comment)\ndata: a\n\n: comment\n\n")
    assert "chunks 2, events 1, bytes 37" in summary(recording)
