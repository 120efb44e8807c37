"""Where a thread is that does not come back: the line that a test's author can change."""

import sysconfig
import traceback
from pathlib import Path
from types import FrameType
from typing import Sequence

__all__ = ["where"]

_PACKAGE = str(Path(__file__).parents[1])
_STANDARD = sysconfig.get_path("stdlib")
_INSTALLED = tuple({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})
_SHOWN = 4


def where(frames: Sequence[FrameType]) -> str:
    """The line of the app that the first of ``frames`` was called from, and the calls since.

    They are the app's, the innermost first, seen while their thread may have gone on.
    """
    lines = [(frame, frame.f_lineno or 0) for frame in reversed(frames)]  # None: it has returned
    calls = list(traceback.StackSummary.extract(iter(lines)))
    own = [call for call in calls if _is_own(call.filename)]
    if not calls:
        return "a place outside its Python code"
    at = own[-1] if own else calls[-1]
    from_there_on = calls[calls.index(at) :][:_SHOWN]
    line = f"{at.filename}:{at.lineno}, in {at.name}: {at.line}"
    return line + "\n" + "".join(traceback.format_list(from_there_on)).rstrip()


def _is_own(filename: str) -> bool:
    if filename.startswith((_PACKAGE, *_INSTALLED)):
        return False
    return not filename.startswith((_STANDARD, "<frozen"))
