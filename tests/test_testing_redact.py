"""sse_middleware.testing._redact: the allow-lists of what a recording keeps of an exchange."""

import json

import pytest

from sse_middleware.testing import _redact as redact

KEPT_RESPONSE = [
    "Content-Type", "cache-control", "retry-after", "Retry-After-Ms", "openai-processing-ms",
    "openai-version", "x-ratelimit-limit-requests", "X-RateLimit-Reset-Tokens", "x-should-retry",
    "anthropic-ratelimit-requests-reset",
]  # fmt: skip
DROPPED_RESPONSE = [
    "Set-Cookie", "openai-organization", "openai-project", "anthropic-organization-id", "cf-ray",
    "apim-request-id", "x-ms-region", "x-ratelimit-", "x-content-type", "content-type-x", "Date",
    "azureml-model-session", "authorization", "x-envoy-upstream-service-time", "content-encoding",
    "content-length", "transfer-encoding", "connection", "x-api-key", "x-unheard-of", "",
]  # fmt: skip


@pytest.mark.parametrize("name", KEPT_RESPONSE)
def test_a_harmless_response_header_is_kept_as_it_is_written(name):
    assert redact.kept_headers([(name, "a b")]) == {name: "a b"}


@pytest.mark.parametrize("name", DROPPED_RESPONSE)
def test_any_other_response_header_is_dropped(name):
    assert redact.kept_headers([(name, "value")]) == {}


def test_the_order_is_that_of_the_answer():
    assert list(redact.kept_headers([("retry-after", "1"), ("content-type", "a/b")])) == [
        "retry-after",
        "content-type",
    ]


@pytest.mark.parametrize("name", ["x-request-id", "X-Request-ID", "request-id"])
def test_the_id_of_a_request_can_be_replaced(name):
    assert redact.kept_headers([(name, "req_7f")]) == {name: "req_7f"}
    assert redact.without_ids({name: "req_7f", "a": "b"}) == {name: "req_" + "0" * 16, "a": "b"}


def test_of_a_repeated_header_both_values_are_kept():
    pairs = [("Cache-Control", "no-cache"), ("cache-control", "no-store")]
    assert redact.kept_headers(pairs) == {"Cache-Control": "no-cache, no-store"}


def test_a_secret_in_a_kept_header_is_masked():
    pairs = [("User-Agent", "mine/1 sk-proj-0123456789abcdef"), ("Accept", "*/*")]
    kept = {"User-Agent": "mine/1 sk-proj-" + "*" * 16, "Accept": "*/*"}
    assert redact.kept_request_headers(pairs) == kept


@pytest.mark.parametrize(
    "name",
    ["Authorization", "api-key", "x-api-key", "x-goog-api-key", "Cookie", "OpenAI-Organization",
     "OpenAI-Project", "Proxy-Authorization", "X-Forwarded-For", "Host", "anything"],
)  # fmt: skip
def test_any_other_request_header_is_dropped(name):
    assert redact.kept_request_headers([(name, "value")]) == {}


QUERIES = {
    "none": ("", ""),
    "kept": ("alt=sse&api-version=2024-10-21", "alt=sse&api-version=2024-10-21"),
    "a key": ("key=AIza&alt=sse", "key=***&alt=sse"),
    "in capitals": ("API-KEY=1&Alt=2", "API-KEY=***&Alt=***"),
    "an unknown one": ("x=1&x=2", "x=***&x=***"),
    "without a value": ("flag&alt", "flag=***&alt="),
    "an escaped name": ("%6Bey=1", "key=***"),
    "an escape in a value": ("alt=a%26key%3Db", "alt=a%26key%3Db"),
}


@pytest.mark.parametrize(("query", "kept"), QUERIES.values(), ids=QUERIES)
def test_of_a_query_only_known_values_are_kept(query, kept):
    assert redact.kept_query(query) == kept


def test_a_key_of_a_body_that_is_not_listed_is_marked():
    body = {"model": "m", "stream": True, "user": "ada", "metadata": {"a": "b"}, "extra": [1]}
    kept = {"model": "m", "stream": True, "user": "***", "metadata": "***", "extra": "***"}
    assert redact.kept_body(body) == kept


@pytest.mark.parametrize("key", redact.BODY_KEYS)
def test_a_listed_key_is_kept_with_all_of_its_value(key):
    value = {"a": [1, None, True, 1.5, "x\u2028\ud83d\ude00", {"b": "\\/"}]}
    assert redact.kept_body({key: value}) == {key: value}


def test_the_headers_and_the_token_that_a_tool_is_to_send_are_marked():
    tool = {
        "type": "mcp",
        "server_url": "https://ada:hunter2@example.com/?key=0123456789abcdef",
        "headers": {"Authorization": "Basic x", "X-Anything": ["a", {"b": "c"}], "n": 1},
        "authorization": "short",
    }
    [kept] = redact.kept_body({"tools": [tool]})["tools"]
    assert kept == {
        "type": "mcp",
        "server_url": "https://ada:*******@example.com/?key=" + "*" * 16,
        "headers": {"Authorization": "***", "X-Anything": ["***", {"b": "***"}], "n": 1},
        "authorization": "***",
    }


SECRET_KEYS = [
    "auth",
    "oauth",
    "bearer",
    "pwd",
    "db_pwd",
    "passphrase",
    "dbPassword",
    "githubToken",
    "tokens",
    "secrets",
    "secretKey",
    "api_keys",
    "X-Api-Key",
    "accessKey",
    "signing_key",
    "sessionCookies",
]


@pytest.mark.parametrize("key", SECRET_KEYS)
def test_what_a_tool_has_under_the_name_of_a_secret_is_marked(key):
    body = {"tools": [{key: "whatever", "more": {key: ["it", {"is": "x"}]}}]}
    assert redact.kept_body(body)["tools"] == [{key: "***", "more": {key: ["***", {"is": "***"}]}}]


def test_a_secret_in_the_name_of_a_kept_header_is_masked():
    kept = redact.kept_headers([("x-ratelimit-sk-proj-0123456789abcdef", "1")])
    assert kept == {"x-ratelimit-sk-proj-" + "*" * 16: "1"}


def test_a_number_under_the_name_of_a_secret_becomes_another_number():
    body = {"tools": [{"password": 123456789012}]}
    assert redact.kept_body(body) == {"tools": [{"password": 111111111111}]}


def test_what_is_too_deep_to_be_looked_through_is_marked():
    deep = "deep"
    for _ in range(2000):
        deep = {"a": deep}
    assert redact.kept_body({"input": deep, "n": 1}) == {"input": "***", "n": "***"}


def test_the_schema_of_a_tool_is_kept():
    schema = {"type": "object", "properties": {"city": {"type": "string", "enum": ["a"]}}}
    body = {"tools": [{"type": "function", "function": {"name": "f", "parameters": schema}}]}
    assert redact.kept_body(body) == body


def test_secrets_in_prompts_are_masked_also_behind_a_line_end_and_in_a_key():
    body = {"messages": [{"content": "Mine:\nsk-proj-0123456789abcdef", "sk-0123456789ab": 1}]}
    [message] = redact.kept_body(body)["messages"]
    assert message == {"content": "Mine:\nsk-proj-" + "*" * 16, "sk-" + "*" * 12: 1}


def test_what_is_redacted_is_redacted_to_the_same_again():
    body = {"user": "a", "tools": [{"headers": {"a": "b"}}], "input": "Bearer 0123456789"}
    once = redact.kept_body(body)
    assert redact.kept_body(once) == once


def test_half_of_a_surrogate_pair_passes():
    body = json.loads('{"input": "\\ud83d"}')
    assert redact.kept_body(body) == body
    assert redact.kept_path("/\udce9") == "/\udce9"


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"[1]", b"a=1", b"\xff", b"{", b"[" * 100_000, b'"a"'),
        *(b'{"a": Infinity}', b'{"a": 1e999}', b'{"a": -1e999}'),
    ],
)
def test_what_is_no_object_of_json_is_none(body):
    assert redact.find_json(body) is None
