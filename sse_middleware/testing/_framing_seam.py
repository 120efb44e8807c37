"""``Seam``: what one response of a WSGI app says to its server, in which order, in which pieces.

Faults gather here and are raised by ``fail`` when control is back in a frame that the server (or
the test) has called.
"""

import re
from typing import Any, Callable, List, Set, Tuple

from sse_middleware.errors import shown
from sse_middleware.headers import (
    Headers,
    accepts_event_stream,
    find_header,
    is_event_stream,
)
from sse_middleware.response import Body, Environ, StartResponse
from sse_middleware.testing._framing_headers import header_problems
from sse_middleware.testing._framing_lines import Lines
from sse_middleware.testing._framing_problem import Problem
from sse_middleware.testing._framing_stream import StreamCheck
from sse_middleware.testing._visible import visible

__all__ = ["Seam"]

_NO_CONTENT = ("1", "204", "205", "304")
#: Types under which events are sent by mistake; others may look like events by chance.
_MISTAKEN = re.compile(r"|text/(html|plain)|.*(event|stream|json).*", re.DOTALL)
_BLANK = b"\n"
_NAMES = (b"", b"data", b"event", b"id", b"retry")  # the first is that of a comment
#: Iterators that hold nothing but what is in memory, and so have nothing to close.
_HARMLESS: Tuple[type, ...] = (type(iter([])), type(iter(())))


class Seam:
    """One response. ``is_stream`` is known once the app has called ``start_response``."""

    def __init__(
        self,
        fail: Callable[[List[Problem]], None],
        check: StreamCheck,
        environ: Environ,
        server: StartResponse,
    ) -> None:
        self.is_stream = False
        self._fail = fail
        self._check = check
        self._environ = environ
        self._server = server
        self._write: Any = None
        self._status = ""
        self._headers: Headers = []
        self._is_started = False
        self._is_late = False
        self._is_returned = False
        self._is_judged = False
        self._may_be_events = True
        self._items = 0
        self._problems: List[Problem] = []

    def start_response(self, status: str, headers: Headers, exc_info: Any = None) -> Any:
        """What the app calls; a second call without ``exc_info`` does not reach the server."""
        if self._is_started and not exc_info:
            self._report("SSE412", "in the second call", shown(status))
            return self._written
        self._status, self._headers = str(status), list(headers)
        self._is_late = self._is_late or (self._is_returned and not self._is_started)
        self._is_started = True
        self._is_judged = self._is_judged and self._items > 0  # exc_info may replace the answer
        self._write = self._server(
            *((status, headers, exc_info) if exc_info else (status, headers))
        )
        return self._written

    def leaves(self, body: Any) -> bool:
        """Whether the server is to have the app's own ``body``: it is checked now, or is a file."""
        self._is_returned = True
        if not self._is_started:
            return False
        self._judge_headers()
        self._judge_body(body)
        if isinstance(body, (list, tuple, str, bytes)):
            for item in body:
                self.item(item, body)
            self.ended(body)
        self._raise()
        is_left = hasattr(body, "__len__") and not self.is_stream
        return is_left or Body(body, self._environ).is_whole

    def item(self, item: Any, body: Any) -> None:
        """One item of the body, which the server is about to get."""
        self._items += 1
        if not self._is_started:
            self._report("SSE413", self._where, shown(item))
        self._judge_late(body)
        self._judge_item(item)
        self._raise()

    def ended(self, body: Any) -> None:
        """The body has ended by itself."""
        if not self._is_started:
            self._report("SSE414", "at the end of the body", f"{self._items} items")
        self._judge_late(body)
        if self.is_stream and not self._has_no_content and not self._is_head:
            self._problems += self._check.finish()
        self._raise()

    @property
    def _where(self) -> str:
        return f"in item {self._items}"

    @property
    def _is_head(self) -> bool:
        return self._environ.get("REQUEST_METHOD") == "HEAD"

    @property
    def _has_no_content(self) -> bool:
        return self._status.startswith(_NO_CONTENT)

    def _report(self, code: str, where: str, seen: str) -> None:
        self._problems.append(Problem(code, where, seen))

    def _raise(self) -> None:
        problems, self._problems = self._problems, []
        self._fail(problems)

    def _judge_late(self, body: Any) -> None:
        """An app that is a generator function starts its response here; another may replace it."""
        if self._is_started and not self._is_judged:
            self._judge_headers()
            self._judge_body(body)

    def _judge_headers(self) -> None:
        if self._is_judged:
            return
        self._is_judged = True
        self.is_stream = is_event_stream(self._headers)
        if self.is_stream and not self._has_no_content:
            self._problems += header_problems(self._headers)
            if self._is_late:
                self._report("SSE411", "in the first next()", shown(self._status))

    def _judge_body(self, body: Any) -> None:
        if not self.is_stream or self._is_head or self._has_no_content:
            return
        kind = f"a {type(body).__name__}"
        if hasattr(body, "__len__"):
            if len(body) or not isinstance(body, (list, tuple)):
                self._report("SSE405", "in the returned body", f"{kind} of length {len(body)}")
        elif not (hasattr(body, "close") or isinstance(body, _HARMLESS)):
            self._report("SSE406", "in the returned body", kind)

    def _judge_item(self, item: Any) -> None:
        if not isinstance(item, bytes):
            self._report("SSE403", self._where, shown(item))
        elif self._has_no_content:
            if item:
                self._report("SSE410", self._where, f"{self._status}, {visible(item)}")
        elif not self.is_stream:
            self._look_for_events(item)
        elif not self._is_head:
            self._judge_frames(item)
        elif item:
            self._report("SSE409", self._where, visible(item))

    def _look_for_events(self, item: bytes) -> None:
        """In the first item, but for comments, of what is declared as something else."""
        if not (item and self._may_be_events and self._is_started):
            return
        names = _names_in(item)
        self._may_be_events = bool(names) and b"data" not in names
        if {b"data", _BLANK} <= names and self._is_asked_or_mistaken():
            content_type = find_header(self._headers, "content-type")
            seen = f"Content-Type: {content_type}, {visible(item)}"
            self._report("SSE301", "in the headers", seen)

    def _is_asked_or_mistaken(self) -> bool:
        """Whether what looks like events is events: YAML, for one, may look the same."""
        content_type = find_header(self._headers, "content-type") or ""
        media_type = content_type.partition(";")[0].strip().lower()
        if _MISTAKEN.fullmatch(media_type):
            return True
        return accepts_event_stream(self._environ.get("HTTP_ACCEPT", ""))

    def _judge_frames(self, item: bytes) -> None:
        if type(item) is not bytes:
            self._report("SSE404", self._where, f"a {type(item).__name__}")
        if not item:
            self._report("SSE402", self._where, "b''")
        elif self._check.continues(item):
            self._report("SSE401", self._where, visible(item))
        self._problems += self._check.feed(bytes(item))

    def _written(self, data: bytes) -> None:
        """The app's ``write()``. What it shows is raised when control is back with the server."""
        self._items += 1
        self._judge_headers()
        self._judge_item(data)
        self._write(data)


def _names_in(item: bytes) -> Set[bytes]:
    """The names of the lines of ``item``; empty if it has others than an event stream has."""
    names = set()
    lines = Lines(len(item))
    for line, _ in lines.feed(item):
        if line is not None:
            name, colon, _ = line.text.partition(b":")
            if line.text and not (colon and name in _NAMES):
                return set()
            names.add(name if line.text else _BLANK)
    return set() if lines.is_open else names
