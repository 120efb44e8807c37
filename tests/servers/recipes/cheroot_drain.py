"""Cheroot, whose streams end cleanly at SIGTERM: ``python cheroot_drain.py 8000``."""

import signal
import sys
import threading

from apps import application
from cheroot.wsgi import Server

server = Server(("127.0.0.1", int(sys.argv[1])), application, numthreads=24)


def drain_and_stop():
    application.drain(10)
    server.stop()  # waits for every open request: without the drain it would never return


def on_term(number, frame):
    threading.Thread(target=drain_and_stop).start()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, on_term)
    server.start()
