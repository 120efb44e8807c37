"""``Connections``: streams that can be cut from outside, as a network does it.

The socket is shut down under the server. So the client sees a connection that breaks, the server
one whose client has left, and neither was told.
"""

import socket
import threading
from contextlib import suppress
from typing import Any, Callable, Dict, Iterable, Iterator, Optional

from sse_middleware.response import Environ, StartResponse, WSGIApp, close

__all__ = ["Connections"]


class Connections:
    """A WSGI app around ``app`` that knows the connections of the answers under way.

    Args:
        name_of: the name of a request's connection; None where it has none.
    """

    def __init__(self, app: WSGIApp, name_of: Callable[[Environ], Optional[str]]) -> None:
        self._app = app
        self._name_of = name_of
        self._lock = threading.Lock()
        self._open: Dict[str, socket.socket] = {}

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """The response of the app; until it is closed, `drop` finds its connection."""
        name, connection = self._name_of(environ), _find_connection(environ)
        if name is None or connection is None:
            return self._app(environ, start_response)
        with self._lock:
            self._open[name] = connection
        try:
            return _Watched(
                self._app(environ, start_response), lambda: self._forget(name, connection)
            )
        except BaseException:
            self._forget(name, connection)
            raise

    def drop(self, name: str) -> bool:
        """Break the connection of that name; whether there was one."""
        with self._lock:
            connection = self._open.pop(name, None)
            if connection is None:
                return False
            with suppress(OSError):  # it broke by itself
                connection.shutdown(socket.SHUT_RDWR)
        return True

    def _forget(self, name: str, connection: socket.socket) -> None:
        with self._lock:
            if self._open.get(name) is connection:
                del self._open[name]


class _Watched:
    """A body that tells when it is closed."""

    def __init__(self, body: Iterable[bytes], on_close: Callable[[], None]) -> None:
        self._body = body
        self._on_close = on_close

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._body)

    def close(self) -> None:
        """Tell whoever counts the connections, and close what was wrapped."""
        self._on_close()
        close(self._body)


def _find_connection(environ: Environ) -> Optional[Any]:
    """The socket of the request, where the server lends it: gunicorn, Werkzeug, waitress."""
    asked = environ.get("waitress.client_disconnected")  # a method of the connection
    channel = getattr(asked, "__self__", None)
    lent = environ.get("gunicorn.socket") or environ.get("werkzeug.socket")
    return lent or getattr(channel, "socket", None)
