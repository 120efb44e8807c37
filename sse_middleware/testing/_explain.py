"""Why two events, or two lists of them, are not equal: which event, which field, where in it.

Pure functions. What a terminal does not show is written as an escape, and the first character
that differs is named, so that two texts that look alike can be told apart.
"""

import unicodedata
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import Any, Iterator, List, Optional, Sequence

from sse_middleware.event import Event

__all__ = ["explain"]

_FIELDS = ("data", "event", "id", "retry")
_AROUND = 30


def explain(left: object, right: object) -> Optional[List[str]]:
    """The lines that a failed ``left == right`` should print; None where it is not about events.

    Indexes are those of the lists. What a browser could not tell apart is no difference.

    >>> print("\\n".join(explain([Event("a"), Event("b ")], [Event("a"), Event("b"), Event("c")])))
    2 events == 3 events
    [1].data: 'b ' != 'b'
        at character 1: ' ' (U+0020 SPACE) != the end
    [2] only on the right: Event('c')
    """
    if isinstance(left, Event) and isinstance(right, Event):
        return ["two events that are not equal", *_event_lines("", left, right)]
    if not isinstance(left, (list, tuple)) or not isinstance(right, (list, tuple)):
        return None
    if not any(isinstance(item, Event) for item in (*left, *right)):
        return None
    lines = [f"{_counted(left)} == {_counted(right)}", *_list_lines(left, right)]
    if len(lines) == 1 and type(left) is not type(right):
        lines.append(f"the events are equal: a {_kind(left)} is no {_kind(right)}")
    return lines


def _counted(items: Sequence[Any]) -> str:
    return f"{len(items)} event{'' if len(items) == 1 else 's'}"


def _kind(value: object) -> str:
    return type(value).__name__


def _list_lines(left: Sequence[Any], right: Sequence[Any]) -> Iterator[str]:
    for at_left, at_right in _pairs(left, right):
        if at_right is None:
            yield f"[{at_left}] only on the left: {left[at_left]!r}"
        elif at_left is None:
            yield f"[{at_right}] only on the right: {right[at_right]!r}"
        elif left[at_left] != right[at_right]:
            where = f"[{at_left}]" if at_left == at_right else f"[{at_left}] and [{at_right}]"
            yield from _event_lines(where, left[at_left], right[at_right])


def _pairs(left: Sequence[Any], right: Sequence[Any]) -> Iterator[Any]:
    """Indexes of what belongs together; None where the other list has nothing for it."""
    if not all(isinstance(item, Event) for item in (*left, *right)):  # perhaps not hashable
        yield from zip_longest(range(len(left)), range(len(right)))
        return
    matcher = SequenceMatcher(None, left, right, autojunk=False)
    for _, left_from, left_to, right_from, right_to in matcher.get_opcodes():
        yield from zip_longest(range(left_from, left_to), range(right_from, right_to))


def _event_lines(where: str, left: Any, right: Any) -> Iterator[str]:
    if not isinstance(left, Event) or not isinstance(right, Event):
        other = right if isinstance(left, Event) else left
        yield f"{where}: {left!r} != {right!r}"
        yield f"    an Event is never equal to a {_kind(other)}: write Event(...)"
        return
    for name, mine, other in zip(_FIELDS, left._as_seen(), right._as_seen()):
        if mine != other:
            yield from _field_lines(f"{where}.{name}" if where else name, mine, other)


def _field_lines(where: str, left: Any, right: Any) -> Iterator[str]:
    if not isinstance(left, str) or not isinstance(right, str):
        yield f"{where}: {left!r} != {right!r}"
        return
    pairs = enumerate(zip_longest(left, right))
    at = next(index for index, (mine, other) in pairs if mine != other)
    yield f"{where}: {_around(left, at)} != {_around(right, at)}"
    yield f"    at character {at}: {_named(left, at)} != {_named(right, at)}"


def _around(text: str, at: int) -> str:
    """The text, or what of it is near the difference."""
    start, end = max(0, at - _AROUND), at + _AROUND
    before, after = ("..." if start else ""), ("..." if end < len(text) else "")
    return f"{before}{text[start:end]!r}{after}"


def _named(text: str, at: int) -> str:
    if at >= len(text):
        return "the end"
    name = unicodedata.name(text[at], "")
    return f"{text[at]!r} (U+{ord(text[at]):04X}{' ' + name if name else ''})"
