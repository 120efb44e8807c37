"""The WSGI app that the servers of the bench run.

Below ``/bare`` a plain generator app without the middleware answers; everything else goes through
`SSEMiddleware`, but for ``/debug``, which tells what is alive in this process, as JSON.

``BENCH_HEARTBEAT``: seconds, or ``none``.
"""

import gc
import json
import logging
import os
import sys
import threading
import time
from collections import Counter
from urllib.parse import parse_qs

from sse_middleware import SSEMiddleware, current_stream
from sse_middleware import worker as worker_module

logging.basicConfig(stream=sys.stderr, level=logging.WARNING)

HTML = [("Content-Type", "text/html")]
STREAM = [("Content-Type", "text/event-stream")]
#: How long an app waits for a client that never leaves.
_GIVES_UP_AFTER_S = 120.0

# Names of clients, one entry each time. Appending is atomic.
began, finished, told_to_tell, told = [], [], [], []
#: name -> [frames made, bytes made, the stream]
floods = {}


def idle(query, start_response, *, is_bare):
    """One event, then silence."""
    start_response("200 OK", STREAM)
    gone = threading.Event()

    def items():
        yield b"data: hello\n\n" if is_bare else {"data": "hello"}
        gone.wait(_GIVES_UP_AFTER_S)

    return items()


def paced(query, start_response, *, is_bare):
    """``count`` numbered events, one every ``every`` seconds."""
    count, every_s = int(query["count"]), float(query["every"])
    start_response("200 OK", STREAM)

    def items():
        for number in range(count):
            yield b"data: %d\n\n" % number if is_bare else {"data": str(number)}
            time.sleep(every_s)

    return items()


def burst(query, start_response, *, is_bare):
    """``count`` small events at once."""
    count = int(query["count"])
    start_response("200 OK", STREAM)

    def items():
        for number in range(count):
            yield b"data: token %d\n\n" % number if is_bare else {"data": f"token {number}"}

    return items()


def flood(query, start_response, *, is_bare):
    """Events of ``size`` characters without end, for a client that reads nothing."""
    text = "x" * int(query["size"])
    frame = b"data: " + text.encode() + b"\n\n"
    start_response("200 OK", STREAM)
    made = floods[query["name"]] = [0, 0, current_stream()]

    def items():
        while True:
            made[0] += 1
            made[1] += len(frame)
            yield frame if is_bare else {"data": text}

    return items()


def vanish(query, start_response, *, is_bare):
    """A stream that never ends by itself; what it does is the mode."""
    name, mode = query["name"], query["mode"]
    gone = threading.Event()

    def client_left():
        told.append(name)
        gone.set()

    told_to_tell.append(name)
    current_stream().on_disconnect(client_left)
    if mode == "app":  # silent before start_response
        gone.wait(_GIVES_UP_AFTER_S)
    start_response("200 OK", HTML if mode in ("app", "first") else STREAM)

    def items():
        began.append(name)
        try:
            if mode == "first":  # silent before the first event
                gone.wait(_GIVES_UP_AFTER_S)
            yield {"data": "hello"}
            while not gone.is_set():
                if mode == "silence":
                    gone.wait(_GIVES_UP_AFTER_S)
                elif mode == "events":
                    time.sleep(0.005)
                yield {"data": "x" * 100}
        finally:
            finished.append(name)

    return items()


def debug(query, start_response):
    """What is alive in this process."""
    gc.collect()
    kinds = Counter()
    for thing in gc.get_objects():
        kind = type(thing).__name__
        if kind == "generator":
            code = thing.gi_code
            if code.co_filename == __file__ and thing.gi_frame is not None:
                kinds["generator"] += 1
        elif kind in ("Serving", "Handover", "Job", "CurrentStream", "_Watch"):
            kinds[kind] += 1
        elif kind in ("greenlet", "Greenlet", "TracedGreenlet") and not thing.dead:
            kinds["greenlet"] += 1
    held = [
        (frames - stream.frames_sent, size - stream.bytes_sent)
        for frames, size, stream in list(floods.values())
        if stream.bytes_sent
    ]
    pools = (worker_module._threads, worker_module._greenlets)
    answer = {
        "pid": os.getpid(),
        "kinds": dict(kinds),
        "jobs": sum(len(pool) for pool in pools if pool is not None),
        "threads": Counter(thread.name.split("_")[0] for thread in threading.enumerate()),
        "workers": sum(t.name == "sse_middleware worker" for t in threading.enumerate()),
        "began": len(began),
        "finished": len(finished),
        "finished_wrongly": sorted((Counter(finished) - Counter(began)).elements())
        + sorted((Counter(began) - Counter(finished)).elements()),
        "told_to_tell": len(told_to_tell),
        "told": len(told),
        "told_wrongly": sorted((Counter(told) - Counter(told_to_tell)).elements())
        + sorted((Counter(told_to_tell) - Counter(told)).elements()),
        "made": [made[0] for made in list(floods.values())],
        "held_frames": max((frames for frames, _ in held), default=0),
        "held_bytes": max((size for _, size in held), default=0),
    }
    body = json.dumps(answer).encode()
    start_response(
        "200 OK",
        [
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(body))),
            ("Connection", "close"),
        ],
    )
    return [body]


ROUTES = {"idle": idle, "paced": paced, "burst": burst, "flood": flood, "vanish": vanish}


def streams(environ, start_response, *, is_bare=False):
    """One of the streams above, by the last part of the path."""
    query = {name: values[0] for name, values in parse_qs(environ["QUERY_STRING"]).items()}
    route = ROUTES[environ["PATH_INFO"].rsplit("/", 1)[-1]]
    return route(query, start_response, is_bare=is_bare)


_heartbeat = os.environ.get("BENCH_HEARTBEAT", "15")
wrapped = SSEMiddleware(streams, heartbeat=None if _heartbeat == "none" else float(_heartbeat))


def application(environ, start_response):
    """What the server calls."""
    path = environ["PATH_INFO"]
    if path == "/debug":
        return debug({}, start_response)
    if path.startswith("/bare/"):
        return streams(environ, start_response, is_bare=True)
    return wrapped(environ, start_response)
