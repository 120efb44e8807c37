"""sse_middleware.cli.servers: one app on each server, as a process of its own, and its end."""

import re
import signal
import socket
import sys

import pytest

from sse_middleware.cli import servers
from sse_middleware.cli.servers import SERVERS, serve
from sse_middleware.errors import OptionError, SSEError
from sse_middleware.testing import StreamClient

APP = """
import threading
from sse_middleware import current_stream

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/event-stream")])
    return stream(environ["PATH_INFO"])

def stream(path):
    left = threading.Event()
    current_stream().on_disconnect(left.set)
    try:
        yield {"data": path}
        left.wait()
    finally:
        print("closed " + path, flush=True)
"""


@pytest.fixture(params=SERVERS)
def server(request):
    pytest.importorskip(request.param)
    return request.param


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Where a server might leave something, such as gunicorn its control socket."""
    folder = tmp_path / "home"
    folder.mkdir()
    for name in ("HOME", "XDG_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(folder))
    return folder


@pytest.fixture
def started(server, start_command, tmp_path, home):
    (tmp_path / "endless.py").write_text(APP)
    return start_command("serve", "endless", "--server", server, "--port", "0")


def complaints(command):
    """What it wrote to its standard error, without Werkzeug's line for each request."""
    lines = command.errors.splitlines()
    return [line for line in lines if not re.search('"GET /\\w* HTTP/1.1" 200 -', line)]


def ended_with(stream, command, send):
    """The exit code, after ``send()`` in mid-stream; the client sees a clean end."""
    send()
    assert list(stream) == []
    assert command.line() == "closed /one"
    assert command.line() is None
    return command.wait()


def test_streams_beside_each_other_end_cleanly_and_are_closed_when_it_is_terminated(started, home):
    client = StreamClient(started.url())
    with client.get("/one", timeout=30) as stream:
        assert stream.event().data == "/one"
        with client.get("/two", timeout=30) as other:
            assert other.event().data == "/two"
        assert started.line() == "closed /two"
        assert list(home.iterdir()) == []
        assert ended_with(stream, started, started.process.terminate) == 0
    assert complaints(started) == []


@pytest.mark.sweep
def test_an_interrupt_ends_it_likewise(started):
    with StreamClient(started.url()).get("/one", timeout=30) as stream:
        assert stream.event().data == "/one"
        assert ended_with(stream, started, started.interrupt) == 0
    assert complaints(started) == []


def test_a_second_signal_does_not_wait_for_the_streams(start_command, tmp_path):
    pytest.importorskip("waitress")
    deaf = APP.replace("on_disconnect(left.set)", "on_disconnect(print_left)")
    told = "def print_left():\n    print('left', flush=True)\n"
    (tmp_path / "endless.py").write_text(deaf + told)
    command = start_command("serve", "endless", "--port", "0")
    with StreamClient(command.url()).get("/one", timeout=30) as stream:
        stream.event()
        command.interrupt()
        assert command.line() == "left"
        command.interrupt()
        assert command.wait() == 0


# In this process


class Interrupted:
    """In place of waitress's server: Ctrl-C comes as soon as it runs."""

    def __init__(self, app, **options):
        self.options = options

    def run(self):
        raise KeyboardInterrupt


@pytest.fixture
def handlers():
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def served(host, **options):
    """The lines that are told, of a server that ends at once."""
    lines = []
    with pytest.raises(KeyboardInterrupt):
        serve(print, server="waitress", host=host, port=0, told=lines.append, drain=print)
    return lines


HOSTS = {
    "127.0.0.1": ("127.0.0.1", "http://127.0.0.1:{port}"),
    "localhost": ("127.0.0.1", "http://localhost:{port}"),
    "::1": ("::1", "http://[::1]:{port}"),
}


@pytest.mark.parametrize(("host", "expected"), HOSTS.items(), ids=HOSTS)
def test_one_address_of_the_host_is_listened_on_and_the_url_names_the_host(
    host, expected, handlers, monkeypatch
):
    waitress = pytest.importorskip("waitress")
    address, url = expected
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    made = []

    def create_server(app, *, sockets, **options):
        made.append([each.getsockname()[:2] for each in sockets])
        return Interrupted(app)

    def getaddrinfo(name, port, **options):
        kind = (socket.SOCK_STREAM, 6, "")
        return [(family, *kind, (address, port)), (socket.AF_INET, *kind, ("127.0.0.2", port))]

    monkeypatch.setattr(waitress, "create_server", create_server)
    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    try:
        lines = served(host)
    except OptionError as error:
        pytest.skip(f"this machine has no {address}: {error}")
    [[(bound, port)]] = made
    assert bound == address
    assert lines == [url.format(port=port)]


def test_waitress_has_threads_for_streams_and_looks_for_clients_that_have_left(
    handlers, monkeypatch
):
    waitress = pytest.importorskip("waitress")
    made = []
    monkeypatch.setattr(
        waitress,
        "create_server",
        lambda app, **options: made.append(options) or Interrupted(app),
    )
    served("127.0.0.1")
    assert made[0]["threads"] == 16
    assert made[0]["channel_request_lookahead"] == 1


@pytest.mark.parametrize("name", SERVERS)
def test_a_server_that_is_not_installed_is_named_with_the_command_that_installs_it(
    name, monkeypatch
):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(SSEError) as caught:
        serve(print, server=name, host="127.0.0.1", port=0, told=print, drain=print)
    assert str(caught.value) == f"--server {name} needs {name}: pip install {name}"


@pytest.mark.parametrize("name", SERVERS)
def test_a_port_in_use_is_told_alike_by_all_servers(name):
    pytest.importorskip(name)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen(1)
        port = other.getsockname()[1]
        with pytest.raises(OptionError) as caught:
            serve(print, server=name, host="127.0.0.1", port=port, told=print, drain=print)
    expected = f"port is {port}, in use on 127.0.0.1: expected a free one: try --port 0"
    assert str(caught.value) == expected


def test_a_listener_that_cannot_be_bound_is_closed_again(monkeypatch):
    closed = []

    class Socket(socket.socket):
        def close(self):
            closed.append(True)
            super().close()

    monkeypatch.setattr(servers.socket, "socket", Socket)
    with pytest.raises(OptionError):  # RFC 5737: an address for documents, which no machine has
        serve(print, server="waitress", host="203.0.113.1", port=0, told=print, drain=print)
    assert closed == [True]
