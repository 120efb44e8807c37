"""What a log is filled with: any bytes an app relays, cut anyhow, become whole numbered events."""

from material import bodies, cut, streams
from reference import read

from sse_middleware import EventParser
from sse_middleware.resume.address import parted
from sse_middleware.resume.blocks import Blocks, is_event, numbered, without_id

STREAM_ID = "0123456789abcdef" * 2


def seeds():
    """One byte for the cuts, then the stream."""
    return [b"\1" + stream for stream in [*streams(), *bodies()]] + [
        b"\0" + STREAM_ID.encode() + b"-7"
    ]


def check(data):
    """The events are the stream's own, each with the number under which it is kept."""
    seed, stream = data[:1], data[1:]
    parted(stream.decode("utf-8", "replace"))
    blocks = Blocks()
    taken = [block for piece in cut(stream, seed) for block in blocks.feed(piece)]
    assert blocks_in_one(stream) == taken
    frames, number = b"", 0
    for block in taken:
        number += is_event(block)
        frame = numbered(block, f"{STREAM_ID}-{number}") if is_event(block) else without_id(block)
        frames += frame
        assert len(EventParser().feed(frame)) == is_event(block)
    told = read(frames)[0]
    assert [event[:2] for event in told] == [event[:2] for event in read(stream)[0]]
    ids = [event[2] for event in told]
    assert all(id in ("sse:end", f"{STREAM_ID}-{number}") for number, id in enumerate(ids, 1)), ids


def blocks_in_one(stream):
    """What the stream holds when nothing cuts it."""
    return Blocks().feed(stream)
