"""sse_middleware.cli.record: the command as a process of its own, from its start to its end."""

import os
import queue
import signal
import socket
import subprocess
import sysconfig
import threading
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from sse_middleware.testing import FakeUpstream, Recording

DEADLINE_S = 60
SCRIPT = Path(sysconfig.get_path("scripts")) / "sse-middleware"
STALL = Recording(b"data: 1\n\n", end="stall")


def environ():
    return {key: text for key, text in os.environ.items() if not key.lower().endswith("_proxy")}


class Command:
    """A running ``sse-middleware record``; each read of its lines has a deadline."""

    def __init__(self, upstream_url, folder, *options):
        arguments = ["--upstream", upstream_url, "--out", str(folder), "--port", "0", *options]
        # A run of the tests in the background ignores SIGINT, and a child would inherit that.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            self.process = subprocess.Popen(
                [str(SCRIPT), "record", *arguments],
                env=environ(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        finally:
            signal.signal(signal.SIGINT, before)
        self.out, self.err = self._read(self.process.stdout), self._read(self.process.stderr)
        self.lines = [self.line() for _ in range(3)]
        self.base_url = self.lines[2].strip().split("=")[1]

    def _read(self, stream):
        lines = queue.Queue()

        def read():
            with stream:
                for line in stream:
                    lines.put(line)

        threading.Thread(target=read, daemon=True).start()
        return lines

    def line(self):
        return self.out.get(timeout=DEADLINE_S)

    def ask(self):
        """A connection on which a request has been sent."""
        address = urlsplit(self.base_url)
        sock = socket.create_connection((address.hostname, address.port), DEADLINE_S)
        head = f"POST {address.path}/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 2"
        sock.sendall(head.encode() + b"\r\n\r\n{}")
        return sock


@contextmanager
def running(upstream_url, folder, *options):
    command = Command(upstream_url, folder, *options)
    try:
        yield command
    finally:
        command.process.kill()
        command.process.wait(DEADLINE_S)


def read_until(sock, text):
    came = b""
    while text not in came:
        data = sock.recv(65536)
        assert data, f"the connection was closed after {came!r}"
        came += data
    return came


def test_it_says_where_it_is_and_how_clients_are_pointed_at_it(tmp_path):
    with running("https://api.example.com/openai/v1", tmp_path / "out") as command:
        port = urlsplit(command.base_url).port
        assert command.lines == [
            "Recording: https://api.example.com/openai/v1\n",
            f"Into:      {tmp_path / 'out'}\n",
            f"Clients:   OPENAI_BASE_URL=http://127.0.0.1:{port}/openai/v1\n",
        ]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_a_signal_ends_it_and_keeps_what_is_done_and_what_is_under_way(number, tmp_path):
    upstream = FakeUpstream()
    upstream.play(Recording(b"data: 0\n\n"))
    upstream.play(STALL)
    with upstream.serve() as url, running(url, tmp_path) as command:
        with command.ask() as sock:
            read_until(sock, b"\r\n0\r\n\r\n")
        assert command.line().startswith(f"{tmp_path}/001-chat-completions.sse: 200, 1 chunks, ")
        with command.ask() as sock:
            read_until(sock, b"data: 1\n\n")
            command.process.send_signal(number)
            assert command.process.wait(DEADLINE_S) == 0
        assert command.line().endswith(", eof\n")
        assert command.err.get(timeout=DEADLINE_S) == "\n"
    kept = [Recording.load(path) for path in sorted(tmp_path.glob("*.sse"))]
    assert [(one.body, one.end) for one in kept] == [
        (b"data: 0\n\n", "complete"),
        (b"data: 1\n\n", "eof"),
    ]


def test_an_upstream_that_is_away_is_one_line_on_standard_error(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    with running(url, tmp_path) as command, command.ask() as sock:
        assert read_until(sock, b"}").startswith(b"HTTP/1.1 502 Bad Gateway\r\n")
        told = command.err.get(timeout=DEADLINE_S)
    assert told == f"sse-middleware: upstream {url} cannot be reached: Connection refused\n"


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
                    sock.sendall(b"POST /v1/x HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
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
