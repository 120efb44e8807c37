"""The upstream of the demo: each request says what is to be played for it.

What a visitor has chosen goes through the app to the upstream in the request's own JSON, as
OpenAI's ``metadata``. So visitors do not get each other's faults, and the app stays one that
anybody writes.
"""

import re
from typing import Any, Dict, Mapping, NamedTuple

from sse_middleware.cli._demo_answers import ANSWERS
from sse_middleware.errors import OptionError, shown
from sse_middleware.testing import FakeUpstream, faults, rechunk
from sse_middleware.testing.exchange import ReceivedRequest, Reply
from sse_middleware.testing.rechunk import Rechunk

__all__ = ["Choice", "ChoosyUpstream"]

_FAULTS = {
    "none": None,
    "stall": faults.stall(after_events=12),
    "error": faults.error_object(after_events=12),
}
_MODES = {mode.__name__: mode for mode in rechunk.MODES if "(" not in mode.__name__}
_MADE = {"every": rechunk.every, "seeded": rechunk.seeded}
_CALL = re.compile(r"(every|seeded)\(([1-9][0-9]{0,2})\)", re.ASCII)


class Choice(NamedTuple):
    """What the upstream is to play; each as the page names it."""

    answer: str = "short"
    fault: str = "none"
    rechunk: str = "as_recorded"

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> "Choice":
        """The choice in ``given``, such as a query; other keys are somebody else's.

        >>> Choice.read({"rechunk": "every(7)", "tab": "1"})
        Choice(answer='short', fault='none', rechunk='every(7)')

        Raises:
            OptionError: it has no such answer, fault or mode.
        """
        choice = cls(**{name: given[name] for name in cls._fields if name in given})
        for name, known in (("answer", ANSWERS), ("fault", _FAULTS)):
            value = getattr(choice, name)
            if value not in known:
                raise OptionError(name, shown(value), f"one of {', '.join(known)}")
        choice.mode()
        return choice

    def fields(self) -> Dict[str, Any]:
        """What it adds to the JSON of the request to the upstream: nothing, where all is usual."""
        return {} if self == Choice() else {"metadata": self._asdict()}

    def mode(self) -> Rechunk:
        """The mode of rechunking.

        Raises:
            OptionError: there is none of that name.
        """
        if self.rechunk in _MODES:
            return _MODES[self.rechunk]
        call = _CALL.fullmatch(str(self.rechunk))
        if call is None:
            known = f"one of {', '.join(_MODES)}, every(1 to 999), seeded(1 to 999)"
            raise OptionError("rechunk", shown(self.rechunk), known)
        return _MADE[call.group(1)](int(call.group(2)))


class ChoosyUpstream(FakeUpstream):
    """A `FakeUpstream` that scripts itself, and keeps no journal, however long it runs."""

    def answer(self, request: ReceivedRequest) -> Reply:
        """The reply to ``request``: what its metadata chose.

        Raises:
            OptionError: the metadata are none of `Choice`.
        """
        choice = Choice.read(request.json.get("metadata", {}))
        once = FakeUpstream()
        once.play(
            ANSWERS[choice.answer](),
            speed=1.0,
            rechunk=choice.mode(),
            fault=_FAULTS[choice.fault],
        )
        return once.answer(request)
