"""The chunked transfer coding as it is read: here requests' bodies, there an upstream's answer.

Read by hand, because what a recording keeps is where each chunk ends, and what had come of the
last one when the connection broke. Source: RFC 9112 section 7.1.
"""

import re
from io import BufferedIOBase

from sse_middleware.errors import shown

__all__ = ["ChunkSizeError", "read_chunk_size", "skip_trailers"]

_LINE_LIMIT_BYTES = 65537
_SIZE = re.compile(rb"0*[0-9A-Fa-f]{1,20}")


class ChunkSizeError(Exception):
    """A line where a chunk's size should be, and is not."""


def read_chunk_size(file: BufferedIOBase) -> int:
    """The size in the next line; 0 before the trailers. Extensions are dropped.

    >>> from io import BytesIO
    >>> read_chunk_size(BytesIO(b"1f;name=value\\r\\n"))
    31

    Raises:
        ChunkSizeError: the line holds no size, or there is none.
    """
    line = file.readline(_LINE_LIMIT_BYTES)
    digits = line.partition(b";")[0].strip(b" \t\r\n")
    if not _SIZE.fullmatch(digits):  # int() would take 0x5, +5 and 1_0 too
        raise ChunkSizeError(f"chunk size is {shown(line[:40])}: expected hex digits")
    return int(digits, 16)


def skip_trailers(file: BufferedIOBase) -> None:
    """Read up to the blank line that ends the body, or to the end of the connection."""
    while file.readline(_LINE_LIMIT_BYTES) not in (b"\r\n", b"\n", b""):  # " " goes on a trailer
        pass
