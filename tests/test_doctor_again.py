"""sse_middleware.doctor.again: what an EventSource would get that comes back."""

import pytest

from sse_middleware.doctor.again import ask_again
from sse_middleware.doctor.asking import ask
from sse_middleware.doctor.probe import probe
from sse_middleware.doctor.stream import stream_of

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
FIRST = HEAD + b"id: 1\ndata: a\n\nid: 2\ndata: b\n\n"


def outcome(server, timeout_s=5, **options):
    heard = probe(ask(server.url, **options), 5)
    return ask_again(heard, stream_of(heard), timeout_s)


@pytest.mark.parametrize(
    ("answer", "kind", "told"),
    [
        ([b"HTTP/1.1 204 No Content\r\n\r\n"], "stopped", "204, so an EventSource stops"),
        ([b"HTTP/1.1 500 No\r\n\r\n"], "refused", "500, so an EventSource gives up"),
        ([FIRST], "restarts", "200 and the same events from the start"),
        ([FIRST, None], "restarts", "200 and the same events from the start"),
        ([HEAD + b"id: 3\ndata: c\n\n"], "goes on", "200 and other events"),
        ([HEAD + b"id: 7\ndata: a\n\n"], "goes on", "200 and other events"),
        ([HEAD], "empty", "200 and no event that was not seen"),
        ([HEAD + b"event: close\ndata:\n\n"], "empty", "200 and no event that was not seen"),
    ],
)
def test_what_comes_is_told(raw_server, answer, kind, told):
    server = raw_server([FIRST], answer)
    assert outcome(server) == (kind, f"with Last-Event-ID '2': {told}")
    assert b"\r\nLast-Event-ID: 2\r\n" in server.requests[1]


@pytest.mark.parametrize("answer", [[], [b"no HTTP\r\n\r\n"]], ids=["closed", "garbage"])
def test_a_server_that_answers_nothing_then_is_told(raw_server, answer):
    assert outcome(raw_server([FIRST], answer)) == (
        "refused",
        "with Last-Event-ID '2': no answer",
    )


def test_a_server_that_is_silent_then_has_an_end(raw_server):
    assert outcome(raw_server([FIRST], [None]), timeout_s=0.2).kind == "refused"


def test_a_stream_without_ids_is_asked_for_without_one(raw_server):
    server = raw_server([HEAD + b"data: a\n\n"], [HEAD + b"data: b\n\n"])
    assert outcome(server) == (
        "restarts",
        "without a last event ID: 200 and a stream from the start, as no id says where to go on",
    )
    assert b"Last-Event-ID" not in server.requests[1]


def test_an_id_beyond_latin_1_is_sent_as_a_browser_does(raw_server):
    server = raw_server([HEAD + "id: é世\ndata: a\n\n".encode()])
    outcome(server)
    assert b"\r\nLast-Event-ID: " + "é世".encode() + b"\r\n" in server.requests[1]


@pytest.mark.parametrize(
    ("answer", "options"),
    [
        ([FIRST], {"data": "{}"}),  # each may be paid for
        ([b"HTTP/1.1 500 No\r\n\r\ndata: a\n\n"], {}),
        ([HEAD], {}),
    ],
)
def test_what_nobody_would_ask_again_is_asked_once(raw_server, answer, options):
    server = raw_server(answer)
    assert outcome(server, **options).kind == "unasked"
    assert len(server.requests) == 1
