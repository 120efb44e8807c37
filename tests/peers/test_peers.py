"""What docs/comparison.md says of other libraries, run on the versions that it names."""

import runpy
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

FRAMING = runpy.run_path(str(Path(__file__).with_name("framing.py")))
PAGE = Path(__file__).resolve().parents[2] / "docs" / "comparison.md"
EVENTS = [b"data: 1\n\n", b"data: 2\n\n", b"data: 3\n\n"]
PAUSE_S = 0.2


def test_the_table_of_the_page_is_what_comes_out():
    assert FRAMING["table"]() in PAGE.read_text("utf-8")


# Errors


def failing(streams, *items):
    """A FastAPI app whose one endpoint yields these and fails."""
    from fastapi import FastAPI
    from fastapi.sse import EventSourceResponse as OfFastAPI
    from sse_starlette import EventSourceResponse as OfStarlette

    app = FastAPI()

    async def events():
        for item in items:
            yield item
        raise LookupError("why")

    if streams == "sse-starlette":

        @app.get("/")
        async def one():
            return OfStarlette(events())

    else:
        app.get("/", response_class=OfFastAPI)(events)
    return app


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("items", [[], [{"data": "first"}]], ids=["at once", "later"])
@pytest.mark.parametrize("streams", ["sse-starlette", "fastapi"])
def test_a_failure_is_a_200_and_no_event_tells_of_it(streams, items):
    from starlette.testclient import TestClient

    answer = TestClient(failing(streams, *items), raise_server_exceptions=False).get("/")
    assert answer.status_code == 200
    assert b"error" not in answer.content


# Recording and mocking


class Slow(BaseHTTPRequestHandler):
    """Streams the events with a pause before each but the first."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for event in EVENTS:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
            self.wfile.flush()
            time.sleep(PAUSE_S)
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *told):
        pass


@contextmanager
def slow_upstream():
    with ThreadingHTTPServer(("127.0.0.1", 0), Slow) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1/chat/completions"
        finally:
            server.shutdown()
            thread.join(10)


def read(url):
    """The chunks that httpx hands over, and the seconds until the first."""
    import httpx

    began_at, first_s, chunks = time.monotonic(), None, []
    sent = {"content": b"{}", "headers": {"Authorization": "Bearer sk-key"}}
    with httpx.Client(trust_env=False) as client, client.stream("POST", url, **sent) as answer:
        for chunk in answer.iter_raw():
            first_s = first_s or time.monotonic() - began_at
            chunks.append(chunk)
    return chunks, first_s


def test_vcrpy_holds_a_stream_back_while_it_records_and_replays_it_in_one_chunk(tmp_path):
    import vcr

    cassette = tmp_path / "stream.yaml"
    with slow_upstream() as url:
        _, first_s = read(url)
        assert first_s < PAUSE_S
        with vcr.use_cassette(str(cassette)):
            _, first_s = read(url)
        assert first_s > 2 * PAUSE_S
    with vcr.use_cassette(str(cassette), record_mode="none"):
        assert read(url)[0] == [b"".join(EVENTS)]
    assert "sk-key" in cassette.read_text("utf-8")


def test_responses_answers_with_one_chunk():
    import requests
    import responses

    with responses.RequestsMock() as mock:
        mock.add("POST", "http://upstream/", body=b"".join(EVENTS))
        answer = requests.post("http://upstream/", stream=True)
        assert list(answer.iter_content(None)) == [b"".join(EVENTS)]


def test_pytest_httpx_answers_with_the_chunks_that_it_is_given(httpx_mock):
    from pytest_httpx import IteratorStream

    httpx_mock.add_response(stream=IteratorStream(EVENTS))
    assert read("http://upstream/")[0] == EVENTS
