"""What vendors send instead of an answer, or in the middle of one."""

import json
from typing import Callable, Dict, Optional

__all__ = ["FORMS", "http_error_body"]

#: status: (message, type, code), as OpenAI words them.
_BY_STATUS = {
    400: ("Invalid value for 'messages'.", "invalid_request_error", "invalid_value"),
    401: ("Incorrect API key provided.", "invalid_request_error", "invalid_api_key"),
    403: ("This key may not use that model.", "invalid_request_error", "forbidden"),
    404: ("The model does not exist.", "invalid_request_error", "model_not_found"),
    429: ("Rate limit reached for requests.", "requests", "rate_limit_exceeded"),
    500: ("The server had an error while processing your request.", "server_error", None),
    503: ("The engine is currently overloaded.", "server_error", "overloaded"),
}


def http_error_body(status: int, message: Optional[str], code: Optional[str]) -> bytes:
    """The JSON of an error response of ``status``, with OpenAI's fields."""
    other = ("The request failed.", "invalid_request_error" if status < 500 else "server_error")
    usual = _BY_STATUS.get(status, (*other, None))
    error = {
        "message": usual[0] if message is None else message,
        "type": usual[1],
        "param": None,
        "code": usual[2] if code is None else code,
    }
    return json.dumps({"error": error}, indent=2).encode("ascii")


def _frame(data: Dict[str, object], event: Optional[str] = None) -> bytes:
    name = "" if event is None else f"event: {event}\n"
    return f"{name}data: {json.dumps(data, separators=(',', ':'))}\n\n".encode("ascii")


_DONE = b"data: [DONE]\n\n"
_SERVER_ERROR: Dict[str, object] = {
    "message": "The server had an error while processing your request.",
    "type": "server_error",
    "param": None,
    "code": None,
}
_FAILED: Dict[str, object] = {"code": "server_error", "message": _SERVER_ERROR["message"]}
_CHUNK: Dict[str, object] = {
    "id": "gen-1",
    "provider": "Fake",
    "error": {"code": 502, "message": "Provider returned error"},
    "model": "fake/model",
    "object": "chat.completion.chunk",
    "created": 1700000000,
    "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}],
}


def _responses(sequence_number: int, error: Dict[str, object]) -> bytes:
    response = {"id": "resp_1", "object": "response", "status": "failed", "output": []}
    failed = {
        "type": "response.failed",
        "sequence_number": sequence_number + 1,
        "response": {**response, "error": _FAILED},
    }
    event = {"type": "error", "sequence_number": sequence_number, **error}
    return _frame(event, "error") + _frame(failed, "response.failed")


def _always(frames: bytes) -> Callable[[int], bytes]:
    return lambda number: frames


_FLAT = {key: _SERVER_ERROR[key] for key in ("code", "message", "param")}
_GROQ: Dict[str, object] = {
    "message": "Tool call validation failed.",
    "type": "invalid_request_error",
    "code": "tool_use_failed",
    "failed_generation": "{}",
    "status_code": 400,
}
_OVERLOADED = {"type": "overloaded_error", "message": "Overloaded"}

#: What comes in a stream that fails, by form: a function of how many events came before.
FORMS: Dict[str, Callable[[int], bytes]] = {
    "openai": _always(_frame({"error": _SERVER_ERROR}) + _DONE),
    "responses": lambda number: _responses(number, {"error": _SERVER_ERROR}),
    "responses_flat": lambda number: _responses(number, _FLAT),
    "groq": _always(_frame({"error": _GROQ}, "error")),
    "openrouter": _always(_frame(_CHUNK) + _DONE),
    "anthropic": _always(_frame({"type": "error", "error": _OVERLOADED}, "error")),
    "text": _always(_frame({"error": "The model failed."})),
}
