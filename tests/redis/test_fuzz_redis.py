"""Streams in Redis that are left and resumed in any order, against a list."""

import logging
import os

import pytest
from hypothesis import settings

from resume_machines import ResumingMachine
from sse_middleware.resume import RedisLog

#: A long run is asked for with SSE_FUZZ_EXAMPLES=1000.
EXAMPLES = int(os.environ.get("SSE_FUZZ_EXAMPLES", "20"))


@pytest.fixture(autouse=True)
def _quiet():
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def test_a_stream_is_whole_however_often_it_is_left_and_resumed(redis_server):
    class Resuming(ResumingMachine):
        """Two middlewares, each with a log of its own in one Redis."""

        def make_log(self):
            return RedisLog(redis_server.url, owner=lambda environ: environ["REMOTE_USER"])

    case = Resuming.TestCase()
    case.settings = settings(max_examples=EXAMPLES, deadline=None, stateful_step_count=30)
    case.runTest()
