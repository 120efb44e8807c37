"""``judge``: whether events arrive as they are made, as far as their times can tell.

From here nobody sees when the app made an event, so "all at once" proves nothing by itself: an
app that has everything at once looks the same. Held back is what shows by one of these:

* heartbeats that arrive together with events: each was sent because nothing else was;
* a buffer that fills: events are cut at sizes of buffers, and go on later;
* a compressor that lets an event out in part, its rest with the next one;
* the same stream, asked for without compression, arrives earlier.

What was waited for and then came in one piece is a suspicion; what came in one piece at once tells
nothing.
"""

from statistics import median
from typing import List, NamedTuple, Optional

from sse_middleware.doctor.stream import Block, Stream

__all__ = ["Verdict", "judge"]

#: What arrives within this time came together.
_TOGETHER_S = 0.05
#: How long nothing has to come before what came together is worth a thought.
_QUIET_S = 0.4
#: A wait inside an event that is longer than any network's.
_PAUSE_S = 0.15
#: How much later than without compression.
_LATE_S = 0.2
_MIN_EVENTS = 3
#: So many equal comments are heartbeats.
_MIN_EQUAL = 3
#: Buffers are multiples of this.
_PAGE_BYTES = 1024
#: Linux waits 0.2 s where a sender says that it has more; then the next event begins a bundle.
_CORK_S = (0.19, 0.31)


class Verdict(NamedTuple):
    """How the events arrived.

    ``kind`` is "nothing", "idle" (no event yet), "single" (one), "streams", "held", "burst" (all
    at once after a wait: the app, or a layer), "bundled", or "unknown" (all at once, at once).
    ``evidence`` are words, ``is_compressor`` says that the compressor holds it.
    """

    kind: str
    evidence: str = ""
    is_compressor: bool = False


def judge(stream: Stream, is_encoded: bool, plain: Optional[Stream] = None) -> Verdict:
    """How ``stream`` arrived; ``plain`` is the same one, asked for without compression."""
    clumps = _clumps(stream.blocks)
    proof = _find_lateness(stream, plain) or _find_parts(stream, is_encoded)
    if proof:
        return Verdict("held", proof, is_encoded)
    proof = _find_beats(clumps) or _find_buffer(stream)
    if proof:
        return Verdict("held", proof, is_encoded and plain is None)
    return _unproved(stream, clumps)


def _unproved(stream: Stream, clumps: List[List[Block]]) -> Verdict:
    events = stream.events
    if len(events) < 2:
        kinds = ["nothing", "idle", "single"]
        return Verdict(kinds[2 if events else bool(stream.blocks)])
    span_s = events[-1].at_s - events[0].at_s
    if span_s > _TOGETHER_S:
        bundles = _find_bundles(clumps)
        return Verdict("bundled", bundles) if bundles else Verdict("streams")
    told = f"{len(events)} events within {span_s * 1000:.0f} ms, the first after "
    told += f"{events[0].at_s:.2f} s"
    is_waited_for = events[0].at_s >= _QUIET_S and len(events) >= _MIN_EVENTS
    return Verdict("burst" if is_waited_for else "unknown", told)


def _clumps(blocks: List[Block]) -> List[List[Block]]:
    """The blocks that came together."""
    clumps: List[List[Block]] = []
    for block in blocks:
        if clumps and block.at_s - clumps[-1][0].at_s <= _TOGETHER_S:
            clumps[-1].append(block)
        else:
            clumps.append([block])
    return clumps


def _find_beats(clumps: List[List[Block]]) -> str:
    """Comments that came with events, after a silence in which they should have come alone."""
    last_s = 0.0
    for number, clump in enumerate(clumps):
        quiet_s, last_s = clump[0].at_s - last_s, clump[-1].at_s
        count = _count_beats(clump, is_start=number == 0)
        # One alone may be a coincidence, unless nothing came at any other time.
        if quiet_s >= _QUIET_S and count >= (1 if len(clumps) == 1 else 2):
            are = "are comments" if count > 1 else "is a comment"
            return (
                f"after {quiet_s:.1f} s of nothing, {len(clump)} events and comments arrived at "
                f"once; {count} of them {are}, as are sent only while nothing else is"
            )
    return ""


def _count_beats(clump: List[Block], *, is_start: bool) -> int:
    """The comments that no app sends together with what came before them.

    The first of a clump may be one that ended its silence. At the start of a stream, several may
    greet a client; what is the same many times does not.
    """
    first = next((at for at, block in enumerate(clump) if block.event), len(clump))
    later = sum(block.event is None for block in clump[first:])
    if is_start and (first < _MIN_EQUAL or len({block.text for block in clump[:first]}) > 1):
        return later
    return later + max(0, first - 1)


def _find_parts(stream: Stream, is_encoded: bool) -> str:
    waits = [pause.seconds for pause in stream.pauses if pause.seconds >= _PAUSE_S]
    if not is_encoded or len(waits) < 2:
        return ""
    return (
        f"{len(waits)} times the compressor let out a part of an event, and its rest "
        f"{median(waits):.1f} s later"
    )


def _find_buffer(stream: Stream) -> str:
    """Two waits inside events, a round number of bytes apart."""
    waits = [pause for pause in stream.pauses if pause.seconds >= _PAUSE_S]
    for one, two in zip(waits, waits[1:]):
        size_bytes = two.offset - one.offset
        if size_bytes and size_bytes % _PAGE_BYTES == 0:
            return (
                f"events were cut {size_bytes} bytes apart, and went on {two.seconds:.1f} s "
                "later: that is a buffer that fills"
            )
    return ""


def _find_lateness(stream: Stream, plain: Optional[Stream]) -> str:
    if plain and plain.blocks and not stream.blocks:
        return f"nothing of it came, and without compression {len(plain.blocks)} events did"
    pairs = list(zip(stream.events, plain.events)) if plain else []
    if plain is None or len(pairs) < 2:
        return ""
    # From the headers on: an app that was asked for the first time may have been slow to begin.
    lead_s = stream.headers_at_s - plain.headers_at_s
    late_s = median(one.at_s - two.at_s - lead_s for one, two in pairs)
    span_s, plain_span_s = (last.at_s - first.at_s for first, last in zip(pairs[0], pairs[-1]))
    if late_s >= _LATE_S:
        return f"events arrive {late_s:.1f} s later than the same ones without compression"
    if span_s <= _TOGETHER_S and plain_span_s >= _LATE_S:
        told = f"{plain_span_s:.1f} s from first to last without compression"
        return f"events arrive all at once, the same ones take {told}"
    return ""


def _find_bundles(clumps: List[List[Block]]) -> str:
    """Several events each time, as far apart as a cork makes them; the end pulls it."""
    bundles = clumps[:-1]
    starts = [bundle[0].at_s for bundle in bundles]
    gaps = [two - one for one, two in zip(starts, starts[1:])]
    if len(gaps) < 2 or any(len(bundle) < 2 for bundle in bundles):
        return ""
    if not _CORK_S[0] <= median(gaps) <= _CORK_S[1] or max(gaps) > 2 * min(gaps):
        return ""
    return f"{len(bundles)} bundles of events in a row, {median(gaps):.2f} s apart"
