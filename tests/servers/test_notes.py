"""The notes of docs/servers.md: what single servers do to streams, and what helps.

What is not to happen is waited for, which no slow machine makes happen: two seconds and more.
"""

import json
import signal
import time

import pytest
from client import EVENT_STREAM, Connection, fetch
from launch import SERVERS, launch, start

from conftest import require

TIMEOUT_S = 2
#: Loaded before the worker starts, which then is not killed on its way up.
TIMEOUT = ("--preload", "--timeout", str(TIMEOUT_S))


def named(name):
    """The server of the table."""
    [server] = [server for server in SERVERS if server.name == name]
    require(server)
    return server


def with_options(server, *options):
    """Its command with these before the app, which stands last; uWSGI's options have no order."""

    def command(place):
        words = server.command(place)
        at = len(words) if words[-1].isdigit() else len(words) - 1
        return [*words[:at], *options, *words[at:]]

    return command


def opened(connection, desk):
    """A stream whose first event has come: its line to the app, its response."""
    connection.send(desk.path("/driven"), EVENT_STREAM)
    line = desk.line()
    line.tell("yield", {"data": "first"})
    response = connection.response()
    response.event()
    return line, response


def test_gunicorn_sync_kills_a_stream_that_is_open_for_longer_than_its_timeout(desk):
    command = with_options(named("gunicorn sync"), *TIMEOUT)
    with launch(command) as process, Connection(process.port) as connection:
        _, response = opened(connection, desk)
        response.rest(timeout_s=30)  # heartbeats flow all the while
        process.wait_for_log("WORKER TIMEOUT")
    assert response.ended in ("cut", "reset")
    assert len(response.body.split(b"\n:")) > 2


@pytest.mark.parametrize("name", ["gunicorn gthread", "gunicorn gevent"])
def test_gunicorns_timeout_is_no_limit_for_streams_of_the_other_workers(name, desk):
    command = with_options(named(name), *TIMEOUT)
    with launch(command) as process, Connection(process.port) as connection:
        line, response = opened(connection, desk)
        ends_at = time.monotonic() + 2 * TIMEOUT_S + 0.5
        while time.monotonic() < ends_at:
            response.comment()
        line.tell("end")
        assert response.event()["event"] == "close"


@pytest.mark.parametrize("name", ["gunicorn sync", "wsgiref", "bjoern"])
def test_nobody_else_is_served_while_a_stream_is_open(name, desk):
    with start(named(name)) as process, Connection(process.port) as connection:
        line, response = opened(connection, desk)
        with Connection(process.port) as other:
            other.send("/plain")
            with pytest.raises(TimeoutError):
                other.response(timeout_s=0.7)
            line.tell("end")
            response.rest()
            connection.close()
            assert other.response(timeout_s=30).status == 200


WAITING = {"granian": "--workers-kill-timeout", "a2wsgi on uvicorn": "--timeout-graceful-shutdown"}


@pytest.mark.parametrize("name", WAITING)
def test_with_max_age_a_server_that_waits_for_streams_ends_them_cleanly(name, desk):
    options = {"SSE_OPTIONS": json.dumps({"heartbeat": 0.3, "max_age": 3})}
    with start(named(name), env=options) as process, Connection(process.port) as connection:
        line, response = opened(connection, desk)
        process.signal(signal.SIGTERM)
        response.rest(timeout_s=30)
        line.fact("finally")
        process.wait(30)
    assert response.ended == "last chunk"


@pytest.mark.parametrize("name", WAITING)
def test_the_option_for_a_limit_cuts_the_streams(name, desk):
    command = with_options(named(name), WAITING[name], "1")
    with launch(command) as process, Connection(process.port) as connection:
        _, response = opened(connection, desk)
        process.signal(signal.SIGTERM)
        response.rest(timeout_s=30)
    assert response.ended in ("cut", "reset")


def test_uwsgi_answers_500_with_the_traceback_where_it_catches_exceptions():
    command = with_options(named("uwsgi http-socket"), "--catch-exceptions")
    with launch(command) as process:
        answer = fetch(process.port, "/fails")
    assert answer.status == 500
    assert b"RuntimeError" in answer.body
    assert b"apps.py" in answer.body


def test_what_uwsgi_offers_for_a_request_raises_in_a_worker():
    with start(named("uwsgi http-socket")) as process:
        inline = fetch(process.port, "/uwsgi").body
        in_a_worker = fetch(process.port, "/uwsgi", EVENT_STREAM).body
    assert b"SystemError" not in inline
    assert in_a_worker.startswith(b"SystemError")
