"""sse_middleware.testing._forwarding: where requests go, and what is sent on."""

import queue
import socket
import threading
from contextlib import closing, contextmanager

import pytest

from sse_middleware.testing._forwarding import Upstream

DEADLINE_S = 20
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")

TARGETS = {
    "no path": ("https://a", "/v1/chat", "/v1/chat"),
    "a slash alone": ("https://a/", "/v1/chat", "/v1/chat"),
    "its own path": ("https://a/v1", "/v1/chat", "/v1/chat"),
    "a slash at the end": ("https://a/v1/", "/v1/chat", "/v1/chat"),
    "without its path": ("https://a/v1", "/chat", "/v1/chat"),
    "the end of its path": ("https://a/openai/v1", "/v1/chat", "/openai/v1/chat"),
    "all of a long path": ("https://a/openai/v1", "/openai/v1/chat", "/openai/v1/chat"),
    "the longest end": ("https://a/v1/x/v1", "/v1/x/v1/chat", "/v1/x/v1/chat"),
    "half a segment": ("https://a/v1", "/v1beta/chat", "/v1/v1beta/chat"),
    "another start": ("https://a/openai/v1", "/openai/chat", "/openai/v1/openai/chat"),
    "the path alone": ("https://a/v1", "/v1", "/v1"),
    "the root": ("https://a/v1", "/", "/v1/"),
    "latin-1": ("https://a/v1", "/caf\xe9", "/v1/caf%E9"),
    "escapes": ("https://a/v1", "/a%2Fb%20c", "/v1/a%2Fb%20c"),
    "a control character": ("https://a/v1", "/a\x01", "/v1/a%01"),
}


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch):
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize(("url", "path", "target"), TARGETS.values(), ids=TARGETS)
def test_what_both_paths_have_stands_once(url, path, target):
    assert Upstream(url).target(path) == target


@contextmanager
def listening():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(DEADLINE_S)
        yield listener, f"http://127.0.0.1:{listener.getsockname()[1]}"


def sent(url, listener, method, headers, body=b""):
    """What a connection to ``url`` brings to ``listener``."""
    upstream = Upstream(url)
    with closing(upstream.connect()) as connection:
        assert connection.sock.gettimeout() is None  # a model may think for long
        upstream.send(connection, method, "/v1/x", headers, body)
        other, _ = listener.accept()
    with other, other.makefile("rb") as file:
        return file.read().replace(url[7:].encode(), b"HOST")


def test_a_request_is_sent_on_with_its_own_headers_but_those_of_its_connection():
    headers = [
        ("Host", "127.0.0.1:8890"),
        ("Authorization", "Bearer x"),
        ("Accept-Encoding", "gzip"),
        ("Content-Length", "9"),
        ("Transfer-Encoding", "chunked"),
        ("Connection", "keep-alive, X-Hop"),
        ("X-Hop", "1"),
        ("Expect", "100-continue"),
        ("X-Twice", "1"),
        ("X-Twice", "caf\xe9"),
    ]
    with listening() as (listener, url):
        assert sent(url, listener, "POST", headers, b"{}") == (
            b"POST /v1/x HTTP/1.1\r\nHost: HOST\r\nAuthorization: Bearer x\r\nX-Twice: 1\r\n"
            b"X-Twice: caf\xe9\r\nAccept-Encoding: identity\r\nContent-Length: 2\r\n\r\n{}"
        )


@pytest.mark.parametrize(
    ("method", "length"), [("GET", b""), ("DELETE", b""), ("POST", b"Content-Length: 0\r\n")]
)
def test_a_request_without_a_body_says_so_where_one_is_expected(method, length):
    with listening() as (listener, url):
        expected = b" /v1/x HTTP/1.1\r\nHost: HOST\r\nAccept-Encoding: identity\r\n"
        got = sent(url, listener, method, [])
        assert got == method.encode() + expected + length + b"\r\n"


@pytest.mark.parametrize("excepted", ["api.example.com", "*", ".example.com"])
def test_no_proxy_is_respected(excepted, monkeypatch):
    monkeypatch.setenv("https_proxy", "socks5://127.0.0.1:1")  # would be refused
    monkeypatch.setenv("no_proxy", excepted)
    Upstream("https://api.example.com/v1")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "localhost", "LOCALHOST", "[::1]"])
def test_this_machine_is_never_reached_by_a_proxy(host, monkeypatch):
    monkeypatch.setenv("all_proxy", "socks5://127.0.0.1:1")
    Upstream(f"https://{host}:1/v1")


@pytest.mark.parametrize("is_named", [True, False], ids=["http://", "host alone"])
def test_a_tunnel_is_asked_for_with_the_name_and_password_of_the_proxy(is_named, monkeypatch):
    with listening() as (listener, url):
        proxy = url.replace("http://", "http://me:p%40ss@" if is_named else "me:p%40ss@")
        monkeypatch.setenv("https_proxy", proxy)
        heads = queue.Queue()
        thread = threading.Thread(target=refuse_tunnel, args=(listener, heads), daemon=True)
        thread.start()
        with pytest.raises(OSError, match="407"):
            Upstream("https://api.example.com:8443/v1").connect()
        head = heads.get(timeout=DEADLINE_S)
        thread.join(DEADLINE_S)
    assert head.startswith(b"CONNECT api.example.com:8443 HTTP/1.")
    assert b"\r\nProxy-Authorization: Basic bWU6cEBzcw==\r\n" in head


def refuse_tunnel(listener, heads):
    """Read the head of one connection, and refuse it."""
    other, _ = listener.accept()
    with other, other.makefile("rb") as file:
        heads.put(b"".join(iter(file.readline, b"\r\n")))
        other.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
