"""`VirtualClock`: time passes only when a test says so."""

import threading
from queue import Queue

import pytest

from sse_middleware.clock import SystemClock
from sse_middleware.errors import OptionError, StuckClockError
from sse_middleware.signals import ThreadSignal
from sse_middleware.testing import VirtualClock
from sse_middleware.testing.clock import Patient

DEADLINE_S = 30


def beside(call):
    """Run ``call`` beside the test; a queue that its result will be in."""
    results = Queue()
    threading.Thread(target=lambda: results.put(call()), daemon=True).start()
    return results


def until_waited(clock):
    pause = threading.Event()
    for _ in range(int(DEADLINE_S / 0.001)):
        if clock._waiting:
            return
        pause.wait(0.001)
    raise AssertionError("nobody waited on the clock")


def test_time_passes_by_advancing_alone():
    clock = VirtualClock()
    assert clock.monotonic() == 0
    clock.advance(2)
    clock.advance(0.5)
    assert clock.monotonic() == 2.5


def test_a_wait_ends_when_its_time_was_advanced_and_not_before():
    clock = VirtualClock()
    result = beside(lambda: clock.wait(ThreadSignal(), 10))
    until_waited(clock)
    clock.advance(9.9)
    assert result.empty()
    clock.advance(0.1)
    assert result.get(timeout=DEADLINE_S) is False
    assert clock._waiting == []


def test_a_wait_ends_when_its_signal_is_set():
    clock, signal = VirtualClock(), ThreadSignal()
    result = beside(lambda: clock.wait(signal, 10))
    until_waited(clock)
    signal.set()
    assert result.get(timeout=DEADLINE_S) is True


def test_a_wait_of_no_time_does_not_wait():
    signal = ThreadSignal()
    assert VirtualClock().wait(signal, 0) is False
    signal.set()
    assert VirtualClock().wait(signal, -1) is True


def test_a_wait_without_end_waits_for_the_signal():
    clock, signal = VirtualClock(), ThreadSignal()
    result = beside(lambda: clock.wait(signal, None))
    clock.advance(1e9)
    signal.set()
    assert result.get(timeout=DEADLINE_S) is True


def test_a_sleep_takes_as_many_advances_as_it_needs():
    clock = VirtualClock()
    result = beside(lambda: clock.sleep(3) or clock.monotonic())
    for _ in range(3):
        until_waited(clock)
        assert result.empty()
        clock.advance(1)
    assert result.get(timeout=DEADLINE_S) == 3


@pytest.mark.parametrize("seconds", [-1, "1", None, float("nan")], ids=repr)
def test_time_goes_forward_by_numbers(seconds):
    with pytest.raises(OptionError, match="seconds is .*: expected a number >= 0"):
        VirtualClock().advance(seconds)


def test_the_systems_clock_waits_for_signals_in_real_time():
    clock, signal = SystemClock(), ThreadSignal()
    began = clock.monotonic()
    clock.sleep(0)
    assert clock.wait(signal, clock.monotonic() + 0.01) is False
    assert clock.monotonic() - began >= 0.01
    signal.set()
    assert clock.wait(signal, None) is True


def test_seconds_that_are_no_binary_fractions_add_up():
    clock = VirtualClock()
    result = beside(lambda: clock.wait(ThreadSignal(), 0.3))
    until_waited(clock)
    clock.advance(0.1)
    clock.advance(0.2)
    assert result.get(timeout=DEADLINE_S) is False
    assert clock.monotonic() == 0.3


def test_a_moment_is_waited_for_and_not_a_time_from_now_on():
    clock = VirtualClock()
    until_s = clock.monotonic() + 10
    clock.advance(4)
    result = beside(lambda: clock.wait(ThreadSignal(), until_s))
    until_waited(clock)
    clock.advance(6)
    assert result.get(timeout=DEADLINE_S) is False


@pytest.mark.parametrize("seconds", [0.1, 0.3, 1e-12])
def test_a_sleep_of_decimal_seconds_ends(seconds):
    clock = VirtualClock()
    clock.advance(0.7)
    result = beside(lambda: clock.sleep(seconds))
    if seconds > 1e-9:
        until_waited(clock)
    clock.advance(seconds)
    assert result.get(timeout=DEADLINE_S) is None


def test_no_clock_is_advanced_for_ever():
    with pytest.raises(OptionError, match="seconds is inf: expected a number >= 0"):
        VirtualClock().advance(float("inf"))


def test_a_sleep_on_a_clock_that_nobody_moves_says_so(monkeypatch):
    monkeypatch.setattr("sse_middleware.testing.clock.PATIENCE_S", 0.01)
    clock = VirtualClock()
    with pytest.raises(StuckClockError) as caught:
        clock.sleep(0.31)
    assert str(caught.value) == (
        "the virtual clock stood still for 0.01 s of real time while a delay was waited for on it:"
        " expected clock.advance(seconds), before the wait or from another thread; "
        "play(..., speed=math.inf) plays without delays"
    )
    assert clock._waiting == []


def test_a_clock_that_is_moved_a_little_is_not_stuck(monkeypatch):
    monkeypatch.setattr("sse_middleware.testing.clock.PATIENCE_S", 0.05)
    clock, patience = VirtualClock(), 5
    moved = threading.Event()

    class Moving:
        """A signal that is never set; its waiter finds the clock a little further each time."""

        set = moved.set
        waits = 0

        def wait(self, timeout_s):
            assert timeout_s == 0.05
            self.waits += 1
            if self.waits < patience:
                clock.advance(0.001)
            return False

    signal = Moving()
    with pytest.raises(StuckClockError):
        Patient(signal, clock).wait(None)
    assert signal.waits == patience


def test_patience_is_for_clocks_that_others_move():
    signal = ThreadSignal()
    assert Patient(signal, VirtualClock()).wait(0.001) is False
    signal.set()
    assert Patient(signal, VirtualClock()).wait(DEADLINE_S) is True
    signal.set()
    assert Patient(signal, VirtualClock()).wait(None) is True
