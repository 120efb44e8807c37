"""`Frames`: whole frames as they were sent, however the bytes were cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sse_middleware import EventParser
from sse_middleware.errors import EventTooLargeError
from sse_middleware.relay.frames import Frames

LINES = [
    b"data: 1",
    b"data:2",
    b"event: e",
    b"id: 7",
    b": c",
    b"retry: 5",
    b"data",
    "data: é😀".encode(),
]


@st.composite
def bodies(draw):
    """Blocks of lines with one kind of line end each."""
    body = b""
    for _ in range(draw(st.integers(0, 4))):
        end = draw(st.sampled_from([b"\n", b"\r\n", b"\r"]))
        body += b"".join(line + end for line in draw(st.lists(st.sampled_from(LINES), max_size=4)))
        body += end
    return body


@given(bodies(), st.data())
def test_the_events_are_those_of_the_parser_however_the_bytes_are_cut(body, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=8)))
    pieces = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)])]
    frames = Frames()
    came = [frame for piece in pieces for frame in frames.feed(piece)]
    assert [frame.event for frame in came] == EventParser().feed(body)
    for frame in came:
        assert EventParser().feed(frame.raw) == [frame.event]
        assert b": c" not in frame.raw


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"], ids=repr)
@given(st.data())
def test_the_bytes_of_a_frame_are_those_that_came(end, data):
    frame = b"data: a" + end + b"data: b" + end + end
    cuts = sorted(data.draw(st.lists(st.integers(0, 2 * len(frame)), max_size=6)))
    body = frame * 2
    frames = Frames()
    pieces = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)])]
    assert [came.raw for piece in pieces for came in frames.feed(piece)] == [frame, frame]


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"], ids=repr)
def test_a_frame_does_not_wait_for_the_byte_after_it(end):
    [frame] = Frames().feed(b"data: 1" + end + end[:1])
    assert frame.raw == b"data: 1" + end + end


@pytest.mark.parametrize("type_", [bytearray, memoryview])
def test_any_kind_of_bytes_is_read(type_):
    [frame] = Frames().feed(type_(b"data: 1\n\n"))
    assert frame.raw == b"data: 1\n\n"


def test_a_line_without_an_end_cannot_fill_the_memory():
    frames = Frames()
    piece = b"data: " + b"x" * (1 << 20)
    with pytest.raises(EventTooLargeError):
        for _ in range(20):
            assert list(frames.feed(piece)) == []
    with pytest.raises(EventTooLargeError):
        for _ in range(20):
            assert list(Frames.feed(frames, piece + b"\n")) == []


def test_one_byte_order_mark_is_dropped_also_before_a_comment():
    frames = Frames()
    came = [
        f for piece in (b"\xef", b"\xbb\xbf: hi\n", b"\ndata: 1\n\n") for f in frames.feed(piece)
    ]
    assert [frame.raw for frame in came] == [b"data: 1\n\n"]


BOM = b"\xef\xbb\xbf"


@pytest.mark.parametrize(
    ("stream", "raw"),
    [
        pytest.param(BOM + BOM + b"data: 0\n\ndata: 1\n\n", [b"data: 1\n\n"], id="second"),
        pytest.param(b": c\n" + BOM + b"data: 0\n\n", [], id="after a comment"),
        pytest.param(
            b"\n\n" + BOM + b"event: x\ndata: 1\n\n", [b"data: 1\n\n"], id="after blank lines"
        ),
    ],
)
def test_a_line_that_begins_with_a_later_byte_order_mark_is_no_field(stream, raw):
    frames = list(Frames().feed(stream))
    assert [frame.raw for frame in frames] == raw
    assert [frame.event for frame in frames] == EventParser().feed(stream)
