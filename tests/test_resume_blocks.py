"""`Blocks`: however bytes are cut, the same whole blocks; numbers that every client reads."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sse_middleware import EventParser
from sse_middleware.resume.blocks import Blocks, is_event, numbered, without_id

LINES = st.sampled_from(
    [b"data: a", b"data", b"data:b", b"id: 7", b"event: x", b"retry: 1", b": c", b"datab: x", b""]
)
TEXTS = st.lists(st.tuples(LINES, st.sampled_from([b"\n", b"\r\n", b"\r"])), max_size=20).map(
    lambda lines: b"".join(line + end for line, end in lines)
)


def fed(pieces):
    blocks = Blocks()
    return [block for piece in pieces for block in blocks.feed(piece)]


@given(TEXTS, st.lists(st.integers(1, 7), min_size=1))
def test_the_events_of_the_blocks_are_those_of_the_bytes_however_they_are_cut(text, sizes):
    pieces, at = [], 0
    while at < len(text):
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(text[at : at + size])
        at += size
    blocks = fed(pieces)
    sent = b"".join(
        numbered(block, "x-1") if is_event(block) else block + b"\n" for block in blocks
    )
    events, expected = EventParser().feed(sent), EventParser().feed(text)
    assert [(e.event, e.data) for e in events] == [(e.event, e.data) for e in expected]
    assert all(event.id == "x-1" for event in events)
    assert len([block for block in blocks if is_event(block)]) == len(events)


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (b"data: a\n", True),
        (b"data\n", True),
        (b"\xef\xbb\xbfdata: a\n", False),
        (b": c\ndata:\n", True),
        (b"event: data\n", False),
        (b"datax: a\n", False),
        (b": data: a\n", False),
        (b"id: 1\n", False),
        (b"retry: 1\rdata: a\n", True),
    ],
)
def test_a_block_with_data_is_an_event(block, expected):
    assert is_event(block) is expected


@pytest.mark.parametrize(
    ("block", "event_id"),
    [
        (b"data: a\n", "x-1"),
        (b"id: 7\ndata: a\n", "x-1"),
        (b"id: sse:end\ndata: a\n", "sse:end"),
        (b"event: close\nid:sse:end\ndata: \n", "sse:end"),
        (b"data: id: sse:end\n", "x-1"),
        (b"id: sse:ending\ndata: a\n", "x-1"),
        (b"data: a\rid: sse:end\n", "sse:end"),
        (b"id: sse:end\rid: 7\ndata: a\n", "x-1"),
        (b"id: sse:end\nid\ndata: a\n", "x-1"),
        (b"id: 7\nid: sse:end\nid: 8\0\ndata: a\n", "sse:end"),
        (b"id:  sse:end\ndata: a\n", "x-1"),
    ],
)
def test_the_id_that_a_client_reads(block, event_id):
    (event,) = EventParser().feed(numbered(block, "x-1"))
    assert event.id == event_id


@pytest.mark.parametrize("size", [1, 2, 5, 100])
def test_a_bom_counts_before_the_first_byte_alone(size):
    bom = b"\xef\xbb\xbf"
    lost = (
        bom
        + b"data: b\n\nid: sse:end\r"
        + bom
        + b"\n\n"
        + bom
        + bom
        + b"id: 1\n"
        + bom
        + b"x\r\ndata: c\n\n"
    )
    text = bom + b"data: a\n\n" + lost + b"data: d\n\n"
    blocks = fed([text[at : at + size] for at in range(0, len(text), size)])
    assert blocks == [b"data: a\n", b"id: sse:end\n", b"data: c\n", b"data: d\n"]
    assert fed([b"\n" + text]) == blocks[1:]


def test_half_a_block_waits_and_can_be_taken():
    blocks = Blocks()
    assert blocks.feed(b"data: a\n") == []
    assert len(blocks) == 8
    assert blocks.take_half() == b"data: a\n"
    assert blocks.feed(b"data: b\n\n") == [b"data: b\n"]


def test_the_work_is_linear_in_the_bytes():
    def seconds(count):
        blocks, began = Blocks(), time.thread_time()
        for _ in range(count):
            blocks.feed(b"a")
        return time.thread_time() - began

    few = min(seconds(8_000) for _ in range(3))
    assert min(seconds(80_000) for _ in range(3)) < 30 * few


@pytest.mark.parametrize("line", [b"\n", b"a\n"], ids=["blank lines", "lines"])
def test_many_lines_in_one_piece_are_linear_too(line):
    began = time.thread_time()
    Blocks().feed(line * 300_000)
    assert time.thread_time() - began < 5


@pytest.mark.parametrize(
    ("block", "frame"),
    [
        (b": id: 7\n", b": id: 7\n\n"),
        (b"ids: 7\n", b"ids: 7\n\n"),
        (b"id: sse:end\n", b"id: sse:end\n\n"),
        (b"id: 7\nretry: 5\nid\n", b"retry: 5\n\n"),
        (b"id: 7\n", b""),
        (b"id: sse:end\nid: 7\n", b""),
        (b"event: x\rid: 7\n", b"event: x\n\n"),
    ],
)
def test_what_is_no_event_leaves_without_an_id(block, frame):
    assert without_id(block) == frame
