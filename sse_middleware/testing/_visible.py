"""What others sent, as a terminal may show it: what it would not show, or obey, is an escape."""

from sse_middleware.errors import printable

__all__ = ["visible"]

_SHOWN_CHARACTERS = 72


def visible(value: bytes, start: int = 0) -> str:
    r"""``value`` in quotes, from about ``start``, escaped and cut to what fits on a line.

    >>> visible(b"id: 7\x00\xff caf\xc3\xa9\xe2\x80\x8b")
    "'id: 7\\x00\\xff café\\u200b'"
    """
    first = max(0, start - _SHOWN_CHARACTERS // 2)
    while first and value[first] & 0xC0 == 0x80:  # inside a character
        first -= 1
    text = value[first : first + 4 * _SHOWN_CHARACTERS].decode("utf-8", "backslashreplace")
    cut = text[:_SHOWN_CHARACTERS]
    left = "..." if first else ""
    right = "..." if len(text) > len(cut) or first + 4 * _SHOWN_CHARACTERS < len(value) else ""
    return f"'{left}{printable(cut)}{right}'"
