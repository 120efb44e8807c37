"""Anthropic's Messages, and the Completions that it had before."""

from typing import Any, Iterator, List

from sse_middleware.relay.calls import Calls, arguments_text
from sse_middleware.relay.fields import as_text, get
from sse_middleware.relay.pieces import MESSAGE, REASONING, Piece, Said

__all__ = ["Messages"]

_CUTS = ("max_tokens", "model_context_window_exceeded", "refusal")


class Messages:
    """What the events of one message add. Tools that Anthropic runs itself are no calls."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._tool_blocks: List[Any] = []

    def completion(self, chunk: Any) -> Iterator[Piece]:
        """A piece of the text, before there were messages."""
        yield Said(MESSAGE, as_text(get(chunk, "completion")))

    def content_block_start(self, chunk: Any) -> Iterator[Piece]:
        """The beginning of a block, most often without text."""
        block, index = get(chunk, "content_block"), get(chunk, "index")
        if get(block, "type") == "tool_use":
            self._tool_blocks.append(index)
            whole = arguments_text(get(block, "input"))
            id, name = get(block, "id"), get(block, "name")
            self._calls.add(0, index, id=id, name=name, otherwise=whole)
        yield from self._said(block)

    def content_block_delta(self, chunk: Any) -> Iterator[Piece]:
        """More of a block."""
        delta, index = get(chunk, "delta"), get(chunk, "index")
        if index in self._tool_blocks:
            self._calls.add(0, index, arguments=as_text(get(delta, "partial_json")))
        yield from self._said(delta)

    def message_delta(self, chunk: Any) -> Iterator[Piece]:
        """The end of the message, with its reason."""
        reason = get(chunk, "delta", "stop_reason")
        if reason:
            yield from self._calls.finish(0, was_cut=reason in _CUTS)

    def _said(self, holder: Any) -> Iterator[Piece]:
        yield Said(REASONING, as_text(get(holder, "thinking")))
        yield Said(MESSAGE, as_text(get(holder, "text")))
