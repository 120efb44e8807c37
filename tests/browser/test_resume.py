"""Streams that lose their connection, as a browser sees them."""

import re
import threading
from pathlib import Path

import pytest
from cutting import DEADLINE_S, CuttingProxy
from werkzeug.serving import make_server

from sse_middleware import SSEMiddleware
from sse_middleware.resume import MemoryLog

DOC = Path(__file__).parents[2] / "docs" / "resume.md"
[FETCHING] = re.findall(r"```js\n(.*?)```", DOC.read_text("utf-8"), re.DOTALL)
WORDS = [f"word {number}\nand é {number}" for number in range(8)]
LISTENING = """
() => new Promise((resolve) => {
  const came = [];
  const source = new EventSource("/cut/answer");
  source.onmessage = (event) => came.push(event.data);
  source.addEventListener("close", () => { source.close(); resolve(came); });
})
"""
#: Bytes of each answer, its head included, after which the connection is lost.
LIMITS = {
    "in the head": [40],
    "in the first event": [330],
    "behind an event, again and again": [600, 400, 420, 440, 460, 480, 500],
    "at many places": list(range(300, 620, 23)),
}


@pytest.fixture
def asked():
    """How often the app was asked for an answer."""
    return []


@pytest.fixture
def server(asked):
    """The port of a server whose answers can be resumed."""

    def app(environ, start_response):
        if not environ["PATH_INFO"].startswith("/cut"):
            start_response("200 OK", [("Content-Type", "text/html")])
            return [b"<!doctype html><title>empty</title>"]
        asked.append(environ.get("HTTP_LAST_EVENT_ID", ""))
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        return ({"data": word} for word in WORDS)

    log = MemoryLog(owner=None)
    wrapped = SSEMiddleware(app, worker="/cut/*", resume=log, retry=10, end_event="close")
    server = make_server("127.0.0.1", 0, wrapped, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join(DEADLINE_S)


@pytest.mark.parametrize("limits", LIMITS.values(), ids=LIMITS)
def test_an_event_source_gets_every_event_once(page, server, asked, limits):
    with CuttingProxy(server, limits) as proxy:
        page.goto(f"http://127.0.0.1:{proxy.port}/")
        assert page.evaluate(LISTENING) == WORDS
        assert proxy.cuts > 0
    # Who saw no event has no id to come back with: only then is the app asked anew.
    assert asked == [""] * len(asked)


@pytest.mark.parametrize("limits", LIMITS.values(), ids=LIMITS)
def test_the_fetch_of_the_docs_gets_every_event_once(page, server, asked, limits):
    patient = FETCHING.replace("resolve, 1000", "resolve, 10")
    assert patient != FETCHING
    with CuttingProxy(server, limits) as proxy:
        page.goto(f"http://127.0.0.1:{proxy.port}/")
        came = page.evaluate(
            "async () => {" + patient + "const came = [];"
            "await answer('/cut/answer', {}, (event, data) => came.push(data)); return came; }"
        )
        assert came == WORDS
        assert proxy.cuts > 0
    # Who saw no event has no id to come back with: only then is the app asked anew.
    assert asked == [""] * len(asked)
