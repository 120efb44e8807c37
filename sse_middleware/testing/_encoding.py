"""Content-Encoding undone: a recording holds what a client reads, whoever compressed it on the way.

Dumps and cassettes may hold the body as it was sent or as it was read, and keep the header in both
cases; so the bytes are looked at before they are decoded.
"""

import zlib
from typing import Iterable, Tuple

from sse_middleware.errors import RecordingError, shown

__all__ = ["decoded"]

_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS


def decoded(body: bytes, headers: Iterable[Tuple[str, str]], source: str) -> bytes:
    """The body without compression: gzip and deflate are undone, as is their absence.

    Raises:
        RecordingError: it is damaged, or compressed in another way; the text names ``source``.
    """
    coding = ", ".join(v.strip().lower() for k, v in headers if k.lower() == "content-encoding")
    if coding in ("", "identity") or not body:
        return body
    if coding in ("gzip", "x-gzip", "deflate"):
        return _inflated(body, coding, source)
    if _is_text(body):
        return body
    expected = "gzip or deflate; record it with the request header Accept-Encoding: identity"
    raise RecordingError(f"{source}: content-encoding", shown(coding), expected)


def _inflated(body: bytes, coding: str, source: str) -> bytes:
    if coding != "deflate" and not body.startswith(_GZIP_MAGIC):
        return body
    whole = b""
    try:
        while body:
            stream = zlib.decompressobj(_GZIP_OR_ZLIB)
            whole += stream.decompress(body) + stream.flush()
            body = stream.unused_data if body.startswith(_GZIP_MAGIC) else b""
        return whole
    except zlib.error as error:
        if coding == "deflate" and _is_text(body):
            return body
        raise RecordingError(f"{source}: body", f"damaged ({error})", f"{coding} data") from None


def _is_text(body: bytes) -> bool:
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
