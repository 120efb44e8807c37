"""``Lines``: bytes to lines, with where each starts and how it ends, however the bytes were cut.

The parser of the serving half drops what a check wants to see: line ends, offsets, the BOM. A
line past the bound is cut there, so that the memory is bounded; its end is still found.
"""

import re
from typing import Iterator, NamedTuple, Optional, Tuple

__all__ = ["Line", "Lines"]

_LINE_END = re.compile(rb"\r\n|\n|\r")


class Line(NamedTuple):
    """One line: where it starts in the stream, its bytes, and whether some were left out."""

    offset: int
    text: bytes
    is_cut: bool


class Lines:
    """Takes one stream. ``end`` of a line that ended in CR is known when the next byte is."""

    def __init__(self, limit_bytes: int) -> None:
        self.open_offset = 0
        self._limit_bytes = limit_bytes
        self._open = bytearray()
        self._is_cut = False
        self._offset = 0
        self.after_cr = False

    def feed(self, data: bytes) -> Iterator[Tuple[Optional[Line], bytes]]:
        """Each line that ``data`` completes, with what ended it.

        The end of a line whose CR came last in ``data`` is ``b""``; once it is known it follows
        alone, with None for the line.
        """
        start = 0
        if self.after_cr and data:
            self.after_cr = False
            start = 1 if data[:1] == b"\n" else 0
            yield None, b"\r\n" if start else b"\r"
            self.open_offset = self._offset + start
        for end in _LINE_END.finditer(data, start):
            self._take(data[start : end.start()])
            start = end.end()
            line = Line(self.open_offset, bytes(self._open), self._is_cut)
            self._open, self._is_cut = bytearray(), False
            self.open_offset = self._offset + start
            self.after_cr = start == len(data) and end.group() == b"\r"
            yield line, b"" if self.after_cr else end.group()
        self._take(data[start:])
        self._offset += len(data)

    def rest(self) -> Line:
        """The line that is still open."""
        return Line(self.open_offset, bytes(self._open), self._is_cut)

    @property
    def is_open(self) -> bool:
        """Whether a line has begun and not ended."""
        return bool(self._open)

    def _take(self, data: bytes) -> None:
        room = self._limit_bytes - len(self._open)
        self._is_cut = self._is_cut or len(data) > room
        self._open += data[: max(0, room)]
