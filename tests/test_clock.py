"""The real time: what is asked of the operating system; and what may stand in its place."""

import time

import pytest

from sse_middleware import clock as clock_module
from sse_middleware.clock import SystemClock, checked_clock
from sse_middleware.errors import OptionError, shown

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


class Told:
    """A clock as far as one can see."""

    monotonic = wait = None


class OnlyTells:
    monotonic = None


class OnlyWaits:
    wait = None


NO_CLOCKS = {
    "a class of clocks": SystemClock,
    "a function": time.monotonic,
    "what only tells the time": OnlyTells(),
    "what only waits": OnlyWaits(),
    "a number": 0,
}


@pytest.mark.parametrize("clock", NO_CLOCKS.values(), ids=NO_CLOCKS)
def test_what_is_no_clock_is_refused(clock):
    with pytest.raises(OptionError) as caught:
        checked_clock(clock)
    expected = "a clock such as VirtualClock(), or None"
    assert str(caught.value) == f"clock is {shown(clock)}: expected {expected}"


@pytest.mark.parametrize("clock", [SystemClock(), Told(), None], ids=["real", "any", "none"])
def test_what_tells_the_time_and_waits_is_a_clock_and_none_is_left_to_the_default(clock):
    assert checked_clock(clock) is clock


def test_it_sleeps_as_long_as_it_is_told(monkeypatch):
    stopped = Time()
    monkeypatch.setattr(clock_module, "time", stopped)
    SystemClock().sleep(2.5)
    assert stopped.slept_s == [2.5]


def test_its_time_is_the_operating_systems():
    before_s = time.monotonic()
    assert before_s <= SystemClock().monotonic() <= time.monotonic()
