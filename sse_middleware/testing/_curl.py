"""Reads what curl wrote: the headers of ``-D`` or ``-i``, and the body after them or apart.

curl writes one block of headers for each response on the way: of a proxy that was asked to
connect, of 100 Continue, of redirects. The last one is that of the body.
"""

import re
from typing import List, NamedTuple, Optional, Tuple

from sse_middleware.errors import RecordingError, shown

__all__ = ["Head", "split"]

_STATUS_LINE = re.compile(rb"HTTP/\d(?:\.\d)? ([1-5]\d\d)(?: [^\r\n]*)?")
_LINE = re.compile(rb"([^\n]*?)\r?\n")
_HOW = "HTTP/1.1 200 OK or its like, which curl -i and -D write (Recording.load reads a body alone)"


class Head(NamedTuple):
    """The status and the headers of one response."""

    status: int
    headers: List[Tuple[str, str]]


def split(dump: bytes, source: str) -> Tuple[Head, bytes]:
    """The head that belongs to the body, and all that follows it.

    Raises:
        RecordingError: there are no headers at the start, or one of their lines is none.
    """
    reader = _Reader(dump, source)
    head = reader.read_head()
    while reader.is_at_a_status_line():
        head = reader.read_head()
    return head, dump[reader.at :]


class _Reader:
    """Reads heads line by line, and knows the line's number for the errors."""

    def __init__(self, dump: bytes, source: str) -> None:
        self.at = 0
        self._dump = dump
        self._source = source
        self._line_number = 0

    def is_at_a_status_line(self) -> bool:
        line = _LINE.match(self._dump, self.at)
        return bool(line and _STATUS_LINE.fullmatch(line.group(1)))

    def read_head(self) -> Head:
        line = self._next_line()
        found = _STATUS_LINE.fullmatch(line or b"")
        if not found:
            raise self._error("the end" if line is None else shown(line), _HOW)
        headers: List[Tuple[str, str]] = []
        for text in iter(self._next_text, ""):
            name, colon, value = text.partition(":")
            if text[0] in " \t" and headers:  # obs-fold, RFC 9112 5.2
                headers[-1] = (headers[-1][0], f"{headers[-1][1]} {text.strip()}".lstrip())
            elif colon:
                headers.append((name, value.strip(" \t")))
            else:
                raise self._error(shown(text), "a header such as Content-Type: text/event-stream")
        return Head(int(found.group(1)), headers)

    def _next_text(self) -> str:
        line = self._next_line()
        if line is None:
            raise self._error("the end", "a blank line after the headers")
        return line.decode("latin-1")

    def _next_line(self) -> Optional[bytes]:
        self._line_number += 1
        line = _LINE.match(self._dump, self.at)
        if line is None:
            rest, self.at = self._dump[self.at :], len(self._dump)
            return rest or None
        self.at = line.end()
        return line.group(1)

    def _error(self, measured: str, expected: str) -> RecordingError:
        return RecordingError(f"{self._source} line {self._line_number}", measured, expected)
