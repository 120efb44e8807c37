"""The fields of an event, checked: what the format cannot carry is refused here, by name.

None stays None: the field is left out. All raise `EventError`.
"""

from typing import Any, Mapping, Optional, Union

from sse_middleware.dumps import plain_text
from sse_middleware.errors import EventError, shown

__all__ = ["checked", "comment_text", "event_name", "id_text", "retry_ms"]

_FIELDS = frozenset({"event", "data", "id", "retry", "comment"})


def checked(mapping: Mapping[str, Any]) -> Mapping[str, Any]:
    """``mapping``, which has no other keys than the fields of an event."""
    if not isinstance(mapping, Mapping):
        raise EventError("item", shown(mapping), 'an Event or a mapping such as {"data": ...}')
    for key in mapping:
        if key not in _FIELDS:
            raise EventError(
                "key",
                shown(key),
                "one of event, data, id, retry, comment; to send the whole mapping as data, "
                'write {"data": {...}} or use items="data"',
            )
    return mapping


def _has_any(characters: str, text: str) -> bool:
    plain = plain_text(text)
    return any(character in plain for character in characters)


def _small(name: str, number: int) -> int:
    """The value of an ``int``, or of a subclass, that has few enough digits to be written."""
    if int.bit_length(number) > 2048:  # int() and str() refuse what is longer, at some setting
        raise EventError(name, f"of {int.bit_length(number)} bits", "2048 bits at most")
    return int.__int__(number)


def comment_text(comment: Optional[str]) -> Optional[str]:
    """The text of a comment."""
    if comment is not None and not isinstance(comment, str):
        raise EventError("comment", shown(comment), "a str")
    return None if comment is None else plain_text(comment)


def event_name(event: Optional[str], data: object) -> Optional[str]:
    """The name of an event that has ``data``."""
    if event is None:
        return None
    if not isinstance(event, str) or _has_any("\n\r", event):
        raise EventError("event", shown(event), "a str without CR or LF")
    if data is None:
        raise EventError(
            "data", "None", f'data beside event={shown(event)} (browsers drop it; write "data": "")'
        )
    return plain_text(event)


def id_text(id: Union[str, int, None]) -> Optional[str]:
    """The id as it is written."""
    if id is None:
        return None
    if isinstance(id, int) and not isinstance(id, bool):
        return str(_small("id", id))
    if not isinstance(id, str) or _has_any("\n\r\0", id):
        raise EventError("id", shown(id), "an int, or a str without CR, LF or NUL")
    return plain_text(id)


def retry_ms(retry: Optional[int]) -> Optional[int]:
    """The reconnection time, in milliseconds."""
    if retry is None:
        return None
    if not isinstance(retry, int) or isinstance(retry, bool) or int.__lt__(retry, 0):
        raise EventError("retry", shown(retry), "an int >= 0, in milliseconds")
    return _small("retry", retry)
