"""``EventParser``: bytes to events, as a browser reads them, however the bytes were cut.

The parser works on lines of bytes. A line ends at CRLF, LF or CR (the three never occur inside a
UTF-8 sequence), so lines can be found before anything is decoded, and values are decoded when
their event is complete. What is unfinished waits in one buffer that is searched only where it
has grown: the whole is linear in the input.

An event counts with all its field lines, and with the line that is still open, against
``max_event_bytes``; comments are dropped as they end.

Source: WHATWG HTML 9.2.6, "Interpreting an event stream". No I/O, no clock, no thread.
"""

from typing import List, Optional, Union

from sse_middleware.errors import EventTooLargeError, OptionError, SSEError, shown
from sse_middleware.event import Event

__all__ = ["EventParser"]

_BOM = b"\xef\xbb\xbf"
_MAX_RETRY_DIGITS = 640  # the least that int() takes under any sys.set_int_max_str_digits


class EventParser:
    """Reads one stream, from its first byte to its last.

    Args:
        last_event_id: what the connection before this one ended with.
        max_event_bytes: the bound on one event, in bytes; 16 MiB by default, so that an image in
            a single event passes and a sender without line ends cannot fill the memory.

    >>> parser = EventParser()
    >>> parser.feed(b"data: Hel")
    []
    >>> parser.feed(b"lo\\ndata: there\\n\\n")
    [Event('Hello\\nthere', event='message')]
    """

    def __init__(self, *, last_event_id: str = "", max_event_bytes: int = 1 << 24) -> None:
        if not isinstance(max_event_bytes, int) or max_event_bytes < 1:
            raise OptionError("max_event_bytes", shown(max_event_bytes), "an int >= 1")
        #: The last event ID: what a browser would send on reconnecting now.
        self.last_event_id = last_event_id
        #: The reconnection time that the stream asked for, in milliseconds, or None.
        self.retry_ms: Optional[int] = None
        self._limit_bytes = max_event_bytes
        self._failure: Optional[SSEError] = None
        self._open_line = bytearray()
        self._at_start = True
        self._after_cr = False
        self._id = last_event_id
        self._data: List[bytes] = []
        self._event = b""
        self._block_id: Optional[str] = None
        self._retry: Optional[int] = None
        self._size_bytes = 0

    def feed(self, data: Union[bytes, bytearray, memoryview]) -> List[Event]:
        """The events that ``data`` completes, in order.

        Raises:
            EventTooLargeError: an event is past ``max_event_bytes``. Its ``events`` holds those
                that this call had completed; every later call raises again.
            SSEError: the parser was closed.
            TypeError: ``data`` is not bytes.
        """
        if self._failure is not None:
            raise self._failure
        if isinstance(data, str):
            raise TypeError("data is str: expected bytes as they came from the connection")
        chunk = bytes(data)
        if self._after_cr and chunk:
            self._after_cr = False
            if chunk.startswith(b"\n"):
                chunk = chunk[1:]
        if self._at_start:
            chunk = self._without_bom(chunk)
        end = max(chunk.rfind(b"\n"), chunk.rfind(b"\r")) + 1
        events: List[Event] = []
        if end:
            self._open_line += chunk[:end]
            lines, self._open_line = self._open_line, bytearray(chunk[end:])
            self._after_cr = chunk.endswith(b"\r")
            self._read(bytes(lines), events)
        else:
            self._open_line += chunk
        if self._open_line and not self._at_start:
            self._bound(len(self._open_line), events)
        return events

    def close(self) -> List[Event]:
        """Always empty: an unfinished event is dropped at the end of the stream (9.2.6).

        Raises:
            EventTooLargeError: the parser had failed.
        """
        if self._failure is None:
            self._failure = SSEError("parser is closed: expected a new EventParser for a stream")
        elif isinstance(self._failure, EventTooLargeError):
            raise self._failure
        return []

    def _without_bom(self, chunk: bytes) -> bytes:
        """Drops the one BOM that a stream may start with, also when reads cut it."""
        chunk = bytes(self._open_line) + chunk
        self._open_line = bytearray()
        self._at_start = len(chunk) < len(_BOM) and _BOM.startswith(chunk)
        return chunk[len(_BOM) :] if chunk.startswith(_BOM) else chunk

    def _read(self, text: bytes, events: List[Event]) -> None:
        """Takes whole lines. Each ends in a line end, so the last piece of the split is empty."""
        if b"\r" in text:
            text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        lines = text.split(b"\n")
        lines.pop()
        for line in lines:
            if not line:
                self._dispatch(events)
                continue
            self._bound(len(line), events)
            if not line.startswith(b":"):
                self._size_bytes += len(line) + 1
                self._take_field(line)

    def _take_field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        if value.startswith(b" "):
            value = value[1:]
        if name == b"data":
            self._data.append(value)
        elif name == b"event":
            self._event = value
        elif name == b"id":
            if b"\0" not in value:
                self._block_id = self._id = value.decode("utf-8", "replace")
        elif name == b"retry" and value.isdigit() and len(value) <= _MAX_RETRY_DIGITS:
            self._retry = self.retry_ms = int(value)

    def _dispatch(self, events: List[Event]) -> None:
        self.last_event_id = self._id
        if self._data:
            events.append(
                _parsed(
                    b"\n".join(self._data).decode("utf-8", "replace"),
                    self._event.decode("utf-8", "replace") or "message",
                    self._block_id,
                    self._retry,
                    self.last_event_id,
                )
            )
        self._start_block()

    def _start_block(self) -> None:
        self._data = []
        self._event = b""
        self._block_id = None
        self._retry = None
        self._size_bytes = 0

    def _bound(self, line_bytes: int, events: List[Event]) -> None:
        """Fail for good, if a line of that length makes the event too large."""
        if self._size_bytes + line_bytes <= self._limit_bytes:
            return
        self._failure = EventTooLargeError(self._limit_bytes, events)
        self._open_line = bytearray()
        self._start_block()
        raise self._failure


def _parsed(
    data: str, event: str, id: Optional[str], retry: Optional[int], last_event_id: str
) -> Event:
    """An event that came off a stream: what was read is valid, so nothing is checked again."""
    parsed = Event.__new__(Event)
    fields = {
        "data": data,
        "event": event,
        "id": id,
        "retry": retry,
        "comment": None,
        "last_event_id": last_event_id,
    }
    object.__setattr__(parsed, "__dict__", fields)
    return parsed
