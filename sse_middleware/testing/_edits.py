"""What faults and rechunks are made of: a recording in, another one out, times kept.

A ``Piece`` is ``(seconds since the previous one, bytes)``, as ``Recording.pieces`` gives them. A
piece without bytes is a delay alone.
"""

from itertools import accumulate
from typing import Iterable, List, Sequence, Tuple

from sse_middleware.parser import EventParser
from sse_middleware.testing import _recording_rules as rules
from sse_middleware.testing.recording import Recording

__all__ = ["Piece", "event_ends", "paced", "recut", "remade", "split"]

Piece = Tuple[float, bytes]


def remade(recording: Recording, pieces: Sequence[Piece], **changes: object) -> Recording:
    """``recording`` with this body, and with ``changes`` (arguments of ``Recording``)."""
    arguments = {
        "status": recording.status,
        "headers": recording.headers,
        "request": recording.request,
        "end": recording.end,
        "name": recording.name,
        **changes,
    }
    chunks = [(delay_s, len(data)) for delay_s, data in pieces]
    return Recording(b"".join(data for _, data in pieces), chunks=chunks, **arguments)  # type: ignore[arg-type]


def paced(recording: Recording, speed: float) -> Recording:
    """``recording`` that many times as fast; ``inf`` leaves no delays."""
    return remade(recording, [(delay_s / speed, data) for delay_s, data in recording.pieces()])


def split(recording: Recording, at: int) -> Tuple[List[Piece], List[Piece]]:
    """The pieces before byte ``at`` and those from it on. A delay there belongs to the latter."""
    before: List[Piece] = []
    pieces = recording.pieces()
    for number, (delay_s, data) in enumerate(pieces):
        if len(data) > at:
            head = [(delay_s, data[:at])] if at else []
            rest_delay_s = 0.0 if at else delay_s
            return before + head, [(rest_delay_s, data[at:]), *pieces[number + 1 :]]
        if not at:
            return before, pieces[number:]
        before.append((delay_s, data))
        at -= len(data)
    return before, []


def event_ends(recording: Recording) -> List[int]:
    """Where each event of the body ends, as a client counts them: a comment alone is none."""
    parser = EventParser(max_event_bytes=len(recording.body) + 1)
    start = 0
    found: List[int] = []
    for end in rules.block_ends(recording.body):
        found += [end] * len(parser.feed(recording.body[start:end]))
        start = end
    return found


def recut(recording: Recording, cuts: Iterable[int]) -> Recording:
    """The same body in chunks that end at ``cuts``, each sent when its last byte had come."""
    body = recording.body
    arrivals = _arrivals(recording)
    ends = sorted({cut for cut in cuts if 0 < cut < len(body)} | ({len(body)} if body else set()))
    pieces: List[Piece] = []
    start, earlier_s, number = 0, 0.0, 0
    for end in ends:
        while arrivals[number][0] < end:
            number += 1
        at_s = arrivals[number][1]
        pieces.append((at_s - earlier_s, body[start:end]))
        start, earlier_s = end, at_s
    last_s = arrivals[-1][1] if arrivals else 0.0
    return remade(recording, pieces + ([(last_s - earlier_s, b"")] if last_s > earlier_s else []))


def _arrivals(recording: Recording) -> List[Tuple[int, float]]:
    """Of each chunk: how many bytes were there with it, and after how many seconds in all."""
    sizes = accumulate(chunk.size_bytes for chunk in recording.chunks)
    times = accumulate(chunk.delay_s for chunk in recording.chunks)
    return list(zip(sizes, times))
