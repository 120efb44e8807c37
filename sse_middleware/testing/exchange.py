"""One request and the reply to it: what each front of the fake upstream takes in and sends.

A front is what a client talks to (the HTTP/1.1 server, the WSGI callable). It makes a
``ReceivedRequest``, asks the upstream for the ``Reply``, sends that, and notes whether the client
stayed to its end.
"""

import errno
import json
from math import inf
from typing import Any, Dict, Iterable, Iterator, List, Mapping, Optional, Tuple
from urllib.parse import unquote, urlsplit

from sse_middleware.clock import Clock, Signal
from sse_middleware.errors import StuckClockError, printable
from sse_middleware.headers import HOP_BY_HOP
from sse_middleware.signals import ThreadSignal
from sse_middleware.testing.clock import Patient
from sse_middleware.testing.recording import Recording

__all__ = ["ReceivedRequest", "Reply", "RequestHeaders"]

# They belong to the connection that was recorded: the one that replays has its own.
_OF_THE_CONNECTION = {"content-length", *HOP_BY_HOP}

_PRIVATE = {
    *("authorization", "proxy-authorization", "cookie"),
    *("api-key", "x-api-key", "x-goog-api-key", "x-auth-token"),
}


class RequestHeaders(Mapping[str, str]):
    """The headers of a request, found in any case; a repeated one is joined with ``", "``.

    >>> RequestHeaders([("Accept", "text/html"), ("accept", "*/*")])["ACCEPT"]
    'text/html, */*'
    """

    def __init__(self, pairs: Iterable[Tuple[str, str]]) -> None:
        self._values: Dict[str, str] = {}
        for name, value in pairs:
            earlier = self._values.get(name.lower())
            self._values[name.lower()] = value if earlier is None else f"{earlier}, {value}"

    def __getitem__(self, name: str) -> str:
        return self._values[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        """For messages, which end up in the logs of CI: without keys and cookies."""
        pairs = [(name, self.shown(name)) for name in self._values]
        return f"RequestHeaders({pairs!r})"

    def shown(self, name: str) -> str:
        """A value as messages may tell it."""
        return "***" if name.lower() in _PRIVATE else self[name]


class ReceivedRequest:
    """A request as it came: an entry of the journal.

    Args:
        path: decoded, without the query.
        query: what followed the ``?``, as it came.
        body: the whole of it, whatever transfer coding it came in.
    """

    def __init__(
        self, method: str, path: str, query: str, headers: RequestHeaders, body: bytes
    ) -> None:
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.body = body
        #: True once the client was seen to be gone before the last byte of its answer was sent.
        self.client_left = False
        #: What was played for it, as messages name it; None if nothing was scripted for it.
        self.answered_by: Optional[str] = None
        #: Why the answer broke off where it should not, or None.
        self.problem: Optional[str] = None

    @classmethod
    def from_target(
        cls, method: str, target: str, headers: Iterable[Tuple[str, str]], body: bytes
    ) -> "ReceivedRequest":
        """From the target as it stands in the request line: a path, or a whole URL for a proxy."""
        path, _, query = target.partition("?")
        if not path.startswith("/"):
            path = urlsplit(path).path
        return cls(method, unquote(path), query, RequestHeaders(headers), body)

    @property
    def json(self) -> Any:
        """The body, as JSON.

        Raises:
            ValueError: it is something else.
        """
        try:
            return json.loads(self.body)
        except RecursionError:
            raise ValueError("the JSON is nested too deep") from None

    def __str__(self) -> str:
        """The request as messages name it: ``POST /v1/completions (model 'm', stream True)``."""
        fields = ", ".join(f"{key} {value!r}" for key, value in self._told())
        return printable(f"{self.method} {self.path}") + (f" ({fields})" if fields else "")

    def __repr__(self) -> str:
        return f"<ReceivedRequest {self}>"

    def _told(self) -> List[Tuple[str, object]]:
        try:
            value = self.json
        except ValueError:
            return []
        keys = ("model", "stream") if isinstance(value, dict) else ()
        return [(key, value[key]) for key in keys if key in value]


class Reply:
    """What a front sends: a recording, each chunk at its time on a clock.

    The times are counted from the moment in which the reply is made: time that a test lets pass
    before the front begins to wait is behind it.
    """

    def __init__(self, request: ReceivedRequest, recording: Recording, clock: Clock) -> None:
        self.request = request
        self.recording = recording
        self.clock = clock
        self._began_s = self._until_s = clock.monotonic()
        self._wake = ThreadSignal()
        self._is_closed = False

    def headers(self) -> List[Tuple[str, str]]:
        """The recorded headers without those of the recorded connection."""
        pairs = self.recording.headers.items()
        return [(name, text) for name, text in pairs if name.lower() not in _OF_THE_CONNECTION]

    def steps(self) -> Iterator[Tuple[float, bytes]]:
        """Seconds on the clock at which bytes are due, and the bytes (none, for a delay alone)."""
        due_s = self._began_s
        for delay_s, data in self.recording.pieces():
            due_s += delay_s
            yield due_s, data

    @property
    def left_s(self) -> float:
        """Seconds on the clock until what it waits for; 0 if it does not wait."""
        return max(0.0, self._until_s - self.clock.monotonic())

    def wait(self, until_s: float, signal: Optional[Signal] = None) -> None:
        """Return when the clock shows ``until_s``; ``inf`` is never.

        A front that has more to look at hands over a ``signal``, whose ``wait`` may raise.

        Raises:
            ConnectionAbortedError: the upstream was closed.
            StuckClockError: the clock stands still, and nobody lets it go on.
        """
        self._until_s = until_s
        signal = self._wake if signal is None else signal
        if until_s == inf:
            signal.wait(None)
        elif until_s > self.clock.monotonic():
            try:
                self.clock.wait(Patient(signal, self.clock), until_s)
            except StuckClockError as error:
                self.request.problem = str(error)
                raise
        if self._is_closed:
            raise ConnectionAbortedError(errno.ECONNABORTED, "the upstream was closed")

    def close(self) -> None:
        """End its waits; may be called from any thread."""
        self._is_closed = True
        self._wake.set()
