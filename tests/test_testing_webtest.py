"""`SSETestApp`: streams in a WebTest suite, with all that its ordinary requests have."""

import subprocess
import sys
import threading

import pytest

from sse_middleware import Event, SSEMiddleware, current_stream
from sse_middleware.testing import VirtualClock

pytest.importorskip("webtest")

import webtest

from sse_middleware.testing.webtest import SSETestApp

SSE = [("Content-Type", "text/event-stream")]
DEADLINE_S = 30


def endless(environ, start_response):
    """Each event is the request; it sets a cookie, and never ends."""
    start_response("200 OK", [*SSE, ("Set-Cookie", "streamed=yes; Path=/")])
    size = int(environ.get("CONTENT_LENGTH") or 0)
    told = [environ["REQUEST_METHOD"], environ["PATH_INFO"], environ.get("HTTP_COOKIE", "")]
    told += [environ["wsgi.input"].read(size).decode(), environ.get("HTTP_AUTHORIZATION", "")]
    told += [environ["HTTP_HOST"], environ.get("REMOTE_USER", ""), environ["REMOTE_ADDR"]]
    return endless_items("|".join(told))


def endless_items(told):
    while True:
        yield f"data: {told}\n\n".encode()


def test_an_endless_stream_is_read_event_by_event():
    app = SSETestApp(endless)
    with app.stream.get("/x") as stream:
        assert stream.status_code == 200
        assert stream.event().data.startswith("GET|/x|")
        assert len(stream.events(2)) == 2
    with app.stream.post("/y", json=[1]) as stream:
        assert stream.event().data.startswith("POST|/y|streamed=yes|[1]|")


def test_ordinary_responses_have_their_events():
    def app(environ, start_response):
        start_response("200 OK", SSE)
        return [b"id: 1\ndata: a\n\nda", b"ta: b\n\n: c\n\n"]

    assert SSETestApp(app).get("/").events == [Event("a", id=1), Event("b")]
    assert SSETestApp(app).post("/", {"a": "b"}).events == [Event("a", id=1), Event("b")]
    assert type(webtest.TestApp(app).get("/")) is webtest.TestResponse


def test_what_is_no_stream_has_no_events():
    def app(environ, start_response):
        start_response("404 Not Found", [("Content-Type", "text/plain")])
        return [b"nothing here"]

    assert SSETestApp(app).get("/", status=404).events == []
    with SSETestApp(app).stream.get("/") as stream:
        assert stream.status_code == 404


def test_cookies_go_both_ways():
    def page(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/html"), ("Set-Cookie", "page=1; Path=/")])
        return [environ.get("HTTP_COOKIE", "").encode()]

    def both(environ, start_response):
        return (page if environ["PATH_INFO"] == "/page" else endless)(environ, start_response)

    app = SSETestApp(both)
    app.get("/page")
    app.set_cookie("own", "2")
    with app.stream.get("/") as stream:
        assert {"page=1", 'own="2"'} <= set(stream.event().data.split("|")[2].split("; "))
    assert app.cookies["streamed"] == "yes"
    assert "streamed=yes" in app.get("/page").text


def test_the_environ_of_the_test_app_goes_with_streams():
    extra = {"REMOTE_USER": "me", "HTTP_HOST": "example.com", "REMOTE_ADDR": "10.0.0.1"}
    app = SSETestApp(endless, extra)
    app.authorization = ("Bearer", "token")
    with app.stream.get("/") as stream:
        assert stream.event().data.split("|")[4:] == [
            "Bearer token",
            "example.com",
            "me",
            "10.0.0.1",
        ]
    with app.stream.get("/", headers={"Authorization": "Bearer other"}) as stream:
        assert stream.event().data.split("|")[4] == "Bearer other"


def test_lint_is_around_streams_unless_it_is_turned_off():
    def app(environ, start_response):
        start_response("200 OK", [*SSE, ("Status", "200")])
        return endless_items("x")

    opened = SSETestApp(app).stream.get("/")
    with opened as stream, pytest.raises(AssertionError, match="Status header"):
        stream.event()
    with SSETestApp(app, lint=False).stream.get("/") as stream:
        assert stream.event().data == "x"


def test_an_app_that_answers_twice_keeps_its_write_and_exc_info():
    def app(environ, start_response):
        try:
            raise ValueError
        except ValueError:
            start_response("200 OK", SSE)
            write = start_response("500 Oh", SSE, sys.exc_info())
        write(b"data: written\n\n")
        return [b"data: 2\n\n"]

    with SSETestApp(app).stream.get("/") as stream:
        assert stream.status_code == 500
        assert [event.data for event in stream] == ["written", "2"]


def test_the_headers_of_the_app_stay_as_they_are():
    headers = list(SSE)

    def app(environ, start_response):
        start_response("200 OK", headers)
        return [b"data: 1\n\n"]

    with SSETestApp(app).stream.get("/") as stream:
        assert stream.headers == {"content-type": "text/event-stream"}
    assert headers == SSE


def test_a_clock_drives_the_middleware():
    def body(event):
        yield {"data": "1"}
        assert event.wait(DEADLINE_S)

    def app(environ, start_response):
        event = threading.Event()
        current_stream().on_disconnect(event.set)
        start_response("200 OK", SSE)
        return body(event)

    clock = VirtualClock()
    with SSETestApp(SSEMiddleware(app), clock=clock).stream.get("/") as stream:
        stream.event()
        clock.advance(15)
        assert stream.comment() == ""


def test_importing_it_does_not_import_werkzeug():
    code = "import sys; import sse_middleware.testing.webtest; print('werkzeug' in sys.modules)"
    printed = subprocess.check_output([sys.executable, "-W", "ignore", "-c", code])
    assert printed.strip() == b"False"
