"""The examples and the tables of docs/relay.md, run."""

import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from sse_middleware import EventParser, SSEMiddleware
from sse_middleware.relay import relay
from sse_middleware.testing import FakeUpstream, Recording

DOC = Path(__file__).parents[1] / "docs" / "relay.md"
TEXT = DOC.read_text("utf-8")


def section(heading):
    return TEXT.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]


def example(heading, language="python"):
    [block] = re.findall(rf"```{language}\n(.*?)```", section(heading), re.DOTALL)
    return block


def executed(heading):
    names = {"__name__": "example"}
    exec(compile(example(heading), str(DOC), "exec"), names)
    return names


def client_of(create):
    return SimpleNamespace(chat=SimpleNamespace(completions=SimpleNamespace(create=create)))


def test_every_example_has_its_test():
    assert re.findall(r"^```(\w+)$", TEXT, re.MULTILINE) == ["python", "js", "python", "text"]


def test_the_example_for_a_browser_yields_the_text():
    asked = []

    def create(**fields):
        asked.append(fields)
        return [Recording.named("chat-text").body]

    events = list(executed("For a browser")["answer"](client_of(create), ["Hi"]))
    assert events[0] == {"event": "message", "id": 1, "data": {"data": "Hello"}}
    assert asked == [{"model": "gpt-4o-mini", "messages": ["Hi"], "stream": True}]


def call(arguments="{}", **fields):
    function = {"name": "f", "arguments": arguments}
    return {"tool_calls": [{"index": 0, "id": "c", "function": function}], **fields}


EVERYTHING = [
    {"choices": [{"index": 0, "delta": {"content": "t", "reasoning": "r", "refusal": "n"}}]},
    {"choices": [{"index": 0, "delta": call(), "finish_reason": "tool_calls"}]},
    {"choices": [], "usage": {"total_tokens": 7}},
]


def test_the_table_of_events_names_them_all_with_their_data():
    rows = re.findall(r"^\| `(\w+)` \| (?:`(.*?)`)?", section("For a browser"), re.MULTILINE)
    documented = dict(rows)
    came = {event["event"]: event["data"] for event in relay(EVERYTHING)}
    assert set(documented) == {*came, "error"}
    for name in ("message", "reasoning", "refusal"):
        assert set(json.loads(documented[name])) == set(came[name]) == {"data"}
    assert list(json.loads(documented["tool_call"])) == list(came["tool_call"])


def test_the_page_listens_to_events_that_exist():
    names = re.findall(r'addEventListener\("(\w+)"', example("For a browser", "js"))
    assert {*names} <= {event["event"] for event in relay(EVERYTHING)}


def test_the_example_for_an_sdk_serves_one():
    pytest.importorskip("flask")
    openai = pytest.importorskip("openai")
    if not hasattr(openai, "OpenAI"):
        pytest.skip("openai before 1.0 has no clients to point at an app")
    httpx = pytest.importorskip("httpx2" if openai.__version__ >= "3" else "httpx")
    upstream = FakeUpstream()
    upstream.play("chat-text", times=2)
    with upstream.serve() as base_url:
        inner = openai.OpenAI(base_url=base_url, api_key="x", max_retries=0)
        app = executed("For an SDK")["make_app"](inner)
        http_client = httpx.Client(transport=httpx.WSGITransport(app=app.wsgi_app))
        outer = openai.OpenAI(base_url="http://you/v1", api_key="x", http_client=http_client)
        asked = {"model": "m", "messages": [], "stream": True}
        relayed = list(outer.chat.completions.create(**asked))
        assert relayed == list(inner.chat.completions.create(**asked))
        assert len(relayed) > 3


def test_a_failure_is_told_as_documented():
    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        return relay([EVERYTHING[0], {"error": {"message": "secret"}}], shape="openai")

    body = b"".join(SSEMiddleware(app)({"REQUEST_METHOD": "GET"}, lambda *answer: None))
    error = EventParser().feed(body)[-1]
    [documented] = EventParser().feed(example("When the upstream fails", "text").encode() + b"\n")
    assert error.event == documented.event == "error"
    told, written = error.json()["error"], documented.json()["error"]
    assert {**told, "code": "<error id>"} == written
