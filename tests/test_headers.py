"""Which headers a stream sets, keeps and strips."""

import pytest

from sse_middleware.headers import (
    accepts_event_stream,
    find_header,
    is_encoded,
    is_event_stream,
    stream_headers,
    without_content,
)

SET = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",
}


def test_a_stream_sets_three_headers():
    assert stream_headers([]) == list(SET.items())


CACHE = [
    ([], "no-cache, no-transform"),
    (["no-store"], "no-store, no-transform"),
    (["private, no-transform"], "private, no-transform"),
    (["NO-TRANSFORM"], "NO-TRANSFORM"),
    ([""], "no-cache, no-transform"),
    (["private", "no-store"], "private, no-store, no-transform"),
]


@pytest.mark.parametrize(("values", "sent"), CACHE, ids=[str(v) for v, _ in CACHE])
def test_the_apps_cache_control_is_kept_and_gains_no_transform(values, sent):
    headers = stream_headers([("cache-control", value) for value in values])
    assert [value for name, value in headers if name.lower() == "cache-control"] == [sent]


STRIPPED = [
    *["Content-Length", "ETag", "Connection", "Keep-Alive", "Transfer-Encoding", "Upgrade", "TE"],
    *["Trailer", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authorization"],
]


@pytest.mark.parametrize("name", STRIPPED)
def test_what_harms_a_stream_is_stripped(name):
    assert stream_headers([(name.upper(), "x"), (name.lower(), "y")]) == list(SET.items())


def test_what_connection_nominates_is_hop_by_hop_too():
    headers = [("Connection", "close,X-Hop, X-Spaced"), ("X-Hop", "1"), ("x-spaced", "2")]
    again = [("X-Kept", "3"), ("connection", "x-other"), ("X-Other", "4")]
    assert stream_headers(headers + again) == [*SET.items(), ("X-Kept", "3")]


def test_what_is_set_replaces_the_apps_own_and_the_rest_stays_in_order():
    headers = [
        ("X-A", "1"),
        ("content-type", "text/html"),
        ("Set-Cookie", "a=b"),
        ("x-accel-buffering", "yes"),
        ("Set-Cookie", "c=d"),
    ]
    before = list(headers)
    kept = [("X-A", "1"), ("Set-Cookie", "a=b"), ("Set-Cookie", "c=d")]
    assert stream_headers(headers) == [*SET.items(), *kept]
    assert headers == before


@pytest.mark.parametrize("value", ["text/event-stream", "Text/Event-Stream ; charset=x"])
def test_an_event_stream_is_known_by_its_media_type(value):
    assert is_event_stream([("CONTENT-TYPE", value)])


@pytest.mark.parametrize("headers", [[], [("Content-Type", "text/event-streams")]], ids=str)
def test_other_types_are_no_event_stream(headers):
    assert not is_event_stream(headers)


ACCEPT = {
    "text/event-stream": True,
    "text/html, Text/Event-Stream;q=0.5": True,
    "text/html,text/event-stream": True,
    "*/*": False,
    "text/*": False,
    "": False,
    "text/event-stream-x": False,
}


@pytest.mark.parametrize("accept", ACCEPT, ids=repr)
def test_accept_names_an_event_stream_or_not(accept):
    assert accepts_event_stream(accept) is ACCEPT[accept]


@pytest.mark.parametrize(("value", "encoded"), [("gzip", True), ("Identity", False), ("br", True)])
def test_a_compressed_body_is_known_by_its_content_encoding(value, encoded):
    assert is_encoded([("content-encoding", value)]) is encoded
    assert not is_encoded([])


def test_a_header_is_found_by_its_first_value():
    headers = [("X-A", "1"), ("x-a", "2")]
    assert find_header(headers, "x-a") == "1"
    assert find_header(headers, "x-b") is None


def test_a_response_without_body_describes_none():
    headers = [("Content-Type", "x"), ("content-length", "0"), ("Connection", "x"), ("X-A", "1")]
    assert without_content(headers) == [("X-A", "1")]
