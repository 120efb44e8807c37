"""sse_middleware.testing.exchange: the reply that fronts send. Requests: test_testing_upstream."""

import threading
from math import inf
from queue import Queue

import pytest

from sse_middleware.clock import SystemClock
from sse_middleware.errors import StuckClockError
from sse_middleware.signals import ThreadSignal
from sse_middleware.testing import Recording, VirtualClock
from sse_middleware.testing.exchange import ReceivedRequest, Reply, RequestHeaders

DEADLINE_S = 30
TIMED = Recording(b"abc", chunks=[(1, 1), (2, 1), (0, 0), (0.5, 1)])


def reply_on(clock, recording=TIMED):
    return Reply(ReceivedRequest("POST", "/", "", RequestHeaders([]), b""), recording, clock)


def beside(call):
    """Run ``call`` beside the test; a queue that its result, or what it raised, will be in."""
    results = Queue()

    def run():
        try:
            results.put(call())
        except Exception as error:
            results.put(error)

    threading.Thread(target=run, daemon=True).start()
    return results


def until_waited(clock):
    pause = threading.Event()
    for _ in range(int(DEADLINE_S / 0.001)):
        if clock._waiting:
            return
        pause.wait(0.001)
    raise AssertionError("nobody waited on the clock")


def test_each_chunk_is_due_at_a_time_of_the_clock():
    clock = VirtualClock()
    clock.advance(100)
    reply = reply_on(clock)
    assert list(reply.steps()) == [(101, b"a"), (103, b"b"), (103, b""), (103.5, b"c")]
    clock.advance(5)
    assert [due_s for due_s, _ in reply.steps()] == [101, 103, 103, 103.5]


def test_time_that_passed_before_the_wait_is_behind_it():
    clock = VirtualClock()
    reply = reply_on(clock)
    clock.advance(3)
    for due_s, _ in list(reply.steps())[:3]:
        reply.wait(due_s)
    result = beside(lambda: reply.wait(3.5))
    until_waited(clock)
    assert result.empty()
    clock.advance(0.5)
    assert result.get(timeout=DEADLINE_S) is None


def test_a_signal_of_the_front_ends_a_wait_too():
    clock, signal = VirtualClock(), ThreadSignal()
    reply = reply_on(clock)
    result = beside(lambda: reply.wait(1, signal))
    until_waited(clock)
    signal.set()
    assert result.get(timeout=DEADLINE_S) is None


@pytest.mark.parametrize("until_s", [1, inf], ids=["delay", "stall"])
def test_closing_ends_every_wait(until_s):
    clock = VirtualClock()
    reply = reply_on(clock)
    result = beside(lambda: reply.wait(until_s))
    if until_s != inf:
        until_waited(clock)
    reply.close()
    error = result.get(timeout=DEADLINE_S)
    assert isinstance(error, ConnectionAbortedError)
    assert str(error).endswith("the upstream was closed")
    assert reply.request.problem is None


def test_a_stall_ends_in_no_time_of_the_clock():
    reply = reply_on(SystemClock())
    result = beside(lambda: reply.wait(inf))
    reply.close()
    assert isinstance(result.get(timeout=DEADLINE_S), ConnectionAbortedError)


def test_a_clock_that_stands_still_is_noted_with_the_request(monkeypatch):
    monkeypatch.setattr("sse_middleware.testing.clock.PATIENCE_S", 0.01)
    reply = reply_on(VirtualClock())
    with pytest.raises(StuckClockError) as caught:
        reply.wait(1)
    assert reply.request.problem == str(caught.value)


def test_json_that_is_too_deep_to_be_read_is_a_value_error():
    request = ReceivedRequest("POST", "/", "", RequestHeaders([]), b"[" * 100_000)
    with pytest.raises(ValueError, match="the JSON is nested too deep"):
        assert request.json
    assert str(request) == "POST /"


def test_what_a_terminal_would_obey_in_a_path_is_told_as_escapes():
    request = ReceivedRequest("POST", "/a\x1b[2J\n", "", RequestHeaders([]), b'{"model": "m"}')
    assert str(request) == r"POST /a\x1b[2J\n (model 'm')"
