"""`encode`: what any mapping becomes is one event, the same one; or it is an `EventError`."""

import json

from material import assert_one_line, rows
from reference import read

from sse_middleware import Event, EventParser, encode, event_stream
from sse_middleware.errors import EventError
from sse_middleware.testing import check_framing

KEYS = ("data", "event", "id", "retry", "comment")
BESIDE = b"id: before\ndata: before\n\n"


class Odd(str):
    """A subclass that answers for another text than it holds, as escaping ones do."""

    def __str__(self):
        return "odd\n\n"

    def replace(self, *args):
        return "odd\ndata: odd"

    def __contains__(self, part):
        return False

    def __format__(self, spec):
        return "odd\n\n"


class Unshown:
    """What cannot even be shown in a message."""

    def __repr__(self):
        raise LookupError("no repr")


def value_of(kind, text):
    """A value of the kind that one byte names, made of the text after it."""
    plain = text.decode("utf-8", "surrogatepass")
    if kind == b"j":
        return json.loads(plain)
    made = {
        b"s": lambda: plain,
        b"o": lambda: Odd(plain),
        b"i": lambda: int(plain),
        b"h": lambda: int(plain, 16),  # has no bound of digits
        b"f": lambda: float(plain),
        b"b": lambda: text,
        b"t": lambda: (plain, {plain: [plain]}),
        b"d": lambda: {len(text): plain, None: True, 1.5: plain},
        b"l": lambda: nested(len(text) * 40),
        b"u": Unshown,
        b"T": lambda: True,
    }
    return made.get(kind, lambda: None)()


def nested(depth):
    """Lists in lists."""
    inside = []
    for _ in range(depth):
        inside = [inside]
    return inside


def mapping_of(data):
    """Fields, each after a 0xFF: a byte for the key, one for the kind, and the value as text."""
    mapping = {}
    for part in data.split(b"\xff")[1:]:
        number = part[0] - 48 if part else 99
        key = KEYS[number] if 0 <= number < len(KEYS) else part[:1].decode("latin-1")
        try:
            mapping[key] = value_of(part[1:2], part[2:])
        except (ValueError, RecursionError):
            mapping[key] = None
    return mapping


def seeds():
    """The fields of the encoding table, and one of each kind of value."""
    inputs = [row["input"] for row in rows("encode-roundtrip.jsonl")]
    kinds = [b"\xff0%cabc\xff2i7\xff3i5" % kind for kind in b"sojihfbtdluT"]
    breaks = ("\r", "\n", "\0", "\u2028", "\ud800", " ", ":")
    inputs += [{"data": "", name: f"a{text}b"} for name in KEYS for text in breaks]
    return [b"".join(map(field, each.items())) for each in inputs] + kinds


def field(item):
    """One field of an input, as `mapping_of` reads it."""
    name, value = item
    key = b"%d" % KEYS.index(name) if name in KEYS else name[:1].encode()
    if isinstance(value, str):
        return b"\xff" + key + b"s" + value.encode("utf-8", "surrogatepass")
    return b"\xff" + key + b"j" + json.dumps(value).encode()


def check(data):
    """No other error, no other event, nothing before or after it, and the mapping as it was."""
    mapping = mapping_of(data)
    before = list(mapping.items())
    try:
        frame = encode(mapping)
    except EventError as error:
        assert_one_line(error)
        refused_by_event(mapping)
        return
    assert all(a is b for pair, was in zip(mapping.items(), before) for a, b in zip(pair, was))
    event = Event.from_mapping(mapping)
    assert encode(event) == frame
    assert list(event_stream([mapping])) == ([frame] if frame else [])
    if frame:
        check_frame(frame, event)


def refused_by_event(mapping):
    """What `encode` refuses, `Event` refuses too."""
    try:
        event = Event.from_mapping(mapping)
    except EventError:
        return
    raise AssertionError(f"encode refused what became {event!r}")


def check_frame(frame, event):
    """Between two other events it is read as what it was, and changes nothing of theirs."""
    assert type(frame) is bytes
    assert frame.endswith(b"\n\n")
    assert b"\r" not in frame
    assert b"\n\n" not in frame[:-1]
    stream = BESIDE + frame + BESIDE
    first, *between, last = EventParser().feed(stream)
    assert first == last == Event("before", id="before")
    assert between == ([] if event.data is None else [event])
    assert [(e.event, e.data, e.last_event_id) for e in (first, *between, last)] == read(stream)[0]
    assert {problem.code for problem in check_framing(frame)} <= set()
