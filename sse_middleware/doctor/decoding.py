"""``decoded``: the reads of a body without their Content-Encoding, each with what it let out.

What a compressor holds back shows here: bytes that came early and mean nothing until later.
"""

import zlib
from typing import List, Optional

from sse_middleware.doctor.masking import masked_reads
from sse_middleware.doctor.probe import LIMIT_BYTES, Heard, Read
from sse_middleware.headers import is_encoded

__all__ = ["decoded"]

_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS
_READABLE = ("gzip", "x-gzip", "deflate")


def decoded(heard: Heard) -> Optional[List[Read]]:
    """The reads as text was written into them; None where they cannot be read.

    What is damaged ends there.
    """
    if not is_encoded(heard.headers):
        return list(heard.reads)
    if (heard.find("content-encoding") or "").strip().lower() not in _READABLE:
        return None
    reader, room_bytes = zlib.decompressobj(_GZIP_OR_ZLIB), LIMIT_BYTES
    reads: List[Read] = []
    for read in heard.reads:
        try:
            data = reader.decompress(read.data, room_bytes)
        except zlib.error:
            return masked_reads(reads, heard.asked) if any(r.data for r in reads) else None
        reads.append(Read(read.at_s, data))
        room_bytes -= len(data)
        if room_bytes <= 0:
            break
    return masked_reads(reads, heard.asked)
