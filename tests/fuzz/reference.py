"""A second reading of the standard: slow, of the whole text at once, with no code of the package.

Source: WHATWG HTML 9.2.6, sentence by sentence.
"""

import re

NAMES = ("data", "event", "id", "retry")
_TOO_LONG_RETRY = 640  # digits; the one place where the parser says that it reads less


class Block:
    """What stands before one blank line, or before the end: its fields as they came, in order."""

    def __init__(self):
        self.fields = []
        self.size_bytes = 0

    def values(self, name):
        """The values of each line with that field name."""
        return [value for field, value in self.fields if field == name]

    @property
    def unknown(self):
        """The names that mean nothing."""
        return [name for name, _ in self.fields if name not in NAMES]


def lines_of(stream):
    """The whole lines of a stream, as text, and what is left after the last line end."""
    text = stream.decode("utf-8", "replace")
    if text.startswith("\ufeff"):
        text = text[1:]
    *whole, rest = re.split("\r\n|\n|\r", text)
    return whole, rest


def field_of(line):
    """Name and value of a line that is no comment."""
    name, _, value = line.partition(":")
    return name, value[1:] if value.startswith(" ") else value


def blocks_of(stream):
    """The blocks that a blank line ended, and the one that the end of the stream cut."""
    whole, rest = lines_of(stream)
    ended, block = [], Block()
    for line in whole:
        if line == "":
            ended.append(block)
            block = Block()
        elif line[0] != ":":
            block.fields.append(field_of(line))
    if rest and rest[0] != ":":
        block.fields.append(field_of(rest))
    return ended, block


def read(stream, last_event_id=""):
    """(event, data, last event ID) of each event; the last event ID; the reconnection time."""
    events, retry_ms, id_buffer = [], None, last_event_id
    ended, _ = blocks_of(stream)
    whole, _ = lines_of(stream)
    remembered = last_event_id
    for block in ended:
        id_buffer = _id_after(block, id_buffer)
        remembered = id_buffer
        data = block.values("data")
        if data:
            event = (block.values("event") or [""])[-1]
            events.append((event or "message", "\n".join(data), remembered))
    for line in whole:
        name, value = field_of(line)
        is_number = re.fullmatch("[0-9]+", value) and len(value) <= _TOO_LONG_RETRY
        if name == "retry" and is_number:
            retry_ms = int(value)
    return events, remembered, retry_ms


def _id_after(block, before):
    for value in block.values("id"):
        if "\0" not in value:
            before = value
    return before


def first_too_large(stream, limit_bytes):
    """How many events come before the one that is past the limit; None if none is.

    All field lines of an event count, with their ends as one byte each, and the line in question.
    """
    if stream.startswith(b"\xef\xbb\xbf"):
        stream = stream[3:]
    elif b"\xef\xbb\xbf".startswith(stream):
        return None  # perhaps half a BOM, which is no part of an event
    size_bytes, events, has_data = 0, 0, False
    *whole, rest = re.split(b"\r\n|\n|\r", stream)
    for line in whole:
        if size_bytes + len(line) > limit_bytes and line:
            return events
        if not line:
            events += has_data
            size_bytes, has_data = 0, False
        elif not line.startswith(b":"):
            size_bytes += len(line) + 1
            has_data = has_data or re.split(b":", line)[0] == b"data"
    return events if rest and size_bytes + len(rest) > limit_bytes else None
