"""``Frames``: bytes to whole frames as they were sent, each with the event that it holds.

`EventParser` says what an event is and bounds its size; here the bytes it came in are kept beside
it. Comments, a BOM and blocks without data are dropped: none of them is an event, and some
clients fail on them.

Source: WHATWG HTML 9.2.6, "Interpreting an event stream".
"""

from typing import Iterator, NamedTuple, Union

from sse_middleware.errors import EventTooLargeError
from sse_middleware.event import Event
from sse_middleware.parser import EventParser

__all__ = ["Frame", "Frames"]

_BOM = b"\xef\xbb\xbf"
_MAX_EVENT_BYTES = 1 << 24  # an image in a single event passes


class Frame(NamedTuple):
    """One event: the bytes it came in, with the blank line that ends it, and what they say."""

    raw: bytes
    event: Event


class Frames:
    """Cuts one stream, from its first byte to its last.

    >>> frames = Frames()
    >>> [frame.raw for frame in frames.feed(b": hello\\n\\ndata: 1\\r\\n\\r\\ndata: 2\\n")]
    [b'data: 1\\r\\n\\r\\n']
    """

    def __init__(self) -> None:
        self._parser = EventParser(max_event_bytes=_MAX_EVENT_BYTES)
        self._line = bytearray()
        self._raw = bytearray()
        self._at_start = True

    def feed(self, data: Union[bytes, bytearray, memoryview]) -> Iterator[Frame]:
        """The frames that ``data`` completes, in order.

        Raises:
            EventTooLargeError: an event is past 16 MiB.
        """
        for piece in bytes(data).splitlines(keepends=True):
            if self._line.endswith(b"\r") and piece != b"\n":
                yield from self._end_line()
            self._line += piece
            # A CR may be half of a CRLF. To wait for the rest delays nothing, but for a blank line.
            if piece.endswith(b"\n") or self._line == b"\r":
                yield from self._end_line()
            elif len(self._line) > _MAX_EVENT_BYTES:
                raise EventTooLargeError(_MAX_EVENT_BYTES)

    def _end_line(self) -> Iterator[Frame]:
        line = bytes(self._line)
        self._line.clear()
        if self._at_start and line.startswith(_BOM):
            line = line[len(_BOM) :]
        self._at_start = False
        if line.startswith((b":", _BOM)):  # the latter is a field that no client knows
            return
        if line == b"\r" and self._raw.endswith(b"\r\n"):
            line = b"\r\n"  # its other half is still on its way, and will be one more blank line
        self._raw += line
        events = self._parser.feed(line)
        if line in (b"\n", b"\r\n", b"\r"):
            raw = bytes(self._raw)
            self._raw.clear()
            for event in events:
                yield Frame(raw, event)
