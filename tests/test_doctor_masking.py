"""sse_middleware.doctor.masking: of a secret that a server echoes, no part is shown."""

import gzip

import pytest

from sse_middleware.cli import main
from sse_middleware.doctor import ask, examine
from sse_middleware.doctor.masking import mask_secrets, masked_reads, secrets_of
from sse_middleware.doctor.probe import Heard, Read

SECRET = "sk-live-0123456789-abcdef-ghijkl-mnopqr-stuvwx"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
STOP = [b"HTTP/1.1 204 No Content\r\n\r\n"]
ECHO = SECRET.encode()

#: Where the text of a report is cut, or wrapped at a hyphen, in the middle of it.
ECHOED = {
    "an event that is cut": HEAD + b"\r\ndata: " + b"y" * 60 + ECHO + b"\n\n",
    "an id that is cut": HEAD + b"\r\nid: " + b"y" * 280 + ECHO + b"\ndata: x\n\n",
    "a comment that is cut": HEAD + b"\r\n:" + b"y" * 60 + ECHO + b"\n\n",
    "a header that is cut": HEAD + b"Via: " + b"y" * 280 + ECHO + b"\r\n\r\ndata: a\n\n",
    "a finding that is wrapped": HEAD + b"Cache-Control: " + b"w " * 30 + ECHO + b"\r\n\r\n",
    "a page of an error": b"HTTP/1.1 404 " + ECHO + b"\r\n\r\n" + b"z" * 60 + ECHO,
    "a line that is no field": HEAD + b"\r\n" + b"w" * 60 + ECHO + b": 1\n\n",
}
GIVEN = {
    "a header": ["--header", f"X-Key: {SECRET}"],
    "a scheme": ["--header", f"Authorization: Bearer {SECRET}"],
    "a query": [],
}


@pytest.mark.parametrize("form", [[], ["--json"]], ids=["text", "json"])
@pytest.mark.parametrize("given", GIVEN.values(), ids=GIVEN)
@pytest.mark.parametrize("answer", ECHOED.values(), ids=ECHOED)
def test_no_part_of_a_secret_is_shown(raw_server, capsys, answer, given, form):
    url = raw_server([answer], STOP).url
    main(["check", url if given else f"{url}?api_key={SECRET}", *given, *form])
    out = "".join(capsys.readouterr().out.split())
    assert [SECRET[at : at + 6] for at in range(8, 40) if SECRET[at : at + 6] in out] == []


def test_a_secret_that_lies_in_two_reads_is_masked_and_nothing_moves():
    reads = [Read(0.1, b"a 01234"), Read(0.2, b"56789 b"), Read(0.3, b"")]
    asked = ask("http://h", headers=[("X-Key", "0123456789")])
    assert masked_reads(reads, asked) == [
        Read(0.1, b"a *****"),
        Read(0.2, b"***** b"),
        Read(0.3, b""),
    ]


def test_a_redirect_that_echoes_the_query_is_followed_as_it_is(raw_server):
    second = raw_server([HEAD + b"\r\ndata: a\n\n"], STOP)
    location = f"Location: {second.url}?key={SECRET}\r\n".encode()
    first = raw_server([b"HTTP/1.1 302 Found\r\n" + location + b"Content-Length: 0\r\n\r\n"])
    examine(ask(f"{first.url}?key={SECRET}"), 10.0)
    assert b"?key=" + ECHO in second.requests[0]


@pytest.mark.parametrize(
    ("url", "headers", "secrets"),
    [
        ("http://h/?stream=true&n=1", [("Accept", "text/html")], []),
        ("http://h/", [("Authorization", "Bearer abc")], ["Bearer abc", "Bearer%20abc"]),
        ("http://h/?q=0123456789&n=7", [], ["0123456789"]),
        ("http://h/?q=café-café", [], ["caf%C3%A9-caf%C3%A9", "caf\xc3\xa9-caf\xc3\xa9"]),
    ],
)
def test_what_is_a_secret(url, headers, secrets):
    found = secrets_of(ask(url, headers=headers))
    assert set(secrets) <= set(found)
    assert bool(found) == bool(secrets)
    assert all(secret.encode("latin-1") for secret in found)


def test_what_comes_compressed_is_masked_where_it_is_read(raw_server, capsys):
    body = gzip.compress(b"data: " + b"y" * 60 + ECHO + b"\n\n")
    url = raw_server([HEAD + b"Content-Encoding: gzip\r\n\r\n" + body], STOP).url
    main(["check", url, "--header", f"X-Key: {SECRET}", "--json"])
    out = capsys.readouterr().out
    assert "y" * 60 + "*" * len(SECRET) in out
    assert SECRET[8:20] not in out


def test_compressed_bytes_that_look_like_a_secret_are_left_alone():
    heard = Heard(ask("http://h", headers=[("X-Key", "0123456789")]))
    heard.headers, heard.reads = [("Content-Encoding", "gzip")], [Read(0.1, b"0123456789")]
    mask_secrets(heard)
    assert heard.reads == [Read(0.1, b"0123456789")]
