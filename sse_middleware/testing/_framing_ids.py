"""``Ids``: which id repeats another, or steps back.

Ids are opaque to a browser, not to the server that resumes from one. Only what can be compared
without knowing it is compared: equal ids, and numbers that stand alone or behind the same prefix.
"""

import re
from typing import Dict, Optional, Tuple

__all__ = ["Ids"]

_NUMBERED = re.compile(rb"(|[A-Za-z]+|.+[-:_/#])([0-9]{1,300})", re.DOTALL)
_KEPT = 4096


class Ids:
    """The ids of one stream, in their order; hashes of the last 4,096 are kept.

    >>> ids = Ids()
    >>> [ids.find_fault(id) for id in (b"run-9", b"run-10", b"run-10", b"run-2", b"x")]
    [None, None, 'SSE108', 'SSE109', None]
    """

    def __init__(self) -> None:
        self._seen: Dict[int, None] = {}
        self._last: Optional[Tuple[bytes, int]] = None

    def find_fault(self, value: bytes) -> Optional[str]:
        """The code of the rule that ``value`` breaks as the next id; None if it breaks none."""
        if not value:  # it resets the last event ID, and so begins anew
            self._seen.clear()
            self._last = None
            return None
        found = _NUMBERED.fullmatch(value)
        last, self._last = self._last, (found.group(1), int(found.group(2))) if found else None
        if last and self._last and last[0] == self._last[0] and self._last[1] < last[1]:
            return "SSE109"
        key = hash(value)
        is_repeated = key in self._seen
        self._seen[key] = None
        if len(self._seen) > _KEPT:
            del self._seen[next(iter(self._seen))]
        return "SSE108" if is_repeated else None
