"""What uWSGI lends by pointer is copied before a worker gets it. The real one: tests/servers."""

import io
import socket
import sys
import threading
from types import SimpleNamespace

import pytest

from sse_middleware import SSEMiddleware
from sse_middleware.integrations.uwsgi import release


def test_elsewhere_the_environ_stays_as_it_is():
    environ = {"wsgi.input": io.BytesIO(b"body"), "CONTENT_LENGTH": "4"}
    assert release(environ) is environ
    assert environ["wsgi.input"].tell() == 0


BODIES = {
    "none": (b"", ""),
    "small": (b"body", "4"),
    "past one piece": (b"x" * 200_000, "200000"),
    "on disk": (b"x" * 3_000_000, "3000000"),
    "cut by the client": (b"bo", "4"),
    "with the next request behind it": (b"bodyGET / HTTP/1.1", "4"),
}


@pytest.mark.parametrize(("sent", "length"), BODIES.values(), ids=BODIES)
def test_the_request_becomes_the_workers_own(sent, length):
    lent = io.BytesIO(sent)
    environ = {
        "uwsgi.version": b"2.0.31",
        "wsgi.input": lent,
        "CONTENT_LENGTH": length,
        "HTTP_COOKIE": "mine",
    }
    own = release(environ)
    environ.clear()  # as uWSGI does for the next request of the thread
    lent.close()
    assert own["HTTP_COOKIE"] == "mine"
    assert own["wsgi.input"].read() == sent[: int(length or 0)]
    assert "wsgi.file_wrapper" not in own


def test_a_file_is_wrapped_in_the_thread_of_the_server_which_may_then_use_sendfile(monkeypatch):
    listener = socket.create_server(("127.0.0.1", 0))
    lent = SimpleNamespace(connection_fd=listener.fileno)  # the module that only uWSGI has
    monkeypatch.setitem(sys.modules, "uwsgi", lent)
    threads = []

    def wrap(file, block_size):
        threads.append(threading.current_thread())
        return [file.read(), block_size]

    def app(environ, start_response):
        threads.append(threading.current_thread())
        start_response("200 OK", [("Content-Type", "text/plain")])
        return environ["wsgi.file_wrapper"](io.BytesIO(b"body"), 3)

    environ = {"REQUEST_METHOD": "GET", "uwsgi.version": b"", "wsgi.file_wrapper": wrap}
    environ["wsgi.input"] = io.BytesIO()
    sent = SSEMiddleware(app, worker=lambda environ: True)(environ, lambda *answer: None)
    listener.close()
    assert sent == [b"body", 3]
    assert threads[0] is not threads[1] is threading.current_thread()


def test_a_file_that_something_inside_reads_is_read_in_blocks_and_closed():
    own = release({"uwsgi.version": b"", "wsgi.file_wrapper": list})
    file = io.BytesIO(b"12345")
    wrapped = own["wsgi.file_wrapper"](file, 2)
    assert list(wrapped) == [b"12", b"34", b"5"]
    wrapped.close()
    assert file.closed
