"""``VirtualClock``: time that passes only when a test says so.

>>> clock = VirtualClock()
>>> clock.advance(15)
>>> clock.monotonic()
15.0
"""

import threading
from math import inf
from typing import List, Optional, Tuple

from sse_middleware.clock import Clock, Signal
from sse_middleware.errors import OptionError, StuckClockError, shown
from sse_middleware.signals import ThreadSignal

__all__ = ["PATIENCE_S", "Patient", "VirtualClock"]

#: Seconds of real time for which a clock that tests move may stand still while it is waited on.
PATIENCE_S = 10.0

_NS = 10**9


class VirtualClock:
    """A clock for tests: whoever waits on it goes on when `advance` has reached the moment."""

    def __init__(self) -> None:
        self._now_ns = 0  # whole numbers: 0.1 + 0.2 seconds are 0.3
        self._lock = threading.Lock()
        self._waiting: List[Tuple[int, Signal]] = []

    def monotonic(self) -> float:
        """Seconds advanced so far."""
        return self._now_ns / _NS

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass. Who begins to wait afterwards has them behind it.

        Raises:
            OptionError: ``seconds`` is negative, infinite, or no number.
        """
        if not isinstance(seconds, (int, float)) or not 0 <= seconds < inf:
            raise OptionError("seconds", shown(seconds), "a number >= 0")
        with self._lock:
            self._now_ns += round(seconds * _NS)
            due = [signal for at_ns, signal in self._waiting if at_ns <= self._now_ns]
        for signal in due:
            signal.set()

    def sleep(self, seconds: float) -> None:
        """Wait until `advance` has let ``seconds`` pass.

        Raises:
            StuckClockError: nobody moves the clock.
        """
        until_ns, signal = self._now_ns + round(seconds * _NS), Patient(ThreadSignal(), self)
        while self._now_ns < until_ns:
            self.wait(signal, until_ns / _NS)

    def wait(self, signal: Signal, until_s: Optional[float]) -> bool:
        """Wait for ``signal``, or until the clock shows ``until_s``; whether it was set."""
        if until_s is None:
            return signal.wait(None)
        entry = (round(until_s * _NS), signal)
        with self._lock:
            if entry[0] <= self._now_ns:
                return signal.wait(0)
            self._waiting.append(entry)
        try:
            signal.wait(None)
        finally:
            with self._lock:
                self._waiting.remove(entry)
        return self._now_ns < entry[0]


class Patient:
    """A signal whose waiter gives up when a clock that others move is not moved."""

    def __init__(self, signal: Signal, clock: Clock) -> None:
        self._signal = signal
        self._clock = clock
        self.set = signal.set  # what it is to the clock

    def wait(self, timeout_s: Optional[float]) -> bool:
        """Whether it was set within ``timeout_s`` seconds of real time; None: in good time.

        Raises:
            StuckClockError: nobody set it, and nobody moved the clock, for ten seconds.
        """
        if timeout_s is not None:  # in real time, which never stands still
            return self._signal.wait(timeout_s)
        before_s = None
        while before_s != self._clock.monotonic():
            before_s = self._clock.monotonic()
            if self._signal.wait(PATIENCE_S):
                return True
        raise StuckClockError(PATIENCE_S)
