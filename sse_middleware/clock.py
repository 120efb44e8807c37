"""The time and the waiting, replaceable: a test that hands over its own clock never sleeps."""

import time
from typing import Protocol

__all__ = ["Clock", "SystemClock"]


class Clock(Protocol):
    """What the package asks of a clock. Seconds throughout, as ``float``."""

    def monotonic(self) -> float:
        """Seconds since some fixed moment; never goes back."""

    def sleep(self, seconds: float) -> None:
        """Return once ``seconds`` have passed on this clock."""


class SystemClock:
    """The real time."""

    def monotonic(self) -> float:
        """Seconds since some fixed moment, from the operating system."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Block this thread (or greenlet) for ``seconds``."""
        time.sleep(seconds)
