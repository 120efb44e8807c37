"""The Responses API of OpenAI, and of the vendors that have it too.

Most of its events repeat at their end what deltas have brought; only the deltas are read. Tools
that the vendor runs itself (web search, code, MCP) are no calls: there is nothing to answer.
"""

from typing import Any, Iterator

from sse_middleware.relay.calls import arguments_text
from sse_middleware.relay.fields import as_text, get
from sse_middleware.relay.pieces import MESSAGE, REASONING, REFUSAL, Called, Piece, Said

__all__ = ["response_event"]

_DELTAS = {
    "response.output_text.delta": MESSAGE,
    "response.audio.transcript.delta": MESSAGE,
    "response.reasoning_text.delta": REASONING,
    "response.reasoning_summary_text.delta": REASONING,
    "response.refusal.delta": REFUSAL,
}
#: The type of an item that is a call: where its arguments are, and of which kind they are.
_CALLS = {"function_call": ("arguments", "function"), "custom_tool_call": ("input", "custom")}


def response_event(kind: str, chunk: Any, called: int) -> Iterator[Piece]:
    """What the event of type ``kind`` adds; ``called`` is the number of calls before it."""
    if kind in _DELTAS:
        yield Said(_DELTAS[kind], as_text(get(chunk, "delta")))
    elif kind == "response.output_item.done":
        item = get(chunk, "item")
        field, call_kind = _CALLS.get(as_text(get(item, "type")), ("", ""))
        if field and get(item, "status") not in ("incomplete", "in_progress"):
            id = as_text(get(item, "call_id")) or as_text(get(item, "id")) or None
            name, arguments = as_text(get(item, "name")), arguments_text(get(item, field))
            yield Called(id, name, arguments, call_kind, number=called)
