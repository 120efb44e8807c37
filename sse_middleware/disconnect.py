"""Is the client still there? What each server offers to find out without writing.

A server notices that a client has left when a write fails, which takes one to three writes, and
none while the app is silent. gunicorn, Werkzeug and uWSGI lend the socket, whose end of file can
be seen without reading; waitress has a callable. Elsewhere the heartbeat's failed write tells.
"""

import _socket
import os
from importlib import import_module
from typing import Any, Callable, Dict, Optional, Protocol

__all__ = ["Probe", "find_fd", "find_probe", "is_closed"]


class Probe(Protocol):
    """What tells whether a client has left."""

    @property
    def looks_every_s(self) -> Optional[float]:
        """Seconds after which to ask again; None where a change is told."""

    def has_left(self) -> bool:
        """Whether the client has left."""

    def stop(self) -> None:
        """Nobody will ask again, and the connection may be closed."""


def find_probe(
    environ: Dict[str, Any], wake: Callable[[], object], *, is_greenlet: bool
) -> Optional[Probe]:
    """What tells whether this request's client has left; None where nothing does.

    For a greenlet the hub watches the connection and calls ``wake()``; a thread has to ask.
    A caller in the same process, such as a test client, hands over a function from ``wake`` to a
    `Probe` of its own as ``environ["sse_middleware.probe"]``.
    """
    own: Optional[Callable[[Callable[[], object]], Probe]] = environ.get("sse_middleware.probe")
    if own is not None:
        return own(wake)
    asked = environ.get("waitress.client_disconnected")
    if asked is not None:
        return _Poll(asked)
    if "asgi.scope" in environ and hasattr(environ["wsgi.input"], "receive"):
        return _Receive(environ, wake)
    fd = find_fd(environ)
    if fd is None:
        return None
    return _Watch(fd, wake) if is_greenlet else _Poll(lambda: is_closed(fd))


class _Poll:
    looks_every_s: Optional[float] = 1.0

    def __init__(self, has_left: Callable[[], bool]) -> None:
        self._has_left = has_left

    def has_left(self) -> bool:
        return self._has_left()

    def stop(self) -> None:
        """Nothing goes on between two looks."""


class _Watch:
    """Ten thousand silent streams cost nothing while nobody leaves."""

    looks_every_s: Optional[float] = None

    def __init__(self, fd: int, wake: Callable[[], object]) -> None:
        import gevent

        self._fd = fd
        self._wake = wake
        self._is_gone = False
        self._watcher = gevent.get_hub().loop.io(fd, 1)
        self._watcher.start(self._readable)

    def has_left(self) -> bool:
        return self._is_gone

    def stop(self) -> None:
        self._watcher.stop()
        self._watcher.close()

    def _readable(self) -> None:
        self._watcher.stop()  # what a client sends ahead would be readable for ever
        if is_closed(self._fd):
            self._is_gone = True
            self._wake()


class _Receive:
    """a2wsgi: after the request's body comes the message that the client has left.

    It is asked for when the app has read the body, or at once where there is none. Without it
    nobody would ever know: uvicorn drops in silence what is sent to a client that is gone.
    """

    def __init__(self, environ: Dict[str, Any], wake: Callable[[], object]) -> None:
        self._body = environ["wsgi.input"]
        self._wake = wake
        self._message: Any = None
        if environ.get("REQUEST_METHOD") == "GET" and not environ.get("CONTENT_LENGTH"):
            self._body.buffer.extend(self._body.read())  # an empty body is a message too
            self._ask()

    @property
    def looks_every_s(self) -> Optional[float]:
        return 1.0 if self._message is None else None

    def has_left(self) -> bool:
        if self._message is None and not self._body.has_more:
            self._ask()
        message = self._message
        if message is None or message.cancelled() or not message.done():
            return False
        return bool(message.exception() or message.result()["type"] == "http.disconnect")

    def stop(self) -> None:
        if self._message is not None:
            self._message.cancel()

    def _ask(self) -> None:
        import asyncio  # not before it is there anyway

        waiting = self._body.receive()
        self._message = asyncio.run_coroutine_threadsafe(waiting, self._body.loop)
        self._message.add_done_callback(lambda message: self._wake())


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
