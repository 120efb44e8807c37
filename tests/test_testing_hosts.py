"""sse_middleware.testing._hosts: the servers of recordings answer no page of another site."""

import socket
from contextlib import closing

import pytest

from sse_middleware.testing import FakeUpstream, Recording
from sse_middleware.testing._hosts import is_loopback, is_name_of_others
from sse_middleware.testing.recorder import Recorder
from sse_middleware.testing.replay import Replay, ReplayServer

DEADLINE_S = 20
OURS = ["localhost", "LocalHost:8891", "a.localhost", "127.0.0.1:80", "[::1]:80", "192.0.2.1", ""]
OTHERS = ["evil.example", "evil.example:8891", "localhost.evil.example", "127.0.0.1.evil.example"]
OTHERS += [
    "xlocalhost",
    "localhost.",
    "2130706433.example",
    "[::1",
    "a@evil.example",
    "\u0131ocalhost",
]


@pytest.mark.parametrize("host", [*OURS, None])
def test_a_name_of_this_machine_and_any_address_are_answered(host):
    assert not is_name_of_others(host)


@pytest.mark.parametrize("host", OTHERS)
def test_any_other_name_may_be_of_a_site_that_points_here(host):
    assert is_name_of_others(host)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_what_only_this_machine_reaches(host):
    assert is_loopback(host)
    assert not is_loopback("0.0.0.0")


def status_for(port, host):
    """The status and the rest of the answer to a POST with that Host."""
    with socket.create_connection(("127.0.0.1", port), DEADLINE_S) as sock:
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n"
        sock.sendall(head.encode() + b"Content-Length: 2\r\n\r\n{}")
        with sock.makefile("rb") as file:
            return int(file.readline().split()[1]), file.read()


@pytest.fixture
def replaying(tmp_path):
    Recording(b"data: private\n\n").save(tmp_path / "a.sse")

    def start(host):
        return ReplayServer(Replay(tmp_path).answer, host=host)

    return start


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80"])
def test_a_page_of_another_site_reads_no_recording(replaying, host):
    with closing(replaying("127.0.0.1")) as server:
        port = server.server_address[1]
        status, told = status_for(port, host)
        assert (status, b"private" in told) == (421, False)
        assert b"expected localhost or an address" in told
        status, told = status_for(port, f"localhost:{port}")
        assert (status, b"private" in told) == (200, True)


def test_what_is_open_to_all_answers_to_any_name(replaying):
    with closing(replaying("0.0.0.0")) as server:
        assert status_for(server.server_address[1], "build.example")[0] == 200


def test_a_page_of_another_site_asks_no_upstream(tmp_path):
    upstream = FakeUpstream()
    with upstream.serve() as url, closing(Recorder(url, tmp_path)) as recorder:
        port = int(recorder.base_url.split(":")[2].partition("/")[0])
        assert status_for(port, "evil.example")[0] == 421
    assert upstream.requests == []
    assert list(tmp_path.iterdir()) == []


def test_a_fake_upstream_is_asked_by_the_name_of_the_one_that_it_plays():
    upstream = FakeUpstream()
    upstream.play("chat-text")
    with upstream.serve() as url:
        assert status_for(int(url.split(":")[2].partition("/")[0]), "api.openai.com")[0] == 200
