"""sse_middleware.testing._redact: which headers of an answer a recording keeps."""

import pytest

from sse_middleware.testing._redact import kept_headers


@pytest.mark.parametrize(
    "name",
    [
        "content-type",
        "Content-Type",
        "cache-control",
        "retry-after",
        "retry-after-ms",
        "x-should-retry",
        "x-request-id",
        "request-id",
        "openai-processing-ms",
        "openai-version",
        "X-RateLimit-Remaining-Tokens",
        "anthropic-ratelimit-requests-reset",
    ],
)
def test_what_tests_look_at_and_nobody_can_use_is_kept(name):
    assert kept_headers([(name, "1")]) == {name: "1"}


@pytest.mark.parametrize(
    "name",
    [
        "set-cookie",
        "openai-organization",
        "openai-project",
        "anthropic-organization-id",
        "authorization",
        "x-api-key",
        "cf-ray",
        "date",
        "content-encoding",
        "content-length",
        "transfer-encoding",
        "connection",
        "x-ratelimit-",
        "x-content-type",
        "content-type-x",
        "x-unheard-of",
        "",
    ],
)
def test_everything_else_is_left_out(name):
    assert kept_headers([(name, "1")]) == {}


def test_a_header_that_came_twice_becomes_one_under_the_first_name():
    pairs = [("Cache-Control", "no-cache"), ("set-cookie", "a"), ("cache-control", "no-transform")]
    assert kept_headers(pairs) == {"Cache-Control": "no-cache, no-transform"}


def test_the_order_is_that_of_the_answer():
    assert list(kept_headers([("retry-after", "1"), ("content-type", "a/b")])) == [
        "retry-after",
        "content-type",
    ]
