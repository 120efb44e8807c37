"""Start one of the servers that have no command of their own: ``python run.py NAME PORT``."""

import importlib
import os
import sys

THREADS = 24


def wsgiref(app, port):
    from wsgiref.simple_server import make_server

    make_server("127.0.0.1", port, app).serve_forever()


def werkzeug(app, port):
    from werkzeug.serving import run_simple

    run_simple("127.0.0.1", port, app, threaded=True)


def cheroot(app, port):
    from cheroot.wsgi import Server

    Server(("127.0.0.1", port), app, numthreads=THREADS).start()


def pywsgi(app, port):
    from gevent.pywsgi import WSGIServer

    WSGIServer(("127.0.0.1", port), app).serve_forever()


def eventlet(app, port):
    import eventlet
    from eventlet import wsgi

    wsgi.server(eventlet.listen(("127.0.0.1", port)), app)


def bjoern(app, port):
    import bjoern

    bjoern.run(app, "127.0.0.1", port)


def main():
    name, port = sys.argv[1], int(sys.argv[2])
    if name == "pywsgi":
        from gevent import monkey

        monkey.patch_all()
    if name == "eventlet":
        import eventlet as library

        library.monkey_patch()
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    app = importlib.import_module(os.environ.get("SSE_APP", "apps")).application
    globals()[name](app, port)


if __name__ == "__main__":
    main()
