"""``EventParser``: bytes to events, as a browser reads them, however the bytes were cut.

What has come of the open block waits in one buffer, which is searched only where it has grown.
Blocks that are whole are decoded together (a line end never occurs inside a UTF-8 sequence) and
read in one pass. Lines are taken singly, the plain way, where that would not do: of a block that
may be past ``max_event_bytes``, and of an open one whose ``retry`` somebody asks for. Nothing is
moved or searched twice: the whole is linear in the input.

An event counts with all its field lines, and with the line that is still open, against
``max_event_bytes``; comments are dropped as they end.

Source: WHATWG HTML 9.2.6, "Interpreting an event stream". No I/O, no clock, no thread.
"""

import re
from typing import List, Optional, Union

from sse_middleware.errors import EventTooLargeError, OptionError, SSEError, shown
from sse_middleware.event import Event, EventDraft

__all__ = ["EventParser"]

_BOM = b"\xef\xbb\xbf"
_LF, _CR = 10, 13  # ints, because bytes.__contains__ finds an int ten times as fast as bytes
# As many digits as int() takes under any sys.set_int_max_str_digits.
_is_retry = re.compile("[0-9]{1,640}").fullmatch

# All of a block with one line of data, or else one line, as (event, data, line). Nearly every
# block has that form, and one pass of the regex engine reads 64 KiB 2.2 times as fast as calls
# for each line do. "data:" and " " alone are no value here: the empty line goes the plain way.
_usual_blocks_or_lines = re.compile(
    r"(?:event: (.+)\n)?data:(?: |(?=[^ \n]))(.+)\n\n|(.*)\n"
).findall


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

    # The open block, until `_start_block` begins the next.
    _data: List[str]
    _event: str
    _block_id: Optional[str]
    _retry: Optional[int]

    def __init__(self, *, last_event_id: str = "", max_event_bytes: int = 1 << 24) -> None:
        if not isinstance(max_event_bytes, int) or max_event_bytes < 1:
            raise OptionError("max_event_bytes", shown(max_event_bytes), "an int >= 1")
        if not isinstance(last_event_id, str):
            raise OptionError("last_event_id", shown(last_event_id), "a str")
        #: The last event ID: what a browser would send on reconnecting now.
        self.last_event_id = last_event_id
        self._limit_bytes = max_event_bytes
        self._failure: Optional[SSEError] = None
        self._buffer = bytearray()  # with LF for each line end, and without a BOM
        self._at_start = True
        self._after_cr = False
        self._is_flowing = False  # bytes without CR can go to the buffer as they are
        self._id = last_event_id
        self._retry_ms: Optional[int] = None
        self._start_block()

    @property
    def retry_ms(self) -> Optional[int]:
        """The reconnection time that the stream asked for, in milliseconds, or None."""
        self._take_lines(self._buffer.rfind(_LF) + 1, [])  # it holds from its line's end
        return self._retry_ms

    def feed(self, data: Union[bytes, bytearray, memoryview]) -> List[Event]:
        """The events that ``data`` completes, in order.

        Raises:
            EventTooLargeError: an event is past ``max_event_bytes``. Its ``events`` holds those
                that this call had completed; every later call raises again.
            SSEError: the parser was closed.
            TypeError: ``data`` is not bytes.
        """
        events: List[Event] = []
        if not (self._is_flowing and data.__class__ is bytes and _CR not in data):
            data = self._with_lf(data)
        elif _LF not in data:
            # A line goes on: nothing to search. Single bytes are read 4 times as fast for it.
            buffer = self._buffer
            buffer += data
            if len(buffer) <= self._room_bytes:
                return events
            data = b""
        self._read(data, events)
        return events

    def close(self) -> List[Event]:
        """Always empty: an unfinished event is dropped at the end of the stream (9.2.6).

        Raises:
            EventTooLargeError: the parser had failed.
        """
        if self._failure is None:
            self._fail(SSEError("parser is closed: expected a new EventParser for a stream"))
        elif isinstance(self._failure, EventTooLargeError):
            raise self._failure
        return []

    def _with_lf(self, data: Union[bytes, bytearray, memoryview]) -> bytes:
        """``data`` with LF for each line end, and without the BOM that a stream may start with."""
        if self._failure is not None:
            raise self._failure
        if not isinstance(data, (bytes, bytearray, memoryview)):
            kind = type(data).__name__
            raise TypeError(f"data is {kind}: expected bytes as they came from the connection")
        chunk = bytes(data)
        if self._after_cr and chunk:
            self._after_cr = False
            if chunk.startswith(b"\n"):
                chunk = chunk[1:]
        if self._at_start:
            chunk = self._without_bom(chunk)
        if _CR in chunk:
            self._after_cr = chunk.endswith(b"\r")
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        self._is_flowing = not (self._at_start or self._after_cr)
        return chunk

    def _without_bom(self, chunk: bytes) -> bytes:
        """Drops the one BOM that a stream may start with, also when reads cut it."""
        chunk = bytes(self._buffer) + chunk
        self._buffer.clear()
        self._at_start = len(chunk) < len(_BOM) and _BOM.startswith(chunk)
        return chunk[len(_BOM) :] if chunk.startswith(_BOM) else chunk

    def _read(self, more: bytes, events: List[Event]) -> None:
        """Takes ``more`` into the buffer, and whole blocks out of it."""
        buffer = self._buffer
        searched = len(buffer)
        buffer += more
        end = buffer.rfind(b"\n\n", searched and searched - 1) + 2
        if self._room_bytes == self._limit_bytes >= end:  # no line of the block was taken
            if end > 1:
                text = buffer[:end].decode("utf-8", "replace")
                del buffer[:end]
                self._read_blocks(text, events)
        elif end > 1:
            self._take_lines(end, events)
        elif buffer.startswith(b"\n"):  # the blank line after the lines that were taken
            self._take_lines(1, events)
        if len(buffer) > self._room_bytes and not self._at_start:
            self._take_lines(buffer.rfind(_LF) + 1, events)
            self._bound(len(buffer), events)

    def _read_blocks(self, text: str, events: List[Event]) -> None:
        """Takes whole blocks, none of which can be too large."""
        in_block = False
        for event, data, line in _usual_blocks_or_lines(text):
            if data and not in_block:
                draft = EventDraft()  # as in _parsed, whose call would be 6 % of the time here
                draft.data = data
                draft.event = event or "message"
                draft.id = draft.retry = draft.comment = None
                draft.last_event_id = self._id
                draft.__class__ = Event
                events.append(draft)  # type: ignore[arg-type]
            elif line:
                self._take_field(line)
                in_block = True
            else:
                self._event = event or self._event
                if data:
                    self._data.append(data)
                self._dispatch(events)
                in_block = False

    def _take_lines(self, end: int, events: List[Event]) -> None:
        """Takes the whole lines that are the first ``end`` bytes of the buffer, one by one."""
        lines = self._buffer[:end].split(b"\n")
        del self._buffer[:end]
        lines.pop()  # is empty: a line end was the last byte
        for line in lines:
            if not line:
                self._dispatch(events)
                continue
            self._bound(len(line), events)
            if not line.startswith(b":"):
                self._room_bytes -= len(line) + 1
                self._take_field(line.decode(errors="replace"))

    def _take_field(self, line: str) -> None:
        name, _, value = line.partition(":")
        if value.startswith(" "):
            value = value[1:]
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._event = value
        elif name == "id":
            if "\0" not in value:
                self._block_id = self._id = value
        elif name == "retry" and _is_retry(value):
            self._retry = self._retry_ms = int(value)

    def _dispatch(self, events: List[Event]) -> None:
        self.last_event_id = self._id
        if self._data:
            events.append(
                _parsed(
                    "\n".join(self._data),
                    self._event or "message",
                    self._block_id,
                    self._retry,
                    self.last_event_id,
                )
            )
        self._start_block()

    def _start_block(self) -> None:
        self._data = []
        self._event = ""
        self._block_id = None
        self._retry = None
        # Less than the limit: lines of the open block are taken.
        self._room_bytes = self._limit_bytes

    def _bound(self, line_bytes: int, events: List[Event]) -> None:
        """Fail for good, if a line of that length makes the event too large."""
        if not line_bytes or line_bytes <= self._room_bytes:
            return
        failure = EventTooLargeError(self._limit_bytes, events)
        self._fail(failure)
        self._buffer.clear()
        self._start_block()
        raise failure

    def _fail(self, failure: SSEError) -> None:
        self._failure = failure
        self._is_flowing = False


def _parsed(
    data: str, event: str, id: Optional[str], retry: Optional[int], last_event_id: str
) -> Event:
    """An event that came off a stream: what was read is valid, so nothing is checked again.

    Plain assignments and then the change of class cost 0.2 us; going around the frozen class with
    ``object.__setattr__`` costs twice that, a third of all that an event costs here.
    """
    draft = EventDraft()
    draft.data = data
    draft.event = event
    draft.id = id
    draft.retry = retry
    draft.comment = None
    draft.last_event_id = last_event_id
    draft.__class__ = Event
    return draft  # type: ignore[return-value]
