"""The examples of docs/resume.md, run."""

import inspect
import json
import re
import shlex
import shutil
import subprocess
import threading
from pathlib import Path
from queue import Queue
from urllib.parse import urlsplit
from wsgiref.util import setup_testing_defaults

import pytest

from sse_middleware import EventParser
from sse_middleware.resume import MemoryLog, RedisLog

DOC = Path(__file__).parents[1] / "docs" / "resume.md"
TEXT = DOC.read_text("utf-8")
DEADLINE_S = 30


def example(number, **changes):
    """The names of that Python block, executed with what is changed in it."""
    names = {"__name__": "example"}
    block = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)[number]
    for old, new in changes.items():
        assert old in block
        block = block.replace(old, new)
    exec(compile(block, str(DOC), "exec"), names)
    return names


def request(app, last_event_id="", **environ):
    environ = {"REQUEST_METHOD": "GET", "HTTP_ACCEPT": "text/event-stream", **environ}
    environ["HTTP_LAST_EVENT_ID"] = last_event_id
    setup_testing_defaults(environ)
    told = []
    body = app(environ, lambda *answer: told.append(answer))
    return told[0][0], body


def test_every_example_has_its_test():
    assert re.findall(r"^```(\w+)$", TEXT, re.MULTILINE) == ["python", "console", "js", "python"]


def test_the_answer_survives_a_reconnect():
    pytest.importorskip("flask")
    app = example(0)["app"]
    whose = {"PATH_INFO": "/answer", "QUERY_STRING": "q=why", "REMOTE_USER": "ada"}
    _, body = request(app, **whose)
    events = EventParser().feed(b"".join(body))
    assert [event.data for event in events] == ["You", "asked", "why", ""]
    status, body = request(app, events[0].id, **whose)
    assert (status, EventParser().feed(b"".join(body))) == ("200 OK", events[1:])
    _, body = request(app, events[0].id, **{**whose, "REMOTE_USER": "bob"})
    assert EventParser().feed(b"".join(body))[0].data == "You"
    assert request(app, "sse:end", **whose)[0] == "204 No Content"


def test_what_curl_asks_goes_on_where_it_was():
    """Without an Accept: the path is named with ``worker=``."""
    pytest.importorskip("flask")
    app = example(0, **{"owner=user": "owner=None"})["app"]
    assert "write\n`owner=None`" in TEXT
    [block] = re.findall(r"```console\n(.*?)```", TEXT, re.DOTALL)
    serve, ask, come_back = (shlex.split(line) for line in block.splitlines())
    assert serve[1:3] == ["sse-middleware", "serve"]
    assert f"`{serve[3]}.py`" in TEXT
    assert ask == come_back[: len(ask)]
    assert come_back[-1].startswith("Last-Event-ID: ")
    url = urlsplit(ask[-1])
    asked = {"PATH_INFO": url.path, "QUERY_STRING": url.query, "HTTP_ACCEPT": "*/*"}
    events = EventParser().feed(b"".join(request(app, **asked)[1]))
    again = EventParser().feed(b"".join(request(app, events[0].id, **asked)[1]))
    assert [event.data for event in events] == ["You", "asked", "Why", ""]
    assert again == events[1:]


LOST_ONCE = """
const sent = [];
const answers = [["id: x-1\\ndata: You\\n", "\\nid: x-2\\nda"], %(rest)s];
const fetch = async (url, { headers }) => {
  sent.push(headers["Last-Event-ID"]);
  const chunks = answers.shift();
  return new Response(new ReadableStream({
    pull(controller) {
      if (chunks.length) controller.enqueue(new TextEncoder().encode(chunks.shift()));
      else if (answers.length) controller.error(new Error("lost"));
      else controller.close();
    },
  }));
};
const setTimeout = (call) => call();
%(block)s
const came = [];
await answer("/answer", {}, (event, data) => came.push([event, data]));
console.log(JSON.stringify({ sent, came }));
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="this machine has no node")
@pytest.mark.parametrize(
    ("last", "told"),
    [
        ("event: close\nid: sse:end\ndata: \n\n", []),
        ("event: error\nid: sse:end\ndata: why\n\n", [["error", "why"]]),
    ],
    ids=["an end", "an error"],
)
def test_the_fetch_of_the_page_goes_on_where_it_was_lost_and_stops_at_the_end(last, told, tmp_path):
    [block] = re.findall(r"```js\n(.*?)```", TEXT, re.DOTALL)
    rest = json.dumps(["id: x-2\ndata: asked\ndata: why\n\n", last])
    script = tmp_path / "script.mjs"
    script.write_text(LOST_ONCE % {"rest": rest, "block": block}, "utf-8")
    printed = subprocess.run(
        ["node", str(script)], stdout=subprocess.PIPE, timeout=60, check=True
    ).stdout
    assert json.loads(printed) == {
        "sent": ["", "x-1"],
        "came": [["message", "You"], ["message", "asked\nwhy"], *told],
    }


def test_the_channel_reaches_its_subscriber():
    names = example(1)
    app, news, came = names["app"], names["news"], Queue()
    follow = news.subscribe()
    thread = threading.Thread(target=lambda: came.put(next(follow)), daemon=True)
    thread.start()
    news.publish({"event": "headline", "data": {"text": "More of it"}})
    event = came.get(timeout=DEADLINE_S)
    assert (event.event, event.json()) == ("headline", {"text": "More of it"})
    news.publish({"data": "again"})
    _, body = request(app, event.id)
    (again,) = EventParser().feed(next(iter(body)))
    assert again.data == "again"
    body.close()


def test_the_table_names_every_option_with_its_default():
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \|", TEXT, re.MULTILINE)
    told = {name: eval(value.replace(",", "").replace("MiB", "* 2**20")) for name, value in rows}
    parameters = dict(inspect.signature(RedisLog).parameters)
    assert told == {
        name: parameter.default
        for name, parameter in parameters.items()
        if name not in ("url", "owner")
    }
    for name, parameter in inspect.signature(MemoryLog).parameters.items():
        if name not in ("owner", "clock"):
            assert parameter.default == told[name]
