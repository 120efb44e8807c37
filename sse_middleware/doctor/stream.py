"""``Stream``: the events and comments of an answer, each with the time of its last byte."""

from codecs import BOM_UTF8
from dataclasses import dataclass, field
from typing import List, NamedTuple, Optional

from sse_middleware.doctor.decoding import decoded
from sse_middleware.doctor.probe import Heard, Read
from sse_middleware.errors import EventTooLargeError
from sse_middleware.event import Event
from sse_middleware.framing import END_ID
from sse_middleware.parser import EventParser
from sse_middleware.testing._framing_lines import Line, Lines
from sse_middleware.testing._framing_problem import Problem
from sse_middleware.testing._framing_stream import StreamCheck

__all__ = ["Block", "Pause", "Stream", "stream_of"]

_LIMIT_BYTES = 1 << 24
#: What apps call the event after which a page closes its EventSource.
_LAST_NAMES = {
    *("close", "end", "done", "complete", "completed", "finish", "finished", "stop", "error"),
    *("message_stop", "response.completed", "response.failed", "response.incomplete"),
}


class Block(NamedTuple):
    """An event, or a comment (``event`` is None)."""

    at_s: float
    event: Optional[Event]
    text: bytes = b""

    @property
    def is_last(self) -> bool:
        """Whether it tells the client that no more will come."""
        event = self.event
        if event is None:
            return False
        return event.id == END_ID or event.data == "[DONE]" or event.event in _LAST_NAMES


class Pause(NamedTuple):
    """A wait inside an event: how many bytes of the body had come, and how long it was."""

    offset: int
    seconds: float


@dataclass
class Stream:
    """What an answer said; ``reads`` is None where it is compressed in a way we cannot read."""

    reads: Optional[List[Read]]
    headers_at_s: float = 0.0
    blocks: List[Block] = field(default_factory=list)
    pauses: List[Pause] = field(default_factory=list)
    problems: List[Problem] = field(default_factory=list)
    retry_ms: Optional[int] = None
    last_event_id: str = ""
    is_open: bool = False  # inside an event

    @property
    def events(self) -> List[Block]:
        """Its events, without what tells that it is over."""
        return [block for block in self.blocks if block.event is not None and not block.is_last]

    @property
    def comments(self) -> List[Block]:
        """Its comments."""
        return [block for block in self.blocks if block.event is None]

    @property
    def last(self) -> Optional[Block]:
        """What told that it is over."""
        return next((block for block in self.blocks if block.is_last), None)


def stream_of(heard: Heard) -> Stream:
    """What ``heard`` says, read as an event stream whatever its Content-Type."""
    stream = Stream(decoded(heard), heard.headers_at_s)
    reader = _Reader(stream)
    check = StreamCheck("whatwg")
    for read in stream.reads or []:
        stream.problems += check.feed(read.data)
        reader.feed(read)
    if stream.reads and heard.end in ("whole", "closed"):  # what is cut, is so in an event too
        stream.problems += check.finish()
    return stream


class _Reader:
    """Puts blocks and pauses into a `Stream`."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._lines = Lines(_LIMIT_BYTES)
        self._parser = EventParser()
        self._is_inside = False  # of an event
        self._open_since_s: Optional[float] = None
        self._size_bytes = 0

    def feed(self, read: Read) -> None:
        if read.data and self._open_since_s is not None:
            pause = Pause(self._size_bytes, read.at_s - self._open_since_s)
            self._stream.pauses.append(pause)
        for line, _ in self._lines.feed(read.data):
            if line is not None:
                self._take(line, read.at_s)
        if read.data:
            self._size_bytes += len(read.data)
            is_open = self._is_inside or self._lines.is_open
            self._open_since_s = read.at_s if is_open else None
            self._stream.is_open = is_open
        self._stream.retry_ms = self._parser.retry_ms
        self._stream.last_event_id = self._parser.last_event_id

    def _take(self, line: Line, at_s: float) -> None:
        has_bom = line.offset == 0 and line.text.startswith(BOM_UTF8)
        text = line.text[len(BOM_UTF8) :] if has_bom else line.text
        if text.startswith(b":"):
            self._stream.blocks.append(Block(at_s, None, text[1:].strip()))
        else:
            self._is_inside = bool(text)
        try:
            events = self._parser.feed(line.text + b"\n")  # a comment too: a BOM is no later one
        except EventTooLargeError:
            self._parser = EventParser()
            return
        self._stream.blocks += [Block(at_s, event) for event in events]
