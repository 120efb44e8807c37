"""What the servers under test run: a stream that says which run of the app it comes from."""

import logging
import os
import time
import uuid
from urllib.parse import parse_qs

from sse_middleware import SSEMiddleware
from sse_middleware.resume import Channel, RedisLog

logging.basicConfig(level=logging.WARNING)

LOG = RedisLog(
    os.environ["REDIS_URL"],
    owner=lambda environ: environ.get("HTTP_X_USER"),
    lease=float(os.environ.get("LEASE", "1.5")),
    linger=float(os.environ.get("LINGER", "5")),
)
NEWS = Channel("news", LOG)


def app(environ, start_response):
    """``/count?n=8&gap=0.01``: n events of one run; ``/news``: the channel; ``/pid``: who I am."""
    asked = parse_qs(environ["QUERY_STRING"])
    if environ["PATH_INFO"] == "/pid":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [str(os.getpid()).encode()]
    if environ["PATH_INFO"] == "/publish":
        NEWS.publish({"data": asked["data"][0]})
        start_response("204 No Content", [])
        return []
    start_response("200 OK", [("Content-Type", "text/event-stream")])
    if environ["PATH_INFO"] == "/news":
        return NEWS.subscribe()
    return count(int(asked["n"][0]), float(asked["gap"][0]))


def count(n, gap_s):
    """Events ``<run>:0`` to ``<run>:n-1``."""
    run = uuid.uuid4().hex[:8]
    for number in range(n):
        yield {"data": f"{run}:{number}"}
        time.sleep(gap_s)


application = SSEMiddleware(app, resume=LOG, end_event="close")
