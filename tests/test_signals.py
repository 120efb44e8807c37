"""Signals: for threads and for greenlets, whichever waits."""

import sys
import threading
from types import SimpleNamespace

import pytest

from sse_middleware import signals
from sse_middleware.signals import GreenletSignal, ThreadSignal, is_greenlet, signal_here

DEADLINE_S = 10


def test_a_signal_set_twice_is_set_once():
    signal = ThreadSignal()
    signal.set()
    signal.set()
    assert signal.wait(0)
    assert not signal.wait(0)


def test_a_thread_waits_for_another():
    signal = ThreadSignal()
    threading.Timer(0, signal.set).start()
    assert signal.wait(DEADLINE_S)


WAITS = {
    "for ever": (None, None),
    "for a while": (2.5, 2.5),
    "not at all": (0, 0),
    "less than that": (-2.5, 0),
    "longer than the system can": (100, 99),
}


@pytest.mark.parametrize(("timeout_s", "asked_s"), WAITS.values(), ids=WAITS)
def test_a_lock_is_asked_for_as_long_as_the_signal_is_waited_for(timeout_s, asked_s, monkeypatch):
    asked = []

    class Lock:
        def acquire(self, timeout=None):
            asked.append(timeout)

    monkeypatch.setattr(signals, "threading", SimpleNamespace(Lock=Lock, TIMEOUT_MAX=99))
    signal = ThreadSignal()
    del asked[:]
    signal.wait(timeout_s)
    assert asked == [asked_s]


def test_a_wait_may_be_longer_than_any_that_the_system_knows():
    signal = ThreadSignal()
    signal.set()
    assert signal.wait(2 * threading.TIMEOUT_MAX)


def test_in_a_thread_it_is_a_signal_of_threads():
    assert not is_greenlet()
    assert isinstance(signal_here(), ThreadSignal)


def test_without_gevent_nothing_is_a_greenlet(monkeypatch):
    monkeypatch.delitem(sys.modules, "gevent", raising=False)
    assert not is_greenlet()


def test_where_gevent_is_imported_a_thread_is_no_greenlet():
    pytest.importorskip("gevent")
    assert not is_greenlet()


def test_in_a_greenlet_others_run_while_it_waits(in_greenlet):
    def wait():
        import gevent

        signal = signal_here()
        assert is_greenlet()
        assert isinstance(signal, GreenletSignal)
        assert signal.wait(0) is False
        gevent.spawn(signal.set)
        assert signal.wait(DEADLINE_S) is True
        assert signal.wait(0) is False, "it is set once"
        gevent.spawn(signal.set)
        return signal.wait(None)

    assert in_greenlet(wait) is True
