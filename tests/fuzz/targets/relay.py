"""`relay` on mutated streams of vendors: events, or one of the errors that it documents."""

import json

from material import assert_one_line, bodies, cut, streams
from reference import read

from sse_middleware import EventParser, encode
from sse_middleware.errors import EventTooLargeError, UpstreamError
from sse_middleware.relay import relay

SHAPES = ("text", "openai")


def seeds():
    """One byte for the cuts, then the stream; vendors differ in their line ends too."""
    whole = bodies(6000)
    for end in (b"\r\n", b"\r"):
        whole += [body.replace(b"\n", end) for body in bodies()[:5]]
    whole += [b"\xef\xbb\xbfdata\ndata: 1\n\n", b": c\n\xef\xbb\xbfdata: 1\ndata: 2\n\n" * 2]
    return [bytes([number % 256]) + body for number, body in enumerate([*whole, *streams()])]


def relayed(upstream, shape):
    """The events, and the text of the error that ended them, if one did."""
    came = []
    try:
        for item in relay(upstream, shape=shape):
            came.append(item)
    except (UpstreamError, EventTooLargeError) as error:
        assert_one_line(error)
        return came, type(error)
    return came, None


def told(outcome, stream):
    """What a client sees; byte for byte, but for a blank line in CRLF after a line in CR.

    There the LF may come too late for the frame, and is one more blank line.
    """
    items, error = outcome
    if b"\r\r\n" not in stream:
        return outcome
    frames = [item if isinstance(item, bytes) else encode(item) for item in items]
    return [EventParser().feed(frame) for frame in frames], error


def check(data):
    """However it is cut; each event is one; dicts in place of the bytes say the same."""
    seed, stream = data[:1], data[1:]
    pieces = cut(stream, seed) or [b""]
    for shape in SHAPES:
        whole = relayed([stream], shape)
        assert told(relayed(pieces, shape), stream) == told(whole, stream)
        for item in whole[0]:
            frame = item if isinstance(item, bytes) else encode(item)
            assert len(EventParser().feed(frame)) == 1, f"{frame!r} is not one event"
    check_shape_text(relayed([stream], "text"))
    check_passed_on(stream, relayed([stream], "openai"))
    check_objects(stream)


def check_shape_text(outcome):
    """Events numbered from 1, the last of them ``close``, with texts that are texts."""
    events, error = outcome
    if error is None:
        assert events.pop() == {"event": "close", "id": "sse:end", "data": ""}
    assert [event["id"] for event in events] == list(range(1, len(events) + 1))
    for event in events:
        assert event["event"] in ("message", "reasoning", "refusal", "tool_call", "usage")
        text = event["data"].get("data")
        if event["event"] in ("message", "reasoning", "refusal"):
            assert isinstance(text, str), event
            assert text, event


def check_passed_on(stream, outcome):
    """What leaves in the shape of the vendor is what the reference reads of the stream."""
    items, error = outcome
    frames = b"".join(item if isinstance(item, bytes) else encode(item) for item in items)
    left = [pair[:2] for pair in read(frames)[0]]
    alone = [read(item if isinstance(item, bytes) else encode(item))[0] for item in items]
    assert [[pair] for pair in left] == [[pair[:2] for pair in each] for each in alone]
    came = [pair[:2] for pair in read(stream)[0]]
    done = next((n for n, (_, text) in enumerate(came) if text.startswith("[DONE]")), len(came))
    kept = [
        (name, text)
        for name, text in came[:done]
        if text.strip() or name in ("output", "error")  # vendors keep alive with the others
    ]
    if error is None:
        kept += came[done : done + 1] or [("message", "[DONE]")]
        assert left == kept
    else:
        assert left == kept[: len(left)]


def check_objects(stream):
    """An SDK hands out dicts: where the names of events say nothing, they are the same answer."""
    events = [pair[:2] for pair in read(stream)[0]]
    done = next((n for n, (_, text) in enumerate(events) if text.startswith("[DONE]")), None)
    chunks = []
    for name, text in events[:done]:
        try:
            chunk = json.loads(text)
        except (ValueError, RecursionError):
            return
        if name != "message" or not isinstance(chunk, dict) or {"event", "chunk"} & set(chunk):
            return
        if "data" in chunk:
            return
        chunks.append(chunk)
    if chunks:
        assert relayed(chunks, "text") == relayed([stream], "text")
