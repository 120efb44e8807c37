"""sse_middleware.doctor.probe: what one request hears, and that every wait has an end."""

import threading
import time

import pytest

from sse_middleware.doctor.asking import ask
from sse_middleware.doctor.probe import LIMIT_BYTES, probe
from sse_middleware.errors import SSEError

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
DEADLINE_S = 30


@pytest.mark.parametrize(
    ("answer", "end", "body"),
    [
        ([CHUNKED, b"2\r\nab\r\n0\r\n\r\n"], "whole", b"ab"),
        ([HEAD + b"Content-Length: 2\r\n\r\nab", None], "whole", b"ab"),
        ([HEAD + b"\r\nab"], "closed", b"ab"),
        ([b"HTTP/1.0 200 OK\r\n\r\nab"], "closed", b"ab"),
        ([CHUNKED, b"2\r\nab\r\n"], "cut", b"ab"),
        ([CHUNKED, b"5\r\nab"], "cut", b"ab"),
        ([CHUNKED, b"2\r\nab\r\nno size\r\n"], "cut", b"ab"),
        ([HEAD + b"Content-Length: 5\r\n\r\nab"], "cut", b"ab"),
        ([HEAD + b"\r\nab", None], "left", b"ab"),
        ([CHUNKED, None], "left", b""),
        ([b"HTTP/1.1 204 No Content\r\n\r\n"], "whole", b""),
        ([b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", None], "whole", b""),
        ([None], "silent", b""),
        ([HEAD, None], "silent", b""),
    ],
)
def test_how_an_answer_ends(raw_server, answer, end, body):
    timeout_s = 1 if end in ("left", "silent") else DEADLINE_S
    heard = probe(ask(raw_server(answer).url), timeout_s)
    assert (heard.end, heard.body) == (end, body)


@pytest.mark.parametrize("status", [b"100 Continue", b"103 Early Hints"])
def test_what_is_said_before_the_answer_is_not_the_answer(raw_server, status):
    before = b"HTTP/1.1 " + status + b"\r\nLink: </a>\r\n\r\n"
    heard = probe(ask(raw_server([before, before + HEAD + b"\r\nab"]).url), DEADLINE_S)
    assert (heard.status, heard.find("link"), heard.body) == (200, None, b"ab")


@pytest.mark.parametrize("step", [HEAD[:1], b": comment\n\n"], ids=["head", "body"])
def test_a_server_that_drips_is_left_at_the_deadline(raw_server, step):
    start = [] if step == HEAD[:1] else [HEAD + b"\r\n"]
    server = raw_server([*start, *[step, 0.05] * 200])
    began = time.monotonic()
    heard = probe(ask(server.url), 0.4)
    assert 0.3 < time.monotonic() - began < DEADLINE_S
    assert heard.end == ("left" if start else "silent")
    assert 0.35 < heard.ended_at_s < DEADLINE_S


def test_the_times_are_those_of_the_socket(raw_server):
    first, second = b"5\r\nfirst\r\n", b"6\r\nsecond\r\n"
    came = threading.Event()
    server = raw_server([CHUNKED, 0.2, first + second, came, 0.2, b"1\r\n3\r\n0\r\n\r\n"])
    heard = probe(ask(server.url), DEADLINE_S, lambda heard: came.set())
    assert [read.data for read in heard.reads] == [b"firstsecond", b"3"]
    first_at_s, second_at_s = [read.at_s for read in heard.reads]
    assert 0 < heard.headers_at_s < first_at_s
    assert first_at_s + 0.15 < second_at_s <= heard.ended_at_s


def test_an_endless_body_is_left_at_a_bound(raw_server):
    server = raw_server([HEAD + b"\r\n", *[b"x" * 65536] * 200])
    heard = probe(ask(server.url), DEADLINE_S)
    assert heard.end == "full"
    assert LIMIT_BYTES < len(heard.body) < LIMIT_BYTES + (1 << 17)


def test_what_is_enough_is_left(raw_server):
    server = raw_server([HEAD + b"\r\nab", None])
    heard = probe(ask(server.url), DEADLINE_S, enough=lambda heard: heard.body == b"ab")
    assert heard.end == "left"
    assert heard.ended_at_s < DEADLINE_S / 2


def test_the_request_is_sent_as_it_was_asked(raw_server):
    server = raw_server([b"HTTP/1.1 204 No Content\r\n\r\n"])
    probe(ask(server.url + "?a=b", headers=[("X-É".replace("É", "E"), "\xe9")]), DEADLINE_S)
    [request] = server.requests
    assert request.startswith(b"GET /stream?a=b HTTP/1.1\r\nHost: 127.0.0.1:")
    assert b"\r\nX-E: \xe9\r\n" in request


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ([], "the connection was closed"),
        ([b"\x1b[2J garbage\r\n\r\n"], r"what came is no HTTP ('\x1b[2J garbage"),
        ([b"HTTP/9\x1b[2J 200 OK\r\n\r\n"], r"what came is no HTTP/1 ('HTTP/9\x1b[2J')"),
        ([HEAD + b"X: y\r\n" * 200 + b"\r\n"], "got more than 100 headers"),
        ([HEAD + b"X: " + b"y" * 70_000 + b"\r\n\r\n"], "got more than 65536 bytes"),
    ],
)
def test_what_is_no_answer_is_told_in_one_line(raw_server, answer, told):
    url = raw_server(answer).url
    with pytest.raises(SSEError) as caught:
        probe(ask(url), DEADLINE_S)
    message = str(caught.value)
    assert message.startswith(f"{url} gave no answer: {told}")
    assert message.isprintable()


def test_a_refused_connection_is_told(raw_server):
    server = raw_server([])
    server.close()
    with pytest.raises(SSEError, match=r"cannot be asked: .*refused"):
        probe(ask(server.url), DEADLINE_S)


def test_a_name_that_nobody_has_is_told():
    with pytest.raises(SSEError, match=r"^http://nobody\.invalid/ cannot be asked: "):
        probe(ask("http://nobody.invalid/"), DEADLINE_S)


def test_a_name_that_is_not_resolved_in_time_is_told(monkeypatch):
    import socket
    import threading

    is_over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **options: is_over.wait(DEADLINE_S))
    began = time.monotonic()
    with pytest.raises(SSEError, match="cannot be asked: it took too long"):
        probe(ask("http://example.com/"), 0.2)
    assert time.monotonic() - began < DEADLINE_S / 2
    is_over.set()


def test_a_server_that_speaks_no_tls_is_told(raw_server):
    url = raw_server([b"HTTP/1.1 400 Bad\r\n\r\n"]).url.replace("http:", "https:")
    with pytest.raises(SSEError, match=r"cannot be asked: TLS failed \("):
        probe(ask(url), 1)
