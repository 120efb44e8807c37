"""``Script``: one call of ``play``; ``Told``: a request, and what became of it."""

from enum import Enum
from math import inf
from typing import Any, List, NamedTuple, Optional, Sequence, Union

from sse_middleware.errors import OptionError, shown
from sse_middleware.testing import faults
from sse_middleware.testing import rechunk as modes
from sse_middleware.testing._edits import paced
from sse_middleware.testing.exchange import ReceivedRequest
from sse_middleware.testing.matching import Match, When
from sse_middleware.testing.recording import Recording

__all__ = ["ONCE", "Script", "Times", "Told", "outcome", "reasons", "scripted"]


class _Once(Enum):
    """What ``times`` is where nothing was said."""

    ONCE = "once, or however often it comes for an HTTP error"


ONCE = _Once.ONCE
Times = Union[int, None, _Once]

_RETRIES = "x-stainless-retry-count"  # OpenAI's and Anthropic's SDKs send it


class Script:
    """What to play, for which requests, and how often."""

    def __init__(
        self, name: Optional[str], recording: Recording, match: Match, times: Times, fault: Any
    ) -> None:
        self.recording = recording
        self.match = match
        self.times = (None if getattr(fault, "repeats", False) else 1) if times is ONCE else times
        self.played = 0
        self._name = name
        self._fault = fault

    @property
    def is_left(self) -> bool:
        """True while it may be played."""
        return self.times is None or self.played < self.times

    @property
    def is_due(self) -> bool:
        """True while it was not played as often as it should be: once, for any number of times."""
        return self.played < (1 if self.times is None else self.times)

    @property
    def title(self) -> str:
        """What it plays, as messages show it."""
        size = f"{len(self.recording.body)} bytes"
        name = size if self._name is None else repr(self._name)
        return name if self._fault is None else f"{name} with {self._fault!r}"

    def __str__(self) -> str:
        """What it plays, what it answers and how often."""
        match = f" for {self.match}" if str(self.match) else ""
        return f"{self.title}{match} (played {self.played} of {self.times or '1 or more'})"


class Told(NamedTuple):
    """A request, and what to say of it, a line each: why nothing answered it, when it came."""

    request: ReceivedRequest
    reasons: List[str]


def outcome(request: ReceivedRequest, left_s: float) -> List[str]:
    """What became of ``request``, which was answered; its next chunk is ``left_s`` away."""
    lines = [f"answered by {request.answered_by}"]
    if request.problem is not None:
        lines.append(f"broke off: {request.problem}")
    elif left_s:
        stalls = "silent for ever" if left_s == inf else f"silent for {left_s:g} s more"
        lines.append(f"not ended: {stalls}, on its clock")
    if request.client_left:
        lines.append("the client left before the end")
    return lines


def scripted(
    recording: Recording,
    *,
    when: Optional[When],
    times: Times,
    speed: Optional[float],
    rechunk: Any,
    fault: Any,
    has_clock: bool,
) -> Script:
    """The script that the arguments of ``FakeUpstream.play`` describe.

    Raises:
        OptionError: an argument is of the wrong type or out of its range.
    """
    if times is not None and times is not ONCE and (not _is_number(times, int) or times < 1):
        raise OptionError("times", shown(times), "an int >= 1, or None for any number")
    if speed is not None and not (_is_number(speed, (int, float)) and speed > 0):
        raise OptionError("speed", shown(speed), "a number > 0, or None")
    match = Match(when)
    played = paced(recording, (1.0 if has_clock else inf) if speed is None else speed)
    for name, home, change in (("fault", "faults", fault), ("rechunk", "rechunk", rechunk)):
        if change is not None and not callable(change):
            expected = f"one of sse_middleware.testing.{home}, or a function like them"
            raise OptionError(name, shown(change), expected)
        played = played if change is None else _changed(name, change, played)
    return Script(recording.name, played, match, times, fault)


def _changed(name: str, change: Any, recording: Recording) -> Recording:
    """What the fault or the mode of rechunking ``change`` makes of the recording.

    Raises:
        OptionError: it is a function that makes one, or makes something else.
    """
    made = getattr(change, "__name__", "")
    home = "faults" if getattr(faults, made, None) is change else "rechunk"
    if home == "faults" or change in (modes.every, modes.seeded):
        raise OptionError(name, f"the function {made}", f"what it returns: {home}.{made}(...)")
    result = change(recording)
    if not isinstance(result, Recording):
        raise OptionError(f"what {name} returns", shown(result), "a Recording")
    return result


def reasons(scripts: Sequence[Script], request: ReceivedRequest) -> List[str]:
    """Why none of ``scripts`` answers ``request``: the nearest one, and how it differs."""
    hint = _retry_hint(request)
    if not scripts:
        return ["nothing is scripted", *hint]
    compared = [(script.match.differences(request), script) for script in scripts]
    lines = []
    fitting = [str(script) for differences, script in compared if not differences]
    if fitting:
        lines.append(f"all that matches was played: {', '.join(fitting)}")
    others = [pair for pair in compared if pair[0] and (pair[1].is_left or not fitting)]
    if others:
        differences, script = min(others, key=lambda pair: (not pair[1].is_left, len(pair[0])))
        lines += [f"nearest: {script}", *differences]
    return [*lines, *hint]


def _retry_hint(request: ReceivedRequest) -> List[str]:
    count = request.headers.get(_RETRIES, "0")
    if count == "0" or not count.isdecimal():
        return []
    return [f"the SDK asks again (retry {count}): max_retries=0 on its client turns that off"]


def _is_number(value: object, kind: Any) -> bool:
    """True for a number of that kind. A bool is no number here."""
    return isinstance(value, kind) and not isinstance(value, bool)
