"""Where a thread is that does not come back: the line that a test's author can change."""

import sysconfig
import traceback
from pathlib import Path
from types import FrameType

__all__ = ["where"]

_PACKAGE = str(Path(__file__).parents[1])
_STANDARD = sysconfig.get_path("stdlib")
_INSTALLED = tuple({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})
_SHOWN = 4


def where(innermost: FrameType, *, above: FrameType) -> str:
    """The line of the app that ``innermost`` was called from, and the calls since.

    ``above`` is the last frame that is not the app's.
    """
    stack = list(traceback.walk_stack(innermost))
    names = [frame for frame, _ in stack]
    calls = list(traceback.StackSummary.extract(iter(stack[: names.index(above)][::-1])))
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
