"""The shape "text": an answer as events for a browser."""

from itertools import count, repeat
from typing import Any, Dict, Iterable, Iterator, Mapping, Tuple

from sse_middleware.current import current_stream
from sse_middleware.framing import END_ID
from sse_middleware.relay.fields import whole_text
from sse_middleware.relay.pieces import Called, Piece, Said, Used
from sse_middleware.relay.reader import Reader
from sse_middleware.relay.source import Record

__all__ = ["text_events"]


def text_events(records: Iterable[Record], key: str) -> Iterator[Dict[str, Any]]:
    """The events of the shape "text", the last of them ``close``."""
    current_stream().is_final = True  # to ask again would be to pay again
    for number, (event, data) in zip(_numbers(), _events(_pieces(records), key)):
        yield {"event": event, **number, "data": data}
    yield {"event": "close", "id": END_ID, "data": ""}


def _numbers() -> Iterable[Mapping[str, int]]:
    """The one place where it is decided how events are numbered: the middleware may do it."""
    if current_stream().is_resumable:
        return repeat({})
    return ({"id": number} for number in count(1))


def _pieces(records: Iterable[Record]) -> Iterator[Piece]:
    reader, surrogates = Reader(), _Surrogates()
    for record in records:
        for piece in reader.read(record):
            yield surrogates.joined(piece) if isinstance(piece, Said) else piece
    yield from surrogates.left()
    yield from reader.end()


def _events(pieces: Iterable[Piece], key: str) -> Iterator[Tuple[str, Dict[str, Any]]]:
    for piece in pieces:
        if isinstance(piece, Used):
            yield "usage", dict(piece.usage)
        elif isinstance(piece, Called):
            yield "tool_call", _with_choice(_call(piece), piece.choice)
        elif piece.text:
            yield piece.event, _with_choice({key: piece.text}, piece.choice)


def _call(call: Called) -> Dict[str, Any]:
    fields: Dict[str, Any] = {
        "index": call.number,
        "id": None if call.id is None else whole_text(call.id),
        "name": whole_text(call.name),
        "arguments": whole_text(call.arguments),
    }
    if call.kind != "function":
        fields["type"] = call.kind
    return fields


def _with_choice(data: Dict[str, Any], choice: int) -> Dict[str, Any]:
    """``data``, which says its choice unless that is the first: most answers have but one."""
    return {**data, "choice": choice} if choice else data


class _Surrogates:
    """Halves of surrogate pairs wait here for their other half, which the next delta may bring."""

    def __init__(self) -> None:
        self._held: Dict[Tuple[str, int], str] = {}

    def joined(self, said: Said) -> Said:
        """``said`` with what was held before it, without a half at its end."""
        if not said.text:
            return said
        thread = said.event, said.choice
        text = self._held.pop(thread, "") + said.text
        if "\ud800" <= text[-1] <= "\udbff":
            self._held[thread] = text[-1]
            text = text[:-1]
        return said._replace(text=whole_text(text))

    def left(self) -> Iterator[Said]:
        """The halves that stayed alone, as U+FFFD."""
        for (event, choice), half in self._held.items():
            yield Said(event, whole_text(half), choice)
