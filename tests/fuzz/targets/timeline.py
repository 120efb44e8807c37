"""What `inspect` prints, of any bytes in any chunks: it never fails, and tells of every event."""

import json

from material import bodies, cut, streams
from reference import read

from sse_middleware.testing import Recording
from sse_middleware.testing.timeline import summary, timeline


def seeds():
    """One byte for the chunks, one for the headers, then the stream."""
    whole = [*streams(), *bodies()]
    return [b"\1\0" + body for body in whole] + [b"\2\1" + body for body in whole[:5]]


def check(data):
    """Lines without control characters, with all bytes and all events."""
    seed, kind, body = data[:1], data[1:2], data[2:]
    pieces = cut(body, seed)
    chunks = [(len(piece) / 7, len(piece)) for piece in pieces]
    headers = {"content-type": "text/plain", "a": "\xe9\t"} if kind == b"\1" else None
    request = {"method": "POST", "path": "/\ud800", "body": {"model": {"a": body.hex()}}}
    request = json.loads(json.dumps(request)) if seed == b"\3" else None
    recording = Recording(body, chunks=chunks, headers=headers, request=request)
    heading, *lines = timeline(recording)
    told = summary(recording)
    for line in (heading, *lines, *told):
        assert line.isprintable(), f"a line that a terminal obeys: {line!r}"
    sizes = [line[: heading.index("bytes") + 5].split() for line in lines]
    assert [int(numbers[2]) for numbers in sizes if numbers] == [size for _, size in chunks]
    if headers is None:
        [events] = [line.split(", ")[1] for line in told if line.startswith("chunks ")]
        assert events == f"events {len(read(body)[0])}"
