"""sse_middleware.testing._curl: what curl wrote becomes a recording."""

import gzip
import shutil
import socket
import subprocess
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sse_middleware.errors import RecordingError
from sse_middleware.testing import FakeUpstream, Recording
from sse_middleware.testing._curl import split

DEADLINE_S = 20
BODY = b"data: 1\r\n\r\ndata: \xc3\xa9\n\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n" % (len(BODY), BODY)
needs_curl = pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")


def curl(folder, *arguments):
    """What curl writes to its standard output, run in ``folder``."""
    command = ["curl", "-sS", "-N", *arguments]
    return subprocess.run(
        command, cwd=str(folder), check=True, stdout=subprocess.PIPE, timeout=DEADLINE_S
    ).stdout


@pytest.fixture
def raw_server():
    """Starts a server that sends these bytes, in answer to each request its next."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(DEADLINE_S)

        def answer(responses):
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(DEADLINE_S)
                for response in responses:
                    received = b""
                    while b"\r\n\r\n" not in received:
                        received += connection.recv(65536)
                    connection.sendall(response)

        def start(*responses):
            threading.Thread(target=answer, args=(responses,), daemon=True).start()
            return f"http://127.0.0.1:{listener.getsockname()[1]}"

        yield start


@needs_curl
@pytest.mark.parametrize("extra", [[], ["-H", "Expect: 100-continue"]], ids=["plain", "expect"])
def test_both_forms_of_a_dump_hold_what_was_played(tmp_path, extra):
    played = Recording.chat("Hello\r\n\n \u00e9", usage=True)
    upstream = FakeUpstream()
    upstream.play(played, times=3)
    with upstream.serve() as base_url:
        request = ["--noproxy", "*", "-d", "{}", *extra, base_url + "/chat/completions"]
        curl(tmp_path, "-D", "headers.txt", *request, "-o", "body.sse")
        (tmp_path / "one.txt").write_bytes(curl(tmp_path, "-D", "-", *request))
        (tmp_path / "two.txt").write_bytes(curl(tmp_path, "-i", *request))
    apart = Recording.from_curl(tmp_path / "body.sse", headers=tmp_path / "headers.txt")
    assert apart == played
    assert apart.name == "body"
    assert Recording.from_curl(tmp_path / "one.txt") == played
    assert Recording.from_curl(str(tmp_path / "two.txt")) == played
    upstream.verify()


@needs_curl
def test_redirects_and_their_bodies_are_passed_over(tmp_path, raw_server):
    moved = b"HTTP/1.1 307 Moved\r\nLocation: /b\r\nContent-Length: 5\r\n\r\nmoved"
    url = raw_server(moved, CHUNKED + b"\r\n")
    (tmp_path / "d").write_bytes(curl(tmp_path, "--noproxy", "*", "-i", "-L", url))
    assert (tmp_path / "d").read_bytes().startswith(b"HTTP/1.1 307")
    assert Recording.from_curl(tmp_path / "d") == Recording(
        BODY, headers={"Content-Type": "text/event-stream"}
    )


@needs_curl
def test_the_answer_of_a_proxy_is_passed_over(tmp_path, raw_server):
    established = b"HTTP/1.1 200 Connection established\r\nSet-Cookie: p=1\r\n\r\n"
    proxy = raw_server(established, CHUNKED + b"\r\n")
    got = curl(tmp_path, "-i", "-p", "--noproxy", "", "-x", proxy, "http://example.test/v1")
    (tmp_path / "d").write_bytes(got)
    assert got.startswith(b"HTTP/1.1 200 Connection established")
    assert Recording.from_curl(tmp_path / "d").body == BODY


@needs_curl
def test_trailers_in_the_file_of_headers_are_no_headers(tmp_path, raw_server):
    url = raw_server(CHUNKED + b"Retry-After: 7\r\n\r\n")
    curl(tmp_path, "--noproxy", "*", "-D", "h", "-o", "b", url)
    assert b"Retry-After" in (tmp_path / "h").read_bytes()
    recording = Recording.from_curl(tmp_path / "b", headers=tmp_path / "h")
    assert recording.headers == {"Content-Type": "text/event-stream"}
    assert recording.body == BODY


def dump(folder, content, name="d.txt"):
    (folder / name).write_bytes(content)
    return folder / name


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(OK + b"\r\n", id="CRLF"),
        pytest.param(OK.replace(b"\r", b"") + b"\n", id="LF"),
        pytest.param(OK.replace(b"1.1", b"1.0") + b"\r\n", id="HTTP/1.0"),
        pytest.param(OK.replace(b"1.1 200 OK", b"2 200 ") + b"\r\n", id="HTTP/2"),
        pytest.param(OK.replace(b"1.1 200 OK", b"3 200") + b"\r\n", id="HTTP/3"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"\r\n", id="100"),
        pytest.param(b"HTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n" + OK + b"\r\n", id="103"),
        pytest.param(b"HTTP/1.1 401 No\r\nretry-after: 1\r\n\r\n" + OK + b"\r\n", id="401"),
        pytest.param(OK + b"set-cookie: a=b\r\nopenai-organization: o\r\n\r\n", id="secrets"),
        pytest.param(OK.replace(b": text", b":\r\n\ttext") + b"\r\n", id="a folded header"),
    ],
)
def test_the_last_head_is_that_of_the_body(tmp_path, head):
    recording = Recording.from_curl(dump(tmp_path, head + BODY))
    assert recording == Recording(BODY, headers={"Content-Type": "text/event-stream"})
    apart = Recording.from_curl(dump(tmp_path, BODY), headers=dump(tmp_path, head, "h"))
    assert apart == recording


def test_the_status_and_what_is_kept_of_the_headers_come_over(tmp_path):
    head = b"HTTP/2 429 \r\nretry-after: 3\r\nx-ratelimit-limit-requests: 60\r\n\r\n"
    recording = Recording.from_curl(dump(tmp_path, head + b'{"error":{}}'))
    assert recording.status == 429
    assert recording.headers == {"retry-after": "3", "x-ratelimit-limit-requests": "60"}
    assert recording.body == b'{"error":{}}'


def test_an_answer_without_a_body_is_empty(tmp_path):
    assert Recording.from_curl(dump(tmp_path, OK + b"\r\n")).body == b""


A_STATUS_LINE = (
    "expected HTTP/1.1 200 OK or its like, which curl -i and -D write "
    "(Recording.load reads a body alone)"
)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", f" line 1 is the end: {A_STATUS_LINE}"),
        (b"data: 1\n\n", f" line 1 is b'data: 1': {A_STATUS_LINE}"),
        (b"HTTP/1.1 999 X\r\n\r\n", f" line 1 is b'HTTP/1.1 999 X': {A_STATUS_LINE}"),
        ("HTTP/1.1 200\r\n".encode("utf-16"), " line 1 is b'"),
        (b"HTTP/1.1 200 OK", " line 2 is the end: expected a blank line after the headers"),
        (OK, " line 3 is the end: expected a blank line after the headers"),
        (OK + b"x: 1", " line 4 is the end: expected a blank line after the headers"),
        (
            b"HTTP/1.1 200 OK\r\ndata\r\n\r\n",
            " line 2 is 'data': expected a header such as Content-Type: text/event-stream",
        ),
        (
            b"HTTP/1.1 100 Continue\n\nHTTP/1.1 200 OK\na: b\n: \x01\ndata\n\n",
            " line 6 is 'data': expected a header such as Content-Type: text/event-stream",
        ),
        (
            b"HTTP/1.1 204 No Content\r\n\r\n",
            ": status is 204: expected an int of 200 to 599, not 204 or 304",
        ),
        (
            b"HTTP/1.1 200 OK\r\nretry-after: \x01\r\n\r\n",
            ": headers['retry-after'] is '\\x01': expected one line of latin-1 text",
        ),
        (
            b"HTTP/1.1 200 OK\r\ncontent-encoding: br\r\n\r\n\xff",
            ": content-encoding is 'br': expected gzip or deflate; record it with the request "
            "header Accept-Encoding: identity",
        ),
    ],
)
def test_a_damaged_dump_is_told_in_one_line(tmp_path, content, message):
    path = dump(tmp_path, content)
    with pytest.raises(RecordingError) as caught:
        Recording.from_curl(path)
    assert str(caught.value).startswith(str(path) + message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("absent", ["path", "headers"])
def test_an_absent_file_is_told(tmp_path, absent):
    files = {"path": dump(tmp_path, BODY, "b"), "headers": dump(tmp_path, OK + b"\r\n", "h")}
    files[absent] = tmp_path / "no.txt"
    with pytest.raises(RecordingError) as caught:
        Recording.from_curl(**files)
    assert str(caught.value) == f"{tmp_path / 'no.txt'} is absent: expected a recording"


def test_a_body_that_was_stored_compressed_is_decoded(tmp_path):
    head = OK + b"Content-Encoding: gzip\r\n\r\n"
    recording = Recording.from_curl(dump(tmp_path, head + gzip.compress(BODY)))
    assert recording == Recording(BODY, headers={"Content-Type": "text/event-stream"})


PARTS = st.lists(
    st.one_of(
        st.binary(max_size=8),
        st.sampled_from(
            [b"HTTP/1.1 200 OK", b"HTTP/2 200 ", b"\r\n", b"\n", b"a: b", b" ", b"data: 1", b"\r"]
        ),
    )
).map(b"".join)


@given(PARTS)
def test_any_bytes_are_split_or_refused(content):
    refusal = body = None
    try:
        head, body = split(content, "r")
    except RecordingError as error:
        refusal = str(error)
    if body is None:
        assert refusal.startswith("r line ")
    else:
        assert content.endswith(body)
        assert 100 <= head.status <= 599
