"""Figures that stand in a sentence of a page, against the code that makes them true.

What is in a table of options, in an example or in a generated part is compared by the test of its
page; what is measured, by ``tests/servers``.
"""

import inspect
import re
from pathlib import Path

import pytest

from sse_middleware import EventParser, SSEMiddleware, handover, middleware, serving
from sse_middleware.cli import servers
from sse_middleware.doctor import probe, report_json
from sse_middleware.resume import MemoryLog, RedisLog, commands, keeping
from sse_middleware.resume.address import new_stream_id
from sse_middleware.testing import StreamClient, _framing_ids, _lookout, clock

ROOT = Path(__file__).resolve().parents[1]
WORDS = {"a": 1, "one": 1, "two": 2, "three": 3, "five": 5, "ten": 10}
UNITS = {"KiB": 1 << 10, "MiB": 1 << 20, "mebibyte": 1 << 20}


def default(made, option):
    return inspect.signature(made).parameters[option].default


READ_S = default(StreamClient.request, "timeout")
#: Of each page: a sentence with its figures in groups, and what they have to be.
FIGURES = {
    "README.md": [
        (r"The client waits (\w+) seconds for an event", READ_S),
        (r"by a comment every (\d+) seconds", default(SSEMiddleware, "heartbeat")),
    ],
    "docs/serving.md": [
        (r"`heartbeat=([\d.]+)` seconds of silence", default(SSEMiddleware, "heartbeat")),
        (r"is silent for (\w+) second is opened", serving._OPENS_AFTER_S),
        (r"`max_streams=(\d+)` requests at a time", default(SSEMiddleware, "max_streams")),
    ],
    "docs/errors.md": [
        (r"is then silent for (\w+) second has", serving._OPENS_AFTER_S),
        (r"`Retry-After: (\d+)`", middleware._RETRY_AFTER_S),
        (r"with `retry: (\d+)` and no event", 1000 * middleware._RETRY_AFTER_S),
        (r"it comes back after (\w+) seconds \|$", middleware._RETRY_AFTER_S),
    ],
    "docs/deployment.md": [
        (r"The default\nof (\d+) s is under", default(SSEMiddleware, "heartbeat")),
        (r"or sent away for (\w+) seconds", middleware._RETRY_AFTER_S),
    ],
    "docs/resume.md": [
        (r"The stream id is (\d+) random bits", 4 * len(new_stream_id())),
        (r"takes nothing for (\w+) seconds, while", keeping._PATIENCE_S),
        (r"more than ([\d,]+) events or", handover._MAX_FRAMES),
        (r"events or (\d+ KiB) wait", handover._MAX_BYTES),
        (r"An event over (a mebibyte) cannot be kept", keeping._MAX_HALF_BYTES),
        (r"An event over (a mebibyte) cannot be kept", default(MemoryLog, "max_bytes")),
        (r"An event over (a mebibyte) cannot be kept", default(RedisLog, "max_bytes")),
        (r"Redis may take (\w+) second for an answer", commands.TIMEOUT_S),
        (r"after `lease` seconds \((\d+)\)", default(RedisLog, "lease")),
        (r"runs out after `lease` seconds \((\d+)\)", default(RedisLog, "lease")),
    ],
    "docs/testing-your-endpoint.md": [(r"Every read waits (\d+) seconds at most", READ_S)],
    "docs/quick-start.md": [(r"`stream.event\(\)` waits (\d+) seconds at most", READ_S)],
    "docs/pytest.md": [(r"After (\w+) seconds of real time", clock.PATIENCE_S)],
    "docs/fake-upstream.md": [(r"is told so after (\w+) seconds", clock.PATIENCE_S)],
    "docs/recording.md": [(r"the upstream\nhas (\w+) second to finish", _lookout._GRACE_S)],
    "docs/check.md": [
        (r"Of a\nbody at most (\d+ MiB) are read", probe.LIMIT_BYTES),
        (r"the first ([\d,]+), each with `at_s`", report_json._MOST_BLOCKS),
    ],
    "docs/commands.md": [
        (r"give the generators\n(\w+) seconds to close", servers._DRAIN_S),
        (
            r"for (\w+) seconds\nat most",
            int(re.search(r'"graceful_timeout": (\d+)', inspect.getsource(servers)).group(1)),
        ),
    ],
    "docs/framing.md": [
        (r"the event is over (\d+ MiB)", default(EventParser, "max_event_bytes")),
        (r"The last ([\d,]+) ids are compared", _framing_ids._KEPT),
    ],
}


def figure(text):
    number, _, unit = text.replace(",", "").partition(" ")
    return (WORDS[number] if number in WORDS else float(number)) * UNITS.get(unit, 1)


@pytest.mark.parametrize(
    ("page", "sentence", "expected"),
    [(page, *row) for page, rows in FIGURES.items() for row in rows],
)
def test_a_figure_in_a_sentence_is_that_of_the_code(page, sentence, expected):
    text = (ROOT / page).read_text("utf-8")
    found = re.findall(sentence, text, re.MULTILINE)
    assert found, "the sentence is no longer there: change or take out the row"
    assert {figure(one) for one in found} == {expected}
