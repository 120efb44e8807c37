"""The real time: what is asked of the operating system, and for how long a signal is waited for."""

import time

import pytest

from sse_middleware import clock as clock_module
from sse_middleware.clock import SystemClock

NOW_S = 1000.0


class Signal:
    """Set or not, it keeps for how long it was waited for."""

    def __init__(self, is_set):
        self.is_set = is_set
        self.waited_s = []

    def wait(self, timeout_s):
        self.waited_s.append(timeout_s)
        return self.is_set


class Time:
    """The operating system's clock, stopped."""

    def __init__(self):
        self.slept_s = []

    def monotonic(self):
        return NOW_S

    def sleep(self, seconds):
        self.slept_s.append(seconds)


MOMENTS = {
    "a moment to come": (NOW_S + 7.5, 7.5),
    "now": (NOW_S, 0.0),
    "a moment that has passed": (NOW_S - 7.5, 0.0),
    "no moment": (None, None),
}


@pytest.mark.parametrize("is_set", [True, False])
@pytest.mark.parametrize(("until_s", "waited_s"), MOMENTS.values(), ids=MOMENTS)
def test_a_signal_is_waited_for_until_that_moment(until_s, waited_s, is_set, monkeypatch):
    monkeypatch.setattr(clock_module, "time", Time())
    signal = Signal(is_set)
    assert SystemClock().wait(signal, until_s) is is_set
    assert signal.waited_s == [waited_s]


def test_it_sleeps_as_long_as_it_is_told(monkeypatch):
    stopped = Time()
    monkeypatch.setattr(clock_module, "time", stopped)
    SystemClock().sleep(2.5)
    assert stopped.slept_s == [2.5]


def test_its_time_is_the_operating_systems():
    before_s = time.monotonic()
    assert before_s <= SystemClock().monotonic() <= time.monotonic()
