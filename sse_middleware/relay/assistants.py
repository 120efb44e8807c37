"""OpenAI's Assistants: runs, and the messages that they write."""

from typing import Any, Iterator

from sse_middleware.relay.calls import Calls
from sse_middleware.relay.chat import parts
from sse_middleware.relay.fields import as_items, get
from sse_middleware.relay.pieces import Piece

__all__ = ["thread_event"]


def thread_event(name: str, chunk: Any, calls: Calls) -> Iterator[Piece]:
    """What the event adds that is called ``name``."""
    if name == "thread.message.delta":
        yield from parts(get(chunk, "delta", "content"))
    elif name == "thread.run.requires_action":
        asked = get(chunk, "required_action", "submit_tool_outputs", "tool_calls")
        for call in as_items(asked):
            function = get(call, "function")
            name, arguments = get(function, "name"), get(function, "arguments")
            calls.add(0, None, id=get(call, "id"), name=name, arguments=arguments)
        yield from calls.finish(0)
