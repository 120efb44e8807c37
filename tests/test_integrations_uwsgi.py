"""What uWSGI lends by pointer is copied before a worker gets it. The real one: tests/servers."""

import io

import pytest

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
        "wsgi.file_wrapper": object(),
        "CONTENT_LENGTH": length,
        "HTTP_COOKIE": "mine",
    }
    own = release(environ)
    environ.clear()  # as uWSGI does for the next request of the thread
    lent.close()
    assert own["HTTP_COOKIE"] == "mine"
    assert own["wsgi.input"].read() == sent[: int(length or 0)]
    assert "wsgi.file_wrapper" not in own
