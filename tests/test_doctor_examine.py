"""sse_middleware.doctor.examine: which requests are made, and what their answers mean together."""

import zlib

import pytest

from sse_middleware.doctor import ask, examine
from sse_middleware.errors import SSEError

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
STOP = [b"HTTP/1.1 204 No Content\r\n\r\n"]
EVENTS = [b"id: %d\ndata: x\n\n" % number for number in range(3)]
PACED = [step for event in EVENTS for step in (event, 0.2)]


def moved(location, status=302):
    return [b"HTTP/1.1 %d Moved\r\nLocation: %s\r\n\r\n" % (status, location.encode())]


def zipped():
    made = zlib.compressobj(wbits=31)
    return made.compress(b"".join(EVENTS)) + made.flush()


def test_a_get_is_asked_for_and_asked_again(raw_server):
    server = raw_server([HEAD + b"\r\n", *PACED], STOP)
    seen = examine(ask(server.url), 5)
    assert (seen.verdict.kind, seen.again.kind) == ("streams", "stopped")
    assert len(server.requests) == 2


def test_a_post_is_made_once(raw_server):
    server = raw_server([HEAD + b"Content-Encoding: gzip\r\n\r\n", 0.5, zipped()])
    seen = examine(ask(server.url, data="{}"), 5)
    assert (seen.verdict.kind, seen.again.kind) == ("burst", "unasked")
    assert len(server.requests) == 1


def test_a_compressed_stream_is_asked_for_without_compression_too(raw_server):
    compressed = [HEAD + b"Content-Encoding: gzip\r\n\r\n", 0.6, zipped()]
    server = raw_server(compressed, [HEAD + b"\r\n", *PACED], STOP)
    seen = examine(ask(server.url), 5)
    assert (seen.verdict.kind, seen.verdict.is_compressor) == ("held", True)
    accepted = [request.count(b"Accept-Encoding: gzip, deflate") for request in server.requests]
    assert accepted == [1, 0, 1]
    assert b"Accept-Encoding: identity" in server.requests[1]


def test_a_server_that_answers_no_more_has_been_heard_once(raw_server):
    compressed = [HEAD + b"Content-Encoding: gzip\r\n\r\n", zipped()]
    seen = examine(ask(raw_server(compressed, []).url), 5)
    assert (len(seen.stream.events), seen.again.kind) == (3, "refused")


def test_an_endless_compressed_stream_of_which_nothing_comes_is_held(raw_server):
    compressed = [HEAD + b"Content-Encoding: gzip\r\n\r\n" + zipped()[:10], None]
    seen = examine(ask(raw_server(compressed, [HEAD + b"\r\n", *PACED, None]).url), 0.7)
    assert (seen.verdict.kind, seen.verdict.is_compressor) == ("held", True)


def test_what_is_no_stream_is_asked_for_once(raw_server):
    server = raw_server([b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n"])
    examine(ask(server.url), 5)
    assert len(server.requests) == 1


def test_redirects_are_followed_with_what_the_user_gave_to_one_origin_only(raw_server):
    other = raw_server([HEAD + b"\r\n", *PACED], STOP)
    first = raw_server(moved("/b"), moved(other.url))
    seen = examine(ask(first.url, headers=[("Authorization", "secret")]), 5)
    assert seen.redirects == [first.url, first.url.replace("/stream", "/b")]
    assert seen.heard.asked.url == other.url
    assert all(b"secret" in request for request in first.requests)
    assert not any(b"secret" in request for request in other.requests)


def test_redirects_without_end_are_one_line(raw_server):
    server = raw_server(moved("/b"))
    with pytest.raises(SSEError, match="redirects without end: expected an answer"):
        examine(ask(server.url), 5)
    assert len(server.requests) == 11


@pytest.mark.parametrize(
    "location", ["ftp://h/", "http://[", "http://me:secret@h/", "http://h\x1b/"]
)
def test_a_redirect_to_nowhere_is_one_line(raw_server, location):
    with pytest.raises(SSEError, match="redirects to nowhere: Location is") as caught:
        examine(ask(raw_server(moved(location)).url), 5)
    assert "secret" not in str(caught.value)
    assert str(caught.value).isprintable()


def test_a_redirect_that_names_no_place_is_an_answer(raw_server):
    assert examine(ask(raw_server([b"HTTP/1.1 302 Found\r\n\r\n"]).url), 5).heard.status == 302


def test_where_nothing_is_answered_head_tells_who_stands_there(raw_server):
    server = raw_server([None], [b"HTTP/1.1 405 No\r\nServer: nginx\r\nContent-Length: 9\r\n\r\n"])
    seen = examine(ask(server.url, data="{}"), 0.3)
    assert (seen.heard.end, seen.head.status, seen.layers) == ("silent", 405, ["nginx"])
    assert server.requests[1].startswith(b"HEAD /stream HTTP/1.1\r\n")
    assert b"Content-Length" not in server.requests[1]


@pytest.mark.parametrize("answer", [[None], [], [b"no HTTP\r\n\r\n"]])
def test_where_head_is_not_answered_either_nobody_is_known(raw_server, answer):
    seen = examine(ask(raw_server([None], answer).url), 0.2)
    assert (seen.heard.end, seen.head, seen.layers) == ("silent", None, [])
