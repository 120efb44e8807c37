"""``VirtualClock``: time that passes only when a test says so.

>>> clock = VirtualClock()
>>> clock.advance(15)
>>> clock.monotonic()
15.0
"""

import threading
from typing import List, Optional, Tuple

from sse_middleware.clock import Signal
from sse_middleware.errors import OptionError, shown
from sse_middleware.handover import ThreadSignal

__all__ = ["VirtualClock"]


class VirtualClock:
    """A clock for tests: whoever waits on it goes on when `advance` has reached the moment."""

    def __init__(self) -> None:
        self._now_s = 0.0
        self._lock = threading.Lock()
        self._waiting: List[Tuple[float, Signal]] = []

    def monotonic(self) -> float:
        """Seconds advanced so far."""
        return self._now_s

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass. Who begins to wait afterwards has them behind it.

        Raises:
            OptionError: ``seconds`` is negative, or no number.
        """
        if not isinstance(seconds, (int, float)) or not seconds >= 0:
            raise OptionError("seconds", shown(seconds), "a number >= 0")
        with self._lock:
            self._now_s += seconds
            due = [signal for at, signal in self._waiting if at <= self._now_s]
        for signal in due:
            signal.set()

    def sleep(self, seconds: float) -> None:
        """Wait until `advance` has let ``seconds`` pass."""
        until_s, signal = self._now_s + seconds, ThreadSignal()
        while self._now_s < until_s:
            self.wait(signal, until_s - self._now_s)

    def wait(self, signal: Signal, timeout_s: Optional[float]) -> bool:
        """Wait for ``signal``, or until ``timeout_s`` seconds were advanced; whether it was set."""
        if timeout_s is None:
            return signal.wait(None)
        with self._lock:
            entry = (self._now_s + timeout_s, signal)
            if timeout_s <= 0:
                return signal.wait(0)
            self._waiting.append(entry)
        try:
            signal.wait(None)
        finally:
            with self._lock:
                self._waiting.remove(entry)
        return self._now_s < entry[0]
