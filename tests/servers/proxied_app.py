"""What the servers behind the proxies run: the driven app, under several middlewares.

The paths differ in the options of the middleware, and in what becomes of its headers.
"""

from apps import driven

from sse_middleware import SSEMiddleware

HEARTBEAT_S = 0.3


def changed(app, *, drop="", add=()):
    """``app`` without the header ``drop``, and with those of ``add``."""

    def changing(environ, start_response):
        def start(status, headers, exc_info=None):
            kept = [header for header in headers if header[0].lower() != drop]
            return start_response(status, [*kept, *add], exc_info)

        return app(environ, start)

    return changing


def page(environ, start_response):
    """No stream, and worth compressing."""
    start_response("200 OK", [("Content-Type", "text/html; charset=utf-8")])
    return [b"<p>again</p>" * 1000]


def missing(environ, start_response):
    start_response("404 Not Found", [("Content-Type", "text/plain")])
    return [b"no such page"]


identity = changed(driven, add=[("Content-Encoding", "identity")])
silent = SSEMiddleware(driven, heartbeat=None, end_event="close")
apps = {
    "/page": page,
    "/beating": SSEMiddleware(driven, heartbeat=HEARTBEAT_S, end_event="close"),
    "/silent": silent,
    "/identity": SSEMiddleware(identity, heartbeat=None, end_event="close"),
    "/no-x-accel-buffering": changed(silent, drop="x-accel-buffering"),
    "/no-cache-control": changed(silent, drop="cache-control"),
}


def application(environ, start_response):
    return apps.get(environ["PATH_INFO"], missing)(environ, start_response)
