"""A state machine whose slow steps show what every thread does: a wait that never ends is told so.

Loaded by the tests that are models, and by nothing else. The stacks come before the deadlines of
those tests do. What was tried is counted for `tests/fuzz/models.py`, which also asks for threads
that lose their turn at any line: what can go wrong between two lines then does so in seconds.
"""

import atexit
import faulthandler
import json
import os
import sys
import threading
import time
from pathlib import Path
from random import Random

from hypothesis.stateful import RuleBasedStateMachine, invariant

STACKS_AFTER_S = 8
TALLY_PATH = os.environ.get("SSE_FUZZ_TALLY")
TALLY = {"examples": 0, "steps": 0}
#: How likely a thread loses its turn at a line of the package.
PREEMPTED = float(os.environ.get("SSE_FUZZ_PREEMPTED", "0"))


class WatchedMachine(RuleBasedStateMachine):
    """Writes all stacks to stderr when a step, or the teardown, is not over in time."""

    def __init__(self):
        super().__init__()
        TALLY["examples"] += 1
        TALLY["steps"] -= 1  # what is looked at before the first step

    @invariant()
    def what_follows_is_soon_over(self):
        TALLY["steps"] += 1
        faulthandler.dump_traceback_later(STACKS_AFTER_S, file=sys.__stderr__)

    def teardown(self):
        faulthandler.cancel_dump_traceback_later()


def preempting():
    """A trace function that lets other threads go first, now and then."""
    random = Random(PREEMPTED)

    def at_line(frame, event, arg):
        if event == "line" and random.random() < PREEMPTED:
            time.sleep(random.choice((0, 0, 0.0002)))
        return at_line

    def at_call(frame, event, arg):
        return at_line if "sse_middleware" in frame.f_code.co_filename else None

    return at_call


if PREEMPTED:
    threading.settrace(preempting())  # of the threads that begin from now on
if TALLY_PATH:
    atexit.register(lambda: Path(TALLY_PATH).write_text(json.dumps(TALLY)))
