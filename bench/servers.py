"""Starts each server of the bench on a free port of this machine, and ends it by its pid."""

import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Dict, Iterator, List, Sequence

from places import HERE, environment, node_modules

__all__ = ["cpu_s", "end", "free_port", "node", "python_servers", "started"]

_STARTS_WITHIN_S = 30.0
_TICKS = os.sysconf("SC_CLK_TCK")
_GUNICORN = ["--workers", "1", "--worker-tmp-dir", "/dev/shm", "--graceful-timeout", "1"]
_GUNICORN += ["--no-control-socket", "--timeout", "120", "--log-level", "warning"]


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _command(name: str, python: str, address: str) -> List[str]:
    gunicorn = [python, "-m", "gunicorn", "--bind", address, *_GUNICORN]
    port = address.rsplit(":", 1)[1]
    return {
        "gthread": [*gunicorn, "-k", "gthread", "--threads", "32", "pipe_app:application"],
        "gevent": [*gunicorn, "-k", "gevent", "pipe_app:application"],
        "waitress": [
            *[python, "-m", "waitress", f"--listen={address}", "--threads=32"],
            *["--channel-request-lookahead=1", "pipe_app:application"],
        ],
        "uvicorn": [
            *[python, "-m", "uvicorn", "--host", "127.0.0.1", "--port", port],
            *["--loop", "uvloop", "--http", "httptools", "--log-level", "warning"],
            *["--no-access-log", "--app-dir", str(HERE / "peers"), "asgi_app:application"],
        ],
    }[name]


@contextmanager
def started(command: Sequence[str], port: int, **variables: str) -> Iterator[int]:
    """Run ``command`` until the end of the ``with``; its pid, once somebody listens on ``port``."""
    process = subprocess.Popen(
        command, cwd=HERE, env=environment(**variables), start_new_session=True
    )
    try:
        gives_up_at = time.monotonic() + _STARTS_WITHIN_S
        while not _answers(port):
            if process.poll() is not None or time.monotonic() > gives_up_at:
                raise RuntimeError(f"did not start: {' '.join(command)}")
            time.sleep(0.05)
        yield process.pid
    finally:
        end(process)


@contextmanager
def python_servers(python: Path, names: Sequence[str]) -> Iterator[Dict[str, int]]:
    """The servers of these names; the port of each."""
    with ExitStack() as stack:
        ports = {}
        for name in names:
            port = ports[name] = free_port()
            command = _command(name, str(python), f"127.0.0.1:{port}")
            stack.enter_context(started(command, port))
        yield ports


@contextmanager
def node() -> Iterator[Dict[str, int]]:
    """The server on Node, by its name; nothing where there is no Node."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        yield {}
        return
    variables = environment(BENCH_NODE_MODULES=str(node_modules()))
    process = subprocess.Popen(
        ["node", str(HERE / "peers" / "server.mjs")],
        env=variables,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        yield {"node": int(process.stdout.readline())}
    finally:
        end(process)


def cpu_s(pids: Sequence[int]) -> float:
    """Seconds of CPU that these processes have used, user and system."""
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / _TICKS


def _answers(port: int) -> bool:
    with socket.socket() as attempt:
        return attempt.connect_ex(("127.0.0.1", port)) == 0


def end(process: "subprocess.Popen[bytes]") -> None:
    """End a server that was started in a session of its own, and what it has started."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        pass
    try:
        os.killpg(process.pid, signal.SIGKILL)  # the session that was started here
    except ProcessLookupError:
        pass
    process.wait(10)
