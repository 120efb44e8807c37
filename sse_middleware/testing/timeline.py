"""A recording as lines of text: what came when, and how the transport cut it.

A block is what a blank line ends: an event, a comment, a ``retry:`` alone. There is a line for each
part of a block in a chunk: a block that is cut has several, and so has a chunk of several blocks.
"""

import re
from typing import Iterator, List, NamedTuple, Tuple

from sse_middleware.errors import printable
from sse_middleware.headers import is_event_stream
from sse_middleware.parser import EventParser
from sse_middleware.testing import _recording_rules as rules
from sse_middleware.testing.recording import Recording

__all__ = ["summary", "timeline"]

_HEADING = ("seconds", "delta", "bytes", "chunk", "event", "id", "data")
_NUMBERS = 3  # columns, which stand to the right
_SHOWN_CHARS = 72
_BLANK_LINE = re.compile(rb"(?:\A|\n|\r(?!\n))(?:\r\n|\r|\n)\Z")
_COMMENT = re.compile(rb"(?::[^\r\n]*[\r\n]+)+")


class _Block(NamedTuple):
    """Where a block lies in the body, and what its last line says of it."""

    start: int
    end: int
    is_event: bool
    cells: Tuple[str, str, str]  # event, id, data


def summary(recording: Recording) -> List[str]:
    """What the recording is as a whole, in a few lines."""
    events = [block for block in _blocks(recording) if block.is_event]
    delays_s = [chunk.delay_s for chunk in recording.chunks]
    with_bytes = [number for number, chunk in enumerate(recording.chunks, 1) if chunk.size_bytes]
    first_s = f"{sum(delays_s[: with_bytes[0]]):.3f} s" if with_bytes else "never"
    return [
        f"status {recording.status}, end {recording.end}",
        *(f"{name}: {printable(value)}" for name, value in recording.headers.items()),
        *_asked(recording),
        f"chunks {len(recording.chunks)}, events {len(events)}, bytes {len(recording.body)}",
        f"first byte {first_s}, duration {sum(delays_s):.3f} s",
    ]


def timeline(recording: Recording) -> Iterator[str]:
    """A heading, then the lines of each chunk.

    The column ``chunk`` is empty where a chunk is one whole block. Else it says which part of the
    chunk the line is, ``1 of 3``, and with a ``+`` that the block goes on in the next chunk, or has
    begun in an earlier one. An event stands on the line of its last part.

    >>> recording = Recording(b"data: a\\n\\ndata: b\\n\\n", chunks=[(0.25, 12), (0.5, 6)])
    >>> for line in timeline(recording):
    ...     print(line)
    seconds   delta  bytes  chunk    event    id  data
      0.250  +0.250     12  1 of 2   message      a
                            2 of 2+               dat
      0.750  +0.500      6  +1 of 1  message      b
    """
    rows = [_HEADING, *_rows(recording)]
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        cells = [
            cell.rjust(width) if number < _NUMBERS else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths))
        ]
        yield "  ".join(cells).rstrip()


def _rows(recording: Recording) -> Iterator[Tuple[str, ...]]:
    blocks = _blocks(recording)
    at_s, start, first = 0.0, 0, 0
    for delay_s, size_bytes in recording.chunks:
        at_s, end = at_s + delay_s, start + size_bytes
        times = (f"{at_s:.3f}", f"+{delay_s:.3f}", str(size_bytes))
        last = first
        while last < len(blocks) and blocks[last].start < end:
            last += 1
        for cells in _parts(recording.body, start, end, blocks[first:last]):
            yield (*times, *cells)
            times = ("", "", "")
        first = last - 1 if last > first and blocks[last - 1].end > end else last
        start = end


def _parts(
    body: bytes, start: int, end: int, blocks: List[_Block]
) -> Iterator[Tuple[str, str, str, str]]:
    """The cells ``chunk``, ``event``, ``id`` and ``data`` of each block that a chunk touches."""
    if start == end:
        yield "", "(a delay)", "", ""
        return
    for number, block in enumerate(blocks, 1):
        before, after = block.start < start, block.end > end
        mark = f"{'+' * before}{number} of {len(blocks)}{'+' * after}"
        part = body[max(block.start, start) : min(block.end, end)]
        cells = ("", "", _start_of(part)) if after else block.cells
        yield ("" if mark == "1 of 1" else mark, *cells)


def _blocks(recording: Recording) -> List[_Block]:
    body = recording.body
    if not is_event_stream(list(recording.headers.items())):
        return [_Block(0, len(body), False, ("(body)", "", _start_of(body)))] if body else []
    parser = EventParser(max_event_bytes=len(body) + 1)
    blocks, start = [], 0
    for end in rules.block_ends(body):
        blocks.append(_block(parser, body[start:end], start))
        start = end
    return blocks


def _block(parser: EventParser, block: bytes, start: int) -> _Block:
    end = start + len(block)
    for event in parser.feed(block):
        fields = (str(event.event), str("" if event.id is None else event.id), str(event.data))
        name, id, data = (_start_of(field.encode("utf-8")) for field in fields)
        return _Block(start, end, True, (name, id, data))
    if not _BLANK_LINE.search(block):
        kind = "(unfinished)"
    else:
        kind = "(comment)" if _COMMENT.fullmatch(block) else "(no data)"
    return _Block(start, end, False, (kind, "", _start_of(block.rstrip(b"\r\n"))))


def _asked(recording: Recording) -> List[str]:
    request = recording.request or {}
    body = request.get("body")
    model = body.get("model", "") if isinstance(body, dict) else ""
    asked = [str(part) for part in (request.get("method"), request.get("path"), model) if part]
    return [f"request {printable(' '.join(asked))}"] if asked else []


def _start_of(data: bytes) -> str:
    """The text that fits on a line; a character more or less cut at its end is left out."""
    text = data[: 4 * _SHOWN_CHARS + 4].decode("utf-8", "replace")
    is_longer = len(text) > _SHOWN_CHARS
    return printable(text[:_SHOWN_CHARS]) + ("..." if is_longer else "")
