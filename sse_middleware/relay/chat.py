"""Chat Completions and legacy Completions: OpenAI, and the vendors that are compatible with it."""

from itertools import groupby
from operator import itemgetter
from typing import Any, Iterator, Tuple

from sse_middleware.relay.calls import Calls
from sse_middleware.relay.fields import as_index, as_items, as_text, get
from sse_middleware.relay.pieces import MESSAGE, REASONING, REFUSAL, Piece, Said

__all__ = ["choices", "parts"]

#: Finish reasons that mean that the vendor stopped in the middle.
_CUTS = ("length", "max_tokens", "content_filter", "error")


def choices(chunk: Any, calls: Calls) -> Iterator[Piece]:
    """What a chunk adds to each of its choices."""
    for choice in as_items(get(chunk, "choices")):
        number = as_index(get(choice, "index"))
        said = list(_delta(get(choice, "delta"), number, calls))
        if not any(piece.text for piece in said):  # legacy; Together sends both
            said = [Said(MESSAGE, as_text(get(choice, "text")), number)]
        yield from said
        reason = get(choice, "finish_reason")
        if reason:
            yield from calls.finish(number, was_cut=reason in _CUTS)


def _delta(delta: Any, choice: int, calls: Calls) -> Iterator[Said]:
    yield Said(REASONING, _reasoning(delta), choice)
    yield from parts(get(delta, "content"), choice)
    yield Said(MESSAGE, as_text(get(delta, "audio", "transcript")), choice)
    yield Said(REFUSAL, as_text(get(delta, "refusal")), choice)
    for call in as_items(get(delta, "tool_calls")):
        _add(calls, choice, get(call, "index"), call)
    call = get(delta, "function_call")  # before there were tools
    if call:
        _add(calls, choice, 0, {"function": call})


def _add(calls: Calls, choice: int, index: Any, call: Any) -> None:
    id, custom = get(call, "id"), get(call, "custom")
    if custom:
        name, text = get(custom, "name"), get(custom, "input")
        calls.add(choice, index, id=id, name=name, arguments=text, kind="custom")
    else:
        name, text = get(call, "function", "name"), get(call, "function", "arguments")
        calls.add(choice, index, id=id, name=name, arguments=text)


def _reasoning(delta: Any) -> str:
    """The same thought comes under one, two or three names; the first that has text counts."""
    plain = as_text(get(delta, "reasoning_content")) or as_text(get(delta, "reasoning"))
    details = as_items(get(delta, "reasoning_details"))
    return plain or "".join(
        as_text(get(detail, "text")) or as_text(get(detail, "summary")) for detail in details
    )


def parts(content: Any, choice: int = 0) -> Iterator[Said]:
    """The text of a message: a string, or a list of parts with a type (Mistral, Assistants)."""
    if isinstance(content, str):
        yield Said(MESSAGE, as_text(content), choice)
        return
    texts = ((event, text) for part in as_items(content) for event, text in _part(part) if text)
    for event, same in groupby(texts, itemgetter(0)):
        yield Said(event, "".join(text for _, text in same), choice)


def _part(part: Any) -> Iterator[Tuple[str, str]]:
    thinking, text = get(part, "thinking"), get(part, "text")
    yield REASONING, as_text(thinking)
    for thought in as_items(thinking):
        yield REASONING, as_text(get(thought, "text"))
    yield MESSAGE, as_text(part) + as_text(text) + as_text(get(text, "value"))
    yield REFUSAL, as_text(get(part, "refusal"))
