"""A gunicorn configuration: streams end cleanly when a worker is told to stop.

``gunicorn --config gunicorn_drain.py ...``, with any worker class. Without it gunicorn waits for
``--graceful-timeout`` seconds and then cuts every open stream.
"""

import signal


def post_worker_init(worker):
    """Before gunicorn's own handler of SIGTERM runs, tell the streams to end."""
    application = worker.wsgi  # the SSEMiddleware; where Flask wraps it: worker.wsgi.wsgi_app
    stop = signal.getsignal(signal.SIGTERM)

    def drain_and_stop(number, frame):
        application.drain(0)  # tells them and does not wait: gunicorn waits for its requests
        stop(number, frame)

    signal.signal(signal.SIGTERM, drain_and_stop)


def worker_exit(server, worker):
    """Then give the generators the time to close."""
    worker.wsgi.drain(5)
