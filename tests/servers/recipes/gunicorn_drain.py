"""A gunicorn configuration: streams end cleanly when a worker is told to stop.

``gunicorn --config gunicorn_drain.py ...``, with any worker class. Without it gunicorn waits for
``--graceful-timeout`` seconds and then cuts every open stream.
"""

import signal


def post_worker_init(worker):
    """Before gunicorn's own handler of SIGTERM runs, tell the streams to end."""
    # Of the SSEMiddleware, which is what gunicorn serves or, of a Flask app, its wsgi_app.
    worker.drain = getattr(worker.wsgi, "wsgi_app", worker.wsgi).drain
    stop = signal.getsignal(signal.SIGTERM)

    def drain_and_stop(number, frame):
        worker.drain(0)  # tells them and does not wait: gunicorn waits for its requests
        stop(number, frame)

    signal.signal(signal.SIGTERM, drain_and_stop)


def worker_exit(server, worker):
    """Then give the generators the time to close."""
    if hasattr(worker, "drain"):  # or it failed to start, and gunicorn has said why
        worker.drain(5)
