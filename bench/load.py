"""Load and soak: ``python bench/load.py [name ...]``; without a name all of them, one by one.

Needs gunicorn and gevent. Each scenario starts its own server on a free port of this machine,
prints its figures, and is bounded in time. See README.md for what one run gave.
"""

import argparse
import random
import resource
import signal
import socket
import statistics
import struct
import sys
import time
import zlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple
from urllib.parse import urlencode

from fleet import Fleet, body_of, request
from server import GEVENT, Server, run, threads

KB, MB = 1024, 1024 * 1024
_HEARTBEAT_S = 15.0


def say(label: str, text: str) -> None:
    """One line of figures."""
    print(f"  {label:<30} {text}", flush=True)


def verdict(holds: bool) -> str:
    """What stands beside a figure that has to hold."""
    return "ok" if holds else "MISSED"


def spread(values: List[float], unit: str = "s") -> str:
    """Median, 99th percentile and the highest."""
    if not values:
        return "none"
    values = sorted(values)
    high = values[min(len(values) - 1, int(len(values) * 0.99))]
    return f"p50 {values[len(values) // 2]:.3f}, p99 {high:.3f}, max {values[-1]:.3f} {unit}"


# --- idle


def idle(count: int = 10_000) -> None:
    """Streams that are silent after their first event, with heartbeats, under gevent."""
    each = {}
    for label, path, heartbeat in (
        ("bare", "/bare/idle", "15"),
        ("ours, no heartbeat", "/idle", "none"),
        ("ours, heartbeat=15", "/idle", "15"),
    ):
        with run(GEVENT, heartbeat=heartbeat) as server:
            each[label] = _idle(server, label, path, count, beats=label.endswith("15"))
    ours = each["ours, heartbeat=15"] - each["bare"]
    say("memory, ours alone", f"{ours / KB:.1f} KB a stream")


def _idle(server: Server, label: str, path: str, count: int, *, beats: bool) -> float:
    warm = Fleet(server.port, path)
    warm.open(100, window=50, within_s=20)
    warm.close()
    time.sleep(1.5)
    before = server.rss()
    fleet = Fleet(server.port, path)
    took_s = fleet.open(count, window=400, within_s=90)
    opened_at = time.monotonic()
    fleet.run(2)
    each = (server.rss() - before) / count
    cpu_s, at = server.cpu_s(), time.monotonic()
    fleet.run(30)
    share = (server.cpu_s() - cpu_s) / (time.monotonic() - at)
    say(label, f"{count} open after {took_s:.1f} s; {each / KB:.1f} KB a stream")
    say("", f"CPU while idle, 30 s: {share:.1%} of a core")
    if beats:
        fleet.run(max(0.0, opened_at + 2 * _HEARTBEAT_S + 3 - time.monotonic()))
        _on_time(fleet, time.monotonic())
        after = (server.rss() - before) / count
        say("", f"memory after two heartbeats: {after / KB:.1f} KB a stream")
    lost = sum(stream.ended for stream in fleet.streams)
    say("", f"streams lost: {lost} {verdict(not lost)}")
    fleet.close()
    gave_up_at = time.monotonic() + 30
    while server.sockets() > 2 and time.monotonic() < gave_up_at:
        time.sleep(0.5)
    left = server.debug()
    say("", f"all left: jobs {left['jobs']}, alive {left['kinds']}, {server.rss() / MB:.0f} MB")
    return each


def _on_time(fleet: Fleet, now: float) -> None:
    late, missing, total = [], 0, 0
    for stream in fleet.streams:
        last = stream.first_at or 0.0
        due = int((now - 1 - last) // _HEARTBEAT_S)
        missing += max(0, due - len(stream.comments_at))
        total += len(stream.comments_at)
        for at in stream.comments_at:
            late.append(at - last - _HEARTBEAT_S)
            last = at
    say("", f"comments {total}, missing {missing} {verdict(not missing)}; late by {spread(late)}")


# --- threads


def threads_(count: int = 200, events: int = 50, every_s: float = 0.2) -> None:
    """Concurrent paced streams under gthread."""
    each = {}
    for label, prefix in (("bare", "/bare"), ("ours", "")):
        with run(threads(220)) as server:
            warm = Fleet(server.port, f"{prefix}/paced?count=1&every=0", keeps=True)
            warm.open(5, window=5, within_s=10)
            warm.run(5, until_all_ended=True)
            before = server.rss()
            path = f"{prefix}/paced?count={events}&every={every_s}"
            fleet = Fleet(server.port, path, keeps=True)
            began_at, cpu_s = time.monotonic(), server.cpu_s()
            opened_s = fleet.open(count, window=count, within_s=30)
            fleet.run(events * every_s / 2)
            each[label] = (server.rss() - before) / count
            fleet.run(60, until_all_ended=True)
            took_s = time.monotonic() - began_at
            share = (server.cpu_s() - cpu_s) / took_s
            expected = b"".join(b"data: %d\n\n" % number for number in range(events))
            whole = sum(body_of(bytes(stream.data)) == expected for stream in fleet.streams)
            say(label, f"complete and in order: {whole} of {count} {verdict(whole == count)}")
            say("", f"open after {opened_s:.2f} s, all over after {took_s:.2f} s; CPU {share:.1%}")
            say("", f"memory {each[label] / KB:.1f} KB a stream")
    say("memory, ours alone", f"{(each['ours'] - each['bare']) / KB:.1f} KB a stream")


# --- vanish

Modes = Sequence[str]
#: Where the client leaves: the first two before it has asked for anything.
_MODES = ("connect", "half", "app", "first", "silence", "events", "flood")
_WAYS = ("fin", "close", "rst")


def vanish(count: int = 1000) -> None:
    """Clients that leave at random points, under gthread and under gevent."""
    without = tuple(mode for mode in _MODES if mode != "flood")
    for label, options, modes in (
        ("gthread", threads(200), _MODES),
        ("gthread, no flood", threads(200), without),
        ("gevent", GEVENT, _MODES),
    ):
        with run(options, heartbeat="0.5") as server:
            _vanish(server, label, count, modes)


def _vanish(server: Server, label: str, count: int, modes: Modes) -> None:
    for name in range(-10, 0):
        _leave(server.port, name, modes)
    time.sleep(12)
    before, sockets = server.debug(), server.sockets()
    sizes = [server.rss()]
    began_at = time.monotonic()
    seen = _wave(server, range(count), modes)
    took_s = time.monotonic() - began_at
    kinds = Counter(_plan(name, modes)[0] for name in range(count))
    say(label, f"{count} clients in {took_s:.1f} s: {dict(kinds)}")
    quiet_at = time.monotonic()
    while time.monotonic() < quiet_at + 20:
        now = server.debug()
        if not now["jobs"] and server.sockets() <= sockets:
            break
        time.sleep(0.1)
    say("", f"nothing runs {time.monotonic() - quiet_at:.1f} s after the last client left")
    missed = sum(seconds < 0 for _, seconds in seen)
    for some, names in (("streams", modes[2:]), ("no request yet", modes[:2])):
        times = [seconds for mode, seconds in seen if mode in names and seconds >= 0]
        say("", f"FIN to the server's close, {some}: {spread(times)}")
    say("", f"never closed: {missed} {verdict(not missed)}")
    sizes.append(server.rss())
    _wave(server, range(count, 2 * count), modes)
    sizes.append(server.rss())
    time.sleep(12)  # idle worker threads end after 10 s
    now = server.debug()
    for name, value, base in (
        ("worker threads", now["workers"], 0),
        ("jobs", now["jobs"], 0),
        ("greenlets", _of(now, "greenlet"), _of(before, "greenlet")),
        ("sockets", server.sockets(), sockets),
        ("generators", _of(now, "generator"), 0),
        ("CurrentStream", _of(now, "CurrentStream"), _of(before, "CurrentStream")),
    ):
        say("", f"{name} left: {value} (before: {base}) {verdict(value <= base)}")
    begun, finished, wrong = now["began"], now["finished"], now["finished_wrongly"]
    say("", f"generators {begun}, finally {finished}, once each: {verdict(not wrong)} {wrong[:5]}")
    wrong = now["told_wrongly"]
    say("", f"callbacks {now['told_to_tell']}, run {now['told']}: {verdict(not wrong)} {wrong[:5]}")
    shown = " -> ".join(f"{size / MB:.0f}" for size in sizes)
    say("", f"after a second wave of {count}: threads {now['threads']}; RSS {shown} MB")


def _wave(server: Server, names: range, modes: Modes) -> List[Tuple[str, float]]:
    """Clients come and go, 150 at once; the modes and times of those that sent a FIN."""
    with ThreadPoolExecutor(150) as pool:
        closed_after = list(pool.map(lambda name: _leave(server.port, name, modes), names))
    return [
        (_plan(name, modes)[0], seconds)
        for name, seconds in zip(names, closed_after)
        if seconds is not None
    ]


def _of(told: Dict[str, Any], kind: str) -> int:
    return int(told["kinds"].get(kind, 0))


def _plan(name: int, modes: Modes) -> Tuple[str, str, random.Random]:
    choose = random.Random(name)
    return choose.choice(modes), choose.choice(_WAYS), choose


def _leave(port: int, name: int, modes: Modes) -> Optional[float]:
    """One client's life. Seconds from its FIN to the server's, -1 if none came; else None."""
    mode, way, choose = _plan(name, modes)
    asked = request("/vanish?" + urlencode({"name": name, "mode": mode}))
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        if mode == "connect":
            time.sleep(choose.uniform(0, 0.2))
        elif mode == "half":
            connection.sendall(asked[: choose.randrange(1, len(asked) - 2)])
            time.sleep(choose.uniform(0, 0.2))
        else:
            connection.sendall(asked)
            _listen(connection, choose.uniform(0, 1.5))
        if way == "rst":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif way == "fin":
            return _drain(connection)
    return None


def _listen(connection: socket.socket, seconds: float) -> None:
    """Read what comes for so long."""
    ends_at = time.monotonic() + seconds
    try:
        while time.monotonic() < ends_at:
            connection.settimeout(max(ends_at - time.monotonic(), 0.001))
            if not connection.recv(4096):
                return
            time.sleep(0.002)  # a flood is read slowly
    except OSError:
        pass


def _drain(connection: socket.socket) -> float:
    """Send a FIN and go on reading, until the server closes too."""
    began_at = time.monotonic()
    try:
        connection.shutdown(socket.SHUT_WR)
        while time.monotonic() < began_at + 10:
            connection.settimeout(10)
            if not connection.recv(65536):
                return time.monotonic() - began_at
    except ConnectionError:
        return time.monotonic() - began_at
    except OSError:
        pass
    return -1.0


# --- deaf


def deaf(count: int = 10) -> None:
    """Clients that read nothing, while the app yields without end."""
    for label, options in (("gthread", threads(40)), ("gevent", GEVENT)):
        for size in (8, 4096, 1_000_000):
            for name, prefix in (("bare", "/bare"), ("ours", "")):
                with run(options) as server:
                    _deaf(server, f"{label}, {name}", prefix, size, count)


def _deaf(server: Server, label: str, prefix: str, size: int, count: int) -> None:
    warm = Fleet(server.port, "/paced?count=1&every=0", keeps=True)
    warm.open(count, window=count, within_s=10)
    warm.run(5, until_all_ended=True)
    before = server.rss()
    server.forget_peak()
    clients = []
    for name in range(count):
        connection = socket.create_connection(("127.0.0.1", server.port), timeout=10)
        connection.sendall(request(f"{prefix}/flood?size={size}&name={name}"))
        clients.append(connection)
    began_at = time.monotonic()
    told = server.debug()
    while time.monotonic() < began_at + 30:  # the kernel's buffers fill first
        time.sleep(1)
        last, told = told, server.debug()
        if last["made"] == told["made"] and len(told["made"]) == count:
            break
    stands_after_s = time.monotonic() - began_at
    early = server.rss()
    time.sleep(3)
    told, stood, late = server.debug(), told["made"], server.rss()
    say(
        label,
        f"{size} characters: {told['made'][0]} made, still {stands_after_s:.0f} s after "
        f"the request {verdict(told['made'] == stood)}",
    )
    say(
        "",
        f"RSS +{(early - before) / count / KB:.0f} KB a stream, 3 s later "
        f"+{(late - before) / count / KB:.0f}, "
        f"peak +{(server.peak_rss() - before) / count / KB:.0f}",
    )
    if not prefix:
        frame = size + 8
        frames, held = told["held_frames"] - 1, told["held_bytes"] - frame  # one in the app's hand
        holds = frames <= 1024 and held <= max(256 * KB, frame)
        say("", f"in the buffer at most {frames} frames, {held / KB:.0f} KiB {verdict(holds)}")
    for connection in clients:
        connection.close()
    time.sleep(2)
    left = server.debug()
    free = not left["jobs"] and not _of(left, "generator")
    say("", f"all left: jobs {left['jobs']}, generators {_of(left, 'generator')} {verdict(free)}")


# --- million


def million(count: int = 1_000_000, rounds: int = 3) -> None:
    """Small events at once, to a client that reads; against the same bytes from a bare app."""
    expected = 0
    for number in range(count):
        expected = zlib.crc32(b"data: token %d\n\n" % number, expected)
    for label, options in (("gthread", threads(4)), ("gevent", GEVENT)):
        with run(options) as server:
            taken: Dict[str, List[float]] = {"bare": [], "ours": []}
            for _ in range(rounds):
                for name, path in (("bare", "/bare/burst"), ("ours", "/burst")):
                    server.forget_peak()
                    before = server.rss()
                    seconds, data = _swallow(server.port, f"{path}?count={count}")
                    taken[name].append(seconds)
                    whole = zlib.crc32(body_of(data)) == expected
                    grown = server.peak_rss() - before
                    say(
                        f"{label}, {name}",
                        f"{seconds:.2f} s, peak RSS +{grown / KB:.0f} KB, "
                        f"every byte right: {verdict(whole)}",
                    )
            bare, ours = (statistics.median(taken[name]) for name in ("bare", "ours"))
            say(
                f"{label}, median",
                f"bare {count / bare:,.0f} events/s, ours {count / ours:,.0f}; "
                f"ratio {bare / ours:.2f}",
            )


def _swallow(port: int, path: str) -> Tuple[float, bytes]:
    pieces = []
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        began_at = time.monotonic()
        connection.sendall(request(path))
        tail = b""
        while not tail.endswith(b"\r\n0\r\n\r\n"):
            data = connection.recv(1 << 18)
            if not data or time.monotonic() - began_at > 120:
                break
            pieces.append(data)
            tail = (tail + data)[-7:]
        return time.monotonic() - began_at, b"".join(pieces)


SCENARIOS: Dict[str, Callable[[], None]] = {
    "idle": idle,
    "threads": threads_,
    "vanish": vanish,
    "deaf": deaf,
    "million": million,
}


def main() -> int:
    """Run those named, or all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="name", help=", ".join(SCENARIOS))
    names = parser.parse_args().names or list(SCENARIOS)
    unknown = sorted(set(names) - set(SCENARIOS))
    if unknown:
        parser.error(f"no such scenario: {', '.join(unknown)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the server ends too
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    for name in names:
        scenario = SCENARIOS[name]
        print(f"{name}: {(scenario.__doc__ or '').strip()}", flush=True)
        began_at = time.monotonic()
        scenario()
        print(f"  ({time.monotonic() - began_at:.0f} s)", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
