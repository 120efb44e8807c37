"""What of an exchange may be kept in a recording: recordings are committed, and hold secrets.

Allow-lists: a header, a parameter of a query or a key of a body that nobody thought of is left
out. What is kept is masked as well (``_secrets.py``), because people paste keys into prompts.
"""

import json
import re
from math import isinf
from typing import Any, Dict, Iterable, Mapping, Optional, Pattern, Tuple
from urllib.parse import parse_qsl, quote

from sse_middleware.testing._secrets import masked
from sse_middleware.testing._strict_json import strict_json

__all__ = [
    "BODY_KEYS",
    "QUERY_NAMES",
    "REQUEST_HEADERS",
    "RESPONSE_HEADERS",
    "find_json",
    "kept_body",
    "kept_headers",
    "kept_path",
    "kept_query",
    "kept_request_headers",
    "without_ids",
]

#: Of a response; ``*`` stands for any ending.
RESPONSE_HEADERS = (
    "anthropic-ratelimit-*",
    "cache-control",
    "content-type",
    "openai-model",
    "openai-processing-ms",
    "openai-version",
    "request-id",
    "retry-after",
    "retry-after-ms",
    "x-ratelimit-*",
    "x-request-id",
    "x-should-retry",
)
REQUEST_HEADERS = ("accept", "content-type", "user-agent")
#: Parameters whose value is kept. Of the others the name alone is.
QUERY_NAMES = ("alt", "api-version", "beta", "stream")
#: Keys of a JSON body whose value is kept. Of the others the name alone is.
BODY_KEYS = (
    "contents",
    "frequency_penalty",
    "function_call",
    "functions",
    "generationConfig",
    "include",
    "input",
    "instructions",
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "max_output_tokens",
    "max_tokens",
    "messages",
    "modalities",
    "model",
    "n",
    "parallel_tool_calls",
    "presence_penalty",
    "previous_response_id",
    "prompt",
    "reasoning",
    "reasoning_effort",
    "response_format",
    "seed",
    "service_tier",
    "stop",
    "stop_sequences",
    "store",
    "stream",
    "stream_options",
    "system",
    "temperature",
    "text",
    "thinking",
    "tool_choice",
    "tools",
    "top_k",
    "top_logprobs",
    "top_p",
    "truncation",
    "verbosity",
)
_REDACTED = "***"
_REQUEST_IDS = ("request-id", "x-request-id")
_FAKE_ID = "req_0000000000000000"
#: In a kept value at any depth, such as the headers that a tool is to send.
_SECRET_KEY = re.compile(
    r".*(authorization|auth|bearer|headers|cookies?|credentials?|passw(or)?d|passwords|pwd|passphrase"
    r"|secrets?|tokens?|(api|access|private|secret|signing)[-_]?keys?)",
    re.IGNORECASE,
)


def kept_headers(pairs: Iterable[Tuple[str, str]]) -> Dict[str, str]:
    """The response headers that a recording keeps; of one that came twice, both as a list.

    >>> kept_headers([("Content-Type", "text/event-stream"), ("Set-Cookie", "session=1")])
    {'Content-Type': 'text/event-stream'}
    """
    return _kept(pairs, _pattern(RESPONSE_HEADERS))


def without_ids(headers: Mapping[str, str]) -> Dict[str, str]:
    """``headers`` with a made-up id of the request: with the vendor, the true one names who asked.

    >>> without_ids({"x-request-id": "req_7f3a90"})
    {'x-request-id': 'req_0000000000000000'}
    """
    return {
        name: _FAKE_ID if name.lower() in _REQUEST_IDS else value for name, value in headers.items()
    }


def kept_request_headers(pairs: Iterable[Tuple[str, str]]) -> Dict[str, str]:
    """The request headers that a recording keeps.

    >>> kept_request_headers([("Accept", "*/*"), ("Authorization", "Bearer abc")])
    {'Accept': '*/*'}
    """
    return _kept(pairs, _pattern(REQUEST_HEADERS))


def kept_path(path: str) -> str:
    """The path, of which a key may be a part.

    >>> kept_path("/bot/AKIAIOSFODNN7EXAMPLE/send")
    '/bot/AKIA****************/send'
    """
    return _kept_text(path)


def kept_query(query: str) -> str:
    """The query with the values of those parameters only that tell nothing of who asks.

    >>> kept_query("alt=sse&key=AIzaSyD-1")
    'alt=sse&key=***'
    """
    pairs = parse_qsl(query, keep_blank_values=True)
    return "&".join(
        f"{_kept_text(quote(name))}="
        + (_kept_text(quote(value)) if name in QUERY_NAMES else _REDACTED)
        for name, value in pairs
    )


def find_json(body: bytes) -> Optional[Dict[str, Any]]:
    """The object that a body of JSON holds; None for any other body.

    >>> find_json(b'{"n": 1}'), find_json(b"n=1"), find_json(b'{"n": NaN}')
    ({'n': 1}, None, None)
    """
    try:
        value = strict_json(body, parse_float=_finite)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _finite(text: str) -> float:
    """1e999 is JSON, but what it is read as cannot be written again."""
    number = float(text)
    if isinf(number):
        raise ValueError(f"{text} cannot be written")
    return number


def kept_body(body: Mapping[str, Any]) -> Dict[str, Any]:
    """The JSON body of a request with the values of those keys only that shape the answer.

    >>> kept_body({"model": "m", "user": "ada@example.com"})
    {'model': 'm', 'user': '***'}
    """
    try:
        kept = {
            key: _without_secrets(value) if key in BODY_KEYS else _REDACTED
            for key, value in body.items()
        }
        return _masked_json(kept)
    except RecursionError:  # what is too deep to be looked through is not kept
        return _masked_json(dict.fromkeys(body, _REDACTED))


def _masked_json(kept: Mapping[str, Any]) -> Dict[str, Any]:
    safe: Dict[str, Any] = json.loads(_kept_text(json.dumps(kept, ensure_ascii=False)))
    return safe


def _without_secrets(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: _blanked(part) if _SECRET_KEY.fullmatch(key) else _without_secrets(part)
            for key, part in value.items()
        }
    return [_without_secrets(part) for part in value] if isinstance(value, list) else value


def _blanked(value: Any) -> Any:
    """Every text in ``value`` replaced; objects stay, so that the schema of a tool does."""
    if isinstance(value, dict):
        return {key: _blanked(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_blanked(part) for part in value]
    return _REDACTED if isinstance(value, str) else value


def _kept(pairs: Iterable[Tuple[str, str]], allowed: "Pattern[str]") -> Dict[str, str]:
    names: Dict[str, str] = {}
    kept: Dict[str, str] = {}
    for name, value in pairs:
        if allowed.fullmatch(name):
            first = names.setdefault(name.lower(), _kept_text(name))
            value = _kept_text(value)
            kept[first] = f"{kept[first]}, {value}" if first in kept else value
    return kept


def _kept_text(text: str) -> str:
    """Masked; what no UTF-8 can hold (half of a surrogate pair) survives the way there and back."""
    return masked(text.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass")


def _pattern(names: Iterable[str]) -> "Pattern[str]":
    alternatives = "|".join(re.escape(name).replace(r"\*", ".+") for name in names)
    return re.compile(alternatives, re.IGNORECASE)
