"""Whether a client has left, on real sockets."""

import socket
import ssl
import struct

import pytest

from sse_middleware.disconnect import find_fd, find_probe, is_closed


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
    probe = find_probe({name: server})
    assert not probe()
    client.close()
    assert has_become_closed(server)
    assert probe()


def test_waitress_is_asked():
    for answer in (True, False):
        assert (
            find_probe({"waitress.client_disconnected": lambda answer=answer: answer})() is answer
        )


def test_a_tls_connection_is_left_alone(pair):
    _, server = pair
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    wrapped = context.wrap_socket(
        server, do_handshake_on_connect=False, server_hostname="localhost"
    )
    with wrapped:
        assert find_probe({"gunicorn.socket": wrapped}) is None


def test_elsewhere_nothing_tells():
    assert find_probe({}) is None
