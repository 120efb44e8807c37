"""What each fault is made of: its place in the body, and other bytes there."""

import re
from typing import Callable, List, Optional, Tuple

from sse_middleware.errors import OptionError, shown
from sse_middleware.parser import EventParser
from sse_middleware.testing import _recording_rules as rules
from sse_middleware.testing._edits import event_ends, remade, split
from sse_middleware.testing.recording import Recording

__all__ = ["Fault", "Place", "block", "done", "ended", "inserted", "replaced", "shortened"]

# A line that begins with the body, or behind any line end; CR alone is one too.
_DATA = re.compile(rb"(?<![^\r\n])(?:\xef\xbb\xbf)?data(?:: ?|(?=[\r\n]))([^\r\n]*)")


class Fault:
    """A change of a recording, with the text that tests and messages show of it.

    Args:
        repeats: whether requests without number meet it, because SDKs try again.
    """

    def __init__(
        self, text: str, change: Callable[[Recording], Recording], *, repeats: bool = False
    ) -> None:
        self.repeats = repeats
        self._text = text
        self._change = change

    def __call__(self, recording: Recording) -> Recording:
        """``recording`` with this fault.

        Raises:
            OptionError: the recording has no place for it.
        """
        return self._change(recording)

    def __repr__(self) -> str:
        return f"faults.{self._text}"


class Place:
    """Where in the body a fault is."""

    def __init__(self, after_events: Optional[int], after_bytes: Optional[int] = None) -> None:
        if after_events is not None and after_bytes is not None:
            both = f"after_events={shown(after_events)} and after_bytes={shown(after_bytes)}"
            raise OptionError("the fault's place", both, "one of the two")
        self._in_bytes = after_bytes is not None
        self._name = "after_bytes" if self._in_bytes else "after_events"
        number = after_bytes if self._in_bytes else after_events
        #: How many events, or bytes, are before it.
        self.number = 1 if number is None else number
        if not isinstance(self.number, int) or isinstance(self.number, bool) or self.number < 0:
            raise OptionError(self._name, shown(number), "an int >= 0")

    def __str__(self) -> str:
        return f"{self._name}={self.number}"

    def at(self, recording: Recording) -> int:
        """The byte of the body, counted from 0, before which the fault is."""
        places = range(len(recording.body) + 1) if self._in_bytes else [0, *event_ends(recording)]
        if self.number >= len(places):
            unit = "bytes" if self._in_bytes else "events"
            has = f"at most the {len(places) - 1} {unit} of {_named(recording)}"
            raise OptionError(self._name, str(self.number), has)
        return places[self.number]

    def next_data(self, recording: Recording) -> List[Tuple[int, int]]:
        """Where the values of the ``data`` lines of the event that follows begin and end."""
        at = self.at(recording)
        ends = [end for end in event_ends(recording) if end > at]
        if not ends:
            has = f"fewer than the {len(event_ends(recording))} events of {_named(recording)}"
            raise OptionError(self._name, str(self.number), has)
        return [found.span(1) for found in _DATA.finditer(recording.body, at, ends[0])]


def ended(recording: Recording, place: Place, frames: bytes) -> Recording:
    """The recording up to ``place``, then ``frames``, then a clean end."""
    before, _ = split(recording, place.at(recording))
    return remade(recording, [*before, (0.0, frames)], end="complete")


def inserted(recording: Recording, at: int, data: bytes) -> Recording:
    """More bytes at ``at``, sent with what is before."""
    return replaced(recording, at, at, data)


def replaced(recording: Recording, start: int, end: int, data: bytes) -> Recording:
    """Other bytes in the place of those from ``start`` to ``end``, sent with what is before."""
    before, _ = split(recording, start)
    _, after = split(recording, end)
    return remade(recording, [*before, *([(0.0, data)] if data else []), *after])


def done(recording: Recording) -> Tuple[int, int]:
    """Where the block of the last ``[DONE]`` begins and ends."""
    ends = rules.block_ends(recording.body)
    for start, end in reversed(list(zip([0, *ends], ends))):
        parser = EventParser(max_event_bytes=len(recording.body) + 1)
        if [event.data for event in parser.feed(recording.body[start:end])] == ["[DONE]"]:
            return start, end
    raise OptionError("the fault's place", "absent", f"[DONE] in {_named(recording)}")


def shortened(name: str, end: str, place: Place) -> Fault:
    """A fault that ends the recording at ``place``."""

    def change(recording: Recording) -> Recording:
        before, _ = split(recording, place.at(recording))
        return remade(recording, before, end=end)

    return Fault(f"{name if '(' in name else name + '('}{place})", change)


def block(name: str, block: bytes, after_events: Optional[int]) -> Fault:
    """A fault that is ``block``, put in between two others."""
    place = Place(after_events)
    return Fault(f"{name}({place})", lambda was: inserted(was, place.at(was), block))


def _named(recording: Recording) -> str:
    return "the recording" if recording.name is None else repr(recording.name)
