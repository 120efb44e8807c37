"""sse_middleware.doctor.stream: events, comments and waits of an answer, each with its time."""

import pytest

from sse_middleware.doctor.asking import ask
from sse_middleware.doctor.probe import Heard, Read
from sse_middleware.doctor.stream import stream_of


def stream(*datas, end="whole"):
    """A second passes before each of ``datas``."""
    reads = [Read(float(number), data) for number, data in enumerate(datas, 1)]
    return stream_of(Heard(ask("http://h"), reads=reads, end=end))


def told(stream):
    return [(block.at_s, block.event and block.event.data) for block in stream.blocks]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
def test_each_block_has_the_time_of_its_last_byte(end):
    lines = [b": hello\n", b"data: 1\n\nda", b"ta: 2", b"\n\n:\n"]
    made = stream(*(line.replace(b"\n", end) for line in lines))
    assert told(made) == [(1.0, None), (2.0, "1"), (4.0, "2"), (4.0, None)]


def test_a_comment_inside_an_event_is_a_comment():
    assert told(stream(b"data: 1\n", b":\n", b"data: 2\n\n")) == [(2.0, None), (3.0, "1\n2")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"\xef\xbb\xbf: hello\ndata: 1\n\n", [None, "1"]),
        (b"\xef\xbb\xbfdata: 1\n\n", ["1"]),
        (b": hello\n\xef\xbb\xbfdata: 1\n\n", [None]),
        (b"\xef\xbb\xbf\xef\xbb\xbfdata: 1\n\n", []),
    ],
    ids=["before a comment", "before an event", "behind a comment", "twice"],
)
def test_a_bom_is_none_of_the_text_at_the_start_alone(text, expected):
    assert [data for _, data in told(stream(text))] == expected


def test_a_wait_inside_an_event_is_told_with_its_place():
    assert stream(b"data: 1\n\nda", b"", b"ta: 2\n", b"\n").pauses == [(11, 2.0), (17, 1.0)]


@pytest.mark.parametrize("text", [b"data: 1\n\n", b":\n"])
def test_between_events_there_is_no_such_wait(text):
    assert stream(text, text).pauses == []


@pytest.mark.parametrize(
    "text",
    [
        *(b"event: close\ndata:\n\n", b"data: [DONE]\n\n", b"id: sse:end\ndata: x\n\n"),
        *(b"event: error\ndata: {}\n\n", b"event: message_stop\ndata: {}\n\n"),
    ],
)
def test_the_event_that_ends_a_stream_is_none_of_its_events(text):
    made = stream(b"data: 1\n\n" + text)
    assert [block.event.data for block in made.events] == ["1"]
    assert made.last is made.blocks[-1]


@pytest.mark.parametrize("name", ["done", "complete", "finish", "stop", "response.completed"])
def test_the_names_that_apps_give_to_their_last_event_are_known(name):
    assert stream(f"event: {name}\ndata: x\n\n".encode()).last is not None


def test_comments_are_kept_with_their_text():
    made = stream(b": one\n:two\ndata: 1\n\n")
    assert [block.text for block in made.comments] == [b"one", b"two"]


def test_what_the_stream_says_of_reconnecting():
    made = stream(b"retry: 300\nid: 7\ndata: 1\n\n")
    assert (made.retry_ms, made.last_event_id) == (300, "7")


@pytest.mark.parametrize(
    ("end", "codes"),
    [("whole", ["SSE105"]), ("closed", ["SSE105"]), ("cut", []), ("left", []), ("full", [])],
)
def test_half_an_event_is_a_fault_only_at_an_end(end, codes):
    assert [problem.code for problem in stream(b"data: 1", end=end).problems] == codes


def test_an_event_beyond_the_bound_stops_nothing():
    many = b"".join(b"data: " + b"x" * 1000 + b"\n" for _ in range(17_000))
    made = stream(many + b"\n", b"\n\ndata: 1\n\n")
    assert [block.event.data for block in made.events][-1:] == ["1"]
