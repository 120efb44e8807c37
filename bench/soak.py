"""The soak: ``python bench/soak.py --minutes 60``; needs redis-server, and pip for the rest.

gunicorn gthread and gunicorn gevent at once, each with one worker and a Redis of its own, under an
hour of clients that end, fail, leave, are silent, read slowly or not at all, and come back. Every
few seconds it is looked at what the worker and Redis hold. Then everybody goes, and nothing may be
left. A run of 15 minutes or more rewrites its part of README.md, ``soak.csv`` and ``soak.svg``; of
a shorter one these files are below ``.bench/soak/``. The exit status is 1 where something missed.
"""

import argparse
import asyncio
import os
import platform
import signal
import socket
import sys
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

from places import HERE, ROOT, python_with
from report import with_part
from server import GEVENT, Server, run, threads
from servers import free_port, started
from soak_fleet import LIVES, Crowd
from soak_plot import svg_of
from soak_report import Outcome, Sample, csv_of, holds, report_lines

#: gunicorn's threads; the first wave makes them all, for it never ends one.
_THREADS = 96
_SERVERS = {"gthread": threads(_THREADS), "gevent": GEVENT}
#: Worker threads without work end after 10 s.
_RESTS_AFTER_S = 20.0
#: The keys of streams live for 30 s after their last word, the list of streams for a minute.
_KEYS_GO_WITHIN_S = 120.0
_WRITES_FROM_MINUTES = 15.0
#: What glibc keeps for each thread, and the heaps that it makes for many, are no leak, but were
#: still growing after 44 minutes: without them the memory tells what is held.
_MALLOC = {"MALLOC_ARENA_MAX": "1", "GLIBC_TUNABLES": "glibc.malloc.tcache_count=0"}


class Soak:
    """One server, its Redis, and what was seen of them."""

    def __init__(self, name: str, server: Server, redis_port: int, seed: str) -> None:
        self.name = name
        self._server = server
        self._redis_port = redis_port
        self._seed = f"{seed} {name}"
        self._samples: List[Sample] = []
        self._phase = "run"
        self._began_at = 0.0

    async def watch(self, seconds: float, per_s: float, every_s: float) -> Outcome:
        """The first wave, a rest, the run, and the time until nothing is left."""
        pid = self._server.pid
        await self._first_wave(per_s)
        before = await self._told("collect")
        idle = await self._at_rest()
        crowd = Crowd(self._server.port, self._seed)
        self._began_at = time.monotonic()
        watcher = asyncio.ensure_future(self._keep_looking(crowd, every_s))
        await crowd.come(per_s, seconds)
        self._phase = "drain"
        await crowd.gone()
        await self._keys_gone()
        watcher.cancel()
        after = await self._told("collect")
        left = await self._at_rest(crowd)
        self._samples.append(left)
        return Outcome(
            server=self.name,
            samples=self._samples,
            idle=idle,
            left=left,
            counts=after["counts"],
            alive=after["kinds"],
            logged=_more(before["logged"], after["logged"]),
            lived=crowd.lived,
            wrong=crowd.wrong,
            was_restarted=after["pid"] != pid,
        )

    async def _first_wave(self, per_s: float) -> None:
        wave = Crowd(self._server.port, f"{self._seed} first")
        for _ in range(_THREADS + 10):
            wave.add("silent")
        for kind in LIVES:
            wave.add(kind)
        await wave.come(per_s, 10)
        await wave.gone()
        await asyncio.sleep(_RESTS_AFTER_S)

    async def _keep_looking(self, crowd: Crowd, every_s: float) -> None:
        while True:
            try:
                sample = await self._sample(await self._told(), crowd)
            except OSError as error:  # a worker that died is told in the end; its like is seen on
                print(self.name, error, file=sys.stderr, flush=True)
            else:
                self._samples.append(sample)
                if len(self._samples) % 6 == 1:
                    print(self.name, sample, file=sys.stderr, flush=True)
            await asyncio.sleep(every_s)

    async def _at_rest(self, crowd: Optional[Crowd] = None) -> Sample:
        """The least of a few samples: the connection of the last one may still be there."""
        samples = []
        for _ in range(5):
            samples.append(await self._sample(await self._told("collect"), crowd))
            await asyncio.sleep(0.5)
        return Sample(*map(min, zip(*samples)))

    async def _keys_gone(self) -> None:
        gives_up_at = time.monotonic() + _KEYS_GO_WITHIN_S
        rests_at = time.monotonic() + _RESTS_AFTER_S
        while time.monotonic() < gives_up_at:
            await asyncio.sleep(1)
            if time.monotonic() > rests_at and not _keys(_redis_info(self._redis_port)):
                return

    async def _told(self, query: str = "") -> Dict[str, Any]:
        ask = partial(self._server.debug, query)
        told = await asyncio.get_event_loop().run_in_executor(None, ask)
        self._server.pid = told["pid"]
        return told

    async def _sample(self, told: Dict[str, Any], crowd: Optional[Crowd] = None) -> Sample:
        server, redis = self._server, _redis_info(self._redis_port)
        connections = int(redis["connected_clients"]) - 1  # without the one that asks
        return Sample(
            at_s=round(time.monotonic() - self._began_at, 1) if self._began_at else 0.0,
            phase=self._phase,
            private_bytes=server.private(),
            rss_bytes=server.rss(),
            threads=server.threads(),
            files=server.descriptors() - connections,
            generators=told["generators"],
            servings=told["kinds"]["Serving"],
            greenlets=told["greenlets"],
            objects=told["objects"],
            blocks=told["blocks"],
            allocated_bytes=told["allocated"],
            redis_connections=connections,
            redis_keys=_keys(redis),
            redis_bytes=int(redis["used_memory"]),
            cpu_s=server.cpu_s(),
            clients=0 if crowd is None else sum(crowd.lived.values()),
        )


def _redis_info(port: int) -> Dict[str, str]:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(b"INFO\r\n")
        with connection.makefile("rb") as reply:
            text = reply.read(int(reply.readline()[1:])).decode()
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


def _keys(redis: Dict[str, str]) -> int:
    return int(redis["db0"].split(",")[0].split("=")[1]) if "db0" in redis else 0


def _more(before: Dict[str, int], after: Dict[str, int]) -> Dict[str, int]:
    grown = {message: count - before.get(message, 0) for message, count in after.items()}
    return {message: count for message, count in grown.items() if count}


async def _all(soaks: Sequence[Soak], minutes: float, per_s: float) -> List[Outcome]:
    seconds, every_s = minutes * 60, min(10.0, minutes)
    return list(await asyncio.gather(*(soak.watch(seconds, per_s, every_s) for soak in soaks)))


def _write(outcomes: Sequence[Outcome], lines: Sequence[str], minutes: float) -> Path:
    is_for_the_page = minutes >= _WRITES_FROM_MINUTES
    folder = HERE if is_for_the_page else ROOT / ".bench" / "soak"
    folder.mkdir(parents=True, exist_ok=True)
    title = f"{minutes:g} minutes of mixed streams, kept in Redis"
    (folder / "soak.csv").write_text(csv_of(outcomes), encoding="utf-8")
    (folder / "soak.svg").write_text(svg_of(outcomes, title), encoding="utf-8")
    if is_for_the_page:
        page = HERE / "README.md"
        text = with_part(page.read_text(encoding="utf-8"), "soak", lines)
        page.write_text(text, encoding="utf-8")
    return folder


def _machine(seed: str, per_s: float) -> List[str]:
    return [
        f"{time.strftime('%d %B %Y', time.gmtime())}: {os.cpu_count()} cores, load average "
        f"{os.getloadavg()[1]:.1f} at the end, {platform.system()} {platform.release()}, Python "
        f"{platform.python_version()}; {per_s:g} clients a second to each server, seed {seed!r}."
    ]


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """0, or 1 where something missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--minutes", type=float, default=60.0, help="of clients; 60")
    parser.add_argument("--rate", type=float, default=10.0, help="clients a second, a server; 10")
    parser.add_argument("--usual-malloc", action="store_true", help="let glibc keep what it does")
    parser.add_argument("--seed", default="soak", help="for another order of clients")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers end too
    python = python_with("soak")
    malloc = {} if options.usual_malloc else _MALLOC
    with ExitStack() as stack:
        soaks = []
        for name, worker in _SERVERS.items():
            port = free_port()
            command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
            stack.enter_context(started([*command, "--logfile", "/dev/null"], port))
            url = f"redis://127.0.0.1:{port}/0"
            app = "soak_app:application"
            server = stack.enter_context(
                run(worker, app=app, python=python, SOAK_REDIS=url, **malloc)
            )
            soaks.append(Soak(name, server, port, options.seed))
        outcomes = asyncio.run(_all(soaks, options.minutes, options.rate))
    lines = [*_machine(options.seed, options.rate), "", *report_lines(outcomes)]
    folder = _write(outcomes, lines, options.minutes)
    print("\n".join([*lines, "", f"written: {folder}/soak.csv and soak.svg"]))
    return 0 if all(map(holds, outcomes)) else 1


if __name__ == "__main__":
    sys.exit(main())
