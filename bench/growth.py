"""From 1 to 10,000 streams: what an event costs, and what a stream holds; bare and ours."""

import resource
import time
from pathlib import Path
from typing import List, Sequence

from fleet import Fleet
from report import Row, Rows
from server import GEVENT, Server, run, threads

__all__ = ["measure"]

_EVENTS_A_SECOND = 2000
_PATHS = {"bare": "/bare", "ours": ""}
_WINDOW_S = 1.5
_WINDOWS = 3
_HEARTBEAT_S = 15.0


def measure(python: Path) -> Rows:
    """On gevent up to 10,000 streams, on threads up to 1,000."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    rows = _grown(python, "gevent", GEVENT, (1, 10, 100, 1000, 10_000))
    rows += _grown(python, "gthread", threads(1100), (1, 10, 100, 1000))
    return rows + _idle(python, 10_000)


def _grown(python: Path, label: str, options: List[str], counts: Sequence[int]) -> Rows:
    rows: Rows = []
    with run(options, python=python) as bare, run(options, python=python) as ours:
        servers = {"bare": bare, "ours": ours}
        warm_rss = {name: _warmed(server, _PATHS[name]) for name, server in servers.items()}
        for count in counts:
            for name, server in servers.items():
                rows += _streams(server, label, name, count, warm_rss[name])
    return rows


def _streams(server: Server, label: str, name: str, count: int, before: int) -> Rows:
    """The CPU of an event while all streams have 2,000 a second together, and the memory."""
    every_s = count / _EVENTS_A_SECOND
    events = int((_WINDOWS * _WINDOW_S + 30) / every_s) + 2
    fleet = Fleet(server.port, f"{_PATHS[name]}/paced?count={events}&every={every_s}")
    fleet.open(count, window=100, within_s=90)
    fleet.run(1.0)
    each = (server.rss() - before) / count
    costs = []
    for _ in range(_WINDOWS):
        cpu_s, seen = server.cpu_s(), fleet.events
        fleet.run(_WINDOW_S)
        costs.append((server.cpu_s() - cpu_s) / max(1, fleet.events - seen))
    fleet.close()
    _all_left(server)
    rows = [Row(f"{label}: CPU of an event, by the number of streams", f"{name}, {count}", costs)]
    if count >= 100:  # of fewer it is lost in what the process takes at once
        task = f"{label}: memory of a stream, by their number"
        rows.append(Row(task, f"{name}, {count}", [each], "B"))
    return rows


def _idle(python: Path, count: int) -> Rows:
    """Silent streams under gevent: bytes, and CPU in each second, of a stream."""
    memory, cpu = [], []
    for name, path in _PATHS.items():
        with run(GEVENT, heartbeat=str(_HEARTBEAT_S), python=python) as server:
            before = _warmed(server, path)
            fleet = Fleet(server.port, f"{path}/idle")
            fleet.open(count, window=400, within_s=90)
            fleet.run(1.5)
            each = (server.rss() - before) / count
            cpu_s, began_at = server.cpu_s(), time.monotonic()
            fleet.run(_HEARTBEAT_S)
            spent = (server.cpu_s() - cpu_s) / (time.monotonic() - began_at) / count
            fleet.close()
        memory.append(Row("an idle stream: memory", name, [each], "B"))
        cpu.append(Row("an idle stream: CPU in a second", name, [spent]))
    return memory + cpu


def _warmed(server: Server, path: str) -> int:
    fleet = Fleet(server.port, f"{path}/paced?count=2&every=0.1")
    fleet.open(20, window=10, within_s=20)
    fleet.run(1.0, until_all_ended=True)
    fleet.close()
    _all_left(server)
    return server.rss()


def _all_left(server: Server) -> None:
    gives_up_at = time.monotonic() + 30
    while server.sockets() > 2 and time.monotonic() < gives_up_at:
        time.sleep(0.1)
