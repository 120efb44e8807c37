"""`EventParser` against the reference, in any cuts, with any bound."""

from material import bodies, cut, streams
from reference import first_too_large, read

from sse_middleware import EventParser
from sse_middleware.errors import EventTooLargeError

UNBOUNDED = 0


def seeds():
    """One byte for the bound, one for the cuts, then the stream."""
    return [bytes([UNBOUNDED, 1]) + stream for stream in [*streams(), *bodies()]] + [
        bytes([limit, 2]) + stream for limit, stream in zip(range(1, 256), streams())
    ]


def check(data):
    """The events, the last event ID, the reconnection time, and the failure past the bound."""
    limit_bytes, seed, stream = (data + b"\0\0")[0], (data + b"\0\0")[1], data[2:]
    events, last_event_id, retry_ms = read(stream)
    told = []
    too_large = None
    if limit_bytes:
        too_large = first_too_large(stream, limit_bytes)
    parser = EventParser(**({"max_event_bytes": limit_bytes} if limit_bytes else {}))
    try:
        for piece in cut(stream, seed):
            told += parser.feed(piece)
        assert parser.close() == []
    except EventTooLargeError as error:
        told += error.events
        assert too_large is not None, f"too large for {limit_bytes}, the reference says not"
        events = events[:too_large]
    else:
        assert too_large is None, f"expected more than {limit_bytes} after {too_large} events"
        assert (parser.last_event_id, parser.retry_ms) == (last_event_id, retry_ms)
    assert [(event.event, event.data, event.last_event_id) for event in told] == events
