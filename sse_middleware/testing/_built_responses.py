"""Builds the stream of a Responses API answer, byte for byte in OpenAI's wire form.

The keys, their order and the events in which they come are those of the recorded streams of 2026;
only ids and times are invented. There is no ``[DONE]`` at the end of such a stream.
"""

from typing import Any, Dict, Generator, Iterator, List, Mapping, Optional, Tuple

from sse_middleware.errors import OptionError, shown
from sse_middleware.testing._built_answer import (
    CREATED,
    Answer,
    ToolCall,
    compact,
    counted,
    padding,
)

__all__ = ["frames"]

_Event = Tuple[str, Dict[str, Any]]
_Item = Dict[str, Any]

_REASONS = ("max_output_tokens", "content_filter")
_INPUT_TOKENS = 10


def frames(
    answer: Answer,
    *,
    incomplete_reason: Optional[str],
    usage: Optional[Mapping[str, Any]],
    obfuscation: bool,
) -> List[bytes]:
    """Each event."""
    if incomplete_reason not in (None, *_REASONS):
        expected = f"one of {', '.join(_REASONS)}, or None"
        raise OptionError("incomplete_reason", shown(incomplete_reason), expected)
    built = []
    for number, (kind, fields) in enumerate(_events(answer, incomplete_reason, usage)):
        data: Dict[str, Any] = {"type": kind, **fields, "sequence_number": number}
        if obfuscation and "delta" in data:
            data["obfuscation"] = padding(data["delta"], number)
        built.append(f"event: {kind}\ndata: {compact(_ordered(data))}\n\n".encode())
    return built


def _ordered(data: Dict[str, Any]) -> Dict[str, Any]:
    """The type first, the other keys by the alphabet: so does OpenAI, in events alone."""
    return {"type": data["type"], **dict(sorted(data.items()))}


def _events(
    answer: Answer, incomplete_reason: Optional[str], usage: Optional[Mapping[str, Any]]
) -> Iterator[_Event]:
    status = "completed" if incomplete_reason is None else "incomplete"
    for kind in ("response.created", "response.in_progress"):
        yield kind, {"response": _response(answer, "in_progress")}
    output: List[_Item] = []
    of_message = "completed" if answer.calls else status  # only the last item was cut short
    if answer.refusal:
        output.append((yield from _message(answer, "refusal", answer.refusal, of_message)))
    elif answer.deltas or not answer.calls:
        output.append((yield from _message(answer, "output_text", answer.deltas, of_message)))
    for number, call in enumerate(answer.calls):
        of_call = status if call is answer.calls[-1] else "completed"
        item_id = answer.id("fc_", 50, number)
        output.append((yield from _function_call(item_id, call, len(output), of_call)))
    ended = _response(answer, status)
    ended["output"] = output
    ended["usage"] = _usage(answer, usage)
    if incomplete_reason is not None:
        ended["incomplete_details"] = {"reason": incomplete_reason}
    yield f"response.{status}", {"response": ended}


def _message(
    answer: Answer, kind: str, deltas: List[str], status: str
) -> Generator[_Event, None, _Item]:
    """The events of the output item that holds the text or the refusal; it returns the item."""
    head = {"id": answer.id("msg_", 50), "type": "message"}
    opened = {**head, "status": "in_progress", "content": [], "role": "assistant"}
    yield "response.output_item.added", {"item": opened, "output_index": 0}
    place = {"content_index": 0, "item_id": head["id"], "output_index": 0}
    yield "response.content_part.added", {**place, "part": _part(kind, "")}
    logprobs: Dict[str, Any] = {"logprobs": []} if kind == "output_text" else {}
    for delta in deltas:
        yield f"response.{kind}.delta", {**place, **logprobs, "delta": delta}
    text = "".join(deltas)
    key = "text" if kind == "output_text" else "refusal"
    yield f"response.{kind}.done", {**place, **logprobs, key: text}
    part = _part(kind, text)
    yield "response.content_part.done", {**place, "part": part}
    item = {**head, "status": status, "content": [part], "role": "assistant"}
    yield "response.output_item.done", {"item": item, "output_index": 0}
    return item


def _part(kind: str, text: str) -> _Item:
    if kind == "refusal":
        return {"type": kind, "refusal": text}
    return {"type": kind, "annotations": [], "logprobs": [], "text": text}


def _function_call(
    item_id: str, call: ToolCall, index: int, status: str
) -> Generator[_Event, None, _Item]:
    """The events of the output item that is one call; it returns the item."""
    item = {
        "id": item_id,
        "type": "function_call",
        "status": "in_progress",
        "arguments": "",
        "call_id": call.id,
        "name": call.name,
    }
    yield "response.output_item.added", {"item": item, "output_index": index}
    place = {"item_id": item_id, "output_index": index}
    for delta in call.deltas:
        yield "response.function_call_arguments.delta", {**place, "delta": delta}
    arguments = "".join(call.deltas)
    yield "response.function_call_arguments.done", {**place, "arguments": arguments}
    item = {**item, "status": status, "arguments": arguments}
    yield "response.output_item.done", {"item": item, "output_index": index}
    return item


def _response(answer: Answer, status: str) -> _Item:
    """The response object as it stands while ``status`` holds, with nothing put out yet."""
    ended = status == "completed"
    return {
        "id": answer.id("resp_", 50),
        "object": "response",
        "created_at": CREATED,
        "status": status,
        "background": False,
        "completed_at": CREATED + 1 if ended else None,
        "error": None,
        "frequency_penalty": 0.0,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": None,
        "max_tool_calls": None,
        "model": answer.model,
        "moderation": None,
        "output": [],
        "parallel_tool_calls": True,
        "presence_penalty": 0.0,
        "previous_response_id": None,
        "prompt_cache_key": None,
        "prompt_cache_retention": None,
        "reasoning": {"effort": None, "summary": None},
        "safety_identifier": None,
        "service_tier": "auto" if status == "in_progress" else "default",
        "store": True,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}, "verbosity": "medium"},
        "tool_choice": "auto",
        "tools": [],
        "top_logprobs": 0,
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": None,
        "user": None,
        "metadata": {},
    }


def _usage(answer: Answer, usage: Optional[Mapping[str, Any]]) -> Mapping[str, Any]:
    tokens = {
        "input_tokens": _INPUT_TOKENS,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": answer.token_count,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 0,
    }
    return counted({} if usage is None else usage, tokens, ("input_tokens", "output_tokens"))
