"""``Reader``: the records of one stream, of whichever vendor, to the pieces of the answer.

Each record is known by itself, by its type or by a field that only one vendor has. What nobody
here knows adds nothing, so that a new event never ends an answer.
"""

from functools import partial
from typing import Any, Callable, Dict, Iterator, Optional

from sse_middleware.relay import vendors
from sse_middleware.relay.assistants import thread_event
from sse_middleware.relay.calls import Calls
from sse_middleware.relay.chat import choices
from sse_middleware.relay.fields import as_text, find_mapping, get
from sse_middleware.relay.messages import Messages
from sse_middleware.relay.pieces import MESSAGE, Called, Piece, Said, Used
from sse_middleware.relay.responses import response_event
from sse_middleware.relay.source import Record

__all__ = ["Reader"]

_Read = Callable[[Any], Iterator[Piece]]

#: By a field that only one form has.
_BY_FIELD = {"choices": choices, "candidates": vendors.gemini, "results": vendors.watsonx}
#: By the type that the record says it has.
_BY_KIND = {
    "content-start": vendors.cohere_text,
    "content-delta": vendors.cohere_text,
    "tool-plan-delta": vendors.cohere_text,
    "tool-call-start": vendors.cohere_call,
    "tool-call-delta": vendors.cohere_call,
    "message-end": vendors.cohere_call,
    "transcript.text.delta": vendors.transcript,
}
_USAGES = (
    ("usage",),
    ("x_groq", "usage"),
    ("response", "usage"),
    ("message", "usage"),  # Anthropic's message_start
    ("delta", "usage"),  # Cohere's message-end
    ("usageMetadata",),  # Gemini
    ("usage_metadata",),
)


class Reader:
    """Reads one stream.

    >>> reader = Reader()
    >>> [piece] = reader.read(Record("message", {"choices": [{"text": "Hi"}]}))
    >>> piece.text
    'Hi'
    """

    def __init__(self) -> None:
        self._calls = Calls()
        self._called = 0
        self._usage: Dict[str, Any] = {}
        messages = Messages(self._calls)
        self._by_kind: Dict[str, _Read] = {
            "completion": messages.completion,
            "content_block_start": messages.content_block_start,
            "content_block_delta": messages.content_block_delta,
            "message_delta": messages.message_delta,
            **{kind: partial(read, calls=self._calls) for kind, read in _BY_KIND.items()},
        }

    def read(self, record: Record) -> Iterator[Piece]:
        """What ``record`` adds; text may be empty."""
        if record.name == "output" and isinstance(record.chunk, str):
            yield Said(MESSAGE, record.chunk)
            return
        self._count(record.chunk)
        read = self._find_read(record)
        for piece in read(record.chunk) if read else ():
            self._called += isinstance(piece, Called)
            yield piece

    def end(self) -> Iterator[Piece]:
        """What is left when the stream has ended."""
        yield from self._calls.finish_all()
        if self._usage:
            yield Used(self._usage)

    def _find_read(self, record: Record) -> Optional[_Read]:
        for field, read in _BY_FIELD.items():
            if get(record.chunk, field) is not None:
                return partial(read, calls=self._calls)
        for kind in (as_text(get(record.chunk, "type")), record.name):
            if kind in self._by_kind:
                return self._by_kind[kind]
            if kind.startswith("response."):
                return partial(response_event, kind, called=self._called)
            if kind.startswith("thread."):
                return partial(thread_event, kind, calls=self._calls)
        return None

    def _count(self, chunk: Any) -> None:
        """Remember what was used: the last word on each field counts."""
        for path in _USAGES:
            usage = find_mapping(get(chunk, *path))
            if usage is not None:
                self._usage = {**usage, **self._usage, **_without_none(usage)}
                return


def _without_none(fields: Dict[str, Any]) -> Dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
