"""``Calls``: the fragments of tool calls, put together until their choice is finished.

Vendors agree on little: OpenAI numbers the calls and sends the id once, others send whole calls
without a number, or number every call 0 and tell them apart by their ids.
"""

import json
import logging
from typing import Any, Dict, Iterator, List, Optional

from sse_middleware.errors import shown
from sse_middleware.relay.fields import as_text, json_text
from sse_middleware.relay.pieces import Called

__all__ = ["Calls", "arguments_text"]

_log = logging.getLogger("sse_middleware")


class _Open:
    """A call whose fragments still come."""

    def __init__(self, index: Any, id: Optional[str]) -> None:
        self.index = index
        self.id = id
        self.name = ""
        self.kind = "function"
        self.arguments: List[str] = []
        self.otherwise = ""


class Calls:
    """The open calls of every choice.

    >>> calls = Calls()
    >>> calls.add(0, 0, id="call_1", name="add", arguments='{"a":')
    >>> calls.add(0, 0, arguments=" 1}")
    >>> [call.arguments for call in calls.finish(0)]
    ['{"a": 1}']
    """

    def __init__(self) -> None:
        self._open: Dict[int, List[_Open]] = {}
        self._counts: Dict[int, int] = {}

    def add(
        self,
        choice: int,
        index: Any,
        *,
        id: Any = None,
        name: Any = None,
        arguments: Any = None,
        kind: str = "function",
        otherwise: str = "",
    ) -> None:
        """Take one fragment; a value of the wrong type says nothing.

        ``otherwise``: what the arguments are if no fragment brings any.
        """
        call = self._found(choice, index, as_text(id) or None, as_text(name))
        if as_text(name) != call.name:
            call.name += as_text(name)
        if kind != "function":
            call.kind = kind
        call.otherwise = otherwise or call.otherwise
        call.arguments.append(arguments_text(arguments))

    def finish(self, choice: int, *, was_cut: bool = False) -> Iterator[Called]:
        """The calls of ``choice``, which begins anew.

        Where the answer ``was_cut`` (a length limit, a stream without a finish), a call is whole
        only if its arguments are JSON: the rest is left out, and logged.
        """
        for call in self._open.pop(choice, ()):
            arguments = "".join(call.arguments)
            if was_cut and not _is_json(arguments):
                _log.warning("a call of %s was cut by its upstream: left out", shown(call.name))
                continue
            number = self._counts[choice] = self._counts.get(choice, -1) + 1
            arguments = arguments or call.otherwise
            yield Called(call.id, call.name, arguments, call.kind, choice, number)

    def finish_all(self) -> Iterator[Called]:
        """What is still open where the stream ends."""
        for choice in sorted(self._open):
            yield from self.finish(choice, was_cut=True)

    def _found(self, choice: int, index: Any, id: Optional[str], name: str) -> _Open:
        """The call that a fragment belongs to."""
        calls = self._open.setdefault(choice, [])
        if index is None:
            is_more = not (id or name)
            same = calls[-1:] if is_more else [call for call in calls if id and call.id == id]
        else:
            same = [call for call in calls if call.index == index]
        if same and id is not None and same[-1].id not in (None, id):
            same = [call for call in same if call.id == id]
        if not same:
            same = [_Open(index, id)]
            calls.extend(same)
        same[-1].id = same[-1].id or id
        return same[-1]


def arguments_text(arguments: Any) -> str:
    """Arguments as the text of JSON; some vendors send the object itself."""
    if arguments is None or isinstance(arguments, str):
        return as_text(arguments)
    try:
        return json_text(arguments)
    except (TypeError, ValueError, RecursionError):
        return ""


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
