"""`EventParser`, against the table of streams, however they are cut."""

import dataclasses
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sse_middleware import Event, EventParser
from sse_middleware.errors import EventTooLargeError, OptionError, SSEError

TABLE = Path(__file__).parents[1] / "fixtures" / "conformance" / "eventsource-parse.jsonl"
ROWS = [json.loads(line) for line in TABLE.read_text("ascii").splitlines()]


def cut(stream, sizes):
    pieces, start = [], 0
    for size in sizes:
        pieces.append(stream[start : start + size])
        start += size
    assert start >= len(stream)
    return pieces


def every(stream, size):
    return [stream[start : start + size] for start in range(0, len(stream), size)]


def outcome(pieces, *, line_by_line=False, **options):
    """All that can be seen of a parser that was fed ``pieces``."""
    parser = EventParser(**options)
    events = []
    try:
        for piece in pieces:
            events += parser.feed(piece)
            if line_by_line:  # who asks for it has the lines taken one by one
                assert parser.retry_ms is None or parser.retry_ms >= 0
        assert parser.close() == []
    except EventTooLargeError as error:
        return (
            [dataclasses.asdict(e) for e in (*events, *error.events)],
            "too large",
            parser.retry_ms,
        )
    return [dataclasses.asdict(e) for e in events], parser.last_event_id, parser.retry_ms


WAYS = {
    "whole": lambda row, stream: [stream],
    "as in the source": lambda row, stream: cut(stream, row.get("chunks", [len(stream)])),
    "1 byte": lambda row, stream: every(stream, 1),
    "2 bytes": lambda row, stream: every(stream, 2),
    "3 bytes": lambda row, stream: every(stream, 3),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("row", ROWS, ids=[row["name"] for row in ROWS])
def test_a_row_of_the_table_holds(row, way):
    stream = row["stream"].encode(row["encoding"])
    options = {"last_event_id": row.get("initial_last_event_id", "")}
    events, last_event_id, retry_ms = outcome(WAYS[way](row, stream), **options)
    seen = [{"event": e["event"], "data": e["data"], "id": e["last_event_id"]} for e in events]
    assert (seen, last_event_id, retry_ms) == (row["expected"], row["last_event_id"], row["retry"])


def test_the_table_is_whole():
    assert len(ROWS) == 200


lines = st.sampled_from(
    [
        *[
            "data",
            "data:",
            "data: x",
            "data:  y",
            "event: e",
            "id",
            "id: 1",
            "id: a\0b",
            ":",
            ": c",
        ],
        *["retry: 10", "retry: 1x", "retry:", "junk", "Data: no", "\ufeffdata: bom", "data: ü😀"],
    ]
)
ends = st.sampled_from(["\n", "\r", "\r\n", "\n\n", "\r\r", "\r\n\r\n"])
streams = st.builds(
    lambda bom, pairs, tail: bom + "".join(a + b for a, b in pairs).encode() + tail,
    st.sampled_from([b"", b"\xef\xbb\xbf", b"\xef\xbb", b"\xef\xbb\xbf\xef\xbb\xbf"]),
    st.lists(st.tuples(lines, ends)),
    st.binary(max_size=8),
)


@settings(max_examples=1000)
@given(streams | st.binary(), st.lists(st.integers(0, 7)), st.integers(1, 40))
def test_the_outcome_does_not_depend_on_the_cuts(stream, sizes, limit):
    pieces = cut(stream, [*sizes, len(stream)])
    assert outcome(pieces) == outcome([stream]) == outcome(every(stream, 1))
    assert outcome(every(stream, 1), line_by_line=True) == outcome([stream])
    bounded = outcome([stream], max_event_bytes=limit)
    assert outcome(pieces, max_event_bytes=limit)[:2] == bounded[:2]
    assert outcome(every(stream, 1), max_event_bytes=limit)[:2] == bounded[:2]


CUTS = {
    "a line goes on after a CR in the same read": [b"data: a\r\r:", b"\ndata: b\n\n"],
    "a CRLF is cut": [b"data: a\r", b"\n\r", b"\ndata: b\r", b"\n\r\n"],
    "an empty read after a CR": [b"data: a\r", b"", b"\n\ndata: b\n\n"],
    "the BOM is cut": [b"\xef", b"\xbb", b"\xbfdata: a\n\ndata: b\n\n"],
    "a character is cut": [b"data: a\n\n: \xc3", b"\xbc\ndata: b\n\n"],
}


@pytest.mark.parametrize("pieces", CUTS.values(), ids=CUTS)
def test_a_cut_changes_nothing(pieces):
    parser = EventParser()
    assert [event for piece in pieces for event in parser.feed(piece)] == [Event("a"), Event("b")]


ONE_LINE_END = {
    "of which a read of nothing is no part": [b"data: a\r", b"", b"\ndata: b\n\n"],
    "in a read of another kind": [b"data: a\r", bytearray(b"\ndata: b\n\n")],
    "and an LF in a read of another kind": [b"data: a\ndata: b\n", bytearray(b"\n")],
}


@pytest.mark.parametrize("pieces", ONE_LINE_END.values(), ids=ONE_LINE_END)
def test_a_crlf_is_one_line_end(pieces):
    parser = EventParser()
    assert [event for piece in pieces for event in parser.feed(piece)] == [Event("a\nb")]


BOM = b"\xef\xbb\xbf"
NO_BOM = {
    "after a line end": [b"\n" + BOM],
    "after a line end, cut": [b"\n", BOM],
    "after a blank line": [b"\n\n", BOM],
    "after a BOM": [BOM, BOM],
}


@pytest.mark.parametrize("pieces", NO_BOM.values(), ids=NO_BOM)
def test_a_bom_that_is_not_the_first_is_a_character(pieces):
    parser = EventParser()
    pieces = [*pieces, b"data: a\n\ndata: b\n\n"]
    assert [event for piece in pieces for event in parser.feed(piece)] == [Event("b")]


def test_bytes_without_cr_go_to_the_buffer_as_they_are(monkeypatch):
    parser = EventParser()
    parser.feed(b"data: a\r\nda")
    monkeypatch.setattr(EventParser, "_with_lf", None)
    assert parser.feed(b"ta: b") == []
    assert parser.feed(b"\n\n") == [Event("a\nb")]


@pytest.mark.parametrize("size", [1, 2, 100])
def test_an_event_of_just_the_bound_passes_however_it_is_cut(size):
    parser = EventParser(max_event_bytes=7)
    assert [e for piece in every(b"data: x\n\n", size) for e in parser.feed(piece)] == [Event("x")]


@pytest.mark.parametrize("size", [1, 2, 100])
def test_the_line_ends_inside_an_event_count_against_the_bound(size):
    pieces = every(b"data: x\ndata: y\n\n", size)
    parser = EventParser(max_event_bytes=15)
    assert [event for piece in pieces for event in parser.feed(piece)] == [Event("x\ny")]
    parser = EventParser(max_event_bytes=14)
    with pytest.raises(EventTooLargeError):
        [parser.feed(piece) for piece in pieces]


def test_an_event_holds_its_own_id_and_the_one_that_persists():
    first, second, third = EventParser(last_event_id="0").feed(
        b"data: a\n\nid: 1\ndata: b\n\nid\ndata: c\n\n"
    )
    assert (first.id, first.last_event_id) == (None, "0")
    assert (first.comment, second.comment) == (None, None)
    assert (second.id, second.last_event_id) == ("1", "1")
    assert (third.id, third.last_event_id) == ("", "")
    assert first == Event("a")


def test_retry_belongs_to_the_block_that_holds_it():
    parser = EventParser()
    assert parser.feed(b"retry: 5\n\ndata: a\n\nretry: 6\nretry: x\ndata: b\n\n") == [
        Event("a"),
        Event("b", retry=6),
    ]
    assert parser.retry_ms == 6


def test_a_retry_of_any_length_is_read_or_ignored_but_never_fails():
    parser = EventParser()
    parser.feed(b"retry: " + b"9" * 640 + b"\n")
    assert parser.retry_ms == int("9" * 640)
    parser.feed(b"retry: " + b"1" * 641 + b"\n")
    parser.feed(b"retry: " + b"1" * 10_000 + b"\n")
    assert parser.retry_ms == int("9" * 640)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview], ids=lambda kind: kind.__name__)
def test_bytes_of_any_kind_are_read(kind):
    assert EventParser().feed(kind(b"data: x\n\n")) == [Event("x")]


def test_text_is_refused():
    parser = EventParser()
    for data in (b"", b"data: x\n\n"):
        parser.feed(data)
        with pytest.raises(TypeError) as caught:
            parser.feed("data: x\n\n")
        assert str(caught.value) == "data is str: expected bytes as they came from the connection"


OVERSIZE = {
    "a line without end": b"data: 345678901",
    "several lines": b"data: 1\ndata: 2\n\n",
    "a comment without end": b": 34567890123456",
    "a long comment": b": 345678901234\n",
    "an unknown field": b"unknown: 89012\n",
    "after a line": b"data:1\n: 345678",
}


@pytest.mark.parametrize("size", [1, 2, 100])
@pytest.mark.parametrize("stream", OVERSIZE.values(), ids=OVERSIZE)
def test_an_event_past_the_bound_fails_for_good_and_loses_nothing(stream, size):
    parser = EventParser(max_event_bytes=13)
    events = []
    with pytest.raises(EventTooLargeError) as caught:
        for piece in every(b"data: ok\n\n" + stream, size):
            events += parser.feed(piece)
    assert [*events, *caught.value.events] == [Event("ok")]
    assert str(caught.value) == "event is over 13 bytes: expected at most max_event_bytes=13"
    with pytest.raises(EventTooLargeError):
        parser.feed(b"data: ok\n\n")
    with pytest.raises(EventTooLargeError):
        parser.close()


def test_the_bound_is_for_one_event_and_not_for_all():
    parser = EventParser(max_event_bytes=7)
    for _ in range(3):
        assert parser.feed(b"data: x\n\n") == [Event("x")]


def test_the_bound_is_16_mebibytes_unless_told_otherwise():
    line = b"data: " + b"x" * (16 * 1024 * 1024 - 6)
    assert len(EventParser().feed(line + b"\n\n")) == 1
    with pytest.raises(EventTooLargeError):
        EventParser().feed(line + b"x")


def test_comments_for_ever_are_no_large_event():
    parser = EventParser(max_event_bytes=16)
    for _ in range(100):
        assert parser.feed(b": ping\n") == []
    assert parser.feed(b"data: x\n\n") == [Event("x")]


def test_a_comment_that_waits_is_no_part_of_the_event_after_it():
    parser = EventParser(max_event_bytes=10)
    for piece in (b": 34567\n", b"dat", b"a: xyz\n"):
        assert parser.feed(piece) == []
    assert parser.feed(b"\n") == [Event("xyz")]


@pytest.mark.parametrize("limit", [0, -1, "1", None, 1.5])
def test_a_bound_without_meaning_is_refused(limit):
    with pytest.raises(OptionError) as caught:
        EventParser(max_event_bytes=limit)
    assert str(caught.value) == f"max_event_bytes is {limit!r}: expected an int >= 1"


@pytest.mark.parametrize("last_event_id", [None, 7, b"7"])
def test_a_last_event_id_is_text(last_event_id):
    with pytest.raises(OptionError) as caught:
        EventParser(last_event_id=last_event_id)
    assert str(caught.value) == f"last_event_id is {last_event_id!r}: expected a str"


@pytest.mark.parametrize("before", [b"", b"data: x"], ids=["at the start", "later"])
@pytest.mark.parametrize("data", ["data: x", None, 7, [100]], ids=repr)
def test_what_is_no_bytes_is_refused_and_changes_nothing(data, before):
    parser = EventParser()
    parser.feed(before)
    with pytest.raises(TypeError, match="data is (str|NoneType|int|list): expected bytes as they"):
        parser.feed(data)
    assert parser.feed(b"data: x\n\n"[len(before) :]) == [Event("x")]


def test_the_smallest_bound_is_one_byte():
    parser = EventParser(max_event_bytes=1)
    assert parser.feed(b"d\n\n") == []
    with pytest.raises(EventTooLargeError):
        parser.feed(b"da")


def test_a_closed_parser_says_so():
    parser = EventParser()
    assert parser.feed(b"id: 1\ndata: x") == []
    assert parser.close() == []
    assert parser.close() == []
    assert parser.last_event_id == ""
    with pytest.raises(SSEError) as caught:
        parser.feed(b"\n\n")
    assert str(caught.value) == "parser is closed: expected a new EventParser for a stream"


def test_the_lines_of_an_open_block_can_be_taken_before_its_end():
    parser = EventParser()
    seen = []
    for line in [b"retry: 7\n", b"event: e\n", b"data: a", b"b\n", b"data: c\nid: 1\n", b"\n"]:
        seen += parser.feed(line)
        assert parser.retry_ms == 7
    assert seen == [Event("ab\nc", event="e", id=1, retry=7)]
    assert parser.feed(b"data: next\n\n") == [Event("next")]


def test_bytes_that_are_no_utf8_are_replaced_also_in_a_line_that_is_taken_alone():
    parser = EventParser()
    parser.feed(b"data: \xff\n")
    assert parser.retry_ms is None
    assert parser.feed(b"data: \xff\n\n") == [Event("\ufffd\n\ufffd")]


@pytest.mark.parametrize("more", [b"\ndata: b", b"\ndata: b\n\ndata: c"], ids=repr)
def test_what_follows_a_block_whose_lines_were_taken_stays_whole(more):
    parser = EventParser()
    assert parser.feed(b"data: a\n") == []
    assert parser.retry_ms is None
    seen = parser.feed(more) + parser.feed(b"!\n\n")
    assert "".join(event.data for event in seen) == ("abc!" if b"c" in more else "ab!")


def test_a_block_of_many_reads_stays_whole_until_its_end(monkeypatch):
    """Lines are taken singly only where they must be."""
    monkeypatch.setattr(EventParser, "_take_lines", None)
    parser = EventParser()
    stream = b"event: e\ndata: a\n\n: c\nid: 1\ndata: b\ndata\n\ndata:\n\n"
    for pieces in ([stream], every(stream, 1), every(stream, 3)):
        seen = [event for piece in pieces for event in parser.feed(piece)]
        assert seen == [Event("a", event="e"), Event("b\n", id=1), Event("")]


def test_a_usual_block_goes_the_short_way_also_after_others(monkeypatch):
    taken = []
    monkeypatch.setattr(EventParser, "_dispatch", lambda parser, events: taken.append(parser))
    blocks = b"data: a\n\n: c\n\nevent: e\ndata:b\n\n\nevent: e\ndata:  c\n\n"
    assert len(EventParser().feed(blocks)) == 3
    assert len(taken) == 2


class Counted(bytearray):
    """A buffer that counts the bytes that are moved into it and searched in it."""

    moved = searched = 0

    def __iadd__(self, more):
        Counted.moved += len(more)
        return super().__iadd__(more)

    def rfind(self, sought, start=0):
        Counted.searched += len(self) - start
        return super().rfind(sought, start)


def test_a_line_in_single_bytes_is_moved_once():
    parser = EventParser()
    parser.feed(b"data")
    parser._buffer = Counted(parser._buffer)
    Counted.moved = 0
    for _ in range(10_000):
        parser.feed(b"x")
    assert Counted.moved == 10_000
    assert type(parser._buffer) is Counted, "the buffer was copied while its line was open"


def test_an_open_block_in_small_pieces_is_searched_once():
    parser = EventParser()
    parser.feed(b"data")
    parser._buffer = Counted(parser._buffer)
    Counted.searched = 0
    for _ in range(5_000):
        parser.feed(b"x\n")
    assert Counted.searched == 3 * 5_000
    assert parser.feed(b"data\n\n") == [Event("")]


def test_an_open_block_of_many_lines_past_a_bound_is_searched_once():
    parser = EventParser(max_event_bytes=30_000)
    parser.feed(b"data: " + b"x" * 29_000 + b"\n")
    parser._buffer = Counted(parser._buffer)
    Counted.searched = 0
    for _ in range(5_000):
        assert parser.feed(b": comment\n") == []
    assert Counted.searched < 40 * 5_000
    assert len(parser.feed(b"\n")) == 1


def test_five_mebibytes_in_single_bytes_arrive():
    parser = EventParser()
    line = b"data: " + b"x" * (5 * 1024 * 1024)
    for index in range(len(line)):
        parser.feed(line[index : index + 1])
    (event,) = parser.feed(b"\n\n")
    assert len(event.data) == 5 * 1024 * 1024
