"""A browser's side of a stream through a proxy: it offers gzip, and undoes it as the bytes come.

What this client has not got, no browser would have. The bytes are read by `client`; every wait
has a deadline.
"""

import time
import zlib
from typing import Any, Callable, Dict, List, Optional

from client import EVENT_STREAM, Connection, Desk, Line, Response

from sse_middleware import Event, EventParser

__all__ = ["DEADLINE_S", "Stream"]

DEADLINE_S = 10.0
_OFFER = {**EVENT_STREAM, "Accept-Encoding": "gzip"}


class Stream:
    """A request for the driven app's stream; a context manager.

    ``app`` is the line to the app, ``text`` what has come, decoded.
    """

    def __init__(self, port: int, path: str) -> None:
        self._desk = Desk()
        self._connection = Connection(port)
        self._connection.send(self._desk.path(path, declared=1), _OFFER)
        self._response: Optional[Response] = None
        self._parser = EventParser()
        self._events: List[Event] = []
        self._gunzip: Any = None
        self.text = b""
        try:
            self.app: Line = self._desk.line()
        except TimeoutError as error:
            raise TimeoutError(f"{error}; the client got {self.response.rest()!r}") from None

    def __enter__(self) -> "Stream":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.leave()
        self._desk.__exit__()

    def leave(self) -> None:
        """Close the connection, as a closed browser tab does."""
        self._connection.close()

    @property
    def response(self) -> Response:
        """The response; waits for its head."""
        return self._response_within(DEADLINE_S)

    def header(self, name: str) -> str:
        """The value of a header of the response."""
        return self.response.header(name)

    @property
    def headers(self) -> Dict[str, str]:
        """All of them, in lower case."""
        return {name.lower(): value for name, value in self.response.headers}

    @property
    def ended(self) -> str:
        """How the body ended: whole (by a last chunk or its length), or cut; "" while it has not.

        A body that only the end of the connection delimits looks whole, however it ended.
        """
        how = self.response.ended
        return {None: "", "cut": "cut", "reset": "cut"}.get(how, "whole")

    def send(self, data: Any, **fields: Any) -> None:
        """Have the app make an event."""
        self.app.tell("yield", {"data": data, **fields})

    def event(self, within_s: float = DEADLINE_S) -> Event:
        """The next event; TimeoutError if none comes ``within_s``."""
        self._read_until(lambda: self._events, within_s)
        assert self._events, f"the body ended ({self.ended}) without an event: {self.text!r}"
        return self._events.pop(0)

    def exchange(self, data: Any) -> None:
        """Have the app make an event, and wait until it has arrived."""
        self.send(data)
        assert self.event().data == data

    def beats(self, count: int) -> None:
        """Wait until ``count`` comments have come in all."""
        self._read_until(lambda: self.text.count(b"\n:") >= count, DEADLINE_S)
        assert not self.ended, f"the body ended ({self.ended}) after {self.text!r}"

    def rest(self) -> List[Event]:
        """All events until the body ends."""
        self._read_until(lambda: False, DEADLINE_S)
        rest, self._events = self._events, []
        return rest

    def is_silent(self, for_s: float) -> bool:
        """Whether not one event comes for so long."""
        try:
            self._events.insert(0, self.event(for_s))
        except TimeoutError:
            return True
        return False

    def _read_until(self, is_done: Callable[[], object], within_s: float) -> None:
        ends_at = time.monotonic() + within_s
        response = self._response_within(within_s)
        while not self.ended and not is_done():
            data = response.piece(ends_at - time.monotonic())
            text = self._gunzip.decompress(data) if self._gunzip else data
            self.text += text
            self._events += self._parser.feed(text)

    def _response_within(self, within_s: float) -> Response:
        if self._response is None:
            self._response = self._connection.response(timeout_s=within_s)
            if self.header("content-encoding") == "gzip":
                self._gunzip = zlib.decompressobj(31)
        return self._response
