"""Whether a client has left, on real sockets."""

import socket
import ssl
import struct
import subprocess
import sys

import pytest

from sse_middleware.disconnect import find_fd, find_probe, is_closed


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


WATCHED = """
from gevent import monkey, socket
monkey.patch_all()
import gevent
from gevent.event import Event
from sse_middleware.disconnect import find_probe

listener = socket.create_server(("127.0.0.1", 0))
for talkative in (False, True):
    client = socket.create_connection(listener.getsockname())
    server, _ = listener.accept()
    woken = Event()
    probe = find_probe({"gunicorn.socket": server}, woken.set, is_greenlet=True)
    assert probe.looks_every_s is None and not probe.has_left()
    if talkative:
        client.sendall(b"more")
        assert not woken.wait(0.05) and not probe.has_left()
    else:
        client.close()
        assert woken.wait(10) and probe.has_left()
    probe.stop()
"""


def test_under_gevent_the_hub_watches_the_connection():
    pytest.importorskip("gevent")
    subprocess.run([sys.executable, "-c", WATCHED], check=True, timeout=60)
