"""The testing half: recorded streams, and an upstream that replays them to any client.

Importing this costs nothing: each name loads its module when it is first used (PEP 562).
"""

from importlib import import_module
from typing import TYPE_CHECKING, List

if TYPE_CHECKING:
    from sse_middleware.testing import faults, rechunk
    from sse_middleware.testing.client import StreamClient
    from sse_middleware.testing.clock import VirtualClock
    from sse_middleware.testing.framing import assert_framing, check_framing
    from sse_middleware.testing.lint import FramingLint
    from sse_middleware.testing.recording import Recording
    from sse_middleware.testing.upstream import FakeUpstream

__all__ = [
    "FakeUpstream",
    "FramingLint",
    "Recording",
    "StreamClient",
    "VirtualClock",
    "assert_framing",
    "check_framing",
    "faults",
    "rechunk",
]

_HOMES = {
    "FakeUpstream": "upstream",
    "FramingLint": "lint",
    "Recording": "recording",
    "StreamClient": "client",
    "VirtualClock": "clock",
    "assert_framing": "framing",
    "check_framing": "framing",
}
_MODULES = ("faults", "rechunk")


def __getattr__(name: str) -> object:
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> List[str]:
    return sorted({*globals(), *__all__})
