"""What the targets share: seeds from the tables and the recordings, ways to cut and to mutate."""

import json
from pathlib import Path
from random import Random

ROOT = Path(__file__).resolve().parents[2]
TABLES = ROOT / "fixtures" / "conformance"
SHIPPED = ROOT / "fixtures" / "recordings"
VENDORS = ROOT.parent / "shared" / "recordings"  # stands beside some checkouts, in none

_SPLICED = (b"\n", b"\r", b"\r\n", b"\n\n", b"\0", b"\xff", b"\xef\xbb\xbf", b": ", b"id: ", b'"')
_EDITS = 4


def rows(table):
    """The rows of a conformance table."""
    return [json.loads(line) for line in (TABLES / table).read_text("ascii").splitlines()]


def streams():
    """The event streams of the parsing table."""
    return [row["stream"].encode(row["encoding"]) for row in rows("eventsource-parse.jsonl")]


def recordings():
    """The ``.sse`` files: the vendors' where they stand beside the checkout, else what ships."""
    return sorted(VENDORS.glob("*.sse")) or sorted(SHIPPED.glob("*.sse"))


def bodies(limit_bytes=1500):
    """The recorded streams; of the long ones their beginning."""
    return [path.read_bytes()[:limit_bytes] for path in recordings()]


def assert_one_line(error):
    """Whoever made the mistake is told in one line."""
    assert "\n" not in str(error), f"an error of several lines: {error!r}"


def cut(data, seed):
    """``data`` in pieces of 0 to about 8 bytes, or of a few hundred, as ``seed`` decides."""
    random = Random(seed)
    most = random.choice((2, 9, 300))
    pieces, start = [], 0
    while start < len(data):
        end = start + random.randrange(most)
        pieces.append(data[start:end])
        start = end
    return pieces


def mutated(data, other, random):
    """``data`` after a few edits of the kinds that libFuzzer makes; ``other`` lends a part."""
    changed = bytearray(data)
    for _ in range(random.randint(1, _EDITS)):
        at = random.randint(0, len(changed))
        until = min(len(changed), at + random.choice((0, 1, 1, 2, 8, 64)))
        begin = random.randrange(len(other) + 1)
        put = (
            b"",
            bytes([random.randrange(256)]),
            random.choice(_SPLICED),
            bytes(changed[at:until]) * 2,
            other[begin : begin + random.randrange(64)],
        )
        changed[at:until] = random.choice(put)
    return bytes(changed)
