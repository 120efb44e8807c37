"""What is said in the log, once each."""

import sys
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
    "gunicorn sync": (
        {**GUNICORN, "wsgi.multithread": False},
        "gunicorn's sync worker kills every stream that is open for longer than --timeout "
        "(30 s by default): run it with --worker-class gthread or gevent",
    ),
    "waitress": (
        waitress(0),
        "waitress does not look for clients that have left: start it with "
        "channel_request_lookahead=1, or wait for failed writes",
    ),
    "eventlet": (
        {"eventlet.input": None},
        "eventlet holds back what is under 4 KiB: told not to for streams",
    ),
}
QUIET = {
    "gunicorn gthread": {**GUNICORN, "wsgi.multithread": True},
    "waitress with lookahead": waitress(1),
    "waitress of before the setting": {
        "waitress.client_disconnected": SimpleNamespace(adj=SimpleNamespace()).__eq__
    },
    "waitress behind a wrapper": {"waitress.client_disconnected": lambda: False},
    "a wrapper of its own around waitress": {
        "waitress.client_disconnected": SimpleNamespace().__eq__
    },
    "anything else": {},
}


@pytest.fixture
def without_gevent(monkeypatch):
    monkeypatch.delitem(sys.modules, "gevent", raising=False)


@pytest.mark.usefixtures("without_gevent")
@pytest.mark.parametrize(("environ", "text"), SERVERS.values(), ids=SERVERS)
def test_a_server_that_harms_streams_is_named_once_with_the_cure(environ, text, caplog):
    advice = Advice()
    for _ in range(2):
        advice.on_server(dict(environ))
    assert caplog.messages == [text]


@pytest.mark.usefixtures("without_gevent")
@pytest.mark.parametrize("environ", QUIET.values(), ids=QUIET)
def test_a_server_that_does_not_is_not_named(environ, caplog):
    Advice().on_server(environ)
    assert caplog.text == ""


def test_gunicorn_under_gevent_is_not_named(caplog, monkeypatch):
    monkeypatch.setitem(sys.modules, "gevent", None)
    Advice().on_server({**GUNICORN, "wsgi.multithread": False})
    assert caplog.text == ""


def test_eventlet_is_told_to_write_at_once_unless_it_was_told_otherwise():
    environ = {"eventlet.input": None}
    Advice().on_server(environ)
    assert environ["eventlet.minimum_write_chunk_size"] == "1"
    environ = {"eventlet.input": None, "eventlet.minimum_write_chunk_size": 7}
    Advice().on_server(environ)
    assert environ["eventlet.minimum_write_chunk_size"] == 7


INLINE = (
    "the stream at '{0}' runs without heartbeats, and its client's leaving goes unseen while it is "
    "silent: wrap with worker='{0}', or send Accept: text/event-stream"
)
UNRESUMABLE = (
    "the stream at '{0}' cannot be resumed, because it does not run in a worker: wrap with "
    "worker='{0}', or send Accept: text/event-stream"
)
PATHS = {
    "mounted": ({"SCRIPT_NAME": "/chat", "PATH_INFO": "/7"}, "/chat/7"),
    "at the root": ({"PATH_INFO": "/7"}, "/7"),
    "the mount itself": ({"SCRIPT_NAME": "/chat"}, "/chat"),
    "a percent sign": ({"PATH_INFO": "/100%s"}, "/100%s"),
}


@pytest.mark.parametrize(("environ", "path"), PATHS.values(), ids=PATHS)
def test_the_first_stream_outside_a_worker_is_named_by_its_path_with_what_it_lacks(
    environ, path, caplog
):
    advice = Advice()
    for asked in (environ, {"PATH_INFO": "/other"}):
        advice.on_inline(asked)
        advice.on_unresumable(asked)
    assert caplog.messages == [INLINE.format(path), UNRESUMABLE.format(path)]


def test_a_compressed_stream_is_named_once_with_the_cure(caplog):
    advice = Advice()
    for _ in range(2):
        advice.on_encoding()
    assert caplog.messages == [
        "an event stream came compressed from the app and is left as it is: name its path with "
        'worker="...", so that the app is not asked to compress it'
    ]


def test_each_stripped_header_is_named_once_in_the_log(caplog):
    headers = [("Content-Type", "text/html"), ("Connection", "x-100%s"), ("X-100%s", "1")]

    def app(environ, start_response):
        start_response("200 OK", headers)
        return iter([{"data": "x"}])

    app = SSEMiddleware(app)
    for _ in range(2):
        app({"REQUEST_METHOD": "GET"}, lambda *answer: None).close()
    stripped = "{} was stripped from a stream: it is for the server to set (PEP 3333)"
    assert [text for text in caplog.messages if "stripped" in text] == [
        stripped.format("Connection"),
        stripped.format("X-100%s"),
    ]
