"""docs/migrate.md: what stands before and after, run; what it says of other packages, measured.

Those packages are installed in ``tox -e peers``. What needs a Redis is in tests/redis.
"""

import asyncio
import doctest
import re
from importlib import metadata
from pathlib import Path

import pytest

from sse_middleware import Event, EventParser, SSEMiddleware
from sse_middleware.testing import StreamClient, check_framing

DOC = Path(__file__).parents[1] / "docs" / "migrate.md"
TEXT = DOC.read_text("utf-8")
PEERS = {"flask-sse": "flask_sse", "sse-starlette": "sse_starlette"}
END = Event("", event="close", id="sse:end")


def section(name):
    return TEXT.split(f"\n## From {name}\n", 1)[1].split("\n## ", 1)[0]


def blocks(name, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", section(name), re.DOTALL | re.MULTILINE)


def made(name, when):
    """The names that the block before, or after, makes."""
    before, after = blocks(name, "python")
    names = {"__name__": "migrated"}
    exec(compile({"before": before, "after": after}[when], str(DOC), "exec"), names)
    return names


def require(name):
    """Skip where the package is not installed in the version that the page is about."""
    pytest.importorskip(PEERS[name])
    told = re.search(rf"{name}\s+(\d\S*\d)", TEXT).group(1)
    installed = metadata.version(name)
    if installed != told:
        pytest.skip(f"the page is about {name} {told}, and {installed} is installed")


def read(app, path):
    """Headers, bytes and events of a stream."""
    with StreamClient(app).get(path) as stream:
        events = list(stream)
        return stream.headers, b"".join(chunk.data for chunk in stream.chunks), events


def test_each_part_has_its_blocks():
    assert len(re.findall("^```", TEXT, re.MULTILINE)) == 2 * (3 * 2 + 3)


# From frames written by hand


def test_what_was_written_by_hand_loses_a_line_and_what_stands_after_it_does_not():
    pytest.importorskip("flask")
    _, wire, events = read(made("frames written by hand", "before")["app"], "/stream")
    assert [event.data for event in events] == ['{"text": "Gr\\u00fc\\u00dfe"}', "two", ""]
    assert [problem.code for problem in check_framing(wire) if problem.code == "SSE104"]
    _, wire, events = read(made("frames written by hand", "after")["app"], "/stream")
    assert wire.startswith('event: message\nid: 1\nretry: 3000\ndata: {"text":"Grüße"}'.encode())
    assert [event.data for event in events] == ['{"text":"Grüße"}', "two\nlines", ""]
    assert events[-1] == END
    assert check_framing(wire) == []


def test_frames_that_are_whole_pass_through_the_middleware_as_they_are():
    pytest.importorskip("flask")
    app = made("frames written by hand", "before")["app"]
    _, wire, _ = read(app, "/stream")
    headers, wrapped, _ = read(SSEMiddleware(app), "/stream")
    assert wrapped == wire
    assert headers["Cache-Control"] == "no-cache, no-transform"
    assert headers["X-Accel-Buffering"] == "no"


# What is said of the others


@pytest.mark.parametrize("name", PEERS)
def test_what_the_others_do_is_what_the_page_shows(name):
    require(name)
    lines = "\n".join(blocks(name, "pycon"))
    test = doctest.DocTestParser().get_doctest(lines, {}, name, str(DOC), 0)
    told = []
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS)
    assert runner.run(test, out=told.append).failed == 0, "".join(told)


class Asgi:
    """One GET to an ASGI app: the messages that it sent, and what it raised."""

    def __init__(self, app, path="/", query=b""):
        self.sent = []
        self.raised = None
        self.scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "GET",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query,
            "headers": [],
        }
        try:
            asyncio.run(asyncio.wait_for(app(self.scope, self._receive, self._send), 30))
        except Exception as error:
            self.raised = error

    async def _receive(self):
        await asyncio.Event().wait()  # the client stays

    async def _send(self, message):
        self.sent.append(message)

    @property
    def body(self):
        return b"".join(message.get("body", b"") for message in self.sent)


def test_the_stream_of_sse_starlette_and_the_one_after_it_are_the_same_to_a_page():
    require("sse-starlette")
    pytest.importorskip("flask")
    before = Asgi(made("sse-starlette", "before")["app"], "/chat", b"q=Why")
    assert before.raised is None
    headers, _, events = read(made("sse-starlette", "after")["app"], "/chat?q=Why")
    shown = [(event.event, event.data) for event in events]
    assert shown == [("message", "You asked: Why"), ("close", "")]
    assert [(event.event, event.data) for event in EventParser().feed(before.body)] == shown
    [cached] = [value for key, value in before.sent[0]["headers"] if key == b"cache-control"]
    assert cached == b"no-store"
    assert headers["Cache-Control"] == "no-cache, no-transform"


def test_sse_starlette_pings_also_where_the_app_is_not_silent():
    require("sse-starlette")
    from sse_starlette import EventSourceResponse

    async def busy():
        for n in range(40):
            yield {"data": str(n)}
            await asyncio.sleep(0.01)

    assert b": ping" in Asgi(EventSourceResponse(busy(), ping=0.1)).body


def test_an_exception_cuts_the_stream_of_sse_starlette_and_is_an_error_event_after_it():
    require("sse-starlette")
    from sse_starlette import EventSourceResponse

    async def failing():
        yield {"data": "one"}
        raise LookupError("upstream")

    before = Asgi(EventSourceResponse(failing()))
    assert isinstance(before.raised, LookupError)
    assert [event.data for event in EventParser().feed(before.body)] == ["one"]
    assert before.sent[-1]["more_body"] is True

    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        yield {"data": "one"}
        raise LookupError("upstream")

    _, wire, events = read(SSEMiddleware(app), "/")
    assert [event.event for event in events] == ["message", "error"]
    assert b"upstream" not in wire
