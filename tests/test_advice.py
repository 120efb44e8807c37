"""What is said in the log, once each."""

from types import SimpleNamespace

import pytest

from sse_middleware import SSEMiddleware
from sse_middleware.advice import Advice


def waitress(lookahead):
    class Channel:
        adj = SimpleNamespace(channel_request_lookahead=lookahead)

        def check_client_disconnected(self):
            return False

    return {"waitress.client_disconnected": Channel().check_client_disconnected}


GUNICORN = {"SERVER_SOFTWARE": "gunicorn/27.0.1"}
SERVERS = {
    "gunicorn sync": ({**GUNICORN, "wsgi.multithread": False}, "gunicorn's sync worker kills"),
    "waitress": (waitress(0), "start it with channel_request_lookahead=1"),
    "eventlet": ({"eventlet.input": None}, "eventlet holds back what is under 4 KiB"),
}
QUIET = {
    "gunicorn gthread": {**GUNICORN, "wsgi.multithread": True},
    "waitress with lookahead": waitress(1),
    "anything else": {},
}


@pytest.mark.parametrize(("environ", "text"), SERVERS.values(), ids=SERVERS)
def test_a_server_that_harms_streams_is_named_once_with_the_cure(
    environ, text, caplog, monkeypatch
):
    monkeypatch.delitem(__import__("sys").modules, "gevent", raising=False)
    advice = Advice()
    for _ in range(2):
        advice.on_server(dict(environ))
    assert [text in record.getMessage() for record in caplog.records] == [True]


@pytest.mark.parametrize("environ", QUIET.values(), ids=QUIET)
def test_a_server_that_does_not_is_not_named(environ, caplog):
    Advice().on_server(environ)
    assert caplog.text == ""


def test_eventlet_is_told_to_write_at_once_unless_it_was_told_otherwise():
    environ = {"eventlet.input": None}
    Advice().on_server(environ)
    assert environ["eventlet.minimum_write_chunk_size"] == "1"
    environ = {"eventlet.input": None, "eventlet.minimum_write_chunk_size": 7}
    Advice().on_server(environ)
    assert environ["eventlet.minimum_write_chunk_size"] == 7


def test_a_stripped_header_is_named_once_in_the_log(caplog):
    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/html"), ("Connection", "keep-alive")])
        return iter([{"data": "x"}])

    app = SSEMiddleware(app)
    for _ in range(2):
        app({"REQUEST_METHOD": "GET"}, lambda *answer: None).close()
    assert caplog.text.count("Connection was stripped from a stream") == 1
