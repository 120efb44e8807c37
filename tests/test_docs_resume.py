"""The examples of docs/resume.md, run."""

import inspect
import re
import threading
from pathlib import Path
from queue import Queue
from wsgiref.util import setup_testing_defaults

import pytest

from sse_middleware import EventParser
from sse_middleware.resume import MemoryLog, RedisLog

DOC = Path(__file__).parents[1] / "docs" / "resume.md"
TEXT = DOC.read_text("utf-8")
DEADLINE_S = 10


def example(number):
    """The names of that Python block, executed."""
    names = {"__name__": "example"}
    block = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)[number]
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
    assert re.findall(r"^```(\w+)$", TEXT, re.MULTILINE) == ["python", "python"]


def test_the_answer_survives_a_reconnect():
    pytest.importorskip("flask", minversion="2.0")
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
