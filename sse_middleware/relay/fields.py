"""Reading what an upstream sent: any JSON, or any SDK's object, where anything may be anything.

Nothing here raises for a value of the wrong type: what is no text is "", what is no list is
empty, so that a vendor's new field never ends an answer.
"""

import json
import math
from typing import Any, Dict, Mapping, Optional, Sequence

__all__ = [
    "as_index",
    "as_items",
    "as_text",
    "find_mapping",
    "get",
    "json_text",
    "plain",
    "whole_text",
]

_JSON_SCALARS = (str, bytes, int, float, list, tuple, type(None))


def get(thing: Any, *names: str) -> Any:
    """The field at the end of the path ``names``, of dicts or objects; None where it is absent.

    >>> get({"delta": {"content": "Hi"}}, "delta", "content")
    'Hi'
    """
    for name in names:
        if isinstance(thing, Mapping):
            thing = thing.get(name)
        elif isinstance(thing, _JSON_SCALARS):
            return None
        else:
            thing = getattr(thing, name, None)
    return thing


def as_text(value: Any) -> str:
    """``value`` if it is text, else ``""``."""
    return str.__str__(value) if isinstance(value, str) else ""


def as_items(value: Any) -> Sequence[Any]:
    """``value`` if it is a list, a lone mapping as a list of one, else an empty one."""
    if isinstance(value, Mapping):
        return (value,)
    return value if isinstance(value, (list, tuple)) else ()


def as_index(value: Any) -> int:
    """``value`` if it is a number that counts something, else 0."""
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 53
    return value if is_count else 0


def whole_text(text: str) -> str:
    """``text`` with its surrogate pairs joined; half a pair becomes U+FFFD.

    >>> whole_text("\\ud83d\\ude00 \\ud83d")
    '😀 \ufffd'
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def plain(thing: Any) -> Any:
    """An SDK's object as dicts and lists, with the fields that the upstream sent."""
    if hasattr(thing, "model_dump"):
        try:
            return thing.model_dump(by_alias=True, exclude_unset=True, warnings=False)
        except ValueError:  # openai on pydantic 1, which has no such option
            return thing.model_dump(by_alias=True, exclude_unset=True)
    if isinstance(thing, Mapping):
        return dict(thing)
    if hasattr(thing, "__fields_set__"):  # pydantic 1
        return thing.dict(by_alias=True, exclude_unset=True)
    return vars(thing)


def json_text(thing: Any) -> str:
    """``thing`` as compact JSON; escaped where half a surrogate pair cannot go otherwise.

    Raises:
        TypeError, ValueError, RecursionError: it is no JSON.
    """
    options: Dict[str, Any] = {"separators": (",", ":"), "default": plain, "allow_nan": False}
    try:
        text = json.dumps(thing, ensure_ascii=False, **options)
    except ValueError:  # NaN, most likely, which Python's reader takes and no other
        thing = _cleaned(thing)
        text = json.dumps(thing, ensure_ascii=False, **options)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(thing, **options)
    return text


def _cleaned(value: Any) -> Any:
    """``value`` in JSON that any reader takes: no half surrogate pairs, no NaN."""
    if isinstance(value, str):
        return whole_text(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, int):
        return value
    if isinstance(value, (list, tuple)):
        return [_cleaned(item) for item in value]
    fields = value if isinstance(value, Mapping) else plain(value)
    return {whole_text(str(name)): _cleaned(field) for name, field in fields.items()}


def find_mapping(value: Any) -> Optional[Dict[str, Any]]:
    """``value`` with its fields, cleaned, if it has any, else None."""
    if isinstance(value, _JSON_SCALARS):
        return None
    try:
        return _cleaned(value) or None
    except (TypeError, RecursionError):
        return None
