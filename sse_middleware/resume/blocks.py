"""``Blocks``: bytes, cut wherever they were, to whole blocks of an event stream.

A block is what stands between two blank lines: an event, or comments. Only whole ones can be kept
and numbered; half a one would be dropped by every client anyway. A BOM at the start goes, and so
does a line that begins with one later, which no client reads: any block may come first in the
response to a client that has come back, where a BOM counts. The work is linear in the bytes.

Source: WHATWG HTML 9.2.6.
"""

import re
from typing import List, Pattern

from sse_middleware.framing import END_ID

__all__ = ["Blocks", "is_event", "numbered", "without_id"]

_BOM = b"\xef\xbb\xbf"
_BLANK = re.compile(rb"(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r)")
_LOST_LINE = re.compile(rb"(?:\A|(?<=[\r\n]))\xef\xbb\xbf[^\r\n]*(?:\r\n|[\r\n])")
_ONE = re.compile(rb"(?:[^\r\n]+\n)+\n")
_DATA = re.compile(rb"(?:\A|[\r\n])data(?=[:\r\n])")
_END = END_ID.encode()
_LAST_ID = re.compile(rb"(?:.*[\r\n]|\A)id(?:: ?([^\r\n\0]*))?[\r\n]", re.DOTALL)
_ID = re.compile(rb"(?:\A|(?<=[\r\n]))id(?::[^\r\n]*)?(?:\r\n|[\r\n])")


class Blocks:
    """Takes bytes as they come; see the module."""

    def __init__(self) -> None:
        self._half = bytearray()
        self._searched = 0
        self._is_at_start = True

    def __len__(self) -> int:
        """How many bytes wait for the rest of their block."""
        return len(self._half)

    def feed(self, data: bytes) -> List[bytes]:
        """The blocks that ``data`` completes, each ending in one LF.

        >>> blocks = Blocks()
        >>> blocks.feed(b"data: a\\n\\nda"), blocks.feed(b"ta: b\\r\\n\\r\\n")
        ([b'data: a\\n'], [b'data: b\\n'])
        """
        if not (self._half or self._is_at_start) and _ONE.fullmatch(data):
            complete = [data[:-1]]  # as the app's own events come
        else:
            complete = self._completed(data)
        return [block for block in map(_read, complete) if block]

    def take_half(self) -> bytes:
        """What waits for its rest; it waits no longer."""
        half = bytes(self._half)
        self._half.clear()
        self._searched = 0
        return half

    def _completed(self, data: bytes) -> List[bytes]:
        self._half += data
        if self._is_at_start:
            self._drop_bom()
        complete, start = [], 0
        for blank in _BLANK.finditer(self._half, self._searched):
            block = bytes(self._half[start : blank.end()]).strip(b"\r\n")
            if block:
                complete.append(block + b"\n")
            start = blank.end()
        del self._half[:start]
        self._searched = max(0, len(self._half) - 3)
        return complete

    def _drop_bom(self) -> None:
        self._is_at_start = len(self._half) < len(_BOM) and _BOM.startswith(self._half)
        if self._half.startswith(_BOM):
            del self._half[: len(_BOM)]


def _read(block: bytes) -> bytes:
    """The lines of ``block`` that a client may read."""
    return _left_by(_LOST_LINE, block) if _BOM in block else block


def _left_by(lines: Pattern[bytes], block: bytes) -> bytes:
    """``block`` without these lines, ending in one LF again: the line before may end in CR."""
    rest = lines.sub(b"", block).rstrip(b"\r\n")
    return rest + b"\n" if rest else b""


def is_event(block: bytes) -> bool:
    """Whether a client sees ``block``: it has data."""
    return _DATA.search(block) is not None


def numbered(block: bytes, event_id: str) -> bytes:
    """The frame of ``block`` with that id; the end of a stream keeps its own.

    Of several ids in one block the last counts.
    """
    if _is_end(block):
        return block + b"\n"
    return block + b"id: " + event_id.encode("ascii") + b"\n\n"


def without_id(block: bytes) -> bytes:
    """The frame of ``block``, which is no event, without an id; the end of a stream keeps its own.

    A client would come back with that id, though nothing is kept under it.

    >>> without_id(b"retry: 5\\nid: 7\\n"), without_id(b"id: 7\\n")
    (b'retry: 5\\n\\n', b'')
    """
    rest = block if _is_end(block) else _left_by(_ID, block)
    return rest + b"\n" if rest else b""


def _is_end(block: bytes) -> bool:
    """Whether a client that has seen ``block`` comes back with the id of the end."""
    found = _LAST_ID.match(block) if _END in block else None
    return found is not None and found.group(1) == _END
