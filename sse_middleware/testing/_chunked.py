"""The chunked transfer coding as it is read: here requests' bodies, there an upstream's answer.

Read by hand, because what a recording keeps is where each chunk ends, and what had come of the
last one when the connection broke. Source: RFC 9112 section 7.1.
"""

from io import BufferedIOBase

from sse_middleware.errors import shown

__all__ = ["ChunkSizeError", "read_chunk_size", "skip_trailers"]

_LINE_LIMIT_BYTES = 65537


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
    try:
        size_bytes = int(line.split(b";")[0], 16)
    except ValueError:
        size_bytes = -1
    if size_bytes < 0:
        raise ChunkSizeError(f"chunk size is {shown(line[:40])}: expected hex digits")
    return size_bytes


def skip_trailers(file: BufferedIOBase) -> None:
    """Read up to the blank line that ends the body, or to the end of the connection."""
    while file.readline(_LINE_LIMIT_BYTES).strip():
        pass
