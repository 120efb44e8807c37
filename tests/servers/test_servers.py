"""Each server of the table, from a raw socket: what `SSEMiddleware` does on it.

No test sleeps. Where one event must have arrived before the next was made, the app waits for the
test, which has seen the first (``client.Desk``).
"""

import hashlib
import json
import signal
import time
from contextlib import ExitStack

import pytest
from apps import driven
from client import EVENT_STREAM, Connection, fetch
from launch import ONE_UWSGI_THREAD, SERVERS, launch, start

from conftest import require
from sse_middleware import Event, SSEMiddleware
from sse_middleware.testing import StreamClient

#: What ``apps`` asks for.
HEARTBEAT_S = 0.3
FAR_OFF = {"SSE_OPTIONS": json.dumps({"heartbeat": 600})}
BODY = bytes(range(256)) * 1200  # 300 KB: more than any buffer on the way

# --- events, headers, heartbeats


@pytest.mark.parametrize("accept", [EVENT_STREAM, {}], ids=["in-a-worker", "inline"])
@pytest.mark.parametrize("declared", [0, 1], ids=["dicts", "declared"])
def test_an_event_arrives_before_the_next_is_made(process, desk, accept, declared):
    with Connection(process.port) as connection:
        connection.send(desk.path("/driven", declared=declared), accept)
        line = desk.line()
        line.tell("yield", {"data": "opens"})
        response = connection.response()
        assert response.event() == {"data": "opens"}
        for number in range(5):
            line.tell("yield", {"event": "count", "data": number})
            assert response.event() == {"event": "count", "data": str(number)}
        line.tell("end")
        assert response.event() == {"event": "close", "id": "sse:end", "data": ""}
        response.rest()
    line.fact("closed")


@pytest.mark.parametrize("where", ["on the server", "in this process"])
def test_the_stream_client_reads_what_a_test_reads_of_the_app_itself(process, desk, where):
    if where == "on the server":
        client = StreamClient(f"http://127.0.0.1:{process.port}")
    else:
        client = StreamClient(SSEMiddleware(driven, heartbeat=HEARTBEAT_S, end_event="close"))
    with client.get(desk.path("/driven")) as stream:
        line = desk.line()
        line.tell("yield", {"data": "opens"})
        assert stream.event() == Event("opens")
        assert stream.status_code == 200
        assert stream.headers["X-Accel-Buffering"] == "no"
        line.tell("yield", {"event": "count", "id": 1, "data": [1]})
        counted = stream.event()
        assert (counted.event, counted.id, counted.json()) == ("count", "1", [1])
        assert stream.comment() == ""
        with pytest.raises(TimeoutError):
            stream.event(timeout=0.1)
        line.tell("end")
        assert [(event.event, event.data) for event in stream] == [("close", "")]
    line.fact("closed")


def test_the_head_is_that_of_an_event_stream(process, server, facts):
    response = fetch(process.port, "/dressed", EVENT_STREAM)
    assert (response.status, response.reason) == (200, "OK")
    assert response.header("Content-Type") == "text/event-stream; charset=utf-8"
    assert response.header("X-Accel-Buffering") == "no"
    assert response.header("Cache-Control") == "private, no-transform"
    assert response.header("X-Own") == "kept"
    assert response.header("ETag") == response.header("Content-Length") == ""
    assert response.header("Keep-Alive") == ""
    assert response.header("Connection").lower() in ("", "close", "keep-alive")
    assert response.header("Transfer-Encoding").lower() in ("", "chunked")
    assert response.body.startswith(b"data: one\n\ndata: two\n\n")
    assert response.ended in ("last chunk", "close")
    facts["framing"] = response.framing
    facts["http"] = response.version
    facts["at_once"] = server.at_once


def test_a_silent_app_is_kept_alive(process, desk):
    with Connection(process.port) as connection:
        connection.send(desk.path("/driven"), EVENT_STREAM)
        line = desk.line()
        line.tell("yield", {"data": "first"})
        response = connection.response()
        response.event()
        for _ in range(4):  # the app waits for its next command all the while
            response.comment()
        line.tell("yield", {"data": "second", "id": "7"})
        assert response.event() == {"data": "second", "id": "7"}
        response.comment()
        line.tell("yield", {"data": "third"})
        assert response.event() == {"data": "third"}
    assert b"7\n\n:\n" in response.body.replace(b"data: second\n\n", b"\n")


def test_a_declared_stream_opens_while_its_app_is_silent(process, desk):
    with Connection(process.port) as connection:
        response = connection.stream(desk.path("/driven", declared=1))
        assert response.header("Content-Type") == "text/event-stream; charset=utf-8"
        response.comment()
        line = desk.line()
        line.tell("yield", {"data": "first"})
        assert response.event() == {"data": "first"}


def test_as_many_streams_as_the_server_has_threads(process, server, desk):
    count = min(20, server.at_once or 20)
    keys = [f"stream-{number}" for number in range(count)]
    with ExitStack() as stack:
        connections = [stack.enter_context(Connection(process.port)) for _ in keys]
        for key, connection in zip(keys, connections):
            connection.send(desk.path("/driven", key), EVENT_STREAM)
        lines = [desk.line(key) for key in keys]  # all run now, at the same time
        for key, line in zip(keys, lines):
            line.tell("yield", {"data": key})
        responses = [connection.response() for connection in connections]
        assert [response.event()["data"] for response in responses] == keys
        for line, response in reversed(list(zip(lines, responses))):
            line.tell("end")
            assert response.event()["event"] == "close"
            response.rest()
        for line in lines:
            line.fact("closed")


# --- the client leaves


def test_a_client_that_leaves_is_noticed_while_the_app_is_blocked(process, server, desk, facts):
    if not server.sees_leaving:
        facts["left_s"] = None
        pytest.skip("this server never says that a client has left")
    seconds, line = _leave(process, desk, slow=0.3)  # nothing may interrupt a finally
    facts["left_s"] = seconds
    facts["heartbeat_s"] = HEARTBEAT_S
    line.fact("finally")
    line.fact("closed")
    fetch(process.port, "/plain")
    told = [line.count(name) for name in ("on_disconnect", "finally", "closed")]
    assert told == [1, 1, 1]


def test_an_app_that_stays_blocked_keeps_no_thread_of_the_server(process, server, desk):
    if not server.sees_leaving:
        pytest.skip("this server never says that a client has left")
    _, line = _leave(process, desk, deaf=1)
    assert fetch(process.port, "/plain").body == b"plain"
    line.close()


def test_a_client_that_leaves_is_noticed_where_nothing_is_written(server, desk, facts):
    if not server.sees_silent_leaving:
        facts["left_silent_s"] = None
        pytest.skip("this server lends neither its socket nor a callable")
    with start(server, env=FAR_OFF) as process:
        facts["left_silent_s"], line = _leave(process, desk)
        line.fact("closed")


def _leave(process, desk, **query):
    """Open a stream, leave while its app is blocked; seconds until on_disconnect, and the line."""
    connection = Connection(process.port)
    connection.send(desk.path("/driven", **query), EVENT_STREAM)
    line = desk.line()
    line.tell("yield", {"data": "first"})
    connection.response().event()
    left_at = time.monotonic()
    connection.close()
    return round(line.fact("on_disconnect")["at"] - left_at, 2), line


# --- errors and ends


def test_an_error_in_mid_stream_is_an_event(process, desk, facts):
    with Connection(process.port) as connection:
        connection.send(desk.path("/driven"), EVENT_STREAM)
        line = desk.line()
        line.tell("yield", {"data": "first"})
        response = connection.response()
        response.event()
        line.tell("raise", "secret")
        error = response.event()
        response.rest()
    assert (error["event"], error["id"]) == ("error", "sse:end")
    assert json.loads(error["data"])["error"]["type"] == "stream_error"
    assert b"secret" not in response.body
    assert response.ended == ("last chunk" if response.framing == "chunked" else "close")
    line.fact("closed")


def test_an_error_inside_a_relayed_event_cuts_the_connection(process, desk, facts):
    with Connection(process.port) as connection:
        connection.send(desk.path("/driven", declared=1), EVENT_STREAM)
        line = desk.line()
        line.tell("bytes", "data: half")
        response = connection.response()
        response.piece()
        line.tell("raise", "secret")
        response.rest()
    assert response.body.lstrip(b": \n") == b"data: half"
    facts["cut"] = response.ended
    line.fact("closed")


#: These close the connection where an app raises, whatever is in front of it.
SAYS_NOTHING = {"uwsgi http-socket", "uwsgi http"}


@pytest.mark.parametrize("path", ["/fails", "/fails-first"])
def test_an_error_before_the_first_event_is_a_500(process, server, facts, path):
    facts["failed"] = "closes" if server.name in SAYS_NOTHING else "500"
    if server.name in SAYS_NOTHING:
        with pytest.raises(ConnectionError, match="closed before a response: b''"):
            fetch(process.port, path, EVENT_STREAM)
        return
    response = fetch(process.port, path, EVENT_STREAM)
    assert response.status == 500
    assert "event-stream" not in response.header("Content-Type")
    assert b"event:" not in response.body


def test_an_event_source_that_comes_back_after_the_end_is_stopped(process):
    response = fetch(process.port, "/driven", {**EVENT_STREAM, "Last-Event-ID": "sse:end"})
    assert (response.status, response.body) == (204, b"")
    assert response.header("Content-Type") == ""


# --- requests and responses that are not plain streams


#: These end the empty body with a last chunk, as they do for any app that returns [] to HEAD.
SENDS_A_LAST_CHUNK = {"waitress", "waitress lookahead", "bjoern"}


def test_head_runs_no_generator_and_sends_no_body(process, server, desk, facts):
    with Connection(process.port) as connection:
        connection.send(desk.path("/driven", declared=1), EVENT_STREAM, method="HEAD")
        response = connection.response("HEAD")
        assert response.status == 200
        assert response.header("Content-Type") == "text/event-stream; charset=utf-8"
        desk.line().fact("closed")
        stray, is_kept = _what_follows(connection, response)
    assert stray == (b"0\r\n\r\n" if server.name in SENDS_A_LAST_CHUNK else b"")
    assert desk.line().count("finally") == 0  # its first line never ran
    facts["head_stray"] = stray.decode()
    facts["head_kept"] = is_kept


def _what_follows(connection, response):
    """What came after the head of a response that has no body, and whether the next one did."""
    closes = "close" in response.header("Connection").lower() or response.version == "HTTP/1.0"
    if not closes:
        try:
            connection.send("/plain", {"Connection": "close"})
        except ConnectionError:
            pass  # it closes without having said so
    stray, mark, _ = connection.all().partition(b"HTTP/1.1 200 OK")
    return stray, bool(mark)


@pytest.mark.parametrize("path", ["/echo", "/echo-early"])
def test_a_request_body_is_read_in_the_worker(process, path):
    response = fetch(process.port, path, EVENT_STREAM, method="POST", body=BODY)
    assert response.header("Content-Type") == "text/event-stream; charset=utf-8"
    told = json.loads(response.body.split(b"data: ")[1].split(b"\n")[0])
    assert told == {"length": len(BODY), "sha256": hashlib.sha256(BODY).hexdigest()}


def test_a_worker_that_outlives_its_request_sees_nothing_of_the_next(desk):
    """uWSGI keeps one request in memory for each of its threads, input and environ point there."""
    require(ONE_UWSGI_THREAD)
    with start(ONE_UWSGI_THREAD) as process:
        with Connection(process.port) as connection:
            path = desk.path("/driven", "gone", deaf=1)
            connection.send(path, EVENT_STREAM, method="POST", body=b"mine")
            gone = desk.line("gone")
            gone.tell("yield", {"data": "first"})
            connection.response().event()
        gone.fact("on_disconnect")
        with Connection(process.port) as connection:
            connection.send(desk.path("/driven", "next"), method="POST", body=b"secret")
            following = desk.line("next")
            gone.tell("read", 6)
            stolen = gone.fact("read")["text"]
            following.tell("read", 6)
            read = following.fact("read")["text"]
        gone.tell("environ", "QUERY_STRING")
        assert "key=gone" in gone.fact("environ")["text"]
    assert (stolen, read) == ("mine", "secret")


ANSWERS = {
    "/plain": (200, b"plain"),
    "/pieces": (200, b"one two three"),
    "/lazy": (201, b"lazy"),
    "/file": (200, b"0123456789abcdef" * 20_000),
    "/writes": (200, b"by write, then by return"),
    "/nowhere": (404, b"no such page"),
    "/empty": (200, b""),
    "/no-content": (204, b""),
}
#: What a server cannot do, whether or not the middleware is there.
CANNOT = {
    ("bjoern", "/writes"): "bjoern's start_response returns no write()",
    ("granian", "/writes"): "Granian's start_response returns no write()",
}


@pytest.mark.parametrize("accept", [EVENT_STREAM, {}], ids=["in-a-worker", "inline"])
@pytest.mark.parametrize("path", ANSWERS)
def test_a_response_that_is_no_stream_passes(process, server, facts, path, accept):
    if not accept and (server.name, path) in CANNOT:
        facts["cannot"] = CANNOT[server.name, path]
        pytest.skip(CANNOT[server.name, path])
    status, body = ANSWERS[path]
    for _ in range(2):
        response = fetch(process.port, path, accept)
        assert (response.status, response.body) == (status, body)
        assert response.ended in ("last chunk", "length", "close", "none")
    assert response.header("X-Own") == ("kept" if path == "/lazy" else "")


# --- advice and shutdown

ADVICE = {
    "gunicorn sync": "gunicorn's sync worker kills every stream",
    "waitress": "start it with channel_request_lookahead=1",
    "eventlet": "eventlet holds back what is under 4 KiB",
}


def test_what_a_server_needs_to_be_told_stands_once_in_its_log(process, server):
    for _ in range(2):
        fetch(process.port, "/dressed", EVENT_STREAM)
    expected = ADVICE.get(server.name)
    if expected:
        process.wait_for_log(expected)
    for text in ADVICE.values():
        assert process.log.count(text) == (text == expected)


def test_what_sigterm_does_to_an_open_stream(server, desk, facts):
    """Measured for the table: cut, at an end, or still open after six seconds."""
    with start(server) as process, Connection(process.port) as connection:
        connection.send(desk.path("/driven"), EVENT_STREAM)
        line = desk.line()
        line.tell("yield", {"data": "first"})
        response = connection.response()
        response.event()
        sent_at = time.monotonic()
        process.signal(signal.SIGTERM)
        try:
            response.rest(timeout_s=6)
            ended = response.ended
        except TimeoutError:
            ended = "open"
        facts["sigterm"] = ended
        facts["sigterm_s"] = round(time.monotonic() - sent_at, 1)
        facts["sigterm_closed"] = bool(line.count("closed"))


# --- the promise


def test_a_generator_that_blocks_for_seconds_keeps_its_client_and_loses_it_at_once(desk):
    """On gunicorn's gthread with a heartbeat of 0.5 s."""
    gthread = next(server for server in SERVERS if server.name == "gunicorn gthread")
    require(gthread)
    with start(gthread, env={"SSE_OPTIONS": '{"heartbeat": 0.5}'}) as process:
        with Connection(process.port) as connection:
            connection.send(desk.path("/driven"), EVENT_STREAM)
            line = desk.line()
            line.tell("yield", {"data": "first"})
            response = connection.response()
            response.event()
            for _ in range(6):  # three seconds in which the app makes nothing
                response.comment(timeout_s=1.5)
        left_at = time.monotonic()
        assert line.fact("on_disconnect")["at"] - left_at < 2
        line.fact("closed")


# --- shutdown, with the recipe


def test_sigterm_can_drain_the_open_streams(server, desk, facts):
    """The recipe of this server: a clean end, without the end event, so that clients reconnect."""
    if server.draining is None:
        facts["drain_s"] = None
        pytest.skip("no recipe: this server offers no hook")
    with launch(server.draining) as process, Connection(process.port) as connection:
        connection.send(desk.path("/driven", slow=3), EVENT_STREAM)
        line = desk.line()
        line.tell("yield", {"data": "first"})
        response = connection.response()
        response.event()
        sent_at = time.monotonic()
        process.signal(signal.SIGTERM)
        response.rest()
        facts["drain_s"] = round(time.monotonic() - sent_at, 1)
        line.fact("finally")
        line.fact("closed")
        process.wait(20)
    assert response.ended == "last chunk"
    assert b"event:" not in response.body
