"""sse_middleware.testing.rechunk (and _edits, which it is made of): same bytes, other chunks."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sse_middleware.errors import OptionError
from sse_middleware.testing import Recording, rechunk
from sse_middleware.testing._edits import event_ends, paced, split

SHIPPED = sorted((Path(__file__).parents[1] / "fixtures" / "recordings").glob("*.sse"))
REAL = Path(__file__).parents[1].parent / "shared" / "recordings"
REAL_FILES = sorted(REAL.glob("*.sse"))
MIXED = b"data: \xc3\xa9\xf0\x9f\x98\x80\r\ndata: 2\r\n\r\ndata: 3\n\n: c\r\rdata"


def pieces(recording):
    return [data for _, data in recording.pieces()]


def arrival_of_each_byte(recording):
    """When each byte of the body was there, and when all was over."""
    times, now = [], 0.0
    for delay_s, data in recording.pieces():
        now += delay_s
        times += [now] * len(data)
    return times, now


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (rechunk.per_event, [MIXED[:25], MIXED[25:34], MIXED[34:39], MIXED[39:]]),
        (
            rechunk.by_line,
            [
                MIXED[:14],
                b"data: 2\r\n",
                b"\r\n",
                b"data: 3\n",
                b"\n",
                b": c\r",
                b"\r",
                b"data",
            ],
        ),
        (rechunk.every(30), [MIXED[:30], MIXED[30:]]),
        (
            rechunk.inside_utf8,
            [b"data: \xc3", b"\xa9\xf0", b"\x9f", b"\x98", MIXED[11:]],
        ),
        (rechunk.inside_crlf, [MIXED[:13], MIXED[13:22], MIXED[22:24], MIXED[24:]]),
        (
            rechunk.between_newlines,
            [MIXED[:23], b"\r\ndata: 3\n", b"\n: c\r", b"\rdata"],
        ),
        (rechunk.coalesced, [MIXED]),
        (rechunk.bytewise, [MIXED[i : i + 1] for i in range(len(MIXED))]),
        (rechunk.as_recorded, [MIXED[:1], MIXED[1:]]),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_mode_cuts_where_its_name_says(mode, expected):
    recording = Recording(MIXED, chunks=[(0, 1), (0, len(MIXED) - 1)])
    assert pieces(mode(recording)) == expected


def test_a_seed_decides_all_on_every_python_alike():
    recording = Recording(bytes(200))
    sizes = [len(data) for data in pieces(rechunk.seeded(1)(recording))]
    assert sizes == [9, 55, 49, 17, 32, 29, 9]
    assert sizes != [len(data) for data in pieces(rechunk.seeded(2)(recording))]
    assert sizes == [len(data) for data in pieces(rechunk.seeded(1)(recording))]
    assert {1, 64} <= {len(data) for data in pieces(rechunk.seeded(3)(Recording(bytes(9000))))}


def test_every_mode_is_listed_and_tells_its_name():
    names = [mode.__name__ for mode in rechunk.MODES]
    assert names == [
        "as_recorded",
        "per_event",
        "by_line",
        "bytewise",
        "every(7)",
        "inside_utf8",
        "inside_crlf",
        "between_newlines",
        "coalesced",
        "seeded(1)",
    ]
    families = {re.sub(r"\(.*", "", name) for name in names}
    assert families == set(rechunk.__all__) - {"MODES", "Rechunk"}


@pytest.mark.sweep
@pytest.mark.parametrize("mode", rechunk.MODES, ids=lambda mode: mode.__name__)
@pytest.mark.parametrize("path", SHIPPED + REAL_FILES, ids=lambda path: path.stem)
def test_a_recording_keeps_its_bytes_and_all_else(path, mode):
    recording = Recording.load(path)
    cut = mode(recording)
    assert cut.body == recording.body
    for name in ("status", "headers", "end", "name", "request"):
        assert getattr(cut, name) == getattr(recording, name)


@pytest.mark.skipif(not REAL_FILES, reason="the folder of real recordings is not here")
def test_the_real_recordings_are_there():
    assert len(REAL_FILES) >= 80


timed = st.lists(st.tuples(st.integers(0, 3), st.binary(max_size=9)), max_size=9).map(
    lambda pairs: Recording(
        b"".join(data for _, data in pairs),
        chunks=[(delay_s, len(data)) for delay_s, data in pairs],
    )
)


@given(timed, st.sampled_from(rechunk.MODES))
def test_a_chunk_is_sent_when_its_last_byte_had_come(recording, mode):
    before, over = arrival_of_each_byte(recording)
    cut = mode(recording)
    after, cut_over = arrival_of_each_byte(cut)
    assert cut.body == recording.body
    assert cut_over == over
    assert all(late >= early for late, early in zip(after, before))
    end = 0
    for data in filter(None, pieces(cut)):
        end += len(data)
        assert after[end - 1] == before[end - 1]


def test_every_byte_is_bytewise():
    assert rechunk.every(1)(Recording(MIXED)) == rechunk.bytewise(Recording(MIXED))


def test_an_empty_body_has_no_chunks():
    for mode in rechunk.MODES:
        assert pieces(mode(Recording(b""))) == []
    assert pieces(rechunk.coalesced(Recording(b"", chunks=[(2, 0)]))) == [b""]


@pytest.mark.parametrize("value", [0, -1, True, 1.0, "1", None])
def test_a_size_that_is_no_number_of_bytes_is_refused(value):
    with pytest.raises(OptionError, match=f"size_bytes is {value!r}: expected an int >= 1"):
        rechunk.every(value)


@pytest.mark.parametrize("value", ["a", 1.0, None, True])
def test_a_seed_that_is_no_int_is_refused(value):
    with pytest.raises(OptionError, match=f"seed is {value!r}: expected an int"):
        rechunk.seeded(value)


@given(timed, st.data())
def test_splitting_loses_nothing(recording, data):
    at = data.draw(st.integers(0, len(recording.body)))
    before, after = split(recording, at)
    assert b"".join(text for _, text in before) == recording.body[:at]
    assert b"".join(text for _, text in after) == recording.body[at:]
    assert sum(delay_s for delay_s, _ in before + after) == sum(
        delay_s for delay_s, _ in recording.chunks
    )


def test_a_delay_at_the_place_of_a_split_belongs_to_what_follows():
    recording = Recording(b"abcd", chunks=[(1, 2), (2, 0), (3, 2), (4, 0)])
    assert split(recording, 2) == ([(1, b"ab")], [(2, b""), (3, b"cd"), (4, b"")])
    assert split(recording, 3) == ([(1, b"ab"), (2, b""), (3, b"c")], [(0, b"d"), (4, b"")])
    assert split(recording, 0)[0] == []
    assert split(recording, 4)[1] == [(4, b"")]


def test_events_are_counted_as_a_client_counts_them():
    body = b": comment\n\nid: 1\n\ndata: 1\n\n\ndata: 2\r\n\r\nevent: x\n\ndata\r\rdata: half"
    ends = event_ends(Recording(body))
    assert [body[:end][-6:] for end in ends] == [b"a: 1\n\n", b" 2\r\n\r\n", b"data\r\r"]


def test_a_pace_divides_the_delays():
    recording = Recording(b"ab", chunks=[(1, 1), (3, 1)])
    assert paced(recording, 2).pieces() == [(0.5, b"a"), (1.5, b"b")]
    assert paced(recording, float("inf")).pieces() == [(0, b"a"), (0, b"b")]
