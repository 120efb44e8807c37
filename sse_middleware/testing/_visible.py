"""What others sent, as a terminal may show it: what it would not show, or obey, is an escape."""

__all__ = ["escaped", "visible"]

_SHOWN_CHARACTERS = 72


def escaped(text: str) -> str:
    r"""``text`` with an escape for each character that no eye can see.

    >>> escaped("a\u200bb\x1b[2J\n")
    'a\\u200bb\\x1b[2J\\n'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


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
    return f"'{left}{escaped(cut)}{right}'"
