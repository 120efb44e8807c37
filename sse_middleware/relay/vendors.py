"""Vendors with a form of their own: Cohere, Gemini, watsonx, and OpenAI's transcriptions."""

from typing import Any, Iterator

from sse_middleware.relay.calls import Calls
from sse_middleware.relay.fields import as_index, as_items, as_text, get
from sse_middleware.relay.pieces import MESSAGE, REASONING, Piece, Said

__all__ = ["cohere_call", "cohere_text", "gemini", "transcript", "watsonx"]


def cohere_text(chunk: Any, calls: Calls) -> Iterator[Piece]:
    """Text, or the thought before it."""
    message = get(chunk, "delta", "message")
    content = get(message, "content")
    yield Said(REASONING, as_text(get(message, "tool_plan")) + as_text(get(content, "thinking")))
    yield Said(MESSAGE, as_text(get(content, "text")))


def cohere_call(chunk: Any, calls: Calls) -> Iterator[Piece]:
    """A fragment of a call; the end of one if there is none."""
    for call in as_items(get(chunk, "delta", "message", "tool_calls")):
        name, text = get(call, "function", "name"), get(call, "function", "arguments")
        calls.add(0, get(chunk, "index"), id=get(call, "id"), name=name, arguments=text)
    if get(chunk, "type") == "message-end":
        was_cut = get(chunk, "delta", "finish_reason") not in ("COMPLETE", "TOOL_CALL")
        yield from calls.finish(0, was_cut=was_cut)


def gemini(chunk: Any, calls: Calls) -> Iterator[Piece]:
    """The parts of every candidate; calls are always whole."""
    for candidate in as_items(get(chunk, "candidates")):
        choice = as_index(get(candidate, "index"))
        for part in as_items(get(candidate, "content", "parts")):
            event = REASONING if get(part, "thought") is True else MESSAGE
            yield Said(event, as_text(get(part, "text")), choice)
            call = get(part, "functionCall") or get(part, "function_call")
            if call:
                id, name, arguments = get(call, "id"), get(call, "name"), get(call, "args")
                calls.add(choice, None, id=id, name=name, arguments=arguments or {})
        yield from calls.finish(choice)


def watsonx(chunk: Any, calls: Calls) -> Iterator[Piece]:
    """Generated text."""
    for result in as_items(get(chunk, "results")):
        yield Said(MESSAGE, as_text(get(result, "generated_text")))


def transcript(chunk: Any, calls: Calls) -> Iterator[Piece]:
    """What was heard."""
    yield Said(MESSAGE, as_text(get(chunk, "delta")))
