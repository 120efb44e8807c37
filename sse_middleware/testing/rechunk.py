r"""The same bytes in other transport chunks: what networks and proxies do to a stream.

Each mode takes a recording and returns one with the same body, cut elsewhere. A chunk is sent when
its last byte had come, so the times stay true. ``FakeUpstream.play(..., rechunk=mode)`` takes a
mode, or a function of yours of the same shape.

>>> from sse_middleware.testing import Recording, rechunk
>>> recording = Recording(b"data: \xc3\xa9\n\n")
>>> [data for _, data in rechunk.inside_utf8(recording).pieces()]
[b'data: \xc3', b'\xa9\n\n']
"""

import re
from random import Random
from typing import Callable, Iterator, Tuple

from sse_middleware.errors import OptionError, shown
from sse_middleware.testing import _recording_rules as rules
from sse_middleware.testing._edits import recut
from sse_middleware.testing.recording import Recording

__all__ = [
    "MODES",
    "Rechunk",
    "as_recorded",
    "between_newlines",
    "by_line",
    "bytewise",
    "coalesced",
    "every",
    "inside_crlf",
    "inside_utf8",
    "per_event",
    "seeded",
]

Rechunk = Callable[[Recording], Recording]

_CONTINUATION = re.compile(rb"[\x80-\xbf]")
_LARGEST_SEEDED_BYTES = 64


def as_recorded(recording: Recording) -> Recording:
    """The recorded chunks."""
    return recording


def per_event(recording: Recording) -> Recording:
    """One event a chunk: a cut after each blank line."""
    return recut(recording, rules.block_ends(recording.body))


def by_line(recording: Recording) -> Recording:
    """One line a chunk, its line end included."""
    return recut(recording, (end.end() for end in rules.LINE_END.finditer(recording.body)))


def bytewise(recording: Recording) -> Recording:
    """One byte a chunk."""
    return recut(recording, range(len(recording.body)))


def inside_utf8(recording: Recording) -> Recording:
    """Cuts inside each character of more than one byte, between all of its bytes."""
    return recut(recording, (found.start() for found in _CONTINUATION.finditer(recording.body)))


def inside_crlf(recording: Recording) -> Recording:
    """A cut between the CR and the LF of each CRLF."""
    return recut(recording, (found.start() + 1 for found in re.finditer(b"\r\n", recording.body)))


def between_newlines(recording: Recording) -> Recording:
    """A cut before each blank line: its chunk holds the end of one event and most of the next."""
    return recut(recording, _before_blank_lines(recording.body))


def coalesced(recording: Recording) -> Recording:
    """All in one chunk, as a proxy sends it that buffers."""
    return recut(recording, ())


def every(size_bytes: int) -> Rechunk:
    """A mode: chunks of ``size_bytes`` bytes, the last one of what is left.

    Raises:
        OptionError: ``size_bytes`` is no int of 1 or more.
    """
    if not isinstance(size_bytes, int) or isinstance(size_bytes, bool) or size_bytes < 1:
        raise OptionError("size_bytes", shown(size_bytes), "an int >= 1")

    def cut(recording: Recording) -> Recording:
        return recut(recording, range(size_bytes, len(recording.body), size_bytes))

    return _named(cut, f"every({size_bytes})")


def seeded(seed: int) -> Rechunk:
    """A mode: chunks of 1 to 64 bytes by a random that ``seed`` decides, on every Python alike.

    Raises:
        OptionError: ``seed`` is no int.
    """
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise OptionError("seed", shown(seed), "an int")

    def cut(recording: Recording) -> Recording:
        return recut(recording, _random_cuts(seed, len(recording.body)))

    return _named(cut, f"seeded({seed})")


def _before_blank_lines(body: bytes) -> Iterator[int]:
    line_start = 0
    for line_end in rules.LINE_END.finditer(body):
        if line_end.start() == line_start:
            yield line_start
        line_start = line_end.end()


def _random_cuts(seed: int, size_bytes: int) -> Iterator[int]:
    made = Random(seed)  # nosec B311
    at = 0
    while at < size_bytes:
        # Of Python's random numbers only these are promised to stay the same in each version.
        at += 1 + int(made.random() * _LARGEST_SEEDED_BYTES)
        yield at


def _named(mode: Rechunk, name: str) -> Rechunk:
    mode.__name__ = mode.__qualname__ = name
    return mode


#: One of each, for tests that run under all of them; ``__name__`` tells which it is.
MODES: Tuple[Rechunk, ...] = (
    as_recorded,
    per_event,
    by_line,
    bytewise,
    every(7),
    inside_utf8,
    inside_crlf,
    between_newlines,
    coalesced,
    seeded(1),
)
