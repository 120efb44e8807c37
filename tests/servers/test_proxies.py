"""Every stream contract once more, through nginx, Apache, HAProxy and Caddy as Debian has them.

What a proxy cannot do is asserted too, and stands in docs/proxies.md with its cure. The app makes
an event only when the test orders it, so nothing here rests on exact times.
"""

import json
import os
import time
from contextlib import ExitStack
from pathlib import Path

import proxied_docs
import proxies
import pytest
from client import fetch
from launch import launch
from proxied_client import DEADLINE_S, Stream
from proxied_servers import SERVERS, why_absent
from proxies import READ_TIMEOUT_S, SETUPS

#: How long the absence of an event is watched.
SILENT_S = 0.7
LARGE = "0123456789abcdef" * 256
PAGE = Path(__file__).resolve().parents[2] / "docs" / "proxies.md"

#: Where no event arrives before the body has ended.
HELD = ["nginx-deaf", "caddy-forced"]
STREAMING = [name for name in SETUPS if name not in HELD]
#: Where a first event that is larger than 512 bytes makes the proxy hold the stream back.
LARGE_IS_HELD = ["caddy-encode"]
COMPRESSED = ["nginx-gzip", "apache-deflate", "caddy-forced"]
#: Where a client that has left is noticed only by a write that fails.
UNSEEN_IN_SILENCE = ["apache", "apache-deflate", "haproxy", "haproxy-compression"]
#: Where a body that the server broke off reaches the client as one that ended well.
MENDED = [
    *("nginx", "nginx-deaf", "nginx-unbuffered", "nginx-waitress", "nginx-uwsgi"),
    *("caddy", "caddy-encode", "caddy-forced", "caddy-spared"),
]


def require(absent):
    """Skip without what a test needs; in CI, where nothing may be left out, fail."""
    if absent and os.environ.get("CI") == "true":
        pytest.fail(absent)
    if absent:
        pytest.skip(absent)


class Running:
    """The proxies and servers that the tests have needed so far, and what was measured."""

    def __init__(self, folder, stack):
        self.facts = {name: {} for name in SETUPS}
        self._folder = folder
        self._stack = stack
        self._ports = {}

    def port(self, name, timeout_s=None):
        """Where the proxy of this setup listens."""
        setup = SETUPS[name]
        if proxies.program(setup.proxy) is None:
            require(f"{setup.proxy} is not installed")
        require(why_absent(setup.server))
        if (name, timeout_s) not in self._ports:
            folder = self._folder / f"{name}-{timeout_s}"
            folder.mkdir(exist_ok=True)  # a start that failed is tried again
            running = proxies.running(setup, self._server(setup.server), folder, timeout_s)
            self._ports[name, timeout_s] = self._stack.enter_context(running)
        return self._ports[name, timeout_s]

    def _server(self, name):
        if name not in self._ports:
            process = self._stack.enter_context(launch(SERVERS[name].command))
            self._ports[name] = process.port
        return self._ports[name]


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    with ExitStack() as stack:
        running = Running(tmp_path_factory.mktemp("proxies"), stack)
        yield running
    if os.environ.get("SSE_MATRIX_OUT_PROXIES"):
        measured = {"versions": proxied_docs.versions(), "setups": running.facts}
        out = Path(os.environ["SSE_MATRIX_OUT_PROXIES"])
        out.write_text(json.dumps(measured, indent=1) + "\n")


@pytest.fixture
def facts(running, name):
    """Where what was measured of this setup goes."""
    return running.facts[name]


@pytest.fixture
def stream(running, name):
    """Opens a stream through the proxy of this setup."""
    with ExitStack() as stack:

        def opened(path="/silent", timeout_s=None):
            return stack.enter_context(Stream(running.port(name, timeout_s), path))

        yield opened


each_setup = pytest.mark.parametrize("name", SETUPS)


def those(names):
    return pytest.mark.parametrize("name", names)


# --- one by one


@those(STREAMING)
def test_an_event_arrives_before_the_next_is_made(stream, facts):
    opened = stream()
    late_s = []
    for number in range(1, 7):
        made_at = time.monotonic()
        opened.send(f"event {number}", id=number)
        event = opened.event()
        late_s.append(time.monotonic() - made_at)
        assert (event.event, event.data, event.id) == ("message", f"event {number}", str(number))
    facts["streams"], facts["late_s"] = True, max(late_s)


@those(HELD)
def test_a_stream_that_is_held_back_comes_at_its_end(stream, facts):
    opened = stream()
    opened.send("1")
    opened.send("2")
    assert opened.is_silent(SILENT_S)
    opened.app.tell("end")
    assert [event.data for event in opened.rest()] == ["1", "2", ""]
    assert opened.ended == "whole"
    facts["streams"] = False


@those([name for name in STREAMING if name not in LARGE_IS_HELD])
def test_a_large_first_event_changes_nothing(stream, facts):
    opened = stream()
    opened.exchange(LARGE)
    opened.exchange("next")
    facts["large_first_streams"] = True


@those(LARGE_IS_HELD)
def test_a_stream_with_a_large_first_event_is_held_back(stream, facts):
    opened = stream()
    opened.send(LARGE)
    opened.send("next")
    assert opened.is_silent(SILENT_S)
    opened.app.tell("end")
    assert [event.data for event in opened.rest()] == [LARGE, "next", ""]
    assert opened.header("Content-Encoding") == "gzip"
    facts["large_first_streams"] = False


@each_setup
def test_an_event_larger_than_any_buffer_arrives_whole(stream):
    text = "".join(f"{number:07d} " for number in range(40_000))
    opened = stream()
    opened.send(text)
    opened.app.tell("end")
    assert [event.data for event in opened.rest()] == [text, ""]


# --- headers, and what happens without ours


@each_setup
def test_the_client_sees_the_headers_of_a_stream(stream, facts, name):
    opened = stream()
    opened.send("1")
    opened.app.tell("end")
    assert opened.response.status == 200
    assert opened.header("Content-Type") == "text/event-stream; charset=utf-8"
    assert opened.header("Cache-Control") == "no-cache, no-transform"
    assert opened.header("ETag") == ""
    assert opened.header("Content-Encoding") == ("gzip" if name in COMPRESSED else "")
    # nginx keeps to itself what it was told.
    assert opened.header("X-Accel-Buffering") == ("" if name.startswith("nginx") else "no")
    facts["compressed"] = bool(opened.header("Content-Encoding"))
    facts["headers"] = {key: value for key, value in opened.headers.items() if key != "date"}


@those(["nginx", "nginx-waitress", "nginx-uwsgi"])
def test_without_x_accel_buffering_nginx_holds_the_same_stream_back(stream):
    opened = stream("/no-x-accel-buffering")
    opened.send("1")
    opened.send("2")
    assert opened.is_silent(SILENT_S)
    opened.app.tell("end")
    assert [event.data for event in opened.rest()] == ["1", "2", ""]


@those(["haproxy-compression"])
def test_without_no_transform_haproxy_compresses_the_same_stream_one_event_late(stream):
    opened = stream("/no-cache-control")
    opened.send("1")
    assert opened.is_silent(SILENT_S)
    opened.send("2")
    assert opened.event().data == "1"
    assert opened.is_silent(SILENT_S)
    opened.app.tell("end")
    assert [event.data for event in opened.rest()] == ["2", ""]
    assert opened.header("Content-Encoding") == "gzip"


@those(["caddy-spared"])
def test_caddy_that_spares_streams_compresses_pages(running, name):
    response = fetch(running.port(name), "/page", {"Accept-Encoding": "gzip"})
    assert response.header("Content-Encoding") == "gzip"


@those([*COMPRESSED, *LARGE_IS_HELD])
def test_content_encoding_identity_keeps_nginx_and_caddy_from_compressing(stream, facts, name):
    opened = stream("/identity")
    opened.exchange(LARGE)
    opened.exchange("next")
    facts["identity_helps"] = opened.header("Content-Encoding") == "identity"
    assert facts["identity_helps"] == (name != "apache-deflate")


# --- the end


@each_setup
def test_the_end_event_arrives_and_the_body_ends(stream, name):
    opened = stream()
    opened.send("1")
    if name in STREAMING:
        opened.event()
    opened.app.tell("end")
    last = opened.rest()[-1]
    assert (last.event, last.data, last.id) == ("close", "", "sse:end")
    assert opened.ended == "whole"
    opened.app.fact("closed")


@each_setup
def test_a_failure_in_mid_stream_arrives_as_the_error_event(stream, name):
    opened = stream()
    opened.send("1")
    if name in STREAMING:
        opened.event()
    opened.app.tell("raise", "a secret")
    error = opened.rest()[-1]
    assert (error.event, error.id) == ("error", "sse:end")
    assert json.loads(error.data)["error"]["type"] == "stream_error"
    assert b"secret" not in opened.text
    assert opened.ended == "whole"
    opened.app.fact("closed")


@each_setup
def test_what_a_body_that_the_server_breaks_off_looks_like(stream, facts, name):
    opened = stream()
    opened.app.tell("bytes", "data: 1\n\n")
    if name in STREAMING:
        opened.event()
    opened.app.tell("bytes", "data: ha")
    opened.app.tell("raise", "inside an event, where nothing more may be written")
    opened.rest()
    assert b"data: 1\n\ndata: ha".startswith(opened.text)
    assert opened.ended == ("whole" if name in MENDED else "cut")
    facts["broken_looks"] = opened.ended


# --- silence


@each_setup
def test_heartbeats_keep_a_silent_stream_open_past_the_timeout(stream, facts, name):
    opened = stream("/beating", READ_TIMEOUT_S)
    opened.send("before")
    began = time.monotonic()
    if name in HELD:  # nothing can be seen until the end, so that has to be reached
        assert opened.is_silent(1.2 * READ_TIMEOUT_S)
    else:
        opened.event()
        opened.beats(8)
    assert time.monotonic() - began > READ_TIMEOUT_S
    opened.send("after")
    opened.app.tell("end")
    assert [event.data for event in opened.rest()][-2:] == ["after", ""]
    facts["kept_open"] = True


@each_setup
def test_without_heartbeats_the_proxy_cuts_a_silent_stream(stream, facts):
    opened = stream("/silent", READ_TIMEOUT_S)
    opened.send("before")
    began = time.monotonic()
    assert "close" not in [event.event for event in opened.rest()]
    facts["silent_cut_s"], facts["silent_cut_looks"] = time.monotonic() - began, opened.ended
    opened.app.fact("on_disconnect")  # to the app, the client has left
    opened.app.fact("finally")


# --- the client leaves


@each_setup
def test_the_leaving_of_a_client_reaches_the_app(stream, facts, name):
    opened = stream("/beating")
    opened.send("1")
    if name in STREAMING:
        opened.event()
    else:
        assert opened.is_silent(SILENT_S)  # the proxy has it by now
    left_at = time.monotonic()
    opened.leave()
    opened.app.fact("on_disconnect")
    opened.app.fact("finally")
    facts["leaving_seen_s"] = time.monotonic() - left_at


@those([name for name in SETUPS if name not in UNSEEN_IN_SILENCE])
def test_the_leaving_of_a_client_is_seen_in_silence(stream, facts, name):
    opened = stream()
    opened.send("1")
    if name in STREAMING:
        opened.event()
    else:
        assert opened.is_silent(SILENT_S)
    opened.leave()
    opened.app.fact("on_disconnect")
    opened.app.fact("finally")
    facts["leaving_seen_in_silence"] = True


@those(UNSEEN_IN_SILENCE)
def test_the_leaving_of_a_client_is_seen_only_by_writing(stream, facts):
    opened = stream()
    opened.exchange("1")
    opened.leave()
    with pytest.raises(TimeoutError):
        opened.app.fact("on_disconnect", timeout_s=2)
    ends_at = time.monotonic() + DEADLINE_S
    while not opened.app.count("on_disconnect"):
        assert time.monotonic() < ends_at, "no write failed"
        opened.send("more")
    opened.app.fact("finally")
    facts["leaving_seen_in_silence"] = False


# --- the page


@each_setup
def test_the_page_shows_the_lines_that_were_run(name):
    assert proxied_docs.shown_lines(SETUPS[name]) in PAGE.read_text(encoding="utf-8")


@each_setup
def test_the_page_says_what_was_measured(facts, name):
    if not proxied_docs.is_complete(facts):
        pytest.skip("not all of it was measured in this run")
    row = proxied_docs.without_times(proxied_docs.row(SETUPS[name], facts))
    assert row in proxied_docs.without_times(PAGE.read_text(encoding="utf-8"))
