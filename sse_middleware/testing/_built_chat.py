"""Builds the stream of a Chat Completions answer, byte for byte in OpenAI's wire form.

The keys, their order and the chunks in which they come are those of the recorded streams of 2025
and 2026; only ids and times are invented.
"""

from typing import Any, Dict, Iterator, List, Mapping, Optional, Union

from sse_middleware.errors import OptionError, shown
from sse_middleware.testing._built_answer import CREATED, Answer, compact, counted, padding

__all__ = ["frames"]

_FINISH_REASONS = ("stop", "length", "tool_calls", "content_filter", "function_call")
_PROMPT_TOKENS = 10


def frames(
    answer: Answer,
    *,
    finish_reason: Optional[str],
    usage: Union[bool, Mapping[str, Any]],
    obfuscation: bool,
) -> List[bytes]:
    """Each event, and ``[DONE]``."""
    head = {
        "id": answer.id("chatcmpl-", 29),
        "object": "chat.completion.chunk",
        "created": CREATED,
        "model": answer.model,
        "service_tier": "default",
        "system_fingerprint": "fp_0000000001",
    }
    null_usage = {} if usage is False else {"usage": None}
    chunks = [
        {**head, "choices": [choice], **null_usage} for choice in _choices(answer, finish_reason)
    ]
    if usage is not False:
        chunks.append({**head, "choices": [], "usage": _usage(answer, usage)})
    texts = map(compact, chunks)
    if obfuscation:
        texts = map(compact, _padded(chunks))
    return [f"data: {text}\n\n".encode() for text in [*texts, "[DONE]"]]


def _padded(chunks: List[Dict[str, Any]]) -> Iterator[Dict[str, Any]]:
    for number, chunk in enumerate(chunks):
        yield {**chunk, "obfuscation": padding(compact(chunk), number)}


def _choices(answer: Answer, finish_reason: Optional[str]) -> Iterator[Dict[str, Any]]:
    if finish_reason is None:
        finish_reason = "tool_calls" if answer.calls else "stop"
    if finish_reason not in _FINISH_REASONS:
        expected = f"one of {', '.join(_FINISH_REASONS)}"
        raise OptionError("finish_reason", shown(finish_reason), expected)
    for delta in _deltas(answer):
        yield {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}
    yield {"index": 0, "delta": {}, "logprobs": None, "finish_reason": finish_reason}


def _deltas(answer: Answer) -> Iterator[Dict[str, Any]]:
    """A lone call opens in the first delta; several, and one after text, in deltas of their own."""
    calls = list(_call_deltas(answer))
    if answer.refusal:
        yield {"role": "assistant", "content": None, "refusal": ""}
    elif answer.deltas or not calls:
        yield {"role": "assistant", "content": "", "refusal": None}
    elif len(answer.calls) == 1:
        yield {"role": "assistant", "content": None, **calls.pop(0), "refusal": None}
    else:
        yield {"role": "assistant", "content": None}
    for text in answer.refusal:
        yield {"refusal": text}
    for text in answer.deltas:
        yield {"content": text}
    yield from calls


def _call_deltas(answer: Answer) -> Iterator[Dict[str, Any]]:
    for index, call in enumerate(answer.calls):
        function = {"name": call.name, "arguments": ""}
        opener = {"index": index, "id": call.id, "type": "function", "function": function}
        yield {"tool_calls": [opener]}
        for part in call.deltas:
            yield {"tool_calls": [{"index": index, "function": {"arguments": part}}]}


def _usage(answer: Answer, usage: Union[bool, Mapping[str, Any]]) -> Mapping[str, Any]:
    tokens = {
        "prompt_tokens": _PROMPT_TOKENS,
        "completion_tokens": answer.token_count,
        "total_tokens": 0,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
    return counted(usage, tokens, ("prompt_tokens", "completion_tokens"))
