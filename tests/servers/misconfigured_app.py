"""Streams that tell a misconfigured layer from a right one, each in a second or two."""

import time

from proxied_app import changed

from sse_middleware import SSEMiddleware


def pace(count, gap_s, *, size=10, pause_s=0.0):
    """``count`` events, ``gap_s`` apart; ``pause_s`` before the third."""

    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/event-stream")])

        def events():
            for number in range(1, count + 1):
                if number == 3:
                    time.sleep(pause_s)
                yield {"id": number, "data": f"{number} " + "x" * size}
                time.sleep(gap_s)

        return events()

    return app


def silent(app):
    """``app`` without heartbeats."""
    return SSEMiddleware(app, heartbeat=None, end_event="close")


def unmarked(environ, start_response):
    """No end event, and 204 to who comes back."""
    if "HTTP_LAST_EVENT_ID" in environ:
        start_response("204 No Content", [])
        return []
    return SSEMiddleware(pace(3, 0.1), heartbeat=None)(environ, start_response)


apps = {
    "/beating": SSEMiddleware(pace(4, 0.3), heartbeat=0.25, end_event="close"),
    "/bare": changed(silent(pace(4, 0.3)), drop="x-accel-buffering"),
    "/bare-large": changed(silent(pace(6, 0.25, size=3000)), drop="x-accel-buffering"),
    "/large": silent(pace(4, 0.3, size=4000)),
    "/quick": silent(pace(16, 0.07)),
    "/transformable": changed(
        silent(pace(4, 0.3)), drop="cache-control", add=[("Cache-Control", "no-cache")]
    ),
    "/pause": silent(pace(4, 0.05, pause_s=1.5)),
    "/long": SSEMiddleware(pace(12, 0.3), heartbeat=0.25, end_event="close"),
    "/endless": SSEMiddleware(pace(1000, 0.3), heartbeat=0.25),
    "/unmarked": unmarked,
}


def application(environ, start_response):
    return apps[environ["PATH_INFO"]](environ, start_response)
