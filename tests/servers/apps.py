"""The WSGI apps that the servers of this folder run; ``application`` is what they are told of.

``/driven`` does what the test tells it: it calls in at the test's desk (``client.Desk``), then
takes command after command: yield, bytes, raise, read (the request's body), environ (of a name),
end. With ``declared=1`` it declares its stream by Content-Type, else it yields dicts as
``text/html``; with ``deaf=1`` it stays blocked when its client leaves; with ``slow=1`` its
``finally`` takes a second.

The options of the middleware come from the environment: ``SSE_OPTIONS='{"heartbeat": 0.5}'``.
"""

import hashlib
import json
import logging
import os
import socket
import sys
import tempfile
import threading
import time
from urllib.parse import parse_qs

from sse_middleware import SSEMiddleware, current_stream

logging.basicConfig(stream=sys.stderr, level=logging.INFO)

#: What ``/file`` sends: more than any buffer.
FILE = b"0123456789abcdef" * 20_000
HTML = [("Content-Type", "text/html")]
TEXT = [("Content-Type", "text/plain")]
STREAM = [("Content-Type", "text/event-stream")]


class Line:
    """The app's end of a call to the test; see ``client.Line``."""

    def __init__(self, environ):
        query = {name: values[0] for name, values in parse_qs(environ["QUERY_STRING"]).items()}
        self.query = query
        self._socket = socket.create_connection(("127.0.0.1", int(query["desk"])))
        self._commands = self._socket.makefile("rb")
        self.tell("began", key=query["key"], thread=threading.current_thread().name)

    def tell(self, fact, **more):
        try:
            self._socket.sendall(json.dumps({"fact": fact, **more}).encode() + b"\n")
        except OSError:
            pass  # the test has hung up

    def hear(self):
        """The next command; blocks until there is one, as the read from an upstream does."""
        line = self._commands.readline()
        return json.loads(line) if line else ("end", None)

    def client_left(self):
        """For ``on_disconnect``: close the upstream for reading, so that `hear` returns."""
        self.tell("on_disconnect")
        if not self.query.get("deaf"):
            self._socket.shutdown(socket.SHUT_RD)


class Driven:
    """An iterator that tells when it is closed, around a generator that does as it is told."""

    def __init__(self, line, environ):
        self._line = line
        self._environ = environ
        self._items = self._obey()

    def _obey(self):
        try:
            while True:
                command, value = self._line.hear()
                if command == "end":
                    return
                if command == "raise":
                    raise RuntimeError(value)
                if command == "environ":
                    self._line.tell("environ", text=str(self._environ.get(value)))
                elif command == "read":
                    self._line.tell("read", text=_text(self._environ["wsgi.input"], value))
                else:
                    yield value.encode() if command == "bytes" else value
        finally:
            time.sleep(float(self._line.query.get("slow", 0)))
            self._line.tell("finally")

    def __iter__(self):
        return self

    def __next__(self):
        return next(self._items)

    def close(self):
        self._items.close()
        self._line.tell("closed")


def _text(source, size):
    """What can be read from the request's body now; an error is not the body of anybody."""
    try:
        return source.read(size).decode()
    except Exception as error:
        return repr(error)


def driven(environ, start_response):
    line = Line(environ)
    current_stream().on_disconnect(line.client_left)
    declared = line.query.get("declared")
    start_response("200 OK", list(STREAM if declared else HTML))
    return Driven(line, environ)


def dressed(environ, start_response):
    """A stream whose app sets what only a server may, and what is wrong for a stream."""
    own = [
        ("Connection", "keep-alive"),
        ("Transfer-Encoding", "chunked"),
        ("Keep-Alive", "timeout=5"),
        ("Content-Length", "3"),
        ("ETag", '"x"'),
        ("Cache-Control", "private"),
        ("X-Own", "kept"),
    ]
    start_response("200 OK", [*STREAM, *own])
    return iter([{"data": "one"}, {"data": "two"}])


def echo(environ, start_response):
    """What the request's body was, as an event; read where the app runs."""
    start_response("200 OK", list(STREAM))

    def generate():
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        digest = hashlib.sha256(body).hexdigest()
        yield {"data": {"length": len(body), "sha256": digest}}

    return generate()


def echo_early(environ, start_response):
    """The same, read before the stream begins, as a view does that parses its JSON first."""
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    start_response("200 OK", list(HTML))
    return iter([{"data": {"length": len(body), "sha256": hashlib.sha256(body).hexdigest()}}])


def fails(environ, start_response):
    raise RuntimeError("secret")


def fails_first(environ, start_response):
    """Fails in the generator, before its first event."""
    start_response("200 OK", list(HTML))

    def generate():
        raise RuntimeError("secret")
        yield {"data": "never"}

    return generate()


def plain(environ, start_response):
    start_response("200 OK", [*TEXT, ("Content-Length", "5")])
    return [b"plain"]


def pieces(environ, start_response):
    start_response("200 OK", list(TEXT))
    return (piece for piece in (b"one ", b"two ", b"three"))


def lazy(environ, start_response):
    """A generator function as the app: `start_response` is called by its first `next`."""
    start_response("201 Created", [*TEXT, ("X-Own", "kept")])
    yield b"lazy"


def writes(environ, start_response):
    write = start_response("200 OK", list(TEXT))
    write(b"by write, ")
    return [b"then by return"]


def wrapped_file(environ, start_response):
    start_response("200 OK", [*TEXT, ("Content-Length", str(len(FILE)))])
    opened = tempfile.TemporaryFile()  # noqa: SIM115  (the server closes it)
    opened.write(FILE)
    opened.seek(0)
    wrapper = environ.get("wsgi.file_wrapper")
    return wrapper(opened, 8192) if wrapper else iter(lambda: opened.read(8192), b"")


def missing(environ, start_response):
    start_response("404 Not Found", list(TEXT))
    return [b"no such page"]


def empty(environ, start_response):
    start_response("200 OK", [*TEXT, ("Content-Length", "0")])
    return []


def no_content(environ, start_response):
    start_response("204 No Content", [])
    return []


def uwsgi_api(environ, start_response):
    """What a function of uWSGI's own module says of this request."""
    import uwsgi

    start_response("200 OK", list(TEXT))
    try:
        return [str(uwsgi.connection_fd()).encode()]
    except SystemError as error:
        return [repr(error).encode()]


ROUTES = {
    "/driven": driven,
    "/dressed": dressed,
    "/echo": echo,
    "/echo-early": echo_early,
    "/fails": fails,
    "/fails-first": fails_first,
    "/plain": plain,
    "/pieces": pieces,
    "/lazy": lazy,
    "/writes": writes,
    "/file": wrapped_file,
    "/empty": empty,
    "/no-content": no_content,
    "/uwsgi": uwsgi_api,
}


def app(environ, start_response):
    return ROUTES.get(environ["PATH_INFO"], missing)(environ, start_response)


application = SSEMiddleware(
    app,
    **{"heartbeat": 0.3, "end_event": "close", **json.loads(os.environ.get("SSE_OPTIONS", "{}"))},
)
