"""The time and the waiting, replaceable: a test that hands over its own clock never sleeps."""

import time
from typing import Optional, Protocol

from sse_middleware.errors import OptionError, shown

__all__ = ["Clock", "Signal", "SystemClock", "checked_clock"]


class Signal(Protocol):
    """A flag that somebody waits for. Seconds throughout, as ``float``."""

    def wait(self, timeout_s: Optional[float]) -> bool:
        """Whether it was set within ``timeout_s`` seconds of real time; None waits for ever."""

    def set(self) -> None:
        """Let whoever waits go on, or the next who comes."""


class Clock(Protocol):
    """What the package asks of a clock. Seconds throughout, as ``float``."""

    def monotonic(self) -> float:
        """Seconds since some fixed moment; never goes back."""

    def sleep(self, seconds: float) -> None:
        """Return once ``seconds`` have passed on this clock."""

    def wait(self, signal: Signal, until_s: Optional[float]) -> bool:
        """Whether ``signal`` was set before this clock showed ``until_s``; None waits for ever."""


class SystemClock:
    """The real time."""

    def monotonic(self) -> float:
        """Seconds since some fixed moment, from the operating system."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Block this thread (or greenlet) for ``seconds``."""
        time.sleep(seconds)

    def wait(self, signal: Signal, until_s: Optional[float]) -> bool:
        """Block this thread (or greenlet) until ``signal`` is set, or that moment has come."""
        return signal.wait(None if until_s is None else max(0.0, until_s - time.monotonic()))


def checked_clock(clock: Optional[Clock]) -> Optional[Clock]:
    """``clock``, which is one, or None.

    Raises:
        OptionError: it has not what a clock has, or is a class of clocks.
    """
    is_one = not isinstance(clock, type) and hasattr(clock, "monotonic") and hasattr(clock, "wait")
    if clock is None or is_one:
        return clock
    raise OptionError("clock", shown(clock), "a clock such as VirtualClock(), or None")
