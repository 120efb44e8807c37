"""The WSGI app whose whole pipe is measured, on every WSGI server.

The first part of the path says how its events leave: ``/raw``, as finished bytes without the
middleware; ``/by-hand``, formatted one by one without it; ``/inline`` and ``/worker``, as dicts
through it. The second says which events.
"""

import logging
import time
from urllib.parse import parse_qs

from payloads import LARGE, SMALL, frame_of, stamped
from sse_middleware import SSEMiddleware

logging.getLogger("sse_middleware").setLevel(logging.ERROR)  # that some streams run inline
logging.getLogger("waitress").setLevel(logging.WARNING)

STREAM = [("Content-Type", "text/event-stream"), ("Cache-Control", "no-cache")]


def _burst(texts, is_raw):
    if is_raw:
        return iter([frame_of(number, text) for number, text in enumerate(texts)])
    return ({"event": "token", "id": n, "data": text} for n, text in enumerate(texts))


def _paced(query, is_raw):
    """Events that carry the moment at which they were made, one every ``every`` seconds."""
    count, every_s = int(query["count"][0]), float(query["every"][0])
    due_at = time.monotonic()
    for number in range(count):
        due_at += every_s
        time.sleep(max(0.0, due_at - time.monotonic()))
        text = stamped(time.monotonic_ns())
        if is_raw:
            yield frame_of(number, text)
        else:
            yield {"event": "token", "id": number, "data": text}


_RAW = {"small": [frame_of(*pair) for pair in enumerate(SMALL)]}
_RAW["large"] = [frame_of(*pair) for pair in enumerate(LARGE)]
_TEXTS = {"small": SMALL, "large": LARGE, "one": SMALL[:1]}


def streams(environ, start_response, *, is_raw=False):
    """The events that the last part of the path names."""
    start_response("200 OK", STREAM)
    kind = environ["PATH_INFO"].rsplit("/", 1)[-1]
    if kind == "paced":
        return _paced(parse_qs(environ["QUERY_STRING"]), is_raw)
    if kind == "one":
        return _burst(SMALL[:1], is_raw)
    if is_raw:
        return (frame for frame in _RAW[kind])
    return _burst(_TEXTS[kind], is_raw)


def by_hand(environ, start_response):
    """The line that people write by hand; it checks nothing."""
    start_response("200 OK", STREAM)
    for number, text in enumerate(_TEXTS[environ["PATH_INFO"].rsplit("/", 1)[-1]]):
        line = "id: {}\nevent: {}\ndata: {}\n\n".format(number, "token", text)
        yield line.encode()


def _in_worker(environ):
    return environ["PATH_INFO"].startswith("/worker/")


wrapped = SSEMiddleware(streams, worker=_in_worker, heartbeat=15.0)


def application(environ, start_response):
    """What the server calls."""
    if environ["PATH_INFO"].startswith("/by-hand/"):
        return by_hand(environ, start_response)
    if environ["PATH_INFO"].startswith("/raw/"):
        return streams(environ, start_response, is_raw=True)
    return wrapped(environ, start_response)
