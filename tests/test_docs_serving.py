"""The examples of docs/serving.md, run."""

import re
from pathlib import Path
from types import SimpleNamespace
from wsgiref.util import setup_testing_defaults

import pytest

from sse_middleware import SSEMiddleware, current_stream
from sse_middleware.testing import FakeUpstream

DOC = Path(__file__).parents[1] / "docs" / "serving.md"
TEXT = DOC.read_text("utf-8")


def example(heading):
    """The Python block under ``heading``, executed; its names."""
    section = TEXT.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    [block] = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    names = {}
    exec(compile(block, str(DOC), "exec"), names)
    return names


def response(app, **environ):
    environ = {"REQUEST_METHOD": "GET", "QUERY_STRING": "", **environ}
    setup_testing_defaults(environ)
    return app(environ, lambda *answer: None)


def test_every_example_has_its_test():
    assert len(re.findall(r"^```python$", TEXT, re.MULTILINE)) == 2


def test_a_client_that_leaves_closes_the_upstream_that_the_app_waits_for():
    requests = pytest.importorskip("requests")
    answer = example("When the client leaves")["answer"]
    upstream = FakeUpstream()
    upstream.play("chat-text")
    closed = []

    class Completions:
        def create(self, **asked):
            session = requests.Session()
            session.trust_env = False
            stream = session.post(upstream.base_url + "/chat/completions", json=asked, stream=True)
            close = stream.close
            stream.close = lambda: (closed.append(True), close())
            return stream

    client = SimpleNamespace(chat=SimpleNamespace(completions=Completions()))

    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        return answer(client, [])

    with upstream.serve():
        body = response(SSEMiddleware(app))
        assert next(body).startswith(b"event: message\nid: 1\n")
        assert not closed
        body.close()
        assert closed


def test_the_metrics_count_streams_frames_and_reasons():
    metrics = pytest.importorskip("prometheus_client")
    wrapped = example("Counting streams")["wrapped"]

    def app(environ, start_response):
        current_stream()
        start_response("200 OK", [("Content-Type", "text/html")])
        return iter([{"data": "a"}, {"data": "b"}])

    def value(name, **labels):
        return metrics.REGISTRY.get_sample_value(name, labels)

    body = response(wrapped(app))
    next(body)
    assert value("sse_streams_open") == 1
    list(body)
    body.close()
    body = response(wrapped(app))
    next(body)
    body.close()
    assert value("sse_streams_open") == 0
    assert value("sse_streams_closed_total", reason="end") == 1
    assert value("sse_streams_closed_total", reason="disconnect") == 1
    assert value("sse_frames_sent_total") == 3
