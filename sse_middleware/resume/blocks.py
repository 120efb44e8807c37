"""``Blocks``: bytes, cut wherever they were, to whole blocks of an event stream.

A block is what stands between two blank lines: an event, or comments. Only whole ones can be kept
and numbered; half a one would be dropped by every client anyway. The work is linear in the bytes.

Source: WHATWG HTML 9.2.6.
"""

import re
from typing import List

from sse_middleware.framing import END_ID

__all__ = ["Blocks", "is_event", "numbered", "without_id"]

_BLANK = re.compile(rb"(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r)")
_ONE = re.compile(rb"(?:[^\r\n]+\n)+\n")
_DATA = re.compile(rb"(?:\A(?:\xef\xbb\xbf)?|[\r\n])data(?=[:\r\n])")
_END = re.compile(rb"(?:\A|[\r\n])id: ?" + END_ID.encode() + rb"(?=[\r\n])")
_ID = re.compile(rb"(?:\A|(?<=[\r\n]))id(?::[^\r\n]*)?(?:\r\n|[\r\n])")


class Blocks:
    """Takes bytes as they come; see the module."""

    def __init__(self) -> None:
        self._half = bytearray()
        self._searched = 0

    def __len__(self) -> int:
        """How many bytes wait for the rest of their block."""
        return len(self._half)

    def feed(self, data: bytes) -> List[bytes]:
        """The blocks that ``data`` completes, each ending in one LF.

        >>> blocks = Blocks()
        >>> blocks.feed(b"data: a\\n\\nda"), blocks.feed(b"ta: b\\r\\n\\r\\n")
        ([b'data: a\\n'], [b'data: b\\n'])
        """
        if not self._half and _ONE.fullmatch(data):  # as the app's own events come
            return [data[:-1]]
        self._half += data
        complete, start = [], 0
        for blank in _BLANK.finditer(self._half, self._searched):
            block = bytes(self._half[start : blank.end()]).strip(b"\r\n")
            if block:
                complete.append(block + b"\n")
            start = blank.end()
        del self._half[:start]
        self._searched = max(0, len(self._half) - 3)
        return complete

    def take_half(self) -> bytes:
        """What waits for its rest; it waits no longer."""
        half = bytes(self._half)
        self._half.clear()
        self._searched = 0
        return half


def is_event(block: bytes) -> bool:
    """Whether a client sees ``block``: it has data."""
    return _DATA.search(block) is not None


def numbered(block: bytes, event_id: str) -> bytes:
    """The frame of ``block`` with that id; the end of a stream keeps its own.

    Of several ids in one block the last counts.
    """
    if _END.search(block):
        return block + b"\n"
    return block + b"id: " + event_id.encode("ascii") + b"\n\n"


def without_id(block: bytes) -> bytes:
    """The frame of ``block``, which is no event, without an id; the end of a stream keeps its own.

    A client would come back with that id, though nothing is kept under it.

    >>> without_id(b"retry: 5\\nid: 7\\n"), without_id(b"id: 7\\n")
    (b'retry: 5\\n\\n', b'')
    """
    rest = block if _END.search(block) else _ID.sub(b"", block)
    return rest + b"\n" if rest else b""
