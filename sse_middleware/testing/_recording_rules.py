"""What a recording may hold: one function a rule, each returns the value or says what is wrong.

The values come from files that others wrote, so nothing is taken for granted.
"""

import json
import re
from types import MappingProxyType
from typing import Any, Dict, List, Mapping, NamedTuple, Tuple

from sse_middleware.errors import RecordingError, shown

__all__ = [
    "ENDS",
    "EVENT_STREAM",
    "KEYS",
    "LINE_END",
    "Chunk",
    "block_ends",
    "body",
    "chunk_an_event",
    "chunks",
    "decoded",
    "end",
    "headers",
    "parsed",
    "request",
    "status",
]

#: The keys of the ``.json`` file, in the order in which they are saved.
KEYS = ("status", "headers", "request", "chunks", "end")
#: How a stream may end.
ENDS = ("complete", "eof", "reset", "stall")
#: The headers of a recording that has no other.
EVENT_STREAM = MappingProxyType({"content-type": "text/event-stream; charset=utf-8"})

_MAX_DELAY_S = 1e9
_NO_BODY = (204, 304)
#: CRLF, LF or CR.
LINE_END = re.compile(rb"\r\n|\n|\r")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # token, RFC 9110 5.6.2
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")  # field-value, RFC 9110 5.5


class Chunk(NamedTuple):
    """One chunk of a body: how long it was waited for, and how long it is."""

    delay_s: float
    size_bytes: int


def parsed(text: bytes, source: str) -> Dict[str, Any]:
    """The settings in the ``.json`` file named ``source``, by key; the values are not checked.

    Raises:
        RecordingError: the text is no JSON object, or it has a key that means nothing.
    """
    settings = decoded(text, source, f"an object with keys of {_list(KEYS)}")
    if not isinstance(settings, dict):
        raise RecordingError(source, shown(settings), f"an object with keys of {_list(KEYS)}")
    for key, value in settings.items():
        if key not in KEYS:
            raise RecordingError(f"{source}: key {shown(key)}", "unknown", f"one of {_list(KEYS)}")
        if value is None:
            raise RecordingError(f"{source}: {key}", "null", "a value, or no such key")
    return settings


def decoded(text: bytes, source: str, expected: str) -> Any:
    """The value of the JSON in the file named ``source``.

    Raises:
        RecordingError: it is no JSON; the text names the line.
    """
    try:
        return json.loads(text.decode("utf-8"))
    except json.JSONDecodeError as error:
        where = f"{source} line {error.lineno}"
        raise RecordingError(where, f"not JSON ({error.msg})", expected) from None
    except UnicodeDecodeError as error:
        where = f"{source} line {1 + text.count(10, 0, error.start)}"
        raise RecordingError(where, "not UTF-8", expected) from None
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits, 5,000 brackets
        raise RecordingError(source, f"not JSON ({error})", expected) from None


def body(value: object) -> bytes:
    """Any bytes: what an upstream sends need not be right."""
    if not isinstance(value, bytes):
        raise RecordingError("body", shown(value), "bytes")
    return value


def status(value: object) -> int:
    """A status whose response has a body."""
    if not _is_int(value, 200, 599) or value in _NO_BODY:
        raise RecordingError("status", shown(value), "an int of 200 to 599, not 204 or 304")
    return int(value)  # type: ignore[call-overload, no-any-return]


def headers(value: object) -> Mapping[str, str]:
    """A read-only copy; each name a token, each value one line."""
    if not isinstance(value, Mapping):
        raise RecordingError("headers", shown(value), "an object of names and values")
    for name, text in value.items():
        if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
            raise RecordingError("headers", shown({name: text}), "names made of token characters")
        if not isinstance(text, str) or not _HEADER_VALUE.fullmatch(text):
            raise RecordingError(f"headers[{shown(name)}]", shown(text), "one line of latin-1 text")
    return MappingProxyType(dict(value))


def request(value: object) -> Mapping[str, Any]:
    """A copy, as JSON holds it."""
    try:
        if isinstance(value, Mapping):
            copied: Dict[str, Any] = json.loads(json.dumps(dict(value), allow_nan=False))
            return copied
    except (TypeError, ValueError, RecursionError):
        pass
    raise RecordingError("request", shown(value), "an object that JSON can hold")


def end(value: object) -> str:
    """How the stream ends."""
    if not isinstance(value, str) or value not in ENDS:
        raise RecordingError("end", shown(value), f"one of {_list(ENDS)}")
    return value


def chunks(value: object, body: bytes) -> Tuple[Chunk, ...]:
    """The chunks, which together are the body."""
    if not isinstance(value, (list, tuple)):
        raise RecordingError("chunks", shown(value), "a list of [seconds, byte count]")
    checked = tuple(_chunk(number, pair) for number, pair in enumerate(value))
    total = sum(chunk.size_bytes for chunk in checked)
    if total != len(body):
        raise RecordingError("chunks", f"{total} bytes in all", f"the {len(body)} of the body")
    duration_s = sum(chunk.delay_s for chunk in checked)
    if duration_s > _MAX_DELAY_S:  # cut elsewhere, all of it may become one delay
        raise RecordingError("chunks", f"{shown(duration_s)} s in all", "1e9 or less")
    return checked


def _chunk(number: int, pair: object) -> Chunk:
    if not isinstance(pair, (list, tuple)) or len(pair) != 2:
        raise RecordingError(f"chunks[{number}]", shown(pair), "[seconds, byte count]")
    delay_s, size_bytes = pair
    if not _is_number(delay_s) or not 0 <= delay_s <= _MAX_DELAY_S:
        raise RecordingError(f"chunks[{number}][0]", shown(delay_s), "seconds, from 0 to 1e9")
    if not _is_int(size_bytes, 0, float("inf")):
        raise RecordingError(f"chunks[{number}][1]", shown(size_bytes), "a byte count, from 0")
    return Chunk(float(delay_s), size_bytes)


def block_ends(body: bytes) -> List[int]:
    """Where each block ends: after its blank line, whatever ends the lines, or with the body."""
    ends, line_start = [], 0
    for line_end in LINE_END.finditer(body):
        if line_end.start() == line_start:
            ends.append(line_end.end())
        line_start = line_end.end()
    return ends if ends[-1:] == [len(body)] or not body else [*ends, len(body)]


def chunk_an_event(body: bytes) -> Tuple[Chunk, ...]:
    """A cut after each blank line; what is left over is a chunk too."""
    ends = block_ends(body)
    return tuple(Chunk(0.0, end - start) for start, end in zip([0, *ends], ends))


def _is_int(value: object, least: int, most: float) -> bool:
    """True for an int in that range. A bool is no int here."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _list(names: Tuple[str, ...]) -> str:
    return ", ".join(names)
