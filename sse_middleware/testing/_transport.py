"""An upstream's answer as its transport delivers it: chunk by chunk, up to how it ended."""

import http.client
import re
from typing import Iterator, List, Optional, Tuple

from sse_middleware.headers import HOP_BY_HOP, Headers, hop_by_hop
from sse_middleware.testing._chunked import ChunkSizeError, read_chunk_size, skip_trailers

__all__ = ["TransportBody", "end_to_end_headers"]

_READ_BYTES = 1 << 16
_VAST_BYTES = 16 << 20
_FOLD = re.compile(r"[\r\n]+[ \t]*")


class TransportBody:
    """Iterates over a response's body: its chunks, or without chunks what each read brings.

    A body that has no length and no chunks ends with its connection, and is then complete.
    """

    def __init__(self, response: http.client.HTTPResponse, method: str) -> None:
        self._response = response
        self._is_absent = method == "HEAD" or response.status in (204, 304)
        #: Whether the response's head tells where it ends.
        self.is_delimited = self._is_absent or (
            not response.chunked and response.length is not None
        )
        #: How the body ended, once it has: ``complete``, ``eof`` or ``reset``.
        self.end: Optional[str] = None

    def __iter__(self) -> Iterator[bytes]:
        if self._is_absent:
            self.end = "complete"
            return
        try:
            yield from self._chunks() if self._response.chunked else self._reads()
        except ConnectionError:
            self.end = "reset"
        except (ChunkSizeError, OverflowError, OSError, ValueError):  # no HTTP, or closed under us
            self.end = "eof"

    def _reads(self) -> Iterator[bytes]:
        yield from iter(lambda: self._response.read1(_READ_BYTES), b"")
        self.end = "eof" if self._response.length else "complete"

    def _chunks(self) -> Iterator[bytes]:
        file = self._response.fp
        for size_bytes in iter(lambda: read_chunk_size(file), 0):
            yield from self._chunk(size_bytes)
            if self.end is not None:
                return
            file.readline(_READ_BYTES)
        skip_trailers(file)
        self.end = "complete"

    def _chunk(self, size_bytes: int) -> Iterator[bytes]:
        """One chunk, whole unless it is vast; what came of it, where the connection broke."""
        parts: List[bytes] = []
        left_bytes = size_bytes
        while left_bytes and self.end is None:
            if size_bytes - left_bytes >= _VAST_BYTES:
                yield b"".join(parts)
                parts, size_bytes = [], left_bytes
            try:
                part = self._response.fp.read1(min(left_bytes, _READ_BYTES))
            except OSError as error:
                self.end = "reset" if isinstance(error, ConnectionError) else "eof"
            else:
                self.end = None if part else "eof"
                parts.append(part)
                left_bytes -= len(part)
        if any(parts):
            yield b"".join(parts)


def end_to_end_headers(response: http.client.HTTPResponse) -> List[Tuple[str, str]]:
    """The response's headers without those of its connection, each on one line."""
    pairs: Headers = [(name, _FOLD.sub(" ", value)) for name, value in response.getheaders()]
    dropped = {name.lower() for name in hop_by_hop(pairs)} | HOP_BY_HOP
    if response.chunked:
        dropped.add("content-length")  # RFC 9112 6.3: the chunks decide
    return [(name, value) for name, value in pairs if name.lower() not in dropped]
