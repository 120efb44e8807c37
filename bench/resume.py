"""What the log of streams costs: ``python bench/resume.py``; needs redis-server and the client.

Two questions: what an event costs that is kept, in memory and in Redis; and how many followers one
Redis serves, each in a thread of its own as in a server. It starts its own Redis, on a free port
of this machine, and ends it by its pid. See README.md for what one run gave.
"""

import socket
import statistics
import subprocess
import sys
import threading
import time
from typing import Any, Callable, Dict, Iterator, List, Tuple

from sse_middleware import SSEMiddleware
from sse_middleware.resume import MemoryLog, RedisLog

_EVENTS = 10_000
_ROUNDS = 5
_GAP_S = 0.05


def events(count: int) -> Callable[..., Iterator[Dict[str, Any]]]:
    """An app whose stream has that many events, each of the size of a token."""

    def app(environ: Dict[str, Any], start_response: Callable[..., Any]) -> Iterator[Any]:
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        return ({"data": {"text": "token"}} for _ in range(count))

    return app


def seconds_of(app: Any) -> float:
    """How long one client takes to read the whole stream."""
    environ = {"REQUEST_METHOD": "GET", "HTTP_ACCEPT": "text/event-stream"}
    began = time.perf_counter()
    body = app(environ, lambda *answer: None)
    for _ in body:
        pass
    body.close()
    return time.perf_counter() - began


def cost(name: str, log: Any, baseline_us: float) -> float:
    """Print what an event costs with that log, and return it, in microseconds."""
    app = SSEMiddleware(events(_EVENTS), resume=log)
    rounds = [seconds_of(app) / _EVENTS * 1e6 for _ in range(_ROUNDS)]
    middle_us = statistics.median(rounds)
    more = f", {middle_us - baseline_us:+.1f} more" if baseline_us else ""
    print(
        f"  {name:<12} {middle_us:6.1f} us an event{more} ({min(rounds):.1f} to {max(rounds):.1f})"
    )
    return middle_us


def follow(log: Any, name: str, count: int, late_s: List[float]) -> None:
    """Read the whole stream; how late each frame came, by the time that it carries."""
    for frame in log.find(name, 0):
        late_s.append(time.time() - float(frame[6:-2]))


def followers(log: Any, count: int, frames: int) -> Tuple[float, float, int]:
    """Median and 99th percentile of the delays in seconds, and how many frames came."""
    name = f"stream for {count}"
    writer = log.open(name, "")
    writer.append(b"data: %.6f\n\n" % time.time())
    late_s: List[List[float]] = [[] for _ in range(count)]
    threads = [
        threading.Thread(target=follow, args=(log, name, frames, late), daemon=True)
        for late in late_s
    ]
    for thread in threads:
        thread.start()
    gives_up_at = time.monotonic() + 30
    while min(len(late) for late in late_s) < 1:
        if time.monotonic() > gives_up_at:
            raise SystemExit(f"not all of {count} followers came in 30 s")
        time.sleep(0.01)
    for _ in range(frames):
        writer.append(b"data: %.6f\n\n" % time.time())
        time.sleep(_GAP_S)
    writer.finish()
    for thread in threads:
        thread.join(30)
    delays = sorted(delay for late in late_s for delay in late[1:])
    return delays[len(delays) // 2], delays[len(delays) * 99 // 100], len(delays)


def start_redis() -> Tuple["subprocess.Popen[bytes]", str]:
    """A Redis of our own, and its URL."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--loglevel", "warning"]
    server = subprocess.Popen(["redis-server", *options], stdout=subprocess.DEVNULL)
    gives_up_at = time.monotonic() + 10
    while time.monotonic() < gives_up_at:
        with socket.socket() as attempt:
            if not attempt.connect_ex(("127.0.0.1", port)):
                return server, f"redis://127.0.0.1:{port}/0"
        time.sleep(0.02)
    server.kill()
    raise SystemExit("redis-server did not start")


def main() -> None:
    """Run all of it."""
    server, url = start_redis()
    try:
        bounds = {"owner": None, "max_events": 2 * _EVENTS, "max_bytes": 2**25}
        print(f"cost: streams of {_EVENTS} events, median of {_ROUNDS}, Python {sys.version[:6]}")
        alone_us = cost("no log", None, 0)
        cost("MemoryLog", MemoryLog(**bounds), alone_us)
        cost("RedisLog", RedisLog(url, **bounds), alone_us)
        print(f"followers: one stream, a frame every {_GAP_S * 1000:.0f} ms")
        for name, log in (
            ("MemoryLog", MemoryLog(owner=None)),
            ("RedisLog", RedisLog(url, owner=None)),
        ):
            for count in (1, 10, 100, 300):
                middle_s, late_s, came = followers(log, count, 60)
                print(
                    f"  {name:<10} {count:4} followers: {came} of {60 * count} frames, "
                    f"{middle_s * 1000:.1f} ms late (p50), {late_s * 1000:.1f} ms (p99)"
                )
    finally:
        server.terminate()
        server.wait(10)


if __name__ == "__main__":
    main()
