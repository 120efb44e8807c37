"""Waitress, whose streams end cleanly at SIGTERM, where it dies at once else.

``python waitress_drain.py 8000``
"""

import os
import signal
import sys
import threading

import waitress
from apps import application


def drain_and_stop():
    application.drain(10)
    os.kill(os.getpid(), signal.SIGINT)  # waitress takes it as the end of its main loop


def on_term(number, frame):
    # In a thread: the main loop goes on, so that what is left is still sent.
    threading.Thread(target=drain_and_stop).start()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, on_term)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what a script runs by & ignores it
    waitress.serve(
        application,
        listen=f"127.0.0.1:{sys.argv[1]}",
        threads=24,
        channel_request_lookahead=1,
    )
