"""What an upstream says when it fails, in each vendor's form, and the id to ask the vendor with.

What is found here is for the log alone: the client of the stream is told by the error contract of
the middleware, which never sends an upstream's words.
"""

import logging
from typing import Any, Iterator, Optional

from sse_middleware.errors import UpstreamError, shown
from sse_middleware.relay.fields import as_items, as_text, get

__all__ = ["find_answer_id", "find_failure", "log_failure"]

_log = logging.getLogger("sse_middleware")

_ID_HEADERS = (
    "x-request-id",  # OpenAI, Groq, xAI, DeepSeek, Together
    "request-id",  # Anthropic
    "apim-request-id",  # Azure
    "mistral-correlation-id",
    "x-amzn-requestid",
    "x-debug-trace-id",  # Cohere
    "x-generation-id",  # OpenRouter
    "cf-ray",
)
_ID_FIELDS = (("request_id",), ("x_groq", "id"), ("response", "id"), ("message", "id"), ("id",))


def find_failure(name: str, chunk: Any) -> Optional[UpstreamError]:
    """The error that ``chunk``, of the event ``name``, tells of, or None."""
    for error in _errors(name, chunk):
        if error:
            message = get(error, "message") or error
            failure = UpstreamError(f"upstream reported an error in mid-stream: {shown(message)}")
            failure.request_id = as_text(get(chunk, "request_id")) or None
            return failure
    return None


def _errors(name: str, chunk: Any) -> Iterator[Any]:
    yield get(chunk, "error")
    kind = get(chunk, "type")
    if name == "error" or kind == "error":  # Responses, Anthropic, Assistants; some have no object
        yield get(chunk, "message") or chunk or "no message"
    if kind == "response.failed":
        yield get(chunk, "response", "error") or "the response failed"
    if get(chunk, "object") == "thread.run" and get(chunk, "status") == "failed":
        yield get(chunk, "last_error") or "the run failed"
    if kind == "message-end":  # Cohere
        yield get(chunk, "delta", "error")
    for choice in as_items(get(chunk, "choices")):  # OpenRouter
        yield get(choice, "error")


def find_answer_id(chunk: Any) -> Optional[str]:
    """The id that an answer gives itself, for where there are no headers."""
    for path in _ID_FIELDS:
        found = as_text(get(chunk, *path))
        if found:
            return found
    return None


def log_failure(error: Exception, upstream: Any, answer_id: Optional[str]) -> None:
    """Log the id under which the vendor knows the request, and keep it on an `UpstreamError`."""
    found = _find_header(error) or _find_header(upstream) or answer_id
    if isinstance(error, UpstreamError):
        error.request_id = found
    if found:
        _log.warning("upstream failed (request id %s): %s", shown(found), type(error).__name__)


def _find_header(holder: Any) -> Optional[str]:
    """The id among the headers of a response, of an SDK's stream or of its error."""
    for path in (("headers",), ("response", "headers")):
        headers = get(holder, *path)
        for name in _ID_HEADERS if hasattr(headers, "get") else ():
            found = as_text(headers.get(name))
            if found:
                return found
    return as_text(get(holder, "request_id")) or None
