"""Signals: for threads and for greenlets, whichever waits."""

import subprocess
import sys
import threading

import pytest

from sse_middleware.signals import ThreadSignal, is_greenlet, signal_here


def test_a_signal_set_twice_is_set_once():
    signal = ThreadSignal()
    signal.set()
    signal.set()
    assert signal.wait(0)
    assert not signal.wait(0)


def test_a_thread_waits_for_another():
    signal = ThreadSignal()
    threading.Timer(0.01, signal.set).start()
    assert signal.wait(10)


def test_a_wait_may_be_longer_than_any_that_the_system_knows():
    signal = ThreadSignal()
    signal.set()
    assert signal.wait(2 * threading.TIMEOUT_MAX)


def test_in_a_thread_it_is_a_signal_of_threads():
    assert not is_greenlet()
    assert isinstance(signal_here(), ThreadSignal)


def test_in_a_greenlet_others_run_while_it_waits():
    pytest.importorskip("gevent")
    code = """
import gevent
from sse_middleware.signals import GreenletSignal, is_greenlet, signal_here

def wait():
    signal = signal_here()
    assert is_greenlet() and isinstance(signal, GreenletSignal)
    assert not signal.wait(0.01)
    gevent.spawn(signal.set)
    assert signal.wait(10)
    assert not signal.wait(0)
    return "waited"

print(gevent.spawn(wait).get())
"""
    asked = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert asked.stdout.strip() == "waited"
