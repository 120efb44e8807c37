"""Starts gunicorn for the bench, looks into its worker by ``/proc``, and ends it by its pid."""

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional

from servers import end

__all__ = ["GEVENT", "Server", "run", "threads"]

HERE = Path(__file__).resolve().parent
#: Options of gunicorn.
GEVENT = ["--worker-class", "gevent", "--worker-connections", "12000"]
_TICKS = os.sysconf("SC_CLK_TCK")


def threads(count: int) -> List[str]:
    """Gunicorn's gthread worker with so many threads."""
    return ["--worker-class", "gthread", "--threads", str(count)]


class Server:
    """A server that runs; ``pid`` is its one worker's."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.pid = 0

    def debug(self, query: str = "", timeout_s: float = 30.0) -> Dict[str, Any]:
        """What ``/debug`` of the app tells."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)
        try:
            connection.request("GET", f"/debug?{query}")
            answer: Dict[str, Any] = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        return answer

    def rss(self) -> int:
        """Resident bytes of the worker now."""
        return self._status("VmRSS")

    def private(self) -> int:
        """Bytes of the worker that no other process shares."""
        text = Path(f"/proc/{self.pid}/smaps_rollup").read_text()
        lines = [line.split() for line in text.splitlines() if line.startswith("Private_")]
        return sum(int(fields[1]) for fields in lines) * 1024

    def threads(self) -> int:
        """How many threads the worker has."""
        return len(os.listdir(f"/proc/{self.pid}/task"))

    def descriptors(self) -> int:
        """How many files, sockets and pipes the worker has open."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def peak_rss(self) -> int:
        """Resident bytes at the most since `forget_peak`."""
        return self._status("VmHWM")

    def forget_peak(self) -> None:
        """Begin to look for the highest RSS anew."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def cpu_s(self) -> float:
        """Seconds of CPU that the worker has used, user and system."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def sockets(self) -> int:
        """How many descriptors of the worker are sockets, listeners too.

        The fewest of half a second: the connection of `debug` may still be on its way out.
        """
        counts = []
        for _ in range(10):
            counts.append(self._sockets_now())
            time.sleep(0.05)
        return min(counts)

    def _sockets_now(self) -> int:
        folder, count = f"/proc/{self.pid}/fd", 0
        for name in os.listdir(folder):
            try:
                count += os.readlink(f"{folder}/{name}").startswith("socket:")
            except OSError:  # closed meanwhile
                pass
        return count

    def _status(self, name: str) -> int:
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(name + ":"):
                return int(line.split()[1]) * 1024
        raise KeyError(name)


@contextmanager
def run(
    options: List[str],
    *,
    app: str = "app:application",
    heartbeat: str = "15",
    python: Optional[Path] = None,
    **variables: str,
) -> Iterator[Server]:
    """Gunicorn with one worker on a free port, until the end of the ``with``."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        str(python or sys.executable),
        "-m",
        "gunicorn",
        "--bind",
        f"127.0.0.1:{port}",
        "--workers",
        "1",
    ]
    command += ["--worker-tmp-dir", "/dev/shm", "--graceful-timeout", "1", "--no-control-socket"]
    command += ["--timeout", "120", "--log-level", "warning", *options, app]
    env = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parent)]),
        "BENCH_HEARTBEAT": heartbeat,
        **variables,
    }
    process = subprocess.Popen(command, cwd=HERE, env=env, start_new_session=True)
    try:
        server = Server(port)
        gives_up_at = time.monotonic() + 20
        while True:
            try:
                server.pid = server.debug()["pid"]
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > gives_up_at:
                    raise RuntimeError("gunicorn did not start") from None
                time.sleep(0.1)
        yield server
    finally:
        end(process)
