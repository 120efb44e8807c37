"""The WSGI app of the soak: streams whose fate the query tells, kept in Redis, and their ledger.

``/debug`` tells what is alive in this process, and what has been begun and ended in it. The
environment variable ``SOAK_REDIS`` is the URL of the Redis.
"""

import ctypes
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
from sse_middleware.resume import RedisLog

#: In seconds. What a log keeps is gone after ``MAX_AGE_S``, the list of its streams after twice
#: that: so the keys stop growing after a minute, and a soak sees their end.
HEARTBEAT_S, LINGER_S, LEASE_S, MAX_AGE_S = 1.0, 5.0, 3.0, 30.0
_MAX_EVENTS, _MAX_BYTES = 200, 64 * 1024
#: How long an app waits for a client that never leaves.
_GIVES_UP_AFTER_S = 60.0
_COUNTED = ("Serving", "Handover", "Job", "CurrentStream", "Keeper", "Follower", "_Writer")


class Told(logging.Handler):
    """How often each message was logged, instead of the message."""

    def __init__(self):
        super().__init__()
        self.counts = Counter()

    def emit(self, record):
        """Under the lock of the handler."""
        self.counts[f"{record.levelname} {str(record.msg)[:80]}"] += 1


class Ledger:
    """What each generator and each callback has come to; it keeps only those that are open."""

    def __init__(self):
        self._lock = threading.Lock()
        self._open = {}
        self.counts = Counter()

    def begin(self, kind, key):
        """A generator has begun, or a callback is registered."""
        with self._lock:
            self.counts[f"{kind} begun"] += 1
            self._open[kind, id(key)] = key

    def end(self, kind, key):
        """Its ``finally`` runs, or it is called."""
        with self._lock:
            self.counts[f"{kind} ended"] += 1
            if self._open.pop((kind, id(key)), None) is None:
                self.counts[f"{kind} ended twice"] += 1

    def open(self, kind):
        """How many are."""
        with self._lock:
            return sum(key[0] == kind for key in self._open)


class Failure(Exception):
    """What an app raises that is to fail."""


told, ledger = Told(), Ledger()
logging.getLogger().handlers = [told]
logging.getLogger("gunicorn.error").handlers = [told]


def events(query, text):
    """``count`` numbered events, one every ``every`` seconds; ``fails`` is the one that fails."""
    count, every_s = int(query["count"]), float(query.get("every", 0))
    silent_at, fails_at = int(query.get("silent_at", 0)), int(query.get("fails", 0))
    text = text or "x" * int(query.get("size", 40))
    key = object()
    ledger.begin("generators", key)
    try:
        for number in range(1, count + 1):
            if number == silent_at:
                time.sleep(float(query["silence"]))
            if number == fails_at:
                raise Failure("as it was asked to")
            yield {"event": "item", "data": {"number": number, "text": text}}
            time.sleep(every_s)
    finally:
        ledger.end("generators", key)


def endless(query):
    """Events until the client has left: it is the callback that ends it, or the server."""
    every_s, is_silent = float(query["every"]), "silent" in query
    key, callback_key, gone = object(), object(), threading.Event()

    def client_left():
        ledger.end("callbacks", callback_key)
        gone.set()

    ledger.begin("generators", key)
    try:
        ledger.begin("callbacks", callback_key)
        current_stream().on_disconnect(client_left)
        yield {"data": {"number": 1}}
        gives_up_at, number = time.monotonic() + _GIVES_UP_AFTER_S, 1
        while not gone.wait(_GIVES_UP_AFTER_S if is_silent else every_s):
            if time.monotonic() > gives_up_at:
                raise Failure("nobody told that the client has left")
            number += 1
            yield {"data": {"number": number}}
    finally:
        ledger.end("generators", key)


def streams(environ, start_response):
    """A stream, or what is none, by the path."""
    query = {name: values[0] for name, values in parse_qs(environ["QUERY_STRING"]).items()}
    path, text = environ["PATH_INFO"], ""
    if environ["REQUEST_METHOD"] == "POST":
        text = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])).decode()
    if path == "/refused":
        raise Failure("before an answer")
    if path == "/plain":
        return _plain(start_response, {"plain": True})
    start_response("200 OK", [("Content-Type", "text/event-stream")])
    return endless(query) if path == "/endless" else events(query, text)


def _plain(start_response, told_here):
    body = json.dumps(told_here).encode()
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    start_response("200 OK", headers)
    return [body]


class _Mallinfo(ctypes.Structure):
    """What glibc's mallinfo2 tells, of all arenas together."""

    _fields_ = [
        *[(name, ctypes.c_size_t) for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd")],
        *[(name, ctypes.c_size_t) for name in ("usmblks", "fsmblks", "uordblks", "fordblks")],
        ("keepcost", ctypes.c_size_t),
    ]


def allocated():
    """Bytes that the C library has handed out and not got back; 0 where it does not tell."""
    ask = getattr(ctypes.CDLL(None), "mallinfo2", None)
    if ask is None:
        return 0
    ask.restype = _Mallinfo
    told_here = ask()
    return told_here.uordblks + told_here.hblkhd


def debug(query):
    """What is alive; ``collect`` in the query: after the garbage has been collected."""
    if "collect" in query:
        gc.collect()
    things = gc.get_objects()
    kinds = Counter(type(thing).__name__ for thing in things)
    greenlets = [t for t in things if type(t).__name__ in ("greenlet", "Greenlet") and not t.dead]
    names = Counter(thread.name.split("-")[0] for thread in threading.enumerate())
    return {
        "pid": os.getpid(),
        "objects": len(things),
        "blocks": sys.getallocatedblocks(),
        "allocated": allocated(),
        "kinds": {kind: kinds[kind] for kind in _COUNTED},
        "greenlets": len(greenlets),
        "thread_names": names,
        "generators": ledger.open("generators"),
        "callbacks": ledger.open("callbacks"),
        "counts": dict(ledger.counts),
        "logged": dict(told.counts),
    }


log = RedisLog(
    os.environ["SOAK_REDIS"],
    owner=None,
    linger=LINGER_S,
    lease=LEASE_S,
    max_age=MAX_AGE_S,
    max_events=_MAX_EVENTS,
    max_bytes=_MAX_BYTES,
)
wrapped = SSEMiddleware(streams, heartbeat=HEARTBEAT_S, resume=log)


def application(environ, start_response):
    """What the server calls."""
    if environ["PATH_INFO"] == "/debug":
        return _plain(start_response, debug(environ["QUERY_STRING"]))
    return wrapped(environ, start_response)
