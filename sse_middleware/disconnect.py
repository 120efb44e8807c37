"""Is the client still there? What each server offers to find out without writing.

A server notices that a client has left when a write fails, which takes one to three writes, and
none while the app is silent. gunicorn, Werkzeug and uWSGI lend the socket, whose end of file can
be seen without reading; waitress has a callable. Elsewhere the heartbeat's failed write tells.
"""

import _socket
import os
from importlib import import_module
from typing import Any, Callable, Dict, Optional

__all__ = ["Probe", "find_fd", "find_probe", "is_closed"]

#: Whether the client has left.
Probe = Callable[[], bool]


def find_probe(environ: Dict[str, Any]) -> Optional[Probe]:
    """What tells whether this request's client has left; None where nothing does."""
    asked = environ.get("waitress.client_disconnected")
    if asked is not None:
        return lambda: bool(asked())
    fd = find_fd(environ)
    return None if fd is None else lambda: is_closed(fd)


def find_fd(environ: Dict[str, Any]) -> Optional[int]:
    """The file descriptor of the request's connection, where the server lends it.

    A TLS connection is left alone: bytes of the protocol itself may wait on its socket.
    """
    connection = environ.get("gunicorn.socket") or environ.get("werkzeug.socket")
    if connection is None:
        has_uwsgi = "uwsgi.version" in environ
        return int(import_module("uwsgi").connection_fd()) if has_uwsgi else None
    return None if hasattr(connection, "cipher") else int(connection.fileno())


def is_closed(fd: int) -> bool:
    """Whether the other end of ``fd`` has closed it; reads nothing and never blocks.

    Goes below `socket.socket`, which gevent replaces and which waits where it has a timeout.
    """
    try:
        connection = _socket.socket(fileno=os.dup(fd))
    except OSError:  # the server has closed it already
        return True
    try:
        return not connection.recv(1, _socket.MSG_PEEK | _socket.MSG_DONTWAIT)
    except (BlockingIOError, InterruptedError):
        return False
    except OSError:
        return True
    finally:
        connection.close()
