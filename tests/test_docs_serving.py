"""The examples of docs/serving.md, run."""

import queue
import re
import threading
from pathlib import Path
from wsgiref.util import setup_testing_defaults

import pytest

from sse_middleware import SSEMiddleware, current_stream

ROOT = Path(__file__).parents[1]
DOC = ROOT / "docs" / "serving.md"
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


def test_the_servers_that_tell_of_a_client_that_left_are_those_of_the_table():
    rows = (ROOT / "docs" / "servers.md").read_text("utf-8").split("|---|", 1)[1].splitlines()
    cells = [row[2:-2].split(" | ") for row in rows if row.startswith("| ")]
    tell = {re.split(r"\W", name)[0] for name, _, _, left, *_ in cells if left.endswith(" s")}
    [sentence] = re.findall(r"^gunicorn, .*?nothing is written;", TEXT, re.DOTALL | re.MULTILINE)
    named = re.findall(r"\b(?:gunicorn|werkzeug|uwsgi|a2wsgi|waitress)\b", sentence.lower())
    assert sorted(named) == sorted(tell)
    comparison = (ROOT / "docs" / "comparison.md").read_text("utf-8")
    assert len(tell) == 5
    assert "within a second or two on five servers" in comparison


def test_every_example_has_its_test():
    assert len(re.findall(r"^```python$", TEXT, re.MULTILINE)) == 2


def test_a_client_that_leaves_wakes_the_generator_that_waits():
    news = example("When the client leaves")["news"]
    inbox, ended = queue.Queue(), threading.Event()

    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        try:
            yield from news(inbox)
        finally:
            ended.set()

    inbox.put("first")
    body = response(SSEMiddleware(app, worker=lambda environ: True))
    assert next(body) == b"data: first\n\n"
    body.close()
    assert ended.wait(20), "the generator still waits"


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
