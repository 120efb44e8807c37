"""sse_middleware.cli.demo: the command as a process of its own, and its app in this one.

Each process is ended by its id, whatever the test found; each read of it has a deadline.
"""

import http.client
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
from pathlib import Path
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest

from sse_middleware import Event, EventParser, encode
from sse_middleware.relay import relay
from sse_middleware.testing import FakeUpstream, Recording

DEADLINE_S = 60
SCRIPT = Path(sysconfig.get_path("scripts")) / "sse-middleware"
ANSWER = list(relay([Recording.named("chat-text").body]))
CLOSE = Event("", event="close", id="sse:end")
BAD_BODIES = {
    "broken JSON": (b'{"messages"', "application/json"),
    "no JSON at all": (b"", "application/json"),
    "no UTF-8": (b'{"messages": ["\xff"]}', "application/json"),
    "another content type": (b'{"messages": []}', "text/plain"),
    "a form": (b"messages=[]", "application/x-www-form-urlencoded"),
    "a list": (b"[]", "application/json"),
    "null": (b"null", "application/json"),
    "no messages": (b"{}", "application/json"),
    "messages that are no list": (b'{"messages": "Hi"}', "application/json"),
}

pytest.importorskip("flask", reason="the extra of the demo is not installed here")
pytest.importorskip("waitress", reason="the extra of the demo is not installed here")
pytest.importorskip("requests", reason="the extra of the demo is not installed here")


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    for name in [key for key in os.environ if key.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)


class Visit:
    """One HTTP/1.1 request to the demo: what each read of the socket brought."""

    def __init__(self, port, method="GET", path="/stream", body=b"", **headers):
        fields = {"Host": "127.0.0.1", "Connection": "close", "Content-Length": len(body)}
        fields.update((name.replace("_", "-"), value) for name, value in headers.items())
        lines = [f"{method} {path} HTTP/1.1", *(f"{key}: {fields[key]}" for key in fields)]
        self.reads = []
        self.socket = socket.create_connection(("127.0.0.1", port), DEADLINE_S)
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode() + body)

    def until(self, text):
        """Read until ``text`` has come."""
        while text not in b"".join(self.reads):
            data = self.socket.recv(65536)
            assert data, f"{text!r} did not come: {self.reads}"
            self.reads.append(data)
        return self

    def whole(self):
        """Read to the end; the response, with its decoded body as ``.body``."""
        with self.socket:
            self.reads += iter(lambda: self.socket.recv(65536), b"")
        response = http.client.HTTPResponse(self)
        response.begin()
        response.body = response.read()
        return response

    def makefile(self, mode):
        return io.BytesIO(b"".join(self.reads))


def page_of(demo):
    """The port, and the curl command, from the two lines that it prints."""
    page = re.fullmatch(r"The page:  http://127\.0\.0\.1:(\d+)/", demo.line())
    assert page, "the first line is not the page's"
    stream = re.fullmatch(r"The stream: (curl -N .*)", demo.line())
    assert stream, "the second line is not the stream's"
    return int(page.group(1)), stream.group(1)


@pytest.fixture(scope="module")
def started(start_shared_command):
    demo = start_shared_command("demo", "--port", "0")
    return (demo, *page_of(demo))


@pytest.fixture
def port(started):
    return started[1]


@pytest.fixture
def curl_command(started):
    return started[2]


# The process


def test_the_page_shows_how_both_kinds_of_client_read_the_stream(port):
    response = Visit(port, path="/").whole()
    assert (response.status, response.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    page = response.body.decode()
    assert "<!doctype html>" in page
    assert 'new EventSource("/stream")' in page
    assert 'fetch("/stream"' in page


QUESTIONS = {
    "POST": {"method": "POST", "body": b'{"messages": []}', "Content_Type": "application/json"},
    "EventSource": {"Accept": "text/event-stream", "Cache_Control": "no-cache"},
}


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
def test_the_answer_arrives_event_by_event_and_ends_with_close(port, question):
    visit = Visit(port, **question)
    visit.until(b'data: {"data":"Hello"}\n\n')
    assert b"sse:end" not in b"".join(visit.reads), "nothing came before the answer was complete"
    reads_of_the_first_event = len(visit.reads)
    response = visit.whole()
    assert len(visit.reads) - reads_of_the_first_event >= 3, visit.reads
    assert response.status == 200
    assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert response.headers["X-Accel-Buffering"] == "no"
    assert response.headers["Content-Length"] is None
    events = EventParser().feed(response.body)
    assert events == [Event.from_mapping(event) for event in ANSWER]
    assert events[-1] == CLOSE
    assert [event.id for event in events[:-1]] == [str(n) for n in range(1, len(events))]
    text = "".join(event.json()["data"] for event in events[:-1])
    assert text.startswith("Hello! This answer was recorded once")


def test_an_event_source_that_comes_back_after_the_end_is_stopped(port):
    response = Visit(port, Accept="text/event-stream", Last_Event_ID="sse:end").whole()
    assert (response.status, response.body) == (204, b"")


@pytest.mark.skipif(shutil.which("curl") is None, reason="this machine has no curl")
def test_the_printed_curl_command_prints_the_events(curl_command):
    done = subprocess.run(
        curl_command,
        shell=True,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, b"".join(map(encode, ANSWER))), done.stderr


@pytest.mark.parametrize(("body", "content_type"), BAD_BODIES.values(), ids=BAD_BODIES)
def test_a_bad_body_is_a_400_that_tells_in_one_line_what_was_expected(port, body, content_type):
    response = Visit(port, "POST", body=body, Content_Type=content_type).whole()
    assert (response.status, response.headers["Content-Type"]) == (400, "application/json")
    error = json.loads(response.body)["error"]
    assert error["type"] == "invalid_request_error"
    assert (
        error["message"] == 'the body is no {"messages": [...]} in JSON, sent as application/json'
    )


def test_answers_to_several_clients_at_once_do_not_mix(port):
    visits = [Visit(port, **QUESTIONS["EventSource"]) for _ in range(5)]
    bodies = {visit.whole().body for visit in visits}
    assert bodies == {b"".join(map(encode, ANSWER))}


def test_nothing_is_written_to_the_standard_error(started, port):
    Visit(port, path="/nowhere").whole()
    assert started[0].errors == ""


@pytest.mark.parametrize("signalled", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
@pytest.mark.parametrize("in_mid_stream", [False, True], ids=["idle", "in mid-stream"])
def test_a_signal_ends_it_with_exit_code_0_and_without_a_traceback(
    start_command, in_mid_stream, signalled
):
    demo = start_command("demo", "--port", "0")
    port, _ = page_of(demo)
    if in_mid_stream:
        visit = Visit(port, **QUESTIONS["EventSource"]).until(b"Hello")
    demo.process.send_signal(signalled)
    assert demo.wait() == 0
    assert demo.line() is None
    assert demo.errors in ("", "\n")  # the latter before the server has begun to run
    if in_mid_stream:
        visit.socket.close()


def cookie_of(port):
    """What the page gives to a new visitor."""
    given = Visit(port, path="/").whole().headers["Set-Cookie"]
    assert re.fullmatch(r"sse_demo_visitor=[0-9a-f]{32}; HttpOnly; Path=/; SameSite=Strict", given)
    return given.partition(";")[0]


def drop(port, cookie, tab):
    return Visit(port, "POST", f"/drop?tab={tab}", Cookie=cookie).whole().status


def ids_in(data):
    return [int(number) for number in re.findall(rb"\nid: [0-9a-f]{32}-(\d+)\n", data)]


@pytest.mark.sweep
@pytest.mark.parametrize("server", ["waitress", "gunicorn", "werkzeug"])
def test_on_each_server_a_stream_that_is_dropped_is_resumed_and_the_end_is_orderly(
    start_command, server
):
    pytest.importorskip(server, reason=f"{server} is not installed here")
    demo = start_command("demo", "--port", "0", "--server", server)
    port, _ = page_of(demo)
    cookie, other = cookie_of(port), cookie_of(port)
    path = "/stream?tab=a&answer=long"
    asked = {"path": path, "Accept": "text/event-stream", "Cookie": cookie}
    visit = Visit(port, **asked).until(b'{"data":"Yield"}')
    assert drop(port, cookie, "b") == 404  # another page's
    assert drop(port, other, "a") == 404  # another visitor's
    assert drop(port, cookie, "a") == 204
    with visit.socket:
        visit.reads += iter(lambda: visit.socket.recv(65536), b"")
    first = b"".join(visit.reads)
    assert not first.endswith(b"0\r\n\r\n"), "it was ended, not lost"
    assert drop(port, cookie, "a") == 404  # it is gone
    [*_, last_id] = re.findall(rb"\nid: (\S+)\n", first)
    rest = Visit(port, **asked, Last_Event_ID=last_id.decode()).whole().body
    numbers = ids_in(first) + ids_in(rest)
    assert numbers == list(range(1, len(numbers) + 1))
    assert rest.endswith(encode(CLOSE))
    Visit(port, path=path + "&fault=stall", Cookie=cookie).until(b"Yield").socket.close()
    demo.process.send_signal(signal.SIGTERM)
    assert demo.wait() == 0
    assert "Traceback" not in demo.errors


# The app, in this process


def asked(app, method="GET", path="/stream", body=b"", **extra):
    """Status, headers and body of one request, checked by wsgiref.validate."""
    environ = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
        **extra,
    }
    setup_testing_defaults(environ)
    told = []
    answer = validator(app)(
        environ, lambda status, headers, exc_info=None: told.append((status, headers))
    )
    try:
        data = b"".join(answer)
    finally:
        answer.close()
    [(status, headers)] = told
    return status, dict(headers), data


def with_requests(base_url, monkeypatch):
    from sse_middleware.cli.demo import _requests_asker

    return _requests_asker(base_url)


def with_openai_absent(base_url, monkeypatch):
    from sse_middleware.cli.demo import _asker

    monkeypatch.setitem(sys.modules, "openai", None)
    return _asker(base_url)


def with_openai(base_url, monkeypatch):
    from sse_middleware.cli.demo import _asker

    openai = pytest.importorskip("openai", reason="openai is not installed here")
    if not hasattr(openai, "DefaultHttpxClient"):
        pytest.skip("this openai has no DefaultHttpxClient")
    return _asker(base_url)


CLIENTS = {
    "requests": (with_requests, "python-requests/"),
    "openai is absent": (with_openai_absent, "python-requests/"),
    "openai": (with_openai, "OpenAI/Python "),
}
in_each_client = pytest.mark.parametrize(("make", "agent"), CLIENTS.values(), ids=CLIENTS)


@in_each_client
def test_the_app_passes_the_messages_on_and_streams_the_answer(make, agent, monkeypatch):
    from sse_middleware.cli.demo import demo_app

    messages = [{"role": "user", "content": "Grüße"}]
    upstream = FakeUpstream()
    upstream.play("chat-newlines")
    upstream.play("chat-text")
    with upstream.serve() as base_url:
        app = demo_app(make(base_url, monkeypatch))
        body = json.dumps({"messages": messages}).encode()
        posted = asked(app, "POST", body=body, CONTENT_TYPE="application/json")
        got = asked(app, HTTP_ACCEPT="text/event-stream")
    upstream.verify()
    assert posted[0] == got[0] == "200 OK"
    assert posted[2] == b"".join(map(encode, relay([Recording.named("chat-newlines").body])))
    assert got[2] == b"".join(map(encode, ANSWER))
    assert [request.json["messages"] for request in upstream.requests] == [messages, []]
    for request in upstream.requests:
        assert request.path == "/v1/chat/completions"
        assert request.json["stream"] is True
        assert request.headers["user-agent"].startswith(agent)


@in_each_client
def test_an_upstream_that_fails_in_mid_stream_is_an_error_event(make, agent, monkeypatch, caplog):
    from sse_middleware.cli.demo import demo_app

    upstream = FakeUpstream()
    upstream.play("chat-error")
    with upstream.serve() as base_url:
        status, _, body = asked(demo_app(make(base_url, monkeypatch)))
    events = EventParser().feed(body)
    assert status == "200 OK"
    assert [event.event or "message" for event in events] == ["message"] * 4 + ["error"]
    error = events[-1].json()["error"]
    assert error["message"] == "The stream failed."
    assert error["code"] in caplog.text
    assert "The model stopped before its answer was complete." in caplog.text


@pytest.mark.parametrize(("body", "content_type"), BAD_BODIES.values(), ids=BAD_BODIES)
def test_the_app_refuses_a_bad_body_without_asking_the_upstream(body, content_type):
    from sse_middleware.cli.demo import demo_app

    def ask(messages):
        raise AssertionError(f"the upstream was asked for {messages}")

    status, headers, told = asked(demo_app(ask), "POST", body=body, CONTENT_TYPE=content_type)
    assert (status, headers["Content-Type"]) == ("400 BAD REQUEST", "application/json")
    assert told.count(b"\n") <= 1
    assert json.loads(told)["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("name", ["answer", "fault", "rechunk"])
def test_the_app_refuses_what_it_cannot_play_without_asking_the_upstream(name):
    from sse_middleware.cli.demo import demo_app

    def ask(messages, **fields):
        raise AssertionError(f"the upstream was asked for {messages}")

    status, headers, told = asked(demo_app(ask), QUERY_STRING=f"{name}=nothing")
    assert (status, headers["Content-Type"]) == ("400 BAD REQUEST", "application/json")
    assert json.loads(told)["error"]["message"].startswith(f"{name} is 'nothing': expected one of ")


@in_each_client
def test_what_was_chosen_is_played_for_that_request_alone(make, agent, monkeypatch):
    from sse_middleware.cli._demo_upstream import ChoosyUpstream
    from sse_middleware.cli.demo import demo_app

    chosen = []

    class Upstream(ChoosyUpstream):
        def answer(self, request):
            chosen.append(request.json.get("metadata"))
            return super().answer(request)

    with Upstream().serve() as base_url:
        app = demo_app(make(base_url, monkeypatch))
        failed = asked(app, QUERY_STRING="answer=long&fault=error&rechunk=every(7)")[2]
        whole = asked(app)[2]
    assert EventParser().feed(failed)[-1].event == "error"
    assert whole == b"".join(map(encode, ANSWER))
    assert chosen == [{"answer": "long", "fault": "error", "rechunk": "every(7)"}, None]


COOKIE = {"HTTP_COOKIE": "a=1; sse_demo_visitor=abc"}
EVENT_SOURCE = {"HTTP_ACCEPT": "text/event-stream", "QUERY_STRING": "tab=1"}


def test_an_answer_can_be_resumed_by_the_visitor_who_asked_alone():
    from sse_middleware.cli.demo import demo_app

    app = demo_app(lambda messages: [Recording.named("chat-text").body])
    first = asked(app, **COOKIE, **EVENT_SOURCE)[2]
    ids = re.findall(rb"\nid: (\S+)\n", first)
    assert ids_in(first) == list(range(1, len(ANSWER)))
    back = {**EVENT_SOURCE, "HTTP_LAST_EVENT_ID": ids[3].decode()}
    rest = asked(app, **COOKIE, **back)[2]
    assert first.endswith(rest)
    assert ids_in(rest) == list(range(5, len(ANSWER)))
    others = asked(app, HTTP_COOKIE="sse_demo_visitor=xyz", **back)[2]
    assert len(ids_in(others)) == len(ANSWER) - 1  # the app was asked anew
    assert not set(re.findall(rb"\nid: (\S+)\n", others)[:-1]) & set(ids)
    without = asked(app, HTTP_ACCEPT="text/event-stream")[2]
    assert without == b"".join(map(encode, ANSWER))


def test_a_visitor_keeps_the_cookie():
    from sse_middleware.cli.demo import demo_app

    app = demo_app(list)
    assert "Set-Cookie" in asked(app, path="/")[1]
    assert "Set-Cookie" not in asked(app, path="/", **COOKIE)[1]


def test_where_the_server_lends_no_connection_there_is_nothing_to_drop():
    from sse_middleware.cli.demo import demo_app

    status, _, told = asked(demo_app(list), "POST", "/drop", **COOKIE, QUERY_STRING="tab=1")
    assert status == "404 NOT FOUND"
    assert json.loads(told)["error"]["message"] == "no stream of yours is open"


def test_the_page_ships_with_the_package():
    from sse_middleware.cli.demo import demo_app

    status, headers, page = asked(demo_app(list), path="/")
    assert (status, headers["Content-Type"]) == ("200 OK", "text/html; charset=utf-8")
    assert page.startswith(b"<!doctype html>")
