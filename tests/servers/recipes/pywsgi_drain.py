"""gevent.pywsgi, whose streams end cleanly at SIGTERM: ``python pywsgi_drain.py 8000``."""

from gevent import monkey

monkey.patch_all()

import signal  # noqa: E402
import sys  # noqa: E402

import gevent  # noqa: E402
from apps import application  # noqa: E402
from gevent.pywsgi import WSGIServer  # noqa: E402

server = WSGIServer(("127.0.0.1", int(sys.argv[1])), application)


def drain_and_stop():
    application.drain(10)
    server.stop(timeout=1)


if __name__ == "__main__":
    gevent.signal_handler(signal.SIGTERM, drain_and_stop)
    server.serve_forever()
