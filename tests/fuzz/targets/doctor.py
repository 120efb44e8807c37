"""The doctor: whatever servers answer, at whatever times, it reports, and read what h11 reads."""

import importlib
import json
import socket
import zlib
from itertools import chain, cycle, repeat
from random import Random
from types import SimpleNamespace

from answers import answer_of
from material import assert_one_line, bodies, cut, streams
from reference import lines_of, read

from sse_middleware.doctor import ask, examine, exit_code, findings_of, report_lines, report_object
from sse_middleware.errors import SSEError
from sse_middleware.testing import check_framing

probe = importlib.import_module("sse_middleware.doctor.probe")

NEXT = b"\n--- the next connection ---\n"
TIMEOUT_S = 10.0
WAITS_S = (0.0, 0.01, 0.2, 0.25, 0.5, 3.0, 30.0)
ENDS = ("closed", "reset", "silent")
HEAD = b"HTTP/1.1 200 OK\r\nDate: now\r\nContent-Type: text/event-stream\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n"
LARGE_BYTES = 1_000_000
KINDS = {
    b"g": {"url": "http://a/s?k=1"},
    b"o": {"url": "http://a/s", "headers": [("Origin", "http://b"), ("X-Key", "0123456789")]},
    b"p": {"url": "http://a/s", "data": "{}"},
}


class Network:
    """In place of sockets and of time: each connection gets its answer in pieces, each later."""

    def __init__(self, answers, seed):
        self.now = 1.0
        self._answers = chain(answers, repeat(answers[-1]))
        self._seed = seed

    def monotonic(self):
        return self.now

    def connected(self, asked, ends_at):
        return Connection(self, next(self._answers), self._seed)


class Connection:
    """Sends what was planned, then ends as planned."""

    def __init__(self, network, answer, seed):
        random = Random(seed)
        self._network = network
        number = seed[0] if seed else 0
        self._end = ENDS[number % len(ENDS)]
        wait_s = WAITS_S[number // len(ENDS) % len(WAITS_S)]
        self._waits_s = lambda: random.choice((0.0, wait_s))
        self._pieces = [piece for piece in cut(answer, seed) if piece]
        self._timeout_s = None

    def settimeout(self, timeout_s):
        assert timeout_s > 0
        self._timeout_s = timeout_s

    def sendall(self, data):
        head = data.partition(b"\r\n\r\n")[0]
        lines = head.split(b"\r\n")
        assert b"\n" not in head.replace(b"\r\n", b"")
        assert lines[0].split(b" ")[0] in (b"GET", b"POST", b"HEAD")
        assert lines[0].endswith(b" HTTP/1.1")
        assert all(b": " in line for line in lines[1:])

    def recv_into(self, buffer):
        wait_s = self._waits_s()
        is_silent = not self._pieces and self._end == "silent"
        if is_silent or wait_s >= self._timeout_s:
            self._network.now += self._timeout_s
            raise socket.timeout("timed out")
        self._network.now += wait_s
        if not self._pieces and self._end == "reset":
            raise ConnectionResetError(104, "Connection reset by peer")
        data = self._pieces.pop(0) if self._pieces else b""
        size_bytes = min(len(data), len(buffer))
        if size_bytes < len(data):
            self._pieces.insert(0, data[size_bytes:])
        buffer[:size_bytes] = data[:size_bytes]
        return size_bytes

    def close(self):
        self._pieces = []


def seeds():
    """A kind, a byte for cuts and times, then what each connection is answered."""
    some = [*streams()[::5], *bodies(900)[::5]]
    pack = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
    packed = pack.compress(some[0]) + pack.flush(zlib.Z_SYNC_FLUSH) + pack.compress(b"data: 1\n\n")
    gzip = CHUNKED + b"Content-Encoding: gzip\r\n\r\n"
    deflate = zlib.compress(b"data: 1\n\n: beat\n\ndata: 2\n\n")
    answers = [
        *(HEAD + b"\r\n" + body for body in some),
        *(CHUNKED + b"\r\n" + chunked(body) for body in some),
        HEAD + b"Content-Length: 9\r\n\r\ndata: 1\n\n",
        HEAD + b"Content-Length: 10\r\n\r\ndata: 1\n\n",
        CHUNKED + b"\r\n9\r\ndata: 1\n\n\r\n9\r\ndata",
        HEAD + b"Content-Encoding: deflate\r\n\r\n" + deflate,
        HEAD + b"Content-Encoding: br\r\nVary: Origin\r\n\r\n" + b"\x8b\x04\x80",
        gzip + chunked(packed),
        HEAD
        + b"Age: 7\r\nX-Cache: HIT\r\nServer: gunicorn\r\nConnection: close\r\n\r\ndata: 1\n\n",
        b"HTTP/1.1 301 Moved\r\nLocation: /b?c\r\n\r\n" + NEXT + HEAD + b"\r\ndata: 1\n\n",
        b"HTTP/1.1 302 Found\r\nLocation: //[x\r\n\r\n",
        b"HTTP/1.1 307 Again\r\nLocation: https://\xe9.example:8/\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.0 503 Busy\r\nRetry-After: 1\r\n\r\n<h1>busy</h1>",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + HEAD + b"\r\ndata: 1\n\n",
        b"SSH-2.0-OpenSSH_9\r\n",
        HEAD + b"\r\nid: 7\nretry: 5\ndata: 1\n\n" + NEXT + b"HTTP/1.1 204 Done\r\n\r\n",
        HEAD + b"\r\n" + b": beat\n\n" * 5 + b"data: 1\n\n" * 5 + b"event: error\ndata: no\n\n",
    ]
    seeds = [(each, end) for each in answers for end in range(len(ENDS))]
    seeds += [(each, number % 256) for number, each in enumerate(answers)]
    kinds = cycle(KINDS)
    return [next(kinds) + bytes([seed]) + each for each, seed in seeds]


def chunked(body):
    """``body`` in chunks of up to 64 bytes."""
    pieces = [body[start : start + 64] for start in range(0, len(body), 64)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def check(data):
    """One error of one line, or a report whose every line can be shown."""
    kind, seed, answers = data[:1], data[1:2], data[2:].split(NEXT)
    network = Network(answers, seed)
    kept = probe.time, probe._connected
    probe.time, probe._connected = SimpleNamespace(monotonic=network.monotonic), network.connected
    try:
        seen = examine(ask(**KINDS.get(kind, KINDS[b"g"])), TIMEOUT_S)
    except SSEError as error:
        told = error
    else:
        told = None
    finally:
        probe.time, probe._connected = kept
    if told is not None:
        assert_one_line(told)
        assert not answer_of(answers[0]) or b"Location" in answers[0].title(), told
        return
    check_report(seen)
    check_body(seen.heard, answers[len(seen.redirects) :])
    check_stream(seen)


def check_report(seen):
    """What is printed, and what is written for programs; it tells nothing of what was given."""
    lines = report_lines(seen)
    assert all(line.isprintable() for line in lines)
    told = json.dumps(report_object(seen), allow_nan=False)
    assert json.loads(told)["exit_code"] == exit_code(findings_of(seen)) in (0, 1)
    assert seen.longest_silence_s >= 0
    assert seen.heard.silent_s >= 0


def check_body(heard, answers):
    """The status and the body are those that h11 reads, where h11 takes the answer."""
    judged = answer_of((answers or [b""])[0], heard.asked.method)
    if judged is None or not heard.status:
        return
    status, pieces, is_whole = judged
    assert heard.status == status
    body = b"".join(pieces)
    if heard.end in ("whole", "closed"):
        assert is_whole
        assert heard.body == body
    else:
        assert body.startswith(heard.body)


def check_stream(seen):
    """Events, comments, and what a client remembers, as the reference reads the same text."""
    heard, stream = seen.heard, seen.stream
    if stream.reads is None:
        return
    text = b"".join(part.data for part in stream.reads)
    if seen.is_encoded:
        assert unpacked(heard.body).startswith(text)
    else:
        assert text == heard.body
    if len(text) > LARGE_BYTES:
        return
    events, last_event_id, retry_ms = read(text)
    blocks = stream.blocks
    assert [(b.event.event, b.event.data) for b in blocks if b.event] == [e[:2] for e in events]
    assert (stream.last_event_id, stream.retry_ms) == (last_event_id, retry_ms)
    assert len(stream.comments) == sum(line.startswith(":") for line in lines_of(text)[0])
    times = [block.at_s for block in blocks]
    assert times == sorted(times)
    assert all(pause.seconds >= 0 for pause in stream.pauses)
    if heard.end in ("whole", "closed") and stream.reads:
        assert stream.problems == check_framing(text)


def unpacked(body):
    """What zlib makes of it, up to where it is damaged, byte by byte."""
    reader, text = zlib.decompressobj(32 + zlib.MAX_WBITS), b""
    try:
        for byte in body:
            text += reader.decompress(bytes([byte]))
    except zlib.error:
        pass
    return text
