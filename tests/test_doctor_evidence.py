"""sse_middleware.doctor.evidence: silences and heartbeats."""

import pytest

from sse_middleware.doctor.arrival import Verdict
from sse_middleware.doctor.asking import ask
from sse_middleware.doctor.evidence import Evidence
from sse_middleware.doctor.probe import Heard, Read
from sse_middleware.doctor.stream import stream_of


def evidence(*reads, ended_at_s):
    heard = Heard(ask("http://h"), reads=[Read(*read) for read in reads], ended_at_s=ended_at_s)
    return Evidence(heard, stream_of(heard), Verdict("streams"), 10.0)


EVENT, BEAT = b"data: 1\n\n", b":\n"


@pytest.mark.parametrize(
    ("reads", "ended_at_s", "silence_s", "beat_s"),
    [
        ([], 10.0, 10.0, None),
        ([(0.5, EVENT), (2.0, EVENT)], 2.5, 1.5, None),
        ([(4.0, EVENT)], 5.0, 4.0, None),
        ([(0.5, EVENT)], 9.5, 9.0, None),
        ([(0.5, EVENT), (1.5, BEAT), (4.5, BEAT)], 5.0, 3.0, 1.0),
        ([(0.5, EVENT + BEAT)], 1.0, 0.5, None),  # not in a silence
    ],
)
def test_silences_and_the_comments_that_fill_them(reads, ended_at_s, silence_s, beat_s):
    seen = evidence(*reads, ended_at_s=ended_at_s)
    assert seen.longest_silence_s == pytest.approx(silence_s)
    assert seen.beat_s == (None if beat_s is None else pytest.approx(beat_s))


def test_a_comment_at_the_start_ends_the_first_silence():
    assert evidence((1.5, BEAT), ended_at_s=2.0).beat_s == pytest.approx(1.5)
