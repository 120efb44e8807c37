"""``Event`` and ``encode``: the fields of one event, and the bytes they are on the wire.

The format is that of the WHATWG HTML standard, section 9.2. Two rules decide everything here:

* What cannot be sent as it stands is refused before a byte of it is written; nothing is ever
  mended in silence. The one exception is the line break: the format cannot tell CRLF, CR and LF
  apart, so each of them starts a new ``data:`` line and arrives as LF.
* A value always follows ``": "`` with the space, because the reader takes one space away.

No I/O, no clock, no thread.
"""

import json
import math
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Callable, Mapping, Optional, Union

from sse_middleware.errors import EventError, shown

__all__ = ["Dumps", "Event", "encode"]

#: What serialises data that is not ``str``: any object to JSON, as text or as UTF-8.
Dumps = Callable[[Any], Union[str, bytes]]

_FIELDS = frozenset({"event", "data", "id", "retry", "comment"})


@dataclass(frozen=True, init=False, eq=False, repr=False)
class Event:
    """One event, valid once made and never changed.

    ``data`` is text; anything else is made JSON here. ``id`` may be an ``int``. ``retry`` is in
    milliseconds. ``None`` leaves a field out. ``last_event_id`` is set on parsed events only:
    the id that a browser would send on reconnecting after this event.

    Two events are equal when a browser could not tell them apart.

    >>> Event({"text": "Hi"}, id=7)
    Event('{"text":"Hi"}', id='7')
    >>> Event("a\\r\\nb", event="message") == Event("a\\nb")
    True

    Raises:
        EventError: a field that the format cannot carry, or ``event`` without ``data``.

    Source: WHATWG HTML 9.2.5, 9.2.6.
    """

    # Tools that write a dataclass out as a call, such as inline-snapshot, go by these.
    data: Optional[str] = None
    event: Optional[str] = None
    id: Optional[str] = None
    retry: Optional[int] = None
    comment: Optional[str] = None
    last_event_id: str = field(init=False, repr=False, default="")

    def __init__(
        self,
        data: object = None,
        *,
        event: Optional[str] = None,
        id: Union[str, int, None] = None,
        retry: Optional[int] = None,
        comment: Optional[str] = None,
    ) -> None:
        fields = {
            "data": _data_text(data, None),
            "event": _event_name(event, data),
            "id": _id_text(id),
            "retry": _retry_ms(retry),
            "comment": _comment_text(comment),
            "last_event_id": "",
        }
        object.__setattr__(self, "__dict__", fields)
        encode(self)  # refuses lone surrogates

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any], *, dumps: Optional[Dumps] = None) -> "Event":
        """The event that ``mapping`` describes; ``mapping`` itself is left as it is.

        >>> Event.from_mapping({"data": [1, 2]})
        Event('[1,2]')

        Raises:
            EventError: an unknown key, or a value that the field cannot hold.
        """
        fields = dict(_checked(mapping))
        fields["data"] = _data_text(fields.get("data"), dumps)
        return cls(**fields)

    def json(self) -> Any:
        """The data, read as JSON.

        >>> Event('{"text": "Hi"}').json()["text"]
        'Hi'

        Raises:
            EventError: there is no data, or it is not JSON.
        """
        try:
            return json.loads(self.data or "")
        except (ValueError, RecursionError) as error:
            raise EventError("data", shown(self.data), f"JSON text ({error})") from error

    def _as_seen(self) -> tuple:  # type: ignore[type-arg]
        """What a browser can see of it: comments never, a name only with data."""
        if self.data is None:
            return (None, None, self.id, self.retry)
        return (_with_lf(self.data), self.event or "message", self.id, self.retry)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Event):
            return NotImplemented
        return self._as_seen() == other._as_seen()

    def __hash__(self) -> int:
        return hash(self._as_seen())

    def __repr__(self) -> str:
        given = [] if self.data is None else [repr(self.data)]
        for name in ("event", "id", "retry", "comment"):
            value = getattr(self, name)
            if value is not None:
                given.append(f"{name}={value!r}")
        return f"Event({', '.join(given)})"


def encode(event: Union[Event, Mapping[str, Any]], *, dumps: Optional[Dumps] = None) -> bytes:
    """One whole frame: the lines of ``event`` and the blank line that ends it.

    ``event`` is an `Event` or a mapping with the same fields. ``dumps`` serialises ``data`` of a
    mapping that is not ``str`` (default: orjson where it is installed, else `json`; compact,
    UTF-8). Where every field is ``None`` there is nothing to say, and the result is ``b""``.

    >>> encode({"event": "greeting", "id": 1, "data": "Hello\\nthere"})
    b'event: greeting\\nid: 1\\ndata: Hello\\ndata: there\\n\\n'

    Raises:
        EventError: an unknown key, or a value that the format cannot carry.

    Source: WHATWG HTML 9.2.5.
    """
    if isinstance(event, Event):
        return _frame(event.comment, event.event, event.id, event.retry, event.data)
    get = _checked(event).get
    data = get("data")
    return _frame(
        _comment_text(get("comment")),
        _event_name(get("event"), data),
        _id_text(get("id")),
        _retry_ms(get("retry")),
        _data_text(data, dumps),
    )


def _frame(
    comment: Optional[str],
    event: Optional[str],
    id: Optional[str],
    retry: Optional[int],
    data: Optional[str],
) -> bytes:
    text = "" if comment is None else _lines(": ", comment)
    if event is not None:
        text += f"event: {event}\n"
    if id is not None:
        text += f"id: {id}\n"
    if retry is not None:
        text += f"retry: {retry}\n"
    if data is not None:
        text += _lines("data: ", data)
    if not text:
        return b""
    try:
        return (text + "\n").encode()
    except UnicodeEncodeError as error:
        start, end = text.rfind("\n", 0, error.start) + 1, text.find("\n", error.start)
        name, _, value = text[start:end].partition(": ")
        raise EventError(
            name or "comment", shown(value), "text without lone surrogates (UTF-8 has no form)"
        ) from None


def _lines(prefix: str, text: str) -> str:
    return prefix + _with_lf(text).replace("\n", "\n" + prefix) + "\n"


def _with_lf(text: str) -> str:
    """``text`` with LF for each line end of the format. Not ``splitlines``: that knows more."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text


def _checked(mapping: Mapping[str, Any]) -> Mapping[str, Any]:
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


def _plain(text: str) -> str:
    """The characters of a ``str`` subclass: its own methods may escape or rename them."""
    return text if type(text) is str else str.__str__(text)


def _has_any(characters: str, text: str) -> bool:
    plain = _plain(text)
    return any(character in plain for character in characters)


def _small(name: str, number: int) -> int:
    """The value of an ``int``, or of a subclass, that has few enough digits to be written."""
    if int.bit_length(number) > 2048:  # int() and str() refuse what is longer, at some setting
        raise EventError(name, f"of {int.bit_length(number)} bits", "2048 bits at most")
    return int.__int__(number)


def _comment_text(comment: Optional[str]) -> Optional[str]:
    if comment is not None and not isinstance(comment, str):
        raise EventError("comment", shown(comment), "a str")
    return None if comment is None else _plain(comment)


def _event_name(event: Optional[str], data: object) -> Optional[str]:
    if event is None:
        return None
    if not isinstance(event, str) or _has_any("\n\r", event):
        raise EventError("event", shown(event), "a str without CR or LF")
    if data is None:
        raise EventError(
            "data", "None", f'data beside event={shown(event)} (browsers drop it; write "data": "")'
        )
    return _plain(event)


def _id_text(id: Union[str, int, None]) -> Optional[str]:
    if id is None:
        return None
    if isinstance(id, int) and not isinstance(id, bool):
        return str(_small("id", id))
    if not isinstance(id, str) or _has_any("\n\r\0", id):
        raise EventError("id", shown(id), "an int, or a str without CR, LF or NUL")
    return _plain(id)


def _retry_ms(retry: Optional[int]) -> Optional[int]:
    if retry is None:
        return None
    if not isinstance(retry, int) or isinstance(retry, bool) or int.__lt__(retry, 0):
        raise EventError("retry", shown(retry), "an int >= 0, in milliseconds")
    return _small("retry", retry)


def _data_text(data: object, dumps: Optional[Dumps]) -> Optional[str]:
    if data is None:
        return None
    if isinstance(data, str):
        return _plain(data)
    try:
        text = (dumps or _default_dumps())(data)
        return text.decode() if isinstance(text, bytes) else _plain(text)
    except Exception as error:  # whatever dumps raises, it is this value that it cannot take
        raise EventError(
            "data",
            shown(data),
            f"a str, or a value that dumps can serialise ({_told(error)})",
        ) from error


def _told(error: Exception) -> str:
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # a broken __str__ must not hide the mistake that is being told
        return type(error).__name__


@lru_cache(maxsize=None)
def _default_dumps() -> Dumps:
    standard = json.JSONEncoder(
        ensure_ascii=False, separators=(",", ":"), allow_nan=False, check_circular=True
    ).encode
    try:
        import orjson
    except ImportError:
        return standard

    def fast(value: Any) -> Union[str, bytes]:
        try:
            text: bytes = orjson.dumps(value)
        except TypeError:  # large ints, keys that are not str: what json can send, we can
            return standard(value)
        if b"null" in text and _has_nan(value):
            return standard(value)  # refuses it, where orjson writes null in silence
        return text

    return fast


def _has_nan(value: object) -> bool:
    if isinstance(value, float):
        return not math.isfinite(value)
    if isinstance(value, dict):
        return any(map(_has_nan, value.values()))
    return isinstance(value, (list, tuple)) and any(map(_has_nan, value))
