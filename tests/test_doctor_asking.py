"""sse_middleware.doctor.asking: what is asked, and what of it may be shown."""

import pytest

from sse_middleware.doctor.asking import ask, checked_header, split_url
from sse_middleware.errors import OptionError


def sent(asked):
    return {name.lower(): value for name, value in asked.headers}


def test_a_get_asks_as_a_browser_does():
    assert sent(ask("http://example.com:81/a?b=1")) == {
        "host": "example.com:81",
        "accept": "text/event-stream",
        "accept-encoding": "gzip, deflate",
        "cache-control": "no-cache",
        "user-agent": "sse-middleware-check",
    }


@pytest.mark.parametrize(
    ("data", "content_type"),
    [('{"a": 1}', "application/json"), ("no json", "text/plain; charset=utf-8")],
)
def test_data_is_posted_as_it_is(data, content_type):
    asked = ask("http://h", data=data)
    assert (asked.method, asked.body) == ("POST", data.encode())
    assert sent(asked)["content-type"] == content_type
    assert sent(asked)["content-length"] == str(len(data))


def test_a_post_without_data_has_an_empty_body():
    assert ask("http://h", method="POST").body == b""


def test_a_header_of_the_user_replaces_ours():
    asked = ask("http://h", headers=[("accept", "*/*"), ("Host", "other")])
    assert [pair for pair in asked.headers if pair[0].lower() in ("accept", "host")] == [
        ("accept", "*/*"),
        ("Host", "other"),
    ]


@pytest.mark.parametrize(
    ("url", "target", "port"),
    [
        ("http://h", "/", 80),
        ("https://h/a b".replace(" ", "%20"), "/a%20b", 443),
        ("http://h:8000/é?q=ü#part", "/%C3%A9?q=%C3%BC", 8000),
        ("http://[::1]:8/x", "/x", 8),
    ],
)
def test_the_target_of_a_url(url, target, port):
    asked = ask(url)
    assert (asked.target, asked.port) == (target, port)


def test_a_host_beyond_ascii_is_asked_for_in_ascii():
    assert sent(ask("http://bücher.example/"))["host"] == "xn--bcher-kva.example"


@pytest.mark.parametrize(
    "url",
    [
        *("", "h", "h:80", "http://", "ftp://h", "http://h:0", "http://h:99999", "http://[::1"),
        *("http://h h/", "http://h/\x1b[2J", "http://h/a\nb", "http://" + "h" * 70 + "/"),
    ],
)
def test_what_is_no_url_is_refused(url):
    with pytest.raises(OptionError, match="^URL is .*expected one such as"):
        ask(url)


@pytest.mark.parametrize("url", ["http://me:secret@h/", "http://secret@h", "ftp://me:secret@h"])
def test_a_password_in_the_url_is_refused_and_not_repeated(url):
    with pytest.raises(OptionError, match="Authorization") as caught:
        ask(url)
    assert "secret" not in str(caught.value)


def test_an_at_sign_in_the_path_is_no_password():
    assert split_url("http://h/@me?to=a@b").path == "/@me"


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("Name: value", ("Name", "value")),
        ("Name:", ("Name", "")),
        ("X-A:b:c ", ("X-A", "b:c")),
        ("X: é", ("X", "Ã©")),
    ],
)
def test_a_header_is_a_name_and_a_value(text, pair):
    assert checked_header(text) == pair


@pytest.mark.parametrize("text", ["secret", ": secret", "a b: secret", "A: secret\r\nB: c"])
def test_a_header_that_is_none_is_refused_and_its_value_not_shown(text):
    with pytest.raises(OptionError) as caught:
        checked_header(text)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "method"), [(301, "GET"), (302, "GET"), (303, "GET"), (307, "POST"), (308, "POST")]
)
def test_a_redirect_repeats_a_post_as_a_browser_does(status, method):
    asked = ask("http://h/a", data="{}").redirected(status, "b?c")
    assert (asked.method, asked.url) == (method, "http://h/b?c")
    assert (asked.body is None) == (method == "GET")


@pytest.mark.parametrize(
    ("location", "is_kept"),
    [("/b", True), ("http://h/b", True), ("https://h/b", False), ("//other/b", False)],
)
def test_headers_of_the_user_go_to_no_other_origin(location, is_kept):
    asked = ask("http://h/a", headers=[("Authorization", "Bearer secret")])
    assert (asked.redirected(302, location).given != []) == is_kept


def test_a_query_is_not_shown():
    assert ask("http://h/a?token=secret").shown_url == "http://h/a?..."
