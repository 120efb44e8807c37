"""A WSGI app on one of three servers, with threads enough for streams and an orderly end.

The socket is ours, so that an address that cannot be had is told alike for all of them, and the
URL is known before the first request.
"""

import os
import signal
import socket
import threading
from typing import Any, Callable, Dict

from sse_middleware.cli.listening import told_in_one_line
from sse_middleware.errors import SSEError
from sse_middleware.response import WSGIApp

__all__ = ["SERVERS", "serve"]

#: `SSEMiddleware.drain`: end all streams, waiting so many seconds at most.
_Drain = Callable[[float], object]

_THREADS = 16  # a stream holds one of them
_DRAIN_S = 3
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def serve(
    app: WSGIApp, *, server: str, host: str, port: int, told: Callable[[str], None], drain: _Drain
) -> None:
    """Serve ``app`` on one of `SERVERS` until interrupted or terminated.

    ``told`` is called with the URL once clients can connect; a ``port`` of 0 takes a free one.
    Then ``drain`` ends the streams, so that their generators are closed; a second signal does
    not wait for it. Under gunicorn ``app`` runs in a child of this process, forked after it was
    made: threads that it has started before are not there.

    Raises:
        OptionError: the address cannot be listened on.
        SSEError: the package of the server is not installed.
    """
    run = SERVERS[server]
    try:
        __import__(server)
    except ImportError:
        raise SSEError(f"--server {server} needs {server}: pip install {server}") from None
    with told_in_one_line(host, port):
        listener = _listener(host, port)
    with listener:
        for number in _SIGNALS:
            signal.signal(number, signal.default_int_handler)
        told(f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}")
        run(app, listener, drain)


def _listener(host: str, port: int) -> socket.socket:
    # The first address alone: with port 0 each of several would have a port of its own.
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":  # elsewhere it would take a port that is in use
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(128)
    except BaseException:
        listener.close()
        raise
    return listener


def _drain_when_told_to_stop(drain: _Drain) -> None:
    is_told = threading.Event()

    def tell(*signalled: Any) -> None:
        for number in _SIGNALS:
            signal.signal(number, signal.default_int_handler)
        is_told.set()

    def drain_and_interrupt() -> None:
        is_told.wait()
        drain(_DRAIN_S)
        os.kill(os.getpid(), signal.SIGINT)  # servers take it as the end of their main loop

    # In a thread: the server goes on meanwhile, so that what is left is still sent. It is there
    # before the signal, because a handler may not wait for a lock, as the start of one does.
    threading.Thread(target=drain_and_interrupt, daemon=True).start()
    for number in _SIGNALS:
        signal.signal(number, tell)


def _waitress(app: WSGIApp, listener: socket.socket, drain: _Drain) -> None:
    import waitress

    _drain_when_told_to_stop(drain)
    waitress.create_server(
        app, sockets=[listener], threads=_THREADS, channel_request_lookahead=1
    ).run()


def _werkzeug(app: WSGIApp, listener: socket.socket, drain: _Drain) -> None:
    from werkzeug.serving import make_server

    _drain_when_told_to_stop(drain)
    host, port = listener.getsockname()[:2]
    make_server(host, port, app, threaded=True, fd=listener.fileno()).serve_forever()


def _gunicorn(app: WSGIApp, listener: socket.socket, drain: _Drain) -> None:
    from gunicorn.app.base import BaseApplication

    class Application(BaseApplication):  # type: ignore[misc]  # it has no types
        def load_config(self) -> None:
            wanted = _gunicorn_settings(listener.detach(), drain)
            for name in set(wanted) & set(self.cfg.settings):
                self.cfg.set(name, wanted[name])

        def load(self) -> WSGIApp:
            return app

    Application().run()


def _gunicorn_settings(descriptor: int, drain: _Drain) -> Dict[str, Any]:
    def post_worker_init(worker: Any) -> None:
        stop: Any = signal.getsignal(signal.SIGTERM)

        def drain_and_stop(*signalled: Any) -> None:
            drain(0)  # tells them and does not wait: gunicorn waits for its requests
            stop(*signalled)

        # Ctrl-C too, for which gunicorn's own way now and then waits for a lock that it has itself.
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            signal.signal(number, drain_and_stop)

    return {
        "bind": f"fd://{descriptor}",
        "worker_class": "gthread",
        "threads": _THREADS,
        "loglevel": "warning",
        "graceful_timeout": 5,  # for requests that do not end by themselves
        "control_socket_disable": True,  # since 25.1
        "post_worker_init": post_worker_init,
        "worker_exit": lambda arbiter, worker: drain(_DRAIN_S),  # for generators to close
    }


#: Each server that an app can be served on, by the name of its package.
SERVERS = {"waitress": _waitress, "gunicorn": _gunicorn, "werkzeug": _werkzeug}
