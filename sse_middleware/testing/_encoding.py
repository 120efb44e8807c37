"""Content-Encoding undone: a recording holds what a client reads, whoever compressed it on the way.

Dumps and cassettes may hold the body as it was sent or as it was read, and keep the header in both
cases; so the bytes are looked at before they are decoded.
"""

import zlib
from typing import Iterable, Tuple

from sse_middleware.errors import RecordingError, shown

__all__ = ["decoded"]

_GZIP_MAGIC = b"\x1f\x8b"
_GZIP, _ZLIB, _RAW = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS, -zlib.MAX_WBITS


def decoded(body: bytes, headers: Iterable[Tuple[str, str]], source: str) -> bytes:
    """The body without compression: gzip and deflate are undone, as is their absence.

    Raises:
        RecordingError: it is damaged, or compressed in another way; the text names ``source``.
    """
    coding = ", ".join(v.strip().lower() for k, v in headers if k.lower() == "content-encoding")
    if coding in ("", "identity"):
        return body
    if coding in ("gzip", "x-gzip") and not body.startswith(_GZIP_MAGIC):
        return body
    try:
        if coding in ("gzip", "x-gzip"):
            return _gunzipped(body)
        if coding == "deflate":
            return _inflated(body)
    except zlib.error as error:
        raise RecordingError(f"{source}: body", f"damaged ({error})", f"{coding} data") from None
    if _is_text(body):
        return body
    expected = "gzip or deflate; record it with the request header Accept-Encoding: identity"
    raise RecordingError(f"{source}: content-encoding", shown(coding), expected)


def _gunzipped(body: bytes) -> bytes:
    """All members of gzip data, of the last one as much as there is."""
    whole = b""
    while body.startswith(_GZIP_MAGIC):
        member = zlib.decompressobj(_GZIP)
        whole += member.decompress(body) + member.flush()
        body = member.unused_data
    return whole


def _inflated(body: bytes) -> bytes:
    """Deflate with the frame of zlib, as RFC 9110 8.4.1.2 has it, or raw, as some servers send."""
    try:
        framed = zlib.decompressobj(_ZLIB)
        return framed.decompress(body) + framed.flush()
    except zlib.error:
        if _is_text(body):
            return body
    return zlib.decompress(body, _RAW)


def _is_text(body: bytes) -> bool:
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
