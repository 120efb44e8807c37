"""Content-Encoding undone: a recording holds what a client reads, whoever compressed it on the way.

Dumps and cassettes may hold the body as it was sent or as it was read, and keep the header in both
cases; so the bytes are looked at before they are decoded.
"""

import zlib
from typing import Any, Iterable, Tuple

from sse_middleware.errors import RecordingError, shown

__all__ = ["decoded"]

_MAX_BYTES = 64 << 20
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
        whole += _opened(member, body, len(whole))
        body = member.unused_data
    return whole


def _inflated(body: bytes) -> bytes:
    """Deflate with the frame of zlib, as RFC 9110 8.4.1.2 has it, or raw, as some servers send."""
    try:
        return _opened(zlib.decompressobj(_ZLIB), body)
    except zlib.error:
        if _is_text(body):
            return body
    raw = zlib.decompressobj(_RAW)
    text = _opened(raw, body)
    if not raw.eof:
        raise zlib.error("incomplete")
    return text


def _opened(reader: Any, data: bytes, taken_bytes: int = 0) -> bytes:
    """What the data say; a few bytes may say more than any memory holds."""
    text: bytes = reader.decompress(data, max(1, _MAX_BYTES - taken_bytes))
    if reader.unconsumed_tail:
        raise zlib.error(f"it is over {_MAX_BYTES} bytes")
    return text + bytes(reader.flush())


def _is_text(body: bytes) -> bool:
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
