"""``Match``: which requests a script answers, and how a request differs from them.

Headers are compared by name in any case. ``Accept`` cannot be asked for: OpenAI's SDKs ask for a
stream with ``Accept: application/json`` and say ``"stream": true`` in the body.
"""

import re
from fnmatch import fnmatchcase
from typing import Any, Callable, Iterator, List, Mapping, Union

from sse_middleware.errors import OptionError, shown
from sse_middleware.testing.exchange import ReceivedRequest

__all__ = ["Match", "When"]

#: What ``play`` takes: a mapping with some of these keys, or a function of the request.
When = Union[Mapping[str, Any], Callable[[ReceivedRequest], bool]]

_KEYS = ("method", "path", "headers", "json")


class Match:
    r"""Compares requests with what was asked for. The method is POST unless it is named.

    >>> request = ReceivedRequest("POST", "/v1/responses", "", {}, b'{"model": "a"}')
    >>> Match({"path": "*/responses", "json": {"model": "b"}}).differences(request)
    ["json['model'] is 'a': expected 'b'"]
    """

    def __init__(self, when: Union[When, None]) -> None:
        if when is not None and not callable(when):
            _check(when)
        self._when = when

    def differences(self, request: ReceivedRequest) -> List[str]:
        """What keeps ``request`` from a match; nothing, if it does match."""
        if callable(self._when):
            return _asked(self._when, request)
        return list(_differences(self._when or {}, request))

    def __str__(self) -> str:
        if callable(self._when):
            return f"when {_name_of(self._when)}"
        return ", ".join(f"{key} {shown(value)}" for key, value in (self._when or {}).items())


def _asked(predicate: Callable[[ReceivedRequest], bool], request: ReceivedRequest) -> List[str]:
    try:
        return [] if predicate(request) else [f"{_name_of(predicate)} says no"]
    except Exception as error:  # told to the test, not to the server's thread
        return [f"{_name_of(predicate)} raised {shown(error)}"]


def _check(when: object) -> None:
    if not isinstance(when, Mapping):
        raise OptionError("when", shown(when), f"a mapping with {', '.join(_KEYS)}, or a function")
    for key in when:
        if key not in _KEYS:
            hint = f'; fields of the body go into {{"json": {{{shown(key)}: ...}}}}'
            raise OptionError("when's key", shown(key), f"one of {', '.join(_KEYS)}{hint}")
    for key in ("method", "path"):
        if not isinstance(when.get(key, ""), (str, re.Pattern)):
            raise OptionError(f"when's {key}", shown(when[key]), "a str or a compiled pattern")
    headers = when.get("headers", {})
    if not isinstance(headers, Mapping):
        raise OptionError("when's headers", shown(headers), "a mapping of names and values")
    if any(str(name).lower() == "accept" for name in headers):
        wanted = 'none: SDKs ask for streams by {"json": {"stream": True}}, not by Accept'
        raise OptionError("when's header", "'accept'", wanted)


def _name_of(predicate: Callable[..., Any]) -> str:
    return getattr(predicate, "__name__", None) or shown(predicate)


def _differences(when: Mapping[str, Any], request: ReceivedRequest) -> Iterator[str]:
    method = when.get("method", "POST")
    if not _is_value(method.upper() if isinstance(method, str) else method, request.method):
        yield _told("method", request.method, method)
    if "path" in when and not _is_path(when["path"], request.path):
        yield _told("path", request.path, when["path"])
    for name, wanted in when.get("headers", {}).items():
        value = request.headers.get(name.lower())
        if value is None:
            yield f"header {name} is absent: expected {shown(wanted)}"
        elif not _is_value(wanted, value):
            yield _told(f"header {name}", request.headers.shown(name), wanted)
    if "json" in when:
        yield from _json_differences(when["json"], request)


def _json_differences(wanted: object, request: ReceivedRequest) -> Iterator[str]:
    try:
        body = request.json
    except ValueError:
        yield f"the body is {shown(request.body)}: expected JSON"
    else:
        yield from _compared("json", body, wanted)


def _compared(where: str, value: object, wanted: Any) -> Iterator[str]:
    """Mappings may have more keys than asked for; lists have as many entries."""
    if isinstance(wanted, Mapping) and isinstance(value, Mapping):
        for key, inner in wanted.items():
            place = f"{where}[{key!r}]"
            if key in value:
                yield from _compared(place, value[key], inner)
            else:
                yield f"{place} is absent: expected {shown(inner)}"
    elif isinstance(wanted, (list, tuple)) and isinstance(value, list):
        if len(value) != len(wanted):
            yield f"{where} has {len(value)} entries: expected {len(wanted)}"
        else:
            for number, (one, inner) in enumerate(zip(value, wanted)):
                yield from _compared(f"{where}[{number}]", one, inner)
    elif not _is_value(wanted, value):
        yield _told(where, value, wanted)


def _is_value(wanted: Any, value: object) -> bool:
    if isinstance(wanted, re.Pattern):
        return isinstance(value, str) and wanted.search(value) is not None
    # True is no 1 in JSON; anything else may define its own equality, as unittest.mock.ANY does.
    is_bool = {isinstance(wanted, bool), isinstance(value, bool)}
    return bool(wanted == value) and (len(is_bool) == 1 or not isinstance(wanted, (bool, int)))


def _is_path(wanted: Any, path: str) -> bool:
    if isinstance(wanted, str):
        return fnmatchcase(path, wanted)
    return _is_value(wanted, path)


def _told(where: str, value: object, wanted: object) -> str:
    shown_wanted = wanted.pattern if isinstance(wanted, re.Pattern) else None
    expected = shown(wanted) if shown_wanted is None else f"a match of {shown_wanted!r}"
    return f"{where} is {shown(value)}: expected {expected}"
