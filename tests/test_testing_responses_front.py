"""sse_middleware.testing._responses_front: what holds for `responses` alone."""

import gc
import gzip
import re
import socket
import threading

import pytest

from sse_middleware.errors import StuckClockError
from sse_middleware.testing import FakeUpstream, Recording, VirtualClock, faults

requests = pytest.importorskip("requests")
responses = pytest.importorskip("responses")
urllib3 = pytest.importorskip("urllib3")

URL = "https://api.openai.com/v1/chat/completions"
BODY = b"data: 1\n\ndata: 2\n\ndata: 3\n\n"
DEADLINE_S = 20


class PassingClock(VirtualClock):
    """Time passes by being waited for."""

    def wait(self, signal, until_s):
        self.advance(until_s - self.monotonic())
        return super().wait(signal, until_s)


@pytest.fixture
def upstream():
    upstream = FakeUpstream()
    yield upstream
    upstream.close()


@pytest.fixture
def mock():
    with responses.RequestsMock() as mock:
        yield mock


def test_one_response_answers_as_often_as_the_script_has_answers(upstream, mock):
    mock.add(upstream.as_response(URL))
    for number in range(3):
        upstream.play(Recording(b"data: %d\n\n" % number))
    assert [requests.post(URL).content for _ in range(3)] == [
        b"data: 0\n\n",
        b"data: 1\n\n",
        b"data: 2\n\n",
    ]
    upstream.verify()
    assert requests.post(URL).status_code == 404
    with pytest.raises(AssertionError, match="requests without a recording"):
        upstream.verify()


@pytest.mark.parametrize(
    ("url", "asked", "is_found"),
    [
        (URL, URL, True),
        (URL, URL + "?api-version=1", True),
        (URL, URL + "/1", False),
        (URL, "https://api.openai.com/v1/responses", False),
        (re.compile(r"https://api\.openai\.com/"), "https://api.openai.com/v1/responses", True),
        (re.compile(r"https://api\.openai\.com/"), "https://example.com/v1", False),
        (URL + "?a=1", URL + "?a=1", True),
        (URL + "?a=1", URL + "?a=2", False),
    ],
)
def test_the_url_is_matched_as_responses_does(upstream, mock, url, asked, is_found):
    mock.assert_all_requests_are_fired = False
    mock.add(upstream.as_response(url))
    upstream.play("chat-text")
    if is_found:
        assert requests.post(asked).content == Recording.named("chat-text").body
    else:
        with pytest.raises(requests.ConnectionError, match="URL does not match|Query string"):
            requests.post(asked)


@pytest.mark.parametrize("method", ["GET", "DELETE", "PATCH", "POST"])
def test_any_method_reaches_the_upstream_which_says_what_is_scripted(upstream, mock, method):
    mock.add(upstream.as_response(URL))
    upstream.play(Recording(b"x"), when={"method": "GET"})
    assert requests.request(method, URL).status_code == (200 if method == "GET" else 404)
    assert [request.method for request in upstream.requests] == [method]


def test_it_may_be_added_twice_and_be_one_upstream(upstream, mock):
    response = upstream.as_response(URL)
    mock.add(response)
    mock.add(response)
    upstream.play(Recording(BODY), times=3)
    assert [requests.post(URL).content for _ in range(3)] == [BODY] * 3
    assert len(upstream.requests) == 3


def test_a_chunk_is_made_when_it_is_asked_for_and_closing_early_is_leaving(upstream, mock):
    clock = VirtualClock()
    upstream = FakeUpstream(clock)
    mock.add(upstream.as_response(URL))
    upstream.play(Recording(BODY, chunks=[(0, 9), (5, 9), (5, 9)]))
    with requests.post(URL, stream=True) as response:
        chunks = response.iter_content(None)
        assert next(chunks) == b"data: 1\n\n"
        clock.advance(5)
        assert next(chunks) == b"data: 2\n\n"
        assert not upstream.requests[0].client_left
    assert upstream.requests[0].client_left


def test_a_client_that_closes_behind_the_last_byte_has_not_left(upstream, mock):
    mock.add(upstream.as_response(URL))
    upstream.play(Recording(BODY))
    with requests.post(URL, stream=True) as response:
        chunks = response.iter_content(None)
        assert b"".join(next(chunks) for _ in range(3)) == BODY
    assert not upstream.requests[0].client_left


def test_a_response_that_nobody_keeps_was_left(upstream, mock):
    mock.add(upstream.as_response(URL))
    upstream.play(Recording(BODY))
    requests.post(URL, stream=True)
    mock.reset()
    gc.collect()
    assert upstream.requests[0].client_left


@pytest.mark.parametrize(
    "timeout",
    [5, 5.0, (1, 5), (None, 5), urllib3.Timeout(connect=1, read=5), urllib3.Timeout(total=5)],
    ids=["int", "float", "pair", "read alone", "Timeout", "Timeout in all"],
)
def test_the_read_timeout_passes_on_the_virtual_clock(upstream, mock, timeout):
    clock = PassingClock()
    upstream = FakeUpstream(clock)
    mock.add(upstream.as_response(URL))
    upstream.play(Recording(BODY, chunks=[(4, 9), (60, 18)]))
    with requests.post(URL, stream=True, timeout=timeout) as response:
        chunks = response.iter_content(None)
        assert next(chunks) == b"data: 1\n\n"
        with pytest.raises(requests.ConnectionError, match="Read timed out") as caught:
            next(chunks)
    assert clock.monotonic() == pytest.approx(4 + 5, abs=1)  # `total` counts the connecting too
    assert "HTTPSConnectionPool(host='api.openai.com', port=443)" in str(caught.value)
    assert upstream.requests[0].client_left


@pytest.mark.parametrize("timeout", [None, (5, None)])
def test_a_stall_without_a_timeout_ends_when_the_upstream_is_closed(upstream, mock, timeout):
    mock.add(upstream.as_response(URL))
    upstream.play("chat-text", fault=faults.stall())
    with requests.post(URL, stream=True, timeout=timeout) as response:
        chunks = response.iter_content(None)
        next(chunks)
        threading.Timer(0.05, upstream.close).start()
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            next(chunks)
    assert not upstream.requests[0].client_left


def test_a_clock_that_stands_still_is_told(mock, monkeypatch):
    monkeypatch.setattr("sse_middleware.testing.clock.PATIENCE_S", 0.05)
    upstream = FakeUpstream(VirtualClock())
    mock.add(upstream.as_response(URL))
    upstream.play(Recording(BODY, chunks=[(1, 27)]))
    with pytest.raises(StuckClockError):
        requests.post(URL)
    assert not upstream.requests[0].client_left


def test_another_thread_ends_a_read_by_the_socket(upstream, mock):
    mock.add(upstream.as_response(URL))
    upstream.play("chat-text", fault=faults.stall())
    with requests.post(URL, stream=True) as response:
        chunks = response.iter_content(None)
        next(chunks)
        sock = response.raw._fp.fp.raw._sock  # where the relay looks for it
        threading.Timer(0.05, sock.shutdown, [socket.SHUT_RDWR]).start()
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            next(chunks)
    assert upstream.requests[0].client_left


def test_a_response_without_streaming_is_read_whole_and_sets_cookies(upstream, mock):
    mock.add(upstream.as_response(URL))
    headers = {"content-type": "text/event-stream; charset=utf-8", "set-cookie": "a=1; Path=/"}
    upstream.play(Recording("data: caf\u00e9\n\n".encode(), headers=headers))
    with requests.Session() as session:
        assert session.post(URL).text == "data: caf\u00e9\n\n"
        assert session.cookies["a"] == "1"


def test_a_compressed_recording_is_decoded_where_a_client_would_decode_it(upstream, mock):
    mock.add(upstream.as_response(URL))
    packed = gzip.compress(BODY)
    upstream.play(Recording(packed, headers={"content-encoding": "gzip"}), times=2)
    assert requests.post(URL).content == BODY
    assert requests.post(URL, stream=True).raw.read() == packed


@pytest.mark.parametrize(("end", "last"), [("complete", b"0\r\n\r\n"), ("eof", b"")])
def test_the_wire_ends_once(upstream, mock, end, last):
    mock.add(upstream.as_response(URL))
    upstream.play(Recording(BODY, chunks=[(0, 27)], end=end))
    wire = requests.post(URL, stream=True).raw._fp.fp
    assert wire.read() == b"1b\r\n" + BODY + b"\r\n" + last
    assert wire.read() == b""


def test_openai_0_28_reads_a_stream(upstream, mock):
    openai = pytest.importorskip("openai")
    if not hasattr(openai, "api_requestor"):
        pytest.skip("a later openai: it does not use requests")
    mock.add(upstream.as_response(URL))
    upstream.play("chat-text", when={"json": {"stream": True}})
    answer = openai.ChatCompletion.create(
        model="gpt-4o-mini", messages=[], stream=True, api_key="k"
    )
    text = "".join(chunk.choices[0].delta.get("content") or "" for chunk in answer)
    assert text
    assert upstream.requests[0].headers["authorization"] == "Bearer k"
