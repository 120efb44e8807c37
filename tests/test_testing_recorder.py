"""sse_middleware.testing.recorder: streams that pass through a proxy, and what is saved of them."""

import http.client
import json
import queue
import shutil
import socket
import ssl
import struct
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from sse_middleware.errors import OptionError
from sse_middleware.testing import FakeUpstream, Recording, _take, _transport
from sse_middleware.testing.recorder import Recorder

pytestmark = [
    pytest.mark.usefixtures("no_garbage"),
    pytest.mark.filterwarnings("error::ResourceWarning"),
    pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning"),
]
DEADLINE_S = 20
SHIPPED = sorted((Path(__file__).parents[1] / "fixtures" / "recordings").glob("*.sse"))
REAL = sorted((Path(__file__).resolve().parents[2] / "shared" / "recordings").glob("*.sse"))
needs_real = pytest.mark.skipif(
    not REAL, reason="the recordings of real vendors do not stand beside this checkout"
)
STREAM = {"Content-Type": "text/event-stream"}
LARGE = b"f" * 23 + b"\r\ndata: 2"
VAST = b"f" * 15 + b"\r\ndata: 2"
CHAT = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "stream": True}


class Saved:
    """What a recorder tells: the recordings that it saved, and what failed."""

    def __init__(self):
        self._saved = queue.Queue()
        self.failures = queue.Queue()

    def next(self):
        """The file of the next recording, and the recording as it is on disk."""
        try:
            path, _ = self._saved.get(timeout=DEADLINE_S)
        except queue.Empty:
            raise AssertionError(f"nothing was saved within {DEADLINE_S} s") from None
        return path, Recording.load(path)

    def failure(self):
        return self.failures.get(timeout=DEADLINE_S)

    @property
    def is_empty(self):
        return self._saved.empty()

    def saved(self, path, recording):
        self._saved.put((path, recording))


@contextmanager
def recording_from(upstream_url, folder, **options):
    """A running recorder, and what it tells."""
    told = Saved()
    recorder = Recorder(upstream_url, folder, saved=told.saved, failed=told.failures.put, **options)
    with closing(recorder):
        yield recorder, told


@contextmanager
def playing(*recordings, times=1, speed=None):
    upstream = FakeUpstream()
    for recording in recordings:
        upstream.play(recording, times=times, speed=speed)
    with upstream.serve() as base_url:
        yield upstream, base_url


class RawUpstream:
    """An upstream of which the test sends every byte."""

    def __init__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(DEADLINE_S)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/v1"

    def accept(self):
        """Take a connection and read its request; the head of it."""
        self.sock, _ = self._listener.accept()
        self.sock.settimeout(DEADLINE_S)
        self.file = self.sock.makefile("rb")
        head = b"".join(iter(self.file.readline, b"\r\n"))
        length = [line for line in head.lower().split(b"\r\n") if b"content-length" in line]
        self.body = self.file.read(int(length[0].split(b":")[1])) if length else b""
        return head

    def send(self, data):
        self.sock.sendall(data)

    def begin(self, head=b"Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n"):
        self.send(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n")

    def chunk(self, data):
        self.send(b"%x\r\n%b\r\n" % (len(data), data))

    def is_left(self):
        """True once the other side has closed; waits for it."""
        return self.sock.recv(1) == b""

    def reset(self):
        self.file.close()
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def hang_up(self):
        self.file.close()
        self.sock.close()

    def close(self):
        if hasattr(self, "sock"):
            self.hang_up()
        self._listener.close()


@pytest.fixture
def raw_upstream():
    with closing(RawUpstream()) as upstream:
        yield upstream


class Client:
    """One request to a recorder, of which the test reads every byte."""

    def __init__(self, base_url, path="/chat/completions", method="POST", body=None, headers=()):
        address = urlsplit(base_url)
        self.connection = http.client.HTTPConnection(
            address.hostname, address.port, timeout=DEADLINE_S
        )
        data = json.dumps(CHAT if body is None else body).encode()
        sent = {"Content-Type": "application/json", **dict(headers)}
        self.connection.request(
            method, address.path + path, data if method == "POST" else None, sent
        )
        self.sock = self.connection.sock

    def answer(self):
        self.response = self.connection.getresponse()
        return self.response

    def chunk(self):
        """The next chunk as it was framed; b"" for the terminator."""
        size = int(self.response.fp.readline(), 16)
        data = self.response.fp.read(size)
        assert self.response.fp.readline() == b"\r\n"
        return data

    def close(self):
        if hasattr(self, "response"):
            self.response.close()
        self.connection.close()


def ask(base_url, *args, **options):
    """Status, headers and body of one answer."""
    with closing(Client(base_url, *args, **options)) as client:
        answer = client.answer()
        return answer.status, answer.headers, answer.read()


def sizes(recording):
    return [chunk.size_bytes for chunk in recording.chunks if chunk.size_bytes]


@contextmanager
def asking(upstream_url, folder, *args, **options):
    """A running recorder, a client that has asked it, and what it tells."""
    with recording_from(upstream_url, folder) as (recorder, told):
        client = Client(recorder.base_url, *args, **options)
        with closing(client):
            yield recorder, client, told


# What passes, and what is saved


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_recording_of_a_replay_is_that_recording_again(path, tmp_path):
    original = Recording.load(path)
    with playing(original) as (_, url), recording_from(url, tmp_path) as (recorder, told):
        with closing(Client(recorder.base_url)) as client:
            client.answer()
            got = [client.chunk() for _ in sizes(original)]
        _, saved = told.next()
    assert b"".join(got) == original.body == saved.body
    assert [len(data) for data in got] == sizes(original) == sizes(saved)
    assert (saved.status, saved.end) == (original.status, original.end)
    assert saved.headers["content-type"] == original.headers["content-type"]


@needs_real
def test_real_streams_pass_byte_for_byte_and_are_saved_so(tmp_path):
    originals = [Recording.load(path) for path in REAL]
    with playing(*originals) as (_, url), recording_from(url, tmp_path) as (recorder, told):
        for original in originals:
            assert ask(recorder.base_url)[2] == original.body
            path, saved = told.next()
            assert (saved.body, sizes(saved)) == (original.body, sizes(original)), path
    assert len(list(tmp_path.glob("*.sse"))) == len(originals)


def test_a_chunk_reaches_the_client_before_the_upstream_sends_the_next(raw_upstream, tmp_path):
    with recording_from(raw_upstream.url, tmp_path) as (recorder, told):
        with closing(Client(recorder.base_url)) as client:
            raw_upstream.accept()
            raw_upstream.begin()
            client.answer()
            for data in (b"data: 1\n\n", b"data: 2", b"\n\n"):
                raw_upstream.chunk(data)
                assert client.chunk() == data
            assert told.is_empty
            raw_upstream.send(b"0\r\n\r\n")
            assert client.chunk() == b""
        _, saved = told.next()
    assert (saved.body, sizes(saved)) == (b"data: 1\n\ndata: 2\n\n", [9, 7, 2])
    assert saved.end == "complete"


def test_the_head_reaches_the_client_before_the_first_byte_of_the_body(raw_upstream, tmp_path):
    with asking(raw_upstream.url, tmp_path) as (_, client, _):
        raw_upstream.accept()
        raw_upstream.begin()
        answer = client.answer()
        assert answer.headers["Content-Type"] == "text/event-stream"
        assert answer.headers["Connection"] is None
        raw_upstream.send(b"0\r\n\r\n")


def test_delays_are_the_time_since_the_chunk_before(tmp_path):
    original = Recording(b"data: 1\n\ndata: 2\n\n", chunks=[(0.2, 9), (0.3, 9)])
    with playing(original, speed=1.0) as (_, url), recording_from(url, tmp_path) as (one, told):
        began_s = time.monotonic()
        ask(one.base_url)
        elapsed_s = time.monotonic() - began_s
        _, saved = told.next()
    delays_s = [chunk.delay_s for chunk in saved.chunks]
    assert len(delays_s) == 2
    assert delays_s[0] >= 0.19
    assert sum(delays_s) >= 0.49
    assert sum(delays_s) <= elapsed_s


def test_the_recording_holds_what_was_asked_without_what_is_private(tmp_path):
    headers = {"Authorization": "Bearer sk-proj-abcdefghij0123456789", "User-Agent": "test/1"}
    secret = "sk-ant-api03-abcdefghij0123456789"
    body = {**CHAT, "user": "ada@example.com", "messages": [{"role": "user", "content": secret}]}
    with playing("chat-text") as (upstream, url), recording_from(url, tmp_path) as (one, told):
        ask(one.base_url, "/chat/completions?key=abcd&alt=sse", body=body, headers=headers)
        path, saved = told.next()
        assert upstream.requests[0].headers["authorization"] == headers["Authorization"]
        assert upstream.requests[0].query == "key=abcd&alt=sse"
        assert upstream.requests[0].json == body
        assert upstream.requests[0].headers["accept-encoding"] == "identity"
    assert saved.request == {
        "method": "POST",
        "path": "/v1/chat/completions",
        "query": "key=***&alt=sse",
        "headers": {"user-agent": "test/1", "content-type": "application/json"},
        "body": {
            **body,
            "user": "***",
            "messages": [{"role": "user", "content": "sk-ant-" + "*" * 26}],
        },
    }
    written = path.with_suffix(".json").read_bytes() + path.read_bytes()
    for private in (b"abcdefghij", b"ada@", b"Bearer", b"abcd"):
        assert private not in written


def test_a_secret_cut_by_the_end_of_a_chunk_is_masked(raw_upstream, tmp_path):
    with asking(raw_upstream.url, tmp_path) as (_, client, told):
        raw_upstream.accept()
        raw_upstream.begin()
        client.answer()
        for data in (b'data: "sk-pro', b"j-abcdefghij01234", b'56789"\n\n'):
            raw_upstream.chunk(data)
            assert client.chunk() == data  # what the client gets is as it came
        raw_upstream.send(b"0\r\n\r\n")
        _, saved = told.next()
    assert saved.body == b'data: "sk-proj-' + b"*" * 20 + b'"\n\n'
    assert sizes(saved) == [13, 17, 8]


def test_of_the_response_only_harmless_headers_are_kept(raw_upstream, tmp_path):
    lines = [
        b"Content-Type: text/event-stream; charset=utf-8",
        b"Set-Cookie: a=1",
        b"Set-Cookie: b=2",
        b"openai-organization: acme",
        b"x-request-id: req_7f",
        b"x-ratelimit-remaining-requests: 9",
        b"Transfer-Encoding: chunked",
        b"X-Mine: 1",
        b"Connection: keep-alive, X-Mine",
    ]
    with recording_from(raw_upstream.url, tmp_path) as (recorder, told):
        with closing(Client(recorder.base_url)) as client:
            raw_upstream.accept()
            raw_upstream.begin(b"\r\n".join([*lines, b""]))
            raw_upstream.send(b"0\r\n\r\n")
            answer = client.answer()
            answer.read()
        _, saved = told.next()
    assert answer.headers.get_all("Set-Cookie") == ["a=1", "b=2"]
    assert answer.headers["x-request-id"] == "req_7f"
    assert answer.headers["x-mine"] is None
    assert dict(saved.headers) == {
        "Content-Type": "text/event-stream; charset=utf-8",
        "x-request-id": "req_0000000000000000",
        "x-ratelimit-remaining-requests": "9",
    }


def test_a_secret_in_the_path_is_masked_and_the_name_leaves_out_the_path_of_the_upstream(tmp_path):
    with playing("chat-text") as (upstream, url), recording_from(url + "/deep", tmp_path) as (
        recorder,
        told,
    ):
        ask(recorder.base_url, "/bot/AKIAIOSFODNN7EXAMPLE/send")
        path, saved = told.next()
    assert upstream.requests[0].path == "/v1/deep/bot/AKIAIOSFODNN7EXAMPLE/send"
    assert saved.request["path"] == "/v1/deep/bot/AKIA" + "*" * 16 + "/send"
    assert path.name == "001-bot-akia-send.sse"


# Where requests go


def test_the_part_of_the_path_that_both_have_stands_once(tmp_path):
    paths = ["/chat/completions", "/v1/chat/completions"]
    with playing("chat-text", times=None) as (upstream, url), recording_from(url, tmp_path) as one:
        origin = one[0].base_url[: -len("/v1")]
        for path in paths:
            ask(origin, path)
    assert {request.path for request in upstream.requests} == {"/v1/chat/completions"}


def test_characters_that_a_path_may_hold_reach_the_upstream_as_they_were(tmp_path):
    target = "/models/a%2Fb:stream@1/x%20y;v=1?q=%C3%A9&r=a+b"
    with playing("chat-text") as (upstream, url), recording_from(url, tmp_path) as (one, told):
        ask(one.base_url, target)
        told.next()
    [request] = upstream.requests
    assert (request.path, request.query) == ("/v1/models/a/b:stream@1/x y;v=1", "q=%C3%A9&r=a+b")


def test_a_chunked_request_reaches_the_upstream_whole(raw_upstream, tmp_path):
    with recording_from(raw_upstream.url, tmp_path) as (recorder, _):
        address = urlsplit(recorder.base_url)
        with socket.create_connection((address.hostname, address.port), DEADLINE_S) as sock:
            sock.sendall(
                b"POST /v1/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
                b"Connection: x-hop\r\nX-Hop: 1\r\n\r\n2\r\n{}\r\n1\r\n \r\n0\r\n\r\n"
            )
            head = raw_upstream.accept().lower()
            raw_upstream.begin(b"Content-Length: 0\r\n")
            assert sock.recv(100).startswith(b"HTTP/1.1 200 OK\r\n")
    assert raw_upstream.body == b"{} "
    assert b"transfer-encoding" not in head
    assert b"x-hop" not in head
    assert head.count(b"\r\nhost: 127.0.0.1:") == 1


# What is not recorded, and errors


def test_what_is_no_stream_passes_and_is_not_recorded(raw_upstream, tmp_path):
    with asking(raw_upstream.url, tmp_path, "/models", "GET") as (_, client, told):
        raw_upstream.accept()
        raw_upstream.begin(b"Content-Type: application/json\r\nContent-Length: 2\r\n")
        raw_upstream.send(b"{}")
        answer = client.answer()
        assert (answer.headers["Content-Length"], answer.read()) == ("2", b"{}")
    assert told.is_empty
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("method", "status", "recorded"),
    [("POST", 429, True), ("POST", 400, True), ("POST", 399, False), ("GET", 429, False)],
)
def test_an_error_is_recorded_if_it_answers_a_post(
    method, status, recorded, raw_upstream, tmp_path
):
    error = b'{"error": {"message": "slow down"}}'
    head = b"Content-Type: application/json\r\nRetry-After: 3\r\nContent-Length: 35\r\n\r\n"
    with recording_from(raw_upstream.url, tmp_path) as (recorder, told):
        with closing(Client(recorder.base_url, method=method)) as client:
            raw_upstream.accept()
            raw_upstream.send(b"HTTP/1.1 %d Whatever\r\n" % status + head + error)
            answer = client.answer()
            assert (answer.status, answer.headers["Retry-After"]) == (status, "3")
            assert answer.read() == error
        if recorded:
            _, saved = told.next()
            assert (saved.status, saved.body, saved.end) == (status, error, "complete")
            assert saved.headers["Retry-After"] == "3"
    assert told.is_empty


@pytest.mark.parametrize(
    ("status", "method"), [(b"204 No Content", "POST"), (b"304 Not Modified", "GET"),
                           (b"200 OK", "HEAD")]
)  # fmt: skip
def test_an_answer_without_a_body_ends_with_its_head(status, method, raw_upstream, tmp_path):
    with asking(raw_upstream.url, tmp_path, method=method) as (_, client, _told):
        raw_upstream.accept()
        head = b"Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        raw_upstream.send(b"HTTP/1.1 %b\r\n" % status + head)
        answer = client.answer()
        assert (str(answer.status).encode(), answer.read()) == (status[:3], b"")
        client.connection.request("GET", "/v1/again")  # the connection is in order
        raw_upstream.hang_up()
        raw_upstream.accept()
        raw_upstream.begin(b"Content-Length: 2\r\n")
        raw_upstream.send(b"ok")
        assert client.answer().read() == b"ok"


def test_a_stream_that_is_compressed_unasked_passes_and_is_told_of(raw_upstream, tmp_path):
    head = b"Content-Type: text/event-stream\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n"
    with recording_from(raw_upstream.url, tmp_path) as (recorder, told):
        with closing(Client(recorder.base_url)) as client:
            raw_upstream.accept()
            raw_upstream.begin(head)
            raw_upstream.send(b"abc")
            assert client.answer().read() == b"abc"
        expected = "/v1/chat/completions is not recorded: it is compressed (gzip) unasked"
        assert told.failure() == expected
    assert told.is_empty


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_body_that_ends_with_its_connection_is_complete(version, raw_upstream, tmp_path):
    with recording_from(raw_upstream.url, tmp_path) as (recorder, told):
        with closing(Client(recorder.base_url)) as client:
            raw_upstream.accept()
            head = f"HTTP/{version} 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
            raw_upstream.send(head.encode() + b"data: 1\n\n")
            client.answer()
            assert client.chunk() == b"data: 1\n\n"
            raw_upstream.hang_up()
            assert client.chunk() == b""
        _, saved = told.next()
    assert (saved.body, saved.end) == (b"data: 1\n\n", "complete")


def test_a_client_of_http_1_0_gets_the_body_without_chunks(tmp_path):
    with playing("chat-text") as (_, url), recording_from(url, tmp_path) as (recorder, told):
        address = urlsplit(recorder.base_url)
        with socket.create_connection((address.hostname, address.port), DEADLINE_S) as sock:
            sock.sendall(b"POST /v1/x HTTP/1.0\r\nContent-Length: 2\r\n\r\n{}")
            with sock.makefile("rb") as file:
                head, body = file.read().split(b"\r\n\r\n", 1)
        told.next()
    assert b"ransfer-encoding" not in head
    assert body == Recording.named("chat-text").body


def test_an_upstream_that_cannot_be_reached_is_a_502_and_one_line(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
    with recording_from(url, tmp_path) as (recorder, told):
        status, headers, body = ask(recorder.base_url)
        expected = f"upstream {url} cannot be reached: Connection refused"
        assert told.failure() == expected
    assert (status, headers["Content-Type"]) == (502, "application/json")
    assert json.loads(body) == {
        "error": {
            "message": expected,
            "type": "server_error",
            "param": None,
            "code": "bad_gateway",
        }
    }


def test_an_upstream_that_hangs_up_before_its_answer_is_a_502(raw_upstream, tmp_path):
    with recording_from(raw_upstream.url, tmp_path) as (recorder, told):
        with closing(Client(recorder.base_url)) as client:
            raw_upstream.accept()
            raw_upstream.hang_up()
            assert client.answer().status == 502
        assert "cannot be reached: Remote end closed connection" in told.failure()


def test_a_recording_that_cannot_be_written_is_told_of_and_the_stream_passes(tmp_path):
    folder = tmp_path / "out"
    with playing("chat-text") as (_, url), recording_from(url, folder) as (recorder, told):
        folder.rmdir()
        folder.write_text("in its place")
        status, _, body = ask(recorder.base_url)
        assert "not recorded" in told.failure()
    assert (status, body) == (200, Recording.named("chat-text").body)


# Streams that are cut


@pytest.mark.parametrize(
    ("cut", "end"), [("hang_up", "eof"), ("reset", "reset")], ids=["FIN", "RST"]
)
def test_a_cut_reaches_the_client_as_it_came_and_is_recorded(cut, end, raw_upstream, tmp_path):
    with recording_from(raw_upstream.url, tmp_path) as (recorder, told):
        with closing(Client(recorder.base_url)) as client:
            raw_upstream.accept()
            raw_upstream.begin()
            client.answer()
            raw_upstream.chunk(b"data: 1\n\n")
            assert client.chunk() == b"data: 1\n\n"
            getattr(raw_upstream, cut)()
            if end == "eof":
                assert client.response.fp.read() == b""
            else:
                with pytest.raises(ConnectionResetError):
                    client.response.fp.read()
        _, saved = told.next()
    assert (saved.body, saved.end) == (b"data: 1\n\n", end)


@pytest.mark.parametrize(
    "rest",
    [b"9\r\ndata: 2", b"9\r\ndata: 2\n\n", b"zz\r\ndata: 2", b"7\r\ndata: 2\r\n5", LARGE, VAST],
    ids=["in a chunk", "after a chunk", "no size", "in a size", "a size beyond all", "vast"],
)
def test_what_had_come_of_a_cut_chunk_is_kept(rest, raw_upstream, tmp_path, capfd):
    with recording_from(raw_upstream.url, tmp_path) as (recorder, told):
        with closing(Client(recorder.base_url)) as client:
            raw_upstream.accept()
            raw_upstream.begin()
            raw_upstream.chunk(b"data: 1\n\n")
            raw_upstream.send(rest)
            raw_upstream.hang_up()
            with pytest.raises(http.client.IncompleteRead):
                client.answer().read()
        _, saved = told.next()
    came = b"" if rest.startswith((b"zz", LARGE)) else rest.split(b"\r\n")[1]
    assert (saved.body, saved.end) == (b"data: 1\n\n" + came, "eof")
    assert capfd.readouterr() == ("", "")


def test_a_body_shorter_than_its_length_is_cut(raw_upstream, tmp_path):
    with recording_from(raw_upstream.url, tmp_path) as (recorder, told):
        with closing(Client(recorder.base_url)) as client:
            raw_upstream.accept()
            raw_upstream.begin(b"Content-Type: text/event-stream\r\nContent-Length: 99\r\n")
            raw_upstream.send(b"data: 1\n\n")
            raw_upstream.hang_up()
            with pytest.raises(http.client.IncompleteRead):
                client.answer().read()
        _, saved = told.next()
    assert (saved.body, saved.end) == (b"data: 1\n\n", "eof")


def test_a_client_that_leaves_ends_the_upstream_and_what_came_is_kept(raw_upstream, tmp_path):
    with recording_from(raw_upstream.url, tmp_path) as (recorder, told):
        with closing(Client(recorder.base_url)) as client:
            raw_upstream.accept()
            raw_upstream.begin()
            client.answer()
            raw_upstream.chunk(b"data: 1\n\n")
            client.chunk()
        assert raw_upstream.is_left()
        _, saved = told.next()
    assert (saved.body, saved.end) == (b"data: 1\n\n", "eof")


def test_a_client_that_resets_its_connection_has_left(raw_upstream, tmp_path):
    with asking(raw_upstream.url, tmp_path) as (_, client, told):
        raw_upstream.accept()
        raw_upstream.begin()
        client.answer()
        raw_upstream.chunk(b"data: 1\n\n")
        client.chunk()
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        assert raw_upstream.is_left()
        _, saved = told.next()
    assert (saved.body, saved.end) == (b"data: 1\n\n", "eof")


def test_what_comes_within_a_second_of_its_leaving_is_kept_too(raw_upstream, tmp_path):
    with asking(raw_upstream.url, tmp_path) as (_, client, told):
        raw_upstream.accept()
        raw_upstream.begin()
        client.answer()
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        for _ in range(3):
            raw_upstream.chunk(b"data: 1\n\n")
        raw_upstream.send(b"0\r\n\r\n")
        _, saved = told.next()
    assert (saved.body, saved.end) == (b"data: 1\n\n" * 3, "complete")


def test_a_body_that_ends_with_its_connection_is_cut_where_the_client_leaves(
    raw_upstream, tmp_path
):
    with asking(raw_upstream.url, tmp_path) as (_, client, told):
        raw_upstream.accept()
        raw_upstream.begin(b"Content-Type: text/event-stream\r\n")
        raw_upstream.send(b"data: 1\n\n")
        client.answer()
        client.chunk()
        client.close()
        _, saved = told.next()
    assert (saved.body, saved.end) == (b"data: 1\n\n", "eof")


def test_a_client_that_leaves_before_the_answer_ends_the_upstream(raw_upstream, tmp_path):
    with recording_from(raw_upstream.url, tmp_path) as (recorder, told):
        with closing(Client(recorder.base_url)):
            raw_upstream.accept()
        assert raw_upstream.is_left()
    assert told.is_empty
    assert told.failures.empty()


def test_a_client_that_leaves_at_the_last_event_leaves_a_complete_recording(raw_upstream, tmp_path):
    with recording_from(raw_upstream.url, tmp_path) as (recorder, told):
        with closing(Client(recorder.base_url)) as client:
            raw_upstream.accept()
            raw_upstream.begin()
            client.answer()
            raw_upstream.chunk(b"data: [DONE]\n\n")
            client.chunk()
        raw_upstream.send(b"0\r\n\r\n")
        _, saved = told.next()
    assert (saved.body, saved.end) == (b"data: [DONE]\n\n", "complete")


def test_closing_the_recorder_saves_what_is_under_way_as_cut(raw_upstream, tmp_path):
    with asking(raw_upstream.url, tmp_path) as (recorder, client, told):
        raw_upstream.accept()
        raw_upstream.begin()
        client.answer()
        raw_upstream.chunk(b"data: 1\n\n")
        client.chunk()
        recorder.close()
        _, saved = told.next()
        assert client.response.fp.read() == b""
    assert (saved.body, saved.end) == (b"data: 1\n\n", "eof")


def test_closing_waits_for_what_is_being_saved(tmp_path):
    def slowly(path, recording):
        saving.set()
        assert closing_began.wait(DEADLINE_S), "the recorder was not closed"
        assert not finished.wait(1.2), "the recorder was closed while it saved"
        saved.append(path)

    saving, closing_began, finished, saved = (
        threading.Event(),
        threading.Event(),
        threading.Event(),
        [],
    )
    with playing("chat-text") as (_, url):
        recorder = Recorder(url, tmp_path, saved=slowly)
        with closing(Client(recorder.base_url)):
            assert saving.wait(DEADLINE_S), "nothing was saved"
            closing_began.set()
            recorder.close()
            finished.set()
    assert len(saved) == 1


def test_a_header_on_two_lines_passes_on_one(raw_upstream, tmp_path):
    head = b"Content-Type: text/event-stream;\r\n charset=utf-8\r\nContent-Length: 0\r\n"
    with asking(raw_upstream.url, tmp_path) as (_, client, told):
        raw_upstream.accept()
        raw_upstream.begin(head)
        assert client.answer().headers["Content-Type"] == "text/event-stream; charset=utf-8"
        _, saved = told.next()
    assert dict(saved.headers) == {"Content-Type": "text/event-stream; charset=utf-8"}


def test_of_chunks_and_a_length_the_chunks_decide(raw_upstream, tmp_path):
    head = b"Content-Type: text/event-stream\r\nContent-Length: 3\r\n"
    with asking(raw_upstream.url, tmp_path) as (_, client, told):
        raw_upstream.accept()
        raw_upstream.begin(head + b"Transfer-Encoding: chunked\r\n")
        raw_upstream.chunk(b"data: 1\n\n")
        raw_upstream.send(b"0\r\n\r\n")
        answer = client.answer()
        assert (answer.headers["Content-Length"], answer.read()) == (None, b"data: 1\n\n")
        assert told.next()[1].end == "complete"


def test_a_reset_inside_a_chunk_is_a_reset(raw_upstream, tmp_path):
    with asking(raw_upstream.url, tmp_path) as (_, client, told):
        raw_upstream.accept()
        raw_upstream.begin()
        raw_upstream.chunk(b"data: 1\n\n")
        client.answer()
        assert client.chunk() == b"data: 1\n\n"
        raw_upstream.send(b"9\r\ndata")
        raw_upstream.reset()
        _, saved = told.next()
    assert saved.body in (b"data: 1\n\n", b"data: 1\n\ndata")  # an RST may overtake
    assert saved.end == "reset"


def test_a_request_sent_ahead_is_answered_in_its_turn(raw_upstream, tmp_path):
    with recording_from(raw_upstream.url, tmp_path) as (recorder, told):
        address = urlsplit(recorder.base_url)
        with socket.create_connection((address.hostname, address.port), DEADLINE_S) as sock:
            ask_one = b"POST /v1/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
            sock.sendall(ask_one)
            raw_upstream.accept()
            raw_upstream.begin()
            sock.sendall(ask_one)
            raw_upstream.chunk(b"data: 1\n\n")
            raw_upstream.send(b"0\r\n\r\n")
            assert told.next()[1].end == "complete"
            raw_upstream.hang_up()
            raw_upstream.accept()
            raw_upstream.begin()
            raw_upstream.send(b"0\r\n\r\n")
            assert told.next()[1].body == b""


# Files, and many at once


def test_recordings_are_numbered_in_the_order_in_which_their_answers_began(tmp_path):
    (tmp_path / "007-mine.sse").write_bytes(b"")
    with playing("chat-text", times=None) as (_, url), recording_from(url, tmp_path) as (one, _):
        for path in ("/chat/completions", "/responses"):
            ask(one.base_url, path)
    names = sorted(path.name for path in tmp_path.glob("*.sse"))
    assert names == ["007-mine.sse", "008-chat-completions.sse", "009-responses.sse"]
    assert (tmp_path / "007-mine.sse").read_bytes() == b""


def test_ten_clients_at_once_have_a_recording_each(tmp_path):
    originals = [Recording(b"data: %d\n\n" % number * 50) for number in range(10)]
    upstream = FakeUpstream()
    for number, original in enumerate(originals):
        upstream.play(original, when={"json": {"model": str(number)}})
    with upstream.serve() as url, recording_from(url, tmp_path) as (recorder, told):
        with ThreadPoolExecutor(10) as pool:
            models = [{"model": str(number)} for number in range(10)]
            answers = list(pool.map(lambda body: ask(recorder.base_url, body=body)[2], models))
        saved = [told.next()[1] for _ in originals]
    assert answers == [original.body for original in originals]
    by_model = {one.request["body"]["model"]: one.body for one in saved}
    assert by_model == {str(number): one.body for number, one in enumerate(originals)}
    assert len(list(tmp_path.glob("*.sse"))) == 10


# TLS and proxies


@pytest.fixture
def tls_upstream(tmp_path):
    """Listens with a certificate of its own making; the socket, its URL, the certificate."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl here to make a certificate")
    certificate = tmp_path / "certificate.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1"
    subprocess.run(
        [*command.split(), "-keyout", tmp_path / "key.pem", "-out", certificate,
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
        check=True, capture_output=True, timeout=DEADLINE_S,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, tmp_path / "key.pem")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(DEADLINE_S)
        url = f"https://localhost:{listener.getsockname()[1]}/v1"
        yield listener, context, url, certificate


class TLSUpstream:
    """Answers one connection with a stream that ends as the test has it."""

    def __init__(self, listener, context, rest):
        self.left = threading.Event()
        self._thread = threading.Thread(
            target=self._serve, args=(listener, context, rest), daemon=True
        )
        self._thread.start()

    def _serve(self, listener, context, rest):
        sock, _ = listener.accept()
        sock.settimeout(DEADLINE_S)
        try:
            with context.wrap_socket(sock, server_side=True) as tls:
                came = b""
                while not came.endswith(b"}"):  # what is left unread would make a FIN an RST
                    came += tls.recv(65536)
                tls.sendall(
                    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                    b"Transfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n" + rest
                )
                if rest != b"5\r\n":
                    tls.recv(1)
                    self.left.set()
        except (ssl.SSLError, ConnectionError):  # the other side does not trust us, or is gone
            self.left.set()
            sock.close()

    def join(self):
        self._thread.join(DEADLINE_S)
        assert not self._thread.is_alive(), "the upstream still waits"


@pytest.mark.parametrize("is_trusted", [True, False], ids=["trusted", "not trusted"])
def test_a_certificate_is_verified(is_trusted, tls_upstream, tmp_path, monkeypatch):
    listener, context, url, certificate = tls_upstream
    if is_trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    upstream = TLSUpstream(listener, context, b"0\r\n\r\n")
    with recording_from(url, tmp_path / "out") as (recorder, told):
        status, _, body = ask(recorder.base_url)
        if is_trusted:
            assert told.next()[1].body == body == b"data: 1\n\n"
        else:
            assert status == 502
            assert "certificate verify failed" in told.failure()
    upstream.join()


def test_a_tls_stream_that_is_cut_is_recorded_as_cut(tls_upstream, tmp_path, monkeypatch):
    listener, context, url, certificate = tls_upstream
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    upstream = TLSUpstream(listener, context, b"5\r\n")
    with asking(url, tmp_path / "out") as (_, client, told):
        with pytest.raises(http.client.IncompleteRead):
            client.answer().read()
        _, saved = told.next()
    upstream.join()
    assert (saved.body, saved.end) == (b"data: 1\n\n", "eof")


def test_a_client_that_leaves_a_tls_stream_ends_it(tls_upstream, tmp_path, monkeypatch):
    listener, context, url, certificate = tls_upstream
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    upstream = TLSUpstream(listener, context, b"")
    with recording_from(url, tmp_path / "out") as (recorder, told):
        with closing(Client(recorder.base_url)) as client:
            client.answer()
            assert client.chunk() == b"data: 1\n\n"
        assert upstream.left.wait(DEADLINE_S), "the upstream is not left"
        _, saved = told.next()
    upstream.join()
    assert (saved.body, saved.end) == (b"data: 1\n\n", "eof")


def test_it_listens_where_it_is_told(tmp_path):
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            pass
    except OSError:
        pytest.skip("no IPv6 here")
    with playing("chat-text") as (_, url), recording_from(url, tmp_path, host="::1") as (one, told):
        assert one.base_url.startswith("http://[::1]:")
        assert ask(one.base_url)[0] == 200
        told.next()


def test_a_proxy_in_the_environment_is_used_but_not_for_this_machine(
    raw_upstream, tmp_path, monkeypatch
):
    proxy = raw_upstream.url.replace("http://", "http://me:pass@")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("http_proxy", proxy)
    with asking("http://api.example.com/v1", tmp_path) as (_, client, _):
        head = raw_upstream.accept()
        raw_upstream.begin(b"Content-Length: 0\r\n")
        assert client.answer().status == 200
    assert head.startswith(b"POST http://api.example.com/v1/chat/completions HTTP/1.1\r\n")
    assert b"\r\nHost: api.example.com\r\n" in head
    assert b"\r\nProxy-Authorization: Basic bWU6cGFzcw==\r\n" in head
    with playing("chat-text") as (_, url), recording_from(url, tmp_path) as (recorder, _):
        assert ask(recorder.base_url)[0] == 200


def test_a_proxy_is_asked_for_a_tunnel_to_a_tls_upstream(raw_upstream, tmp_path, monkeypatch):
    monkeypatch.setenv("https_proxy", raw_upstream.url)
    with recording_from("https://api.example.com/v1", tmp_path) as (recorder, told):
        with closing(Client(recorder.base_url)) as client:
            assert raw_upstream.accept().startswith(b"CONNECT api.example.com:443 HTTP/1.")
            raw_upstream.send(b"HTTP/1.1 403 Forbidden\r\n\r\n")
            assert client.answer().status == 502
        assert "403 Forbidden" in told.failure()


def test_what_fails_in_passing_a_request_on_is_told_in_one_line(tmp_path, capfd):
    failures = queue.Queue()

    def broken(path, recording):
        raise LookupError("no place for it")

    with playing("chat-text") as (_, url):
        recorder = Recorder(url, tmp_path, saved=broken, failed=failures.put)
        with closing(recorder), closing(Client(recorder.base_url)):
            told = failures.get(timeout=DEADLINE_S)
    assert told == "a request was not passed on: LookupError: no place for it"
    assert capfd.readouterr() == ("", "")


# What is refused at the start


@pytest.mark.parametrize(
    "url",
    ["", "api.openai.com/v1", "ftp://a/b", "http://", "http://a:b/", "http://[::1/", "http://a:0",
     "http://a/ b", "http://a..b/", "http://\u00e4/", "http://me:secret@a/",
     "http://a/?key=secret", "http://a/#x"],
)  # fmt: skip
def test_what_is_no_url_of_an_upstream_is_refused(url, tmp_path):
    with pytest.raises(OptionError) as caught:
        Recorder(url, tmp_path / "out")
    assert str(caught.value).startswith("upstream is ")
    assert "secret" not in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_recorder_is_no_upstream_of_its_own(host, tmp_path):
    with socket.socket() as held:  # so that nobody else gets the port
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        with pytest.raises(OptionError, match="expected another address than the recorder's own"):
            Recorder(f"http://{host}:{port}/v1", tmp_path, port=port)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("socks5://127.0.0.1:1080", "'socks5://127.0.0.1:1080'"),
        ("http://me:secret@[::1/", "'http://[::1/'"),
        ("http://me:secret@a:b", "'http://a:b'"),
        ("a..b:8080", "'http://a..b:8080'"),
    ],
)
def test_a_proxy_that_cannot_be_asked_is_refused(url, told, tmp_path, monkeypatch):
    monkeypatch.setenv("https_proxy", url)
    with pytest.raises(OptionError) as caught:
        Recorder("https://api.example.com/v1", tmp_path)
    expected = "expected http:// and a host, or none"
    assert str(caught.value) == f"proxy in the environment is {told}: {expected}"


def test_a_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(OptionError, match="expected a folder to write to, or the name of a new"):
        Recorder("http://127.0.0.1:1/v1", tmp_path / "out")


# Real clients


def test_requests_reads_through_the_recorder(tmp_path):
    requests = pytest.importorskip("requests")
    with playing("chat-text") as (_, url), recording_from(url, tmp_path) as (recorder, told):
        with requests.Session() as session:
            session.trust_env = False
            answer = session.post(
                recorder.base_url + "/chat/completions", json=CHAT, stream=True, timeout=DEADLINE_S
            )
            got = list(answer.iter_content(None))
        _, saved = told.next()
    assert [len(data) for data in got] == sizes(saved)


def test_httpx_reads_through_the_recorder(tmp_path):
    httpx = pytest.importorskip("httpx")
    with playing("chat-text") as (_, url), recording_from(url, tmp_path) as (recorder, told):
        with httpx.Client(trust_env=False, timeout=DEADLINE_S) as client:
            answer = client.post(recorder.base_url + "/chat/completions", json=CHAT)
        assert told.next()[1].body == answer.content


def test_the_openai_client_reads_through_the_recorder(tmp_path):
    openai = pytest.importorskip("openai", minversion="1")
    http_client = openai.DefaultHttpxClient(trust_env=False)
    with playing("chat-text") as (_, url), recording_from(url, tmp_path) as (recorder, told):
        with openai.OpenAI(
            base_url=recorder.base_url, api_key="sk-none", http_client=http_client, max_retries=0
        ) as client:
            stream = client.chat.completions.create(**CHAT)
            text = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
        _, saved = told.next()
    assert text
    assert saved.end == "complete"
    assert saved.body == Recording.named("chat-text").body


def test_curl_reads_through_the_recorder(tmp_path):
    if shutil.which("curl") is None:
        pytest.skip("no curl here")
    with playing("chat-text") as (_, url), recording_from(url, tmp_path) as (recorder, told):
        target = recorder.base_url + "/chat/completions"
        command = ["curl", "-sN", "--compressed", "--noproxy", "*", "-d", "{}", target]
        done = subprocess.run(command, capture_output=True, timeout=DEADLINE_S, check=True)
        assert told.next()[1].body == done.stdout


NO_HTTP = {
    "a status line": b"HTTP/9\x1b[2J 200 OK\r\n\r\n",
    "something else": b"\x1b]0;x\x07\r\n\r\n",
    "a long line": b"HTTP/1.1 200 OK\r\n" + b"x" * 70_000 + b"\r\n\r\n",
}


@pytest.mark.parametrize("answer", NO_HTTP.values(), ids=NO_HTTP)
def test_what_is_no_http_is_quoted_in_one_line(answer, raw_upstream, tmp_path):
    with recording_from(raw_upstream.url, tmp_path) as (recorder, told):
        with closing(Client(recorder.base_url)) as client:
            raw_upstream.accept()
            raw_upstream.send(answer)
            assert client.answer().status == 502
        failure = told.failure()
    assert "cannot be reached: what came is no HTTP (" in failure
    assert failure.isprintable()
    assert len(failure) < 200


def test_a_request_that_cannot_be_passed_on_is_told_of_without_its_key(tmp_path):
    with playing() as (_, url), recording_from(url, tmp_path) as (recorder, told):
        address = urlsplit(recorder.base_url)
        with socket.create_connection((address.hostname, address.port), DEADLINE_S) as sock:
            head = b"GET /v1/x?key=key-text\x07 HTTP/1.1\r\nHost: localhost\r\n\r\n"
            sock.sendall(head)
            assert sock.recv(65536).startswith(b"HTTP/1.1 502 ")
        failure = told.failure()
    assert failure.endswith("cannot be reached: the request holds a character that HTTP forbids")


@pytest.mark.parametrize("sizes", [[600, 600], [1] * 20], ids=["of bytes", "of chunks"])
def test_an_answer_past_the_bound_passes_and_is_not_recorded(
    sizes, raw_upstream, tmp_path, monkeypatch
):
    monkeypatch.setattr(_take, "_MAX_BYTES", 1000)
    with recording_from(raw_upstream.url, tmp_path) as (recorder, told):
        with closing(Client(recorder.base_url)) as client:
            raw_upstream.accept()
            raw_upstream.begin()
            for size in sizes:
                raw_upstream.chunk(b"x" * size)
            raw_upstream.send(b"0\r\n\r\n")
            assert len(client.answer().read()) == sum(sizes)
        assert told.failure() == "chat-completions is not recorded: it is over 0 MiB"
    assert list(tmp_path.iterdir()) == []


def test_a_vast_chunk_is_passed_on_before_it_is_whole(raw_upstream, tmp_path, monkeypatch):
    monkeypatch.setattr(_transport, "_VAST_BYTES", 1000)
    with recording_from(raw_upstream.url, tmp_path) as (recorder, told):
        with closing(Client(recorder.base_url)) as client:
            raw_upstream.accept()
            raw_upstream.begin()
            raw_upstream.send(b"%x\r\n" % 5000 + b"x" * 1500)
            client.answer()
            assert set(client.chunk()) == set(b"x")
            raw_upstream.send(b"x" * 3500 + b"\r\n0\r\n\r\n")
            for _ in iter(client.chunk, b""):
                pass
        _, saved = told.next()
    assert (saved.body, saved.end) == (b"x" * 5000, "complete")
    assert len(saved.chunks) > 1
