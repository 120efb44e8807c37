"""sse_middleware.cli._demo_connections: streams that are cut from outside."""

import socket
from types import SimpleNamespace

import pytest

from sse_middleware.cli._demo_connections import Connections


def app(environ, start_response):
    start_response("200 OK", [])
    return iter([b"a", b"b"])


def answer(connections, name, **environ):
    return connections({"name": name, **environ}, lambda *answer: None)


@pytest.fixture
def connections():
    return Connections(app, lambda environ: environ["name"])


@pytest.fixture
def pair():
    here, there = socket.socketpair()
    there.settimeout(20)
    with here, there:
        yield here, there


class Channel:
    """As waitress has it: a request can ask it whether the client is there."""

    def __init__(self, connection):
        self.socket = connection

    def check_client_disconnected(self):
        return False


LENT = {
    "gunicorn": lambda here: {"gunicorn.socket": here},
    "Werkzeug": lambda here: {"werkzeug.socket": here},
    "waitress": lambda here: {
        "waitress.client_disconnected": Channel(here).check_client_disconnected
    },
}


@pytest.mark.parametrize("lent", LENT.values(), ids=LENT)
def test_a_connection_that_is_dropped_ends_for_the_client(connections, pair, lent):
    here, there = pair
    body = answer(connections, "a", **lent(here))
    assert next(iter(body)) == b"a"
    assert connections.drop("a") is True
    assert there.recv(1) == b""
    assert connections.drop("a") is False


def test_another_name_is_left_alone(connections, pair):
    here, there = pair
    body = answer(connections, "a", **{"werkzeug.socket": here})
    assert connections.drop("b") is False
    here.sendall(b"x")
    assert there.recv(1) == b"x"
    assert b"".join(body) == b"ab"


def test_what_is_closed_cannot_be_dropped(connections, pair):
    body = answer(connections, "a", **{"werkzeug.socket": pair[0]})
    body.close()
    body.close()
    assert connections.drop("a") is False


def test_closing_reaches_the_body_of_the_app(pair):
    closed = []
    body = SimpleNamespace(close=lambda: closed.append(True))
    connections = Connections(lambda environ, start_response: body, lambda environ: "a")
    answer(connections, "a", **{"werkzeug.socket": pair[0]}).close()
    assert closed == [True]


def test_an_old_answer_that_is_closed_leaves_the_new_one_of_that_name(connections, pair):
    here, there = pair
    old = answer(connections, "a", **{"werkzeug.socket": there})
    answer(connections, "a", **{"werkzeug.socket": here})
    old.close()
    assert connections.drop("a") is True


def test_an_app_that_raises_leaves_nothing_to_drop(pair):
    def failing(environ, start_response):
        raise RuntimeError("on purpose")

    connections = Connections(failing, lambda environ: "a")
    with pytest.raises(RuntimeError, match="on purpose"):
        answer(connections, "a", **{"werkzeug.socket": pair[0]})
    assert connections.drop("a") is False


def test_a_connection_that_is_closed_already_is_dropped_without_an_error(connections, pair):
    here, _ = pair
    answer(connections, "a", **{"werkzeug.socket": here})
    here.close()
    assert connections.drop("a") is True


@pytest.mark.parametrize(
    ("name", "environ"),
    [(None, {"werkzeug.socket": object()}), ("a", {})],
    ids=["no name", "no connection"],
)
def test_what_cannot_be_dropped_passes_as_it_is(connections, name, environ):
    body = answer(connections, name, **environ)
    assert type(body) is type(iter([]))
    assert list(body) == [b"a", b"b"]
