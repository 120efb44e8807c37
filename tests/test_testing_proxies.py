"""sse_middleware.testing._proxies: loopback servers are asked directly, whatever is set."""

import os
from contextlib import ExitStack

import pytest

from sse_middleware.testing import FakeUpstream, Recording
from sse_middleware.testing._proxies import passed_by

requests = pytest.importorskip("requests")
PROXIES = ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")


def exceptions():
    return os.environ.get("NO_PROXY"), os.environ.get("no_proxy")


@pytest.fixture(autouse=True)
def unset(monkeypatch):
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)


def test_a_proxy_in_the_environment_does_not_catch_what_goes_to_the_server(monkeypatch):
    for name in PROXIES:
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    upstream = FakeUpstream()
    upstream.play(Recording(b"data: 1\n\n"))
    with upstream.serve() as base_url:
        assert requests.post(base_url, timeout=10).content == b"data: 1\n\n"
    assert exceptions() == (None, None)


@pytest.mark.parametrize(
    ("upper", "lower", "inside"),
    [
        (None, None, ("127.0.0.1,localhost", "127.0.0.1,localhost")),
        ("a.b", None, ("a.b,127.0.0.1,localhost", "a.b,127.0.0.1,localhost")),
        (None, "a.b", ("a.b,127.0.0.1,localhost", "a.b,127.0.0.1,localhost")),
        ("a", "b", ("a,127.0.0.1,localhost", "b,127.0.0.1,localhost")),
        ("*", "", ("*", "*")),
    ],
)
def test_what_was_excepted_stays_so_and_comes_back_as_it_was(monkeypatch, upper, lower, inside):
    for name, value in (("NO_PROXY", upper), ("no_proxy", lower)):
        if value is not None:
            monkeypatch.setenv(name, value)
    with passed_by():
        assert exceptions() == inside
    assert exceptions() == (upper, lower)


def test_contexts_may_overlap():
    first, second = ExitStack(), ExitStack()
    first.enter_context(passed_by())
    second.enter_context(passed_by())
    first.close()
    assert exceptions() == ("127.0.0.1,localhost",) * 2
    second.close()
    assert exceptions() == (None, None)


def test_what_raises_inside_comes_out_and_all_is_as_it_was():
    with pytest.raises(ZeroDivisionError), passed_by():
        raise ZeroDivisionError
    assert exceptions() == (None, None)
