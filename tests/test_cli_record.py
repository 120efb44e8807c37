"""sse_middleware.cli.record: the command as a process of its own, from its start to its end."""

import os
import signal
import socket
import subprocess
import sysconfig
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from sse_middleware.testing import FakeUpstream, Recording

DEADLINE_S = 60
SCRIPT = Path(sysconfig.get_path("scripts")) / "sse-middleware"
STALL = Recording(b"data: 1\n\n", end="stall")


def environ():
    return {key: text for key, text in os.environ.items() if not key.lower().endswith("_proxy")}


@pytest.fixture
def record(start_command, tmp_path):
    """Starts ``sse-middleware record``; the process, and the three lines that it says."""

    def start(upstream_url, folder=tmp_path):
        options = ["--upstream", upstream_url, "--out", folder, "--port", "0"]
        command = start_command("record", *options)
        return command, [command.line() for _ in range(3)]

    return start


def ask(lines):
    """A connection on which a request has been sent to the address in the last of ``lines``."""
    address = urlsplit(lines[2].split("=")[1])
    sock = socket.create_connection((address.hostname, address.port), DEADLINE_S)
    head = f"POST {address.path}/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2"
    sock.sendall(head.encode() + b"\r\n\r\n{}")
    return sock


def read_until(sock, text):
    came = b""
    while text not in came:
        data = sock.recv(65536)
        assert data, f"the connection was closed after {came!r}"
        came += data
    return came


def test_it_says_where_it_is_and_how_clients_are_pointed_at_it(record, tmp_path):
    _, lines = record("https://api.example.com/openai/v1", tmp_path / "out")
    port = urlsplit(lines[2].split("=")[1]).port
    assert lines == [
        "Recording: https://api.example.com/openai/v1",
        f"Into:      {tmp_path / 'out'}",
        f"Clients:   OPENAI_BASE_URL=http://127.0.0.1:{port}/openai/v1",
    ]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_a_signal_ends_it_and_keeps_what_is_done_and_what_is_under_way(number, record, tmp_path):
    upstream = FakeUpstream()
    upstream.play(Recording(b"data: 0\n\n"))
    upstream.play(STALL)
    with upstream.serve() as url:
        command, lines = record(url)
        with ask(lines) as sock:
            read_until(sock, b"\r\n0\r\n\r\n")
        assert command.line().startswith(f"{tmp_path}/001-chat-completions.sse: 200, 1 chunks, ")
        with ask(lines) as sock:
            read_until(sock, b"data: 1\n\n")
            command.process.send_signal(number)
            assert command.wait() == 0
        assert command.line().endswith(", eof")
        assert command.errors == "\n"
    kept = [Recording.load(path) for path in sorted(tmp_path.glob("*.sse"))]
    assert [(one.body, one.end) for one in kept] == [
        (b"data: 0\n\n", "complete"),
        (b"data: 1\n\n", "eof"),
    ]


def test_an_upstream_that_is_away_is_one_line_on_standard_error(record):
    with socket.socket() as silent:  # bound, so that nobody else gets the port, and not listening
        silent.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        command, lines = record(url)
        with ask(lines) as sock:
            assert read_until(sock, b"}").startswith(b"HTTP/1.1 502 Bad Gateway\r\n")
    told = f"sse-middleware: upstream {url} cannot be reached: Connection refused\n"
    assert command.errors == told


def test_streams_pass_after_nobody_reads_its_lines_any_more(tmp_path):
    upstream = FakeUpstream()
    upstream.play("chat-text", times=None)
    read_end, write_end = os.pipe()
    with upstream.serve() as url, socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
        free.close()
        arguments = ["--upstream", url, "--out", str(tmp_path), "--port", str(port)]
        process = subprocess.Popen([SCRIPT, "record", *arguments], env=environ(), stdout=write_end)
        try:
            os.close(write_end)
            with os.fdopen(read_end) as lines:
                for _ in range(3):
                    lines.readline()
            for _ in range(2):
                with socket.create_connection(("127.0.0.1", port), DEADLINE_S) as sock:
                    sock.sendall(
                        b"POST /v1/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
                    )
                    read_until(sock, b"\r\n0\r\n\r\n")
        finally:
            process.kill()
            process.wait(DEADLINE_S)
    assert len(list(tmp_path.glob("*.sse"))) == 2


REFUSED = {
    "no URL": (["--upstream", "api.openai.com"], "upstream is 'api.openai.com': expected http://"),
    "a folder that is a file": (["--out", str(SCRIPT)], f"folder is {str(SCRIPT)!r}: expected a f"),
    "a host": (["--host", "a..b"], "host is 'a..b': expected a name or an address of this mach"),
    "an address of others": (["--host", "203.0.113.1"], "address is 203.0.113.1:0 (Cannot assign"),
}


@pytest.mark.parametrize(("options", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_done_is_one_line_and_exit_code_2(options, message, tmp_path):
    given = {"--upstream": "http://127.0.0.1:1", "--out": str(tmp_path / "o"), "--port": "0"}
    given.update(zip(options[::2], options[1::2]))
    arguments = [part for pair in given.items() for part in pair]
    done = subprocess.run(
        [SCRIPT, "record", *arguments], env=environ(), capture_output=True, text=True,
        timeout=DEADLINE_S, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    [line] = done.stderr.splitlines()
    assert message[:60] in line


def test_a_port_in_use_is_one_line_and_exit_code_2(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [SCRIPT, "record", "--upstream", "http://a", "--out", tmp_path, "--port", port],
            env=environ(), capture_output=True, text=True, timeout=DEADLINE_S, check=False,
        )  # fmt: skip
    expected = f"port is {port}, in use on 127.0.0.1: expected a free one: try --port 0"
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"sse-middleware: {expected}\n"


def test_help_says_the_rule_of_the_path():
    done = subprocess.run(
        [SCRIPT, "record", "--help"], capture_output=True, text=True, timeout=DEADLINE_S, check=True
    )
    assert "path is put behind the path of the upstream's URL" in " ".join(done.stdout.split())


def test_a_terminal_obeys_neither_an_upstream_nor_a_client(raw_server, record):
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 0\r\n"
    server = raw_server([head + b"Content-Encoding: \x1b[2J\r\n\r\n"])
    command, lines = record(f"http://127.0.0.1:{server.port}")
    address = urlsplit(lines[2].split("=")[1])
    with socket.create_connection((address.hostname, address.port), DEADLINE_S) as sock:
        sock.sendall(b"GET /%1b]0;x%07%0aa HTTP/1.1\r\nHost: localhost\r\n\r\n")
        read_until(sock, b"\r\n\r\n")
    command.interrupt()
    command.wait()
    assert command.errors.rstrip("\n") == (
        "sse-middleware: /\\x1b]0;x\\x07\\na is not recorded: it is compressed (\\x1b[2J) unasked"
    )
