"""`Guard`: a log that fails is told once, left alone for a moment, and asked again."""

import pytest

from sse_middleware.errors import StreamLostError
from sse_middleware.resume import MemoryLog, guard
from sse_middleware.resume.guard import Guard


class Failing(MemoryLog):
    """A log that counts how often it was asked, and fails when it is told to."""

    is_failing, asked = True, 0

    def find(self, name, after):
        self.asked += 1
        if self.is_failing:
            raise ConnectionError("gone")
        return super().find(name, after)


@pytest.fixture
def moment(monkeypatch):
    """The time, which the test sets."""
    moment = [100.0]
    monkeypatch.setattr(guard.time, "monotonic", lambda: moment[0])
    return moment


def test_a_log_that_fails_is_left_alone_for_a_second(moment):
    log = Failing(owner=None)
    guarded = Guard(log)
    assert guarded.find("a", 0) is None
    moment[0] += 0.9
    assert guarded.find("a", 0) is None
    assert guarded.open("a", "") is None
    assert log.asked == 1
    moment[0] += 0.2
    guarded.find("a", 0)
    assert log.asked == 2


def test_an_outage_is_told_once_and_so_is_its_end(moment, caplog):
    log = Failing(owner=None)
    guarded = Guard(log)
    for _ in range(5):
        guarded.find("a", 0)
        moment[0] += 2
    assert len(caplog.messages) == 1
    assert "gone" in caplog.text
    log.is_failing = False
    for _ in range(3):
        guarded.find("a", 0)
    assert caplog.messages[1:] == ["streams are kept again"]
    log.is_failing = True
    guarded.find("a", 0)
    assert len(caplog.messages) == 3


def test_what_cannot_be_written_is_told_and_not_raised(caplog):
    def write():
        raise TimeoutError("slow")

    assert not Guard(MemoryLog(owner=None)).wrote(write)
    assert "slow" in caplog.text
    assert Guard(MemoryLog(owner=None)).wrote(lambda: None)


def test_one_stream_that_is_lost_is_no_outage(caplog):
    def write():
        raise StreamLostError("dropped for room")

    log = MemoryLog(owner=None)
    guarded = Guard(log)
    log.open("other", "").append(b"data: a\n\n")
    assert not guarded.wrote(write)
    assert guarded.find("other", 0) is not None
    assert caplog.messages == []


def test_the_owner_and_the_linger_are_the_logs():
    log = MemoryLog(owner=str, linger=7)
    assert (Guard(log).owner, Guard(log).linger_s) == (str, 7)
