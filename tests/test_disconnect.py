"""Whether a client has left, on real sockets."""

import asyncio
import socket
import ssl
import struct
import subprocess
import sys
import threading
from types import SimpleNamespace

import pytest

from sse_middleware.disconnect import find_fd, find_probe, is_closed

DEADLINE_S = 10


def fail():
    raise AssertionError("a thread is never woken")


@pytest.fixture
def pair():
    listener = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(listener.getsockname())
    server, _ = listener.accept()
    yield client, server
    for opened in (client, server, listener):
        opened.close()


def has_become_closed(server):
    """The kernel tells the other end of a loopback connection within moments."""
    server.settimeout(10)
    try:
        return server.recv(1, socket.MSG_PEEK) == b"" and is_closed(server.fileno())
    except ConnectionResetError:
        return True


def test_a_client_that_stays_is_there(pair):
    _, server = pair
    assert not is_closed(server.fileno())


def test_a_client_that_closed_has_left(pair):
    client, server = pair
    client.close()
    assert has_become_closed(server)


def test_a_client_that_reset_has_left(pair):
    client, server = pair
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    while not is_closed(server.fileno()):
        server.settimeout(10)
        with pytest.raises(ConnectionResetError):
            server.recv(1)
        return


def test_a_client_that_sent_more_is_there_and_what_it_sent_stays(pair):
    client, server = pair
    client.sendall(b"GET")
    server.settimeout(10)
    assert server.recv(3, socket.MSG_PEEK)
    assert not is_closed(server.fileno())
    assert server.recv(3) == b"GET"


@pytest.mark.parametrize("timeout", [None, 0, 5])
def test_looking_neither_blocks_nor_changes_the_socket(pair, timeout):
    _, server = pair
    server.settimeout(timeout)
    assert not is_closed(server.fileno())
    assert server.gettimeout() == timeout


def test_a_connection_that_the_server_closed_counts_as_left(pair):
    _, server = pair
    fd = server.fileno()
    server.close()
    assert is_closed(fd)


@pytest.mark.parametrize("name", ["gunicorn.socket", "werkzeug.socket"])
def test_the_servers_socket_is_looked_at(pair, name):
    client, server = pair
    assert find_fd({name: server}) == server.fileno()
    probe = find_probe({name: server}, fail, is_greenlet=False)
    assert not probe.has_left()
    client.close()
    assert has_become_closed(server)
    assert probe.has_left()
    assert probe.looks_every_s == 1.0


def test_waitress_is_asked():
    for answer in (True, False):
        environ = {"waitress.client_disconnected": lambda answer=answer: answer}
        assert find_probe(environ, fail, is_greenlet=False).has_left() is answer


def test_a_tls_connection_is_left_alone(pair):
    _, server = pair
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    wrapped = context.wrap_socket(
        server, do_handshake_on_connect=False, server_hostname="localhost"
    )
    with wrapped:
        assert find_probe({"gunicorn.socket": wrapped}, fail, is_greenlet=False) is None


def test_a_caller_in_the_process_tells_by_its_own_probe_whatever_the_server_lends(pair):
    _, server = pair
    environ = {"sse_middleware.probe": lambda wake: ["probe", wake], "werkzeug.socket": server}
    assert find_probe(environ, fail, is_greenlet=False) == ["probe", fail]


def test_elsewhere_nothing_tells():
    assert find_probe({}, fail, is_greenlet=False) is None


def test_uwsgi_lends_its_connection_by_a_module_of_its_own(monkeypatch):
    monkeypatch.setitem(sys.modules, "uwsgi", SimpleNamespace(connection_fd=lambda: 7))
    assert find_fd({"uwsgi.version": b"2.0"}) == 7
    assert find_fd({}) is None


# --- under gevent, the hub watches


def watched(server):
    woken = threading.Event()
    return find_probe({"gunicorn.socket": server}, woken.set, is_greenlet=True), woken


def yielded(condition):
    """Let the hub run until ``condition()``; whether that came."""
    import gevent

    for _ in range(10_000):
        if condition():
            return True
        gevent.sleep(0.001)
    return False


def yielded_once(condition):
    """Whether ``condition()`` holds when the hub has looked at its connections once or twice."""
    import gevent

    for _ in range(3):
        gevent.sleep(0.001)
    return condition()


def test_under_gevent_a_client_that_leaves_wakes_whoever_waits(pair, in_greenlet):
    client, server = pair

    def watch():
        probe, woken = watched(server)
        assert probe.looks_every_s is None
        assert not yielded_once(woken.is_set)
        assert probe.has_left() is False
        client.close()
        assert yielded(woken.is_set)
        assert probe.has_left() is True
        probe.stop()

    in_greenlet(watch)


PATCHED = """
from gevent import monkey, socket
monkey.patch_all()
from gevent.event import Event
from sse_middleware.disconnect import find_probe

listener = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(listener.getsockname())
server, _ = listener.accept()
server.settimeout(60)
woken = Event()
probe = find_probe({"gunicorn.socket": server}, woken.set, is_greenlet=True)
assert not probe.has_left()
client.close()
assert woken.wait(10) and probe.has_left()
probe.stop()
"""


def test_so_it_is_where_gevent_has_replaced_the_sockets():
    pytest.importorskip("gevent")
    subprocess.run([sys.executable, "-c", PATCHED], check=True, timeout=60)


def test_under_gevent_what_a_client_sends_ahead_wakes_nobody(pair, in_greenlet):
    client, server = pair

    def watch():
        probe, woken = watched(server)
        client.sendall(b"more")
        assert yielded(lambda: not probe._watcher.active), "it was never looked at"
        assert not woken.is_set()
        assert probe.has_left() is False
        probe.stop()

    in_greenlet(watch)


def test_under_gevent_nobody_is_woken_any_more_when_it_stopped(pair, in_greenlet):
    client, server = pair

    def watch():
        probe, woken = watched(server)
        probe.stop()
        client.close()
        assert has_become_closed(server)
        assert not yielded_once(woken.is_set)

    in_greenlet(watch)


# --- a2wsgi: what follows the body tells


class Body:
    """The ``wsgi.input`` of a2wsgi, whose messages the test sends."""

    def __init__(self, loop, body=b""):
        self.loop = loop
        self.buffer = bytearray()
        self.has_more = True
        self._body = body
        self._messages = asyncio.Queue()

    def read(self):
        read, self._body = bytes(self.buffer) + self._body, b""
        self.buffer.clear()
        self.has_more = False
        return read

    async def receive(self):
        return await self._messages.get()

    def send(self, message):
        asyncio.run_coroutine_threadsafe(self._messages.put(message), self.loop).result(DEADLINE_S)


@pytest.fixture
def loop():
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    yield loop
    asyncio.run_coroutine_threadsafe(end_others(), loop).result(DEADLINE_S)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(DEADLINE_S)
    loop.close()


async def end_others():
    """End what still waits for a message that nobody will send."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


@pytest.fixture
def ask(loop):
    """Makes the probe of a request, its body, and a flag that is set when it wakes."""

    async def made(body):
        return Body(loop, body)

    def find(body=b"", **environ):
        woken = threading.Event()
        wsgi_input = asyncio.run_coroutine_threadsafe(made(body), loop).result(DEADLINE_S)
        environ = {"asgi.scope": {}, "wsgi.input": wsgi_input, **environ}
        return find_probe(environ, woken.set, is_greenlet=False), wsgi_input, woken

    return find


GET = {"REQUEST_METHOD": "GET"}
POST = {"REQUEST_METHOD": "POST"}


def test_behind_a2wsgi_a_get_hears_at_once_that_its_client_has_left(ask):
    probe, body, woken = ask(**GET)
    assert probe.looks_every_s is None
    assert probe.has_left() is False
    body.send({"type": "http.disconnect"})
    assert woken.wait(DEADLINE_S), "nobody was woken"
    assert probe.has_left() is True


def test_behind_a2wsgi_what_was_read_to_reach_the_end_is_still_there_for_the_app(ask):
    _, body, _ = ask(b"body", **GET)
    assert body.read() == b"body"


WITH_BODY = {
    "a post": POST,
    "a get with a body": {**GET, "CONTENT_LENGTH": "4"},
    "a method of its own": {},
}


@pytest.mark.parametrize("environ", WITH_BODY.values(), ids=WITH_BODY)
def test_behind_a2wsgi_a_request_with_a_body_hears_of_it_when_the_app_has_read_it(ask, environ):
    probe, body, woken = ask(b"body", **environ)
    body.send({"type": "http.disconnect"})
    assert probe.has_left() is False
    assert probe.looks_every_s == 1.0
    assert body.read() == b"body", "it was there for the app"
    probe.has_left()
    assert probe.looks_every_s is None
    assert woken.wait(DEADLINE_S), "nobody was woken"
    assert probe.has_left() is True


def test_behind_a2wsgi_any_other_message_is_no_leaving(ask):
    probe, body, woken = ask(**GET)
    body.send({"type": "http.request"})
    assert woken.wait(DEADLINE_S), "nobody was woken"
    assert probe.has_left() is False


def test_behind_a2wsgi_a_failure_of_the_server_counts_as_leaving(ask):
    probe, body, woken = ask(**POST)

    async def receive():
        raise OSError

    body.receive = receive
    body.read()
    probe.has_left()
    assert woken.wait(DEADLINE_S), "nobody was woken"
    assert probe.has_left() is True


def test_behind_a2wsgi_nobody_has_left_when_it_stopped(ask):
    probe, body, woken = ask(**GET)
    probe.stop()
    assert woken.wait(DEADLINE_S), "it still waits"
    body.send({"type": "http.disconnect"})
    assert probe.has_left() is False


def test_behind_a2wsgi_it_may_stop_before_it_has_asked(ask):
    probe, _, _ = ask(**POST)
    probe.stop()
    assert probe.looks_every_s == 1.0


@pytest.mark.parametrize(
    "environ",
    [{"asgi.scope": {}, "wsgi.input": object()}, {"wsgi.input": SimpleNamespace(receive=None)}],
    ids=["no such input", "no asgi"],
)
def test_another_bridge_to_asgi_tells_nothing(environ):
    assert find_probe({**environ, **GET}, fail, is_greenlet=False) is None
