"""sse_middleware.testing.matching: which requests a script answers, and how others differ."""

import json
import re
from unittest.mock import ANY

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sse_middleware.errors import OptionError
from sse_middleware.testing.exchange import ReceivedRequest, RequestHeaders
from sse_middleware.testing.matching import Match

CHAT = {
    "model": "gpt-4o",
    "messages": [{"role": "user", "content": "Hello there"}],
    "stream": True,
    "n": 1,
}


def request(body=CHAT, method="POST", path="/v1/chat/completions", **headers):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return ReceivedRequest(method, path, "", RequestHeaders(headers.items()), data)


@pytest.mark.parametrize(
    "when",
    [
        None,
        {},
        {"method": "POST"},
        {"method": "post"},
        {"path": "/v1/chat/completions"},
        {"path": "*/chat/*"},
        {"path": re.compile("chat")},
        {"headers": {"x-team": "red"}},
        {"headers": {"X-TEAM": re.compile("^r")}},
        {"json": {"model": "gpt-4o"}},
        {"json": {"stream": True, "messages": [{"content": "Hello there"}]}},
        {"json": {"messages": ({"content": re.compile("there$")},)}},
        {"json": {"model": ANY, "messages": ANY}},
        {"json": {"n": 1.0}},
        {"json": ANY},
        lambda request: request.json["model"] == "gpt-4o",
    ],
    ids=lambda when: "a function" if callable(when) else repr(when),
)
def test_what_is_asked_for_matches(when):
    assert Match(when).differences(request(**{"X-Team": "red"})) == []


@pytest.mark.parametrize(
    ("when", "differences"),
    [
        ({"method": "GET"}, ["method is 'POST': expected 'GET'"]),
        ({"path": "/v1/res*"}, ["path is '/v1/chat/completions': expected '/v1/res*'"]),
        ({"path": "/chat/completions"}, [ANY]),
        (
            {"path": re.compile("^/chat")},
            ["path is '/v1/chat/completions': expected a match of '^/chat'"],
        ),
        ({"headers": {"x-team": "blue"}}, ["header x-team is 'red': expected 'blue'"]),
        ({"headers": {"x-id": "1"}}, ["header x-id is absent: expected '1'"]),
        ({"json": {"model": "o1"}}, ["json['model'] is 'gpt-4o': expected 'o1'"]),
        ({"json": {"tools": []}}, ["json['tools'] is absent: expected []"]),
        ({"json": {"messages": []}}, ["json['messages'] has 1 entries: expected 0"]),
        (
            {"json": {"messages": [{"role": "system", "content": re.compile("x")}]}},
            [
                "json['messages'][0]['role'] is 'user': expected 'system'",
                "json['messages'][0]['content'] is 'Hello there': expected a match of 'x'",
            ],
        ),
        ({"json": {"stream": 1}}, ["json['stream'] is True: expected 1"]),
        ({"json": {"n": True}}, ["json['n'] is 1: expected True"]),
        ({"json": {"n": re.compile("1")}}, ["json['n'] is 1: expected a match of '1'"]),
        ({"json": [1]}, [ANY]),
        (
            {"method": "GET", "json": {"model": "o1"}},
            ["method is 'POST': expected 'GET'", "json['model'] is 'gpt-4o': expected 'o1'"],
        ),
    ],
    ids=repr,
)
def test_each_difference_is_told(when, differences):
    assert Match(when).differences(request(**{"X-Team": "red"})) == differences


def test_every_method_but_post_must_be_named():
    for when in (None, {}, {"path": "*"}):
        assert Match(when).differences(request(method="GET")) == [
            "method is 'GET': expected 'POST'"
        ]
    assert Match({"method": "get"}).differences(request(method="GET")) == []
    assert Match({"method": re.compile(".")}).differences(request(method="PUT")) == []


def test_a_body_that_is_no_json_differs():
    assert Match({"json": {"model": "o1"}}).differences(request(b"\xff")) == [
        "the body is b'\\xff': expected JSON"
    ]
    assert Match({"path": "*"}).differences(request(b"\xff")) == []


def test_a_function_that_says_no_or_fails_is_named():
    def wants_o1(request):
        return request.json["modle"] == "o1"

    assert Match(wants_o1).differences(request()) == ["wants_o1 raised KeyError('modle')"]
    assert Match(lambda request: False).differences(request()) == ["<lambda> says no"]


@pytest.mark.parametrize(
    ("when", "message"),
    [
        ("x", "when is 'x': expected a mapping with method, path, headers, json, or a function"),
        (
            {"model": "o1"},
            "when's key is 'model': expected one of method, path, headers, json; "
            "fields of the body go into {\"json\": {'model': ...}}",
        ),
        ({"method": 1}, "when's method is 1: expected a str or a compiled pattern"),
        ({"path": None}, "when's path is None: expected a str or a compiled pattern"),
        ({"headers": "x"}, "when's headers is 'x': expected a mapping of names and values"),
        (
            {"headers": {"Accept": "text/event-stream"}},
            "when's header is 'accept': expected none: SDKs ask for streams by "
            '{"json": {"stream": True}}, not by Accept',
        ),
    ],
    ids=repr,
)
def test_what_cannot_be_asked_for_is_refused_at_once(when, message):
    with pytest.raises(OptionError) as caught:
        Match(when)
    assert str(caught.value) == message


def test_a_match_says_what_it_is_for():
    assert str(Match(None)) == ""
    assert str(Match({"path": "*/x", "json": {"n": 1}})) == "path '*/x', json {'n': 1}"
    assert str(Match(test_a_match_says_what_it_is_for)) == ("when test_a_match_says_what_it_is_for")


values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=9,
)


@given(values)
def test_a_body_matches_itself(body):
    assert Match({"json": body}).differences(request(body)) == []


@given(values, values)
def test_two_values_that_match_each_other_are_the_same_json(one, other):
    both = [
        Match({"json": wanted}).differences(request(body)) == []
        for wanted, body in ((one, other), (other, one))
    ]
    assert all(both) == (json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True))
