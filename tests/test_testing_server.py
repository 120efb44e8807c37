"""sse_middleware.testing.server: what a client sees of the fake upstream on a real socket."""

import csv
import http.client
import json
import re
import select
import socket
import struct
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from sse_middleware.clock import SystemClock
from sse_middleware.errors import StuckClockError
from sse_middleware.testing import FakeUpstream, Recording, VirtualClock, _request_reading
from sse_middleware.testing.exchange import Reply
from sse_middleware.testing.server import Server

# A socket that we leave open is a fault of ours, also where only the collector of garbage sees it.
pytestmark = [
    pytest.mark.usefixtures("no_garbage"),
    pytest.mark.filterwarnings("error::ResourceWarning"),
    pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning"),
]
DEADLINE_S = 30
SHIPPED = sorted((Path(__file__).parents[1] / "fixtures" / "recordings").glob("*.sse"))
REAL = Path(__file__).resolve().parents[2] / "shared" / "recordings"
REAL_FILES = sorted(REAL.glob("*.sse"))
needs_real = pytest.mark.skipif(
    not REAL_FILES, reason="the recordings of real vendors do not stand beside this checkout"
)
BODY = b"data: 1\n\ndata: 2\n\ndata: 3\n\n"
POST = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"


class RawClient:
    """A client that reads the wire itself; each read has a deadline."""

    def __init__(self, base_url):
        address = urlsplit(base_url)
        self.sock = socket.create_connection((address.hostname, address.port), DEADLINE_S)
        self.file = self.sock.makefile("rb")

    def ask(self, request=POST):
        self.sock.sendall(request)

    def head(self):
        """The status line and the headers, by name in lower case."""
        status = self.file.readline()
        lines = iter(self.file.readline, b"\r\n")
        headers = dict(line.rstrip(b"\r\n").lower().split(b": ", 1) for line in lines)
        return status, headers

    def chunk(self):
        """The next HTTP chunk; b"" for the terminator; None if the connection was closed."""
        line = self.file.readline()
        if not line:
            return None
        assert re.fullmatch(rb"[0-9a-f]+\r\n", line), line
        data = self.file.read(int(line, 16))
        assert self.file.readline() == b"\r\n"
        return data

    def chunks(self):
        """All chunks up to the terminator, which must come."""
        got = []
        for data in iter(self.chunk, b""):
            assert data is not None, f"the connection was closed after {len(got)} chunks"
            got.append(data)
        return got

    def close(self):
        self.file.close()
        self.sock.close()


@contextmanager
def serving(*recordings, clock=None, **options):
    """An upstream with these recordings, and a raw client of it."""
    upstream = FakeUpstream(clock)
    for recording in recordings:
        upstream.play(recording, **options)
    with upstream.serve() as base_url, closing(RawClient(base_url)) as client:
        yield upstream, client


class Gate:
    """A clock whose every wait goes on when the test lets it."""

    def __init__(self):
        self.now_s = 0.0
        self.asleep = threading.Semaphore(0)
        self.released = threading.Semaphore(0)

    def monotonic(self):
        return self.now_s

    def wait(self, signal, until_s):
        self.asleep.release()
        assert self.released.acquire(timeout=DEADLINE_S), "nobody released the gate"
        self.now_s = until_s
        return False

    def until_asleep(self):
        assert self.asleep.acquire(timeout=DEADLINE_S), "the replay did not reach its delay"


def pieces_of(recording):
    return [data for _, data in recording.pieces() if data]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_recording_is_replayed_chunk_for_chunk(path):
    recording = Recording.load(path)
    with serving(recording) as (upstream, client):
        client.ask()
        client.head()
        got = [client.chunk() for _ in pieces_of(recording)]
        assert got == pieces_of(recording)
        assert b"".join(got) == path.read_bytes()
        assert client.chunk() == (b"" if recording.end == "complete" else None)
    upstream.verify()


@needs_real
@pytest.mark.parametrize("path", REAL_FILES, ids=[path.stem for path in REAL_FILES])
def test_a_real_recording_is_replayed_byte_for_byte(path):
    body = path.read_bytes()
    with serving(Recording.load(path)) as (_, client):
        client.ask()
        client.head()
        assert b"".join(client.chunks()) == body


def real_transport_chunks():
    """The recordings whose transport chunks are known: (file, sizes of the chunks)."""
    if not REAL_FILES:
        return []
    with open(REAL / "INDEX.tsv", encoding="utf-8", newline="") as index:
        rows = list(csv.DictReader(index, delimiter="\t"))
    return [
        (REAL / row["file"], [int(size) for size in row["transport_chunk_bytes"].split()])
        for row in rows
        if row["transport_chunk_bytes"]
    ]


@needs_real
@pytest.mark.parametrize(
    ("path", "sizes"), [pytest.param(*row, id=row[0].stem) for row in real_transport_chunks()]
)
def test_real_transport_chunks_are_the_chunks_on_the_wire(path, sizes):
    recording = Recording(path.read_bytes(), chunks=[(0, size) for size in sizes])
    with serving(recording) as (_, client):
        client.ask()
        client.head()
        got = client.chunks()
    assert [len(data) for data in got] == sizes
    assert b"".join(got) == path.read_bytes()


def test_the_head_is_http_1_1_chunked_and_never_says_close():
    headers = {
        "Content-Type": "text/event-stream",
        "X-Request-Id": "req_1",
        "Connection": "close",
        "Content-Length": "3",
        "Transfer-Encoding": "gzip",
        "Keep-Alive": "timeout=1",
    }
    with serving(Recording(BODY, status=503, headers=headers)) as (_, client):
        client.ask()
        status, got = client.head()
    assert status == b"HTTP/1.1 503 Service Unavailable\r\n"
    assert got == {
        b"content-type": b"text/event-stream",
        b"x-request-id": b"req_1",
        b"transfer-encoding": b"chunked",
    }


def test_the_head_and_each_chunk_leave_before_the_next_delay():
    clock = Gate()
    recording = Recording(BODY, chunks=[(0.5, 9), (0.25, 9), (0, 9)])
    with serving(recording, clock=clock) as (_, client):
        client.ask()
        clock.until_asleep()
        assert client.head()[0] == b"HTTP/1.1 200 OK\r\n"
        clock.released.release()
        assert client.chunk() == b"data: 1\n\n"
        clock.until_asleep()
        clock.released.release()
        assert client.chunks() == [b"data: 2\n\n", b"data: 3\n\n"]
    assert clock.now_s == 0.75


def test_a_chunk_without_bytes_is_a_delay_and_no_terminator():
    clock = Gate()
    clock.released = threading.Semaphore(3)
    recording = Recording(BODY, chunks=[(1, 9), (2, 0), (3, 18)])
    with serving(recording, clock=clock) as (_, client):
        client.ask()
        client.head()
        assert client.chunks() == [b"data: 1\n\n", b"data: 2\n\ndata: 3\n\n"]
    assert clock.now_s == 6


def test_an_empty_body_is_a_terminator_alone():
    with serving(Recording(b"")) as (_, client):
        client.ask()
        client.head()
        assert client.chunk() == b""


def test_a_connection_serves_one_request_after_the_other():
    with serving("chat-text", "chat-refusal", "chat-cut") as (upstream, client):
        for name in ("chat-text", "chat-refusal"):
            client.ask()
            client.head()
            assert b"".join(client.chunks()) == Recording.named(name).body
    assert len(upstream.requests) == 2


def test_a_request_that_was_sent_ahead_is_answered_in_its_turn():
    clock = Gate()
    recordings = [Recording(BODY, chunks=[(0, 9), (1, 18)]), Recording(b"data: 4\n\n")]
    with serving(*recordings, clock=clock) as (upstream, client):
        client.ask()
        client.head()
        client.chunk()
        clock.until_asleep()
        client.ask()
        clock.released.release()
        assert client.chunks() == [b"data: 2\n\ndata: 3\n\n"]
        client.head()
        assert client.chunks() == [b"data: 4\n\n"]
    assert [request.client_left for request in upstream.requests] == [False, False]


def test_eof_closes_the_connection_without_the_terminator():
    with serving(Recording(BODY, end="eof")) as (upstream, client):
        client.ask()
        client.head()
        assert [client.chunk() for _ in range(4)] == [
            b"data: 1\n\n",
            b"data: 2\n\n",
            b"data: 3\n\n",
            None,
        ]
        assert client.sock.recv(1) == b""
    assert not upstream.requests[0].client_left


def test_reset_ends_the_connection_with_rst():
    with serving(Recording(BODY, end="reset")) as (upstream, client):
        client.ask()
        client.head()
        assert [client.chunk() for _ in range(3)] == [
            b"data: 1\n\n",
            b"data: 2\n\n",
            b"data: 3\n\n",
        ]
        with pytest.raises(ConnectionResetError):
            client.chunk()
    assert not upstream.requests[0].client_left


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody tells what has arrived")
def test_all_bytes_arrive_before_the_reset():
    recording = Recording(BODY * 100, chunks=[(0, 1)] * 2700, end="reset")
    with serving(recording) as (_, client):
        client.ask()
        poll = select.poll()
        poll.register(client.sock, 0)  # for nothing but the reset
        assert poll.poll(DEADLINE_S * 1000), "the reset did not come"
        client.head()
        assert b"".join(client.chunk() for _ in range(2700)) == BODY * 100
        with pytest.raises(ConnectionResetError):
            client.chunk()


def test_closing_ends_a_reset_that_waits_for_a_client_that_does_not_read():
    upstream = FakeUpstream()
    upstream.play(Recording(bytes(1_000_000), chunks=[(0, 1_000_000)], end="reset"))
    with upstream.serve() as base_url, closing(RawClient(base_url)) as client:
        client.ask()
        client.head()
        began = time.monotonic()
        upstream.close()
        assert time.monotonic() - began < DEADLINE_S


def test_stall_keeps_the_connection_open_and_silent_until_the_client_leaves():
    with serving(Recording(BODY, end="stall")) as (upstream, client):
        client.ask()
        client.head()
        assert [len(client.chunk()) for _ in range(3)] == [9, 9, 9]
        client.sock.settimeout(0.1)
        with pytest.raises(socket.timeout):
            client.sock.recv(1)
        client.close()
    assert upstream.requests[0].client_left


def wait_for_its_threads(before):
    """Until the server of this test has none; servers of other tests may be open or ending."""
    for thread in set(threading.enumerate()) - before:
        if thread.name == "fake-upstream":
            thread.join(DEADLINE_S)
            assert not thread.is_alive()


def test_closing_ends_stalled_delayed_idle_and_unread_connections_at_once():
    before = set(threading.enumerate())  # other tests' servers may still be ending
    upstream = FakeUpstream()
    upstream.play(Recording(BODY, end="stall"))
    upstream.play(Recording(BODY, chunks=[(3600, 27)]), speed=1)
    upstream.play("chat-text")
    upstream.play(Recording(bytes(50_000_000), chunks=[(0, 50_000_000)]))
    clients = [RawClient(upstream.base_url) for _ in range(5)]
    for client in clients[:4]:  # in this order; the fifth only connects
        client.ask()
        client.head()
    began = time.monotonic()
    upstream.close()
    assert time.monotonic() - began < DEADLINE_S
    wait_for_its_threads(before)
    assert [request.client_left for request in upstream.requests] == [False] * 4
    for client in clients:
        client.close()


def test_closing_does_not_wait_for_a_clock_of_the_test():
    before = set(threading.enumerate())
    clock = Gate()
    with serving(Recording(BODY, chunks=[(1, 27)]), clock=clock) as (upstream, client):
        client.ask()
        clock.until_asleep()
        began = time.monotonic()
        upstream.close()
        assert time.monotonic() - began < DEADLINE_S
        clock.released.release()
    wait_for_its_threads(before)
    assert not upstream.requests[0].client_left


def test_closing_waits_for_no_idle_connection(monkeypatch):
    monkeypatch.setattr("sse_middleware.testing.server._GRACE_S", 2 * DEADLINE_S)
    with serving("chat-text") as (upstream, client):
        client.ask()
        client.head()
        client.chunks()
        began = time.monotonic()
        upstream.close()
        assert time.monotonic() - began < DEADLINE_S


def test_a_connection_that_finishes_while_the_server_closes_takes_no_request(monkeypatch):
    monkeypatch.setattr("sse_middleware.testing.server._GRACE_S", 2 * DEADLINE_S)
    asked, server = threading.Event(), None

    def answer(request):  # a HEAD, so that nothing looks at the server after this
        asked.set()
        until = time.monotonic() + DEADLINE_S
        with suppress(ConnectionError):
            while time.monotonic() < until:  # until the server has stopped listening
                RawClient(server.base_url).close()
        return Reply(request, Recording(b""), SystemClock())

    server = Server(answer)
    with closing(RawClient(server.base_url)) as client:
        client.ask(request_bytes(method=b"HEAD"))
        assert asked.wait(DEADLINE_S)
        began = time.monotonic()
        server.close()
        assert time.monotonic() - began < DEADLINE_S


def finish(client):
    """Leave with FIN, once the server has seen all that was sent, and has closed its side."""
    client.sock.shutdown(socket.SHUT_WR)
    client.file.read()


def reset(client):
    """Leave with RST, at the next close."""
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@pytest.mark.parametrize("how", [lambda client: None, reset], ids=["FIN", "RST"])
@pytest.mark.parametrize("end", ["complete", "eof"])
def test_a_client_that_leaves_during_a_delay_is_seen_to_have_left(capfd, how, end):
    clock = Gate()
    recording = Recording(BODY, chunks=[(0, 9), (1, 18)], end=end)
    with serving(recording, clock=clock) as (upstream, client):
        client.ask()
        client.head()
        client.chunk()
        clock.until_asleep()
        how(client)
        client.close()
        clock.released.release()
    assert upstream.requests[0].client_left
    assert capfd.readouterr() == ("", "")


def test_a_client_that_leaves_in_real_time_is_seen_before_the_delay_ends():
    recording = Recording(BODY, chunks=[(0, 9), (3600, 18)])
    with serving(recording, speed=1) as (upstream, client):
        client.ask()
        client.head()
        client.chunk()
        client.close()
    assert upstream.requests[0].client_left


@pytest.mark.parametrize("end", ["complete", "eof", "reset"])
def test_a_client_that_leaves_in_a_delay_behind_its_last_byte_has_not_left(end):
    recording = Recording(BODY, chunks=[(0, 27), (3600, 0)], end=end)
    with serving(recording, speed=1) as (upstream, client):
        client.ask()
        client.head()
        client.chunk()
        client.close()
    assert not upstream.requests[0].client_left


def test_a_client_that_leaves_after_its_last_byte_has_not_left():
    with serving("chat-text") as (upstream, client):
        client.ask()
        client.head()
        assert client.chunks()[-1].endswith(b"data: [DONE]\n\n")
        client.close()
    assert not upstream.requests[0].client_left


def test_what_fails_in_answering_is_logged_and_its_connection_closed(capfd, caplog):
    def answer(request):
        raise LookupError("no answer")

    server = Server(answer)
    with closing(server), closing(RawClient(server.base_url)) as client:
        client.ask(POST)
        assert client.file.read() == b""
    (record,) = caplog.records
    assert (record.levelname, str(record.exc_info[1])) == ("ERROR", "no answer")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "bytes_sent",
    [b"", b"\r\n", b"POST /v1", b"nonsense\r\n\r\n", POST[:-1], POST[:-6]],
    ids=repr,
)
@pytest.mark.parametrize("how", [finish, reset])
def test_half_a_request_leaves_no_trace(capfd, how, bytes_sent):
    with serving() as (upstream, client):
        client.ask(bytes_sent)
        how(client)
        client.close()
    assert upstream.requests == []
    assert capfd.readouterr() == ("", "")


def request_bytes(*headers, body=b"", method=b"POST"):
    lines = [method + b" /v1/chat/completions HTTP/1.1", b"Host: x", *headers, b"", body]
    return b"\r\n".join(lines)


@pytest.mark.parametrize(
    ("headers", "wire", "body"),
    [
        ([b"Content-Length: 9"], b'{"a": 1}\n', b'{"a": 1}\n'),
        ([], b"", b""),
        ([b"Transfer-Encoding: chunked"], b'4\r\n{"a"\r\n4;x=y\r\n: 1}\r\n0\r\n\r\n', b'{"a": 1}'),
        ([b"Transfer-Encoding: Chunked"], b"A\r\n0123456789\r\n0\r\nT: x\r\n\r\n", b"0123456789"),
        ([b"Transfer-Encoding: chunked"], b"2\r\n{}\r\n0\r\nT: x\r\n \r\n\r\n", b"{}"),
        ([b"Content-Length: 2, 2"], b"{}", b"{}"),
        ([b"Content-Length: 2", b"Content-Length: 2"], b"{}", b"{}"),
        ([b"Content-Length: " + b"0" * 22 + b"2"], b"{}", b"{}"),
        ([b"Transfer-Encoding: chunked"], b"0" * 22 + b"2\r\n{}\r\n0\r\n\r\n", b"{}"),
    ],
    ids=[
        *[
            "by length",
            "none",
            "chunked",
            "chunked with a trailer",
            "chunked with a folded trailer",
        ],
        *["the same length twice", "the same in two headers"],
        *["a length with zeros before it", "a chunk with such a size"],
    ],
)
def test_a_request_body_is_read_however_it_is_framed(headers, wire, body):
    with serving(Recording(BODY), times=2) as (upstream, client):
        for _ in range(2):  # what follows it on the connection is a request again
            client.ask(request_bytes(*headers, body=wire))
            client.head()
            assert b"".join(client.chunks()) == BODY
    assert [request.body for request in upstream.requests] == [body, body]


@pytest.mark.parametrize(
    ("headers", "wire"),
    [
        ([b"Content-Length: -1"], b""),
        ([b"Content-Length: two"], b""),
        ([b"Content-Length: 2, 3"], b"{}"),
        ([b"Content-Length: 3", b"Content-Length: 2"], b"{}"),
        ([b"Content-Length: "], b""),
        ([b"Content-Length: " + b"9" * 23], b""),
        ([b"Content-Length: " + b"9" * 5000], b""),
        ([b"Transfer-Encoding: chunked"], b"zz\r\n"),
        ([b"Transfer-Encoding: chunked"], b"f" * 23 + b"\r\n"),
        ([b"Transfer-Encoding: chunked"], b"0x2\r\n{}\r\n"),
        ([b"Transfer-Encoding: chunked"], b"+2\r\n{}\r\n"),
        ([b"Transfer-Encoding: chunked"], b"0_2\r\n{}\r\n"),
    ],
    ids=[
        *[
            "negative",
            "a word",
            "two",
            "two headers",
            "empty",
            "23 digits",
            "5000 digits",
            "a chunk size",
            "a huge chunk",
        ],
        *["0x", "a sign", "an underscore"],
    ],
)
def test_a_body_that_is_not_framed_is_a_400(capfd, headers, wire):
    with serving(Recording(BODY)) as (upstream, client):
        client.ask(request_bytes(*headers, body=wire))
        assert client.head()[0].startswith(b"HTTP/1.1 400 ")
    assert upstream.requests == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("coding", [b"gzip, chunked", b"identity", b"xchunked"])
def test_a_transfer_coding_that_is_not_known_is_a_501(coding):
    with serving(Recording(BODY)) as (upstream, client):
        client.ask(request_bytes(b"Transfer-Encoding: " + coding, body=b"2\r\n{}\r\n0\r\n\r\n"))
        assert client.head()[0].startswith(b"HTTP/1.1 501 ")
    assert upstream.requests == []


@pytest.mark.parametrize(
    ("header", "wire"),
    [
        (b"Content-Length: " + b"9" * 18, b"{}"),
        (b"Transfer-Encoding: chunked", b"f" * 15 + b"\r\n{}"),
    ],
    ids=["by length", "chunked"],
)
def test_the_size_that_a_client_names_takes_no_memory(capfd, header, wire):
    with serving(Recording(BODY)) as (upstream, client):
        client.ask(request_bytes(header, body=wire))
        assert client.head()[0].startswith(b"HTTP/1.1 413 ")
    assert upstream.requests == []
    assert capfd.readouterr() == ("", "")


def test_a_url_that_is_none_is_a_400(capfd):
    with serving(Recording(BODY)) as (upstream, client):
        client.ask(b"POST http://[bad/v1/x HTTP/1.1\r\n\r\n")
        assert client.head()[0].startswith(b"HTTP/1.1 400 ")
    assert upstream.requests == []
    assert capfd.readouterr() == ("", "")


def test_a_client_that_waits_for_100_continue_gets_it():
    with serving(Recording(BODY)) as (_, client):
        client.ask(request_bytes(b"Content-Length: 2", b"Expect: 100-continue"))
        assert client.head() == (b"HTTP/1.1 100 Continue\r\n", {})
        client.ask(b"{}")
        assert client.head()[0] == b"HTTP/1.1 200 OK\r\n"
        assert b"".join(client.chunks()) == BODY


@pytest.mark.parametrize("method", [b"GET", b"DELETE", b"OPTIONS", b"PROPFIND"])
def test_other_methods_get_a_404_and_the_connection_lives_on(method):
    with serving(Recording(BODY)) as (_, client):
        client.ask(request_bytes(method=method))
        status, headers = client.head()
        assert (status, headers[b"content-type"]) == (
            b"HTTP/1.1 404 Not Found\r\n",
            b"application/json",
        )
        assert "error" in json.loads(b"".join(client.chunks()))
        client.ask()
        assert client.head()[0] == b"HTTP/1.1 200 OK\r\n"
        assert b"".join(client.chunks()) == BODY


def test_head_gets_a_head_without_a_body():
    with serving(Recording(BODY)) as (_, client):
        client.ask(request_bytes(method=b"HEAD"))
        assert client.head()[0] == b"HTTP/1.1 404 Not Found\r\n"
        client.ask()
        assert client.head()[0] == b"HTTP/1.1 200 OK\r\n"


def test_an_http_1_0_client_gets_the_body_without_chunks():
    with serving(Recording(BODY)) as (_, client):
        client.ask(POST.replace(b"HTTP/1.1", b"HTTP/1.0"))
        assert client.head()[1] == {b"content-type": b"text/event-stream; charset=utf-8"}
        assert client.file.read() == BODY


def test_the_journal_holds_what_the_client_sent():
    with serving(Recording(BODY)) as (upstream, client):
        client.ask(
            b"POST /openai/caf%C3%A9?api-version=1%202 HTTP/1.1\r\nHost: x\r\n"
            b"Authorization: Bearer k\r\nX-Two: a\r\nx-two: b\r\nContent-Length: 8\r\n\r\n"
            b'{"a": 1}'
        )
        client.head()
        assert client.chunks()
    (request,) = upstream.requests
    assert (request.method, request.path, request.query) == (
        "POST",
        "/openai/caf\u00e9",
        "api-version=1%202",
    )
    assert request.headers["AUTHORIZATION"] == "Bearer k"
    assert request.headers["x-two"] == "a, b"
    assert "cookie" not in request.headers
    assert request.body == b'{"a": 1}'
    assert request.json == {"a": 1}
    assert request.client_left is False


def test_a_request_line_with_a_whole_url_has_its_path():
    with serving(Recording(BODY)) as (upstream, client):
        client.ask(b"POST http://x:80/v1/caf%C3%A9?a=/b?c HTTP/1.1\r\nHost: x\r\n\r\n")
        client.head()
        assert client.chunks()
    (request,) = upstream.requests
    assert (request.path, request.query) == ("/v1/caf\u00e9", "a=/b?c")


def test_200_clients_at_once_get_one_recording_each():
    count = 200
    upstream = FakeUpstream()
    for number in range(count):
        upstream.play(Recording(b"data: %d\n\n" % number * 20))
    together = threading.Barrier(count)

    def ask(address):
        connection = http.client.HTTPConnection(address, timeout=DEADLINE_S)
        together.wait(DEADLINE_S)
        connection.request("POST", "/v1/chat/completions", b'{"stream": true}')
        body = connection.getresponse().read()
        connection.close()
        return body

    with upstream.serve() as base_url, ThreadPoolExecutor(count) as pool:
        bodies = list(pool.map(ask, [urlsplit(base_url).netloc] * count))
    assert sorted(bodies) == sorted(b"data: %d\n\n" % number * 20 for number in range(count))
    upstream.verify()
    assert len(upstream.requests) == count


def test_200_streams_are_open_at_once():
    upstream = FakeUpstream()
    upstream.play(Recording(BODY, chunks=[(0, 9), (3600, 18)]), times=200, speed=1)
    with upstream.serve() as base_url, ExitStack() as stack:
        clients = [stack.enter_context(closing(RawClient(base_url))) for _ in range(200)]
        for client in clients:
            client.ask()
        for client in clients:  # each has its first event while the others' streams are open
            client.head()
            assert client.chunk() == b"data: 1\n\n"
        began = time.monotonic()
        upstream.close()
        assert time.monotonic() - began < DEADLINE_S
    upstream.verify()


def test_requests_reads_every_shipped_recording_whatever_proxy_is_set(monkeypatch):
    requests = pytest.importorskip("requests")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    upstream = FakeUpstream()
    complete = [path for path in SHIPPED if Recording.load(path).end == "complete"]
    with upstream.serve() as base_url, requests.Session() as session:
        session.trust_env = False
        for path in complete:
            upstream.play(path.stem)
            response = session.post(
                base_url + "/chat/completions",
                json={"stream": True},
                stream=True,
                timeout=DEADLINE_S,
            )
            assert b"".join(response.iter_content(None)) == path.read_bytes()
        upstream.play("chat-cut")
        response = session.post(base_url, json={}, stream=True, timeout=DEADLINE_S)
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            response.content  # noqa: B018
    upstream.verify()


def test_each_serving_has_a_port_of_its_own_and_closing_twice_is_closing():
    upstream = FakeUpstream()
    with upstream.serve() as first:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/v1", first)
        assert upstream.base_url == first
        with FakeUpstream().serve() as other:
            assert other != first
    upstream.close()
    with pytest.raises(ConnectionRefusedError):
        RawClient(first)
    with upstream.serve() as second, closing(RawClient(second)) as client:
        client.ask()
        assert client.head()[0] == b"HTTP/1.1 404 Not Found\r\n"


def test_in_virtual_time_a_chunk_comes_when_its_time_was_advanced():
    clock = VirtualClock()
    recording = Recording(BODY, chunks=[(0.1, 9), (0.2, 9), (3600, 9)])
    with serving(recording, clock=clock) as (_, client):
        client.ask()
        client.head()
        clock.advance(0.3)
        assert [client.chunk(), client.chunk()] == [b"data: 1\n\n", b"data: 2\n\n"]
        clock.advance(3600)
        assert client.chunk() == b"data: 3\n\n"


def test_a_client_that_leaves_in_virtual_time_is_seen_though_no_time_passes():
    recording = Recording(BODY, chunks=[(0, 9), (1, 18)])
    with serving(recording, clock=VirtualClock()) as (upstream, client):
        client.ask()
        client.head()
        client.chunk()
        client.close()
        pause = threading.Event()
        for _ in range(int(DEADLINE_S / 0.001)):
            if upstream.requests[0].client_left:
                break
            pause.wait(0.001)
        else:
            raise AssertionError("nobody saw that the client had left")


def test_a_clock_that_nobody_moves_cuts_the_stream_and_fails_the_verdict(monkeypatch, capfd):
    monkeypatch.setattr("sse_middleware.testing.clock.PATIENCE_S", 0.05)
    recording = Recording(BODY, chunks=[(0, 9), (1, 18)])
    with serving(recording, clock=VirtualClock()) as (upstream, client):
        client.ask()
        client.head()
        assert client.chunk() == b"data: 1\n\n"
        assert client.chunk() is None
    with pytest.raises(AssertionError) as caught:
        upstream.verify()
    assert str(caught.value) == (
        "what came is not what was scripted\n"
        "answers that broke off:\n"
        f"  {upstream.requests[0]}: {StuckClockError(0.05)}"
    )
    assert not upstream.requests[0].client_left
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("pieces", [1, 2], ids=["named at once", "summed up"])
def test_a_body_past_the_bound_is_a_413(pieces, capfd, monkeypatch):
    monkeypatch.setattr(_request_reading, "_MAX_BODY_BYTES", 1000)
    wire = (b"1f4\r\n" + b"x" * 500 + b"\r\n") * 2 + b"%x\r\n" % (2000 // pieces)
    with serving(Recording(BODY)) as (upstream, client):
        client.ask(request_bytes(b"Transfer-Encoding: chunked", body=wire))
        assert client.head()[0].startswith(b"HTTP/1.1 413 ")
    with serving(Recording(BODY)) as (_, client):  # no more than the bound is no fault
        client.ask(request_bytes(b"Content-Length: 1000", body=b"x" * 1000))
        assert client.head()[0].startswith(b"HTTP/1.1 200 ")
    assert upstream.requests == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("target", [b"/v1/x HTTP/1.1", b"http://[bad HTTP/1.1"])
def test_an_error_tells_nothing_of_what_runs_here(target, capfd):
    with serving(Recording(BODY)) as (_, client):
        client.ask(b"POST " + target + b"\r\nContent-Length: \x1b\r\n\r\n")
        status, headers = client.head()
        told = client.file.read().lower()
    assert status.startswith(b"HTTP/1.1 400 ")
    assert headers[b"server"].strip() == b"sse-middleware"
    assert not re.search(rb"python|traceback|\.py|\x1b", told)
    assert capfd.readouterr() == ("", "")
