"""docs/faults.md, and what the docstrings of the faults say: both are made of one table."""

import re
import runpy
from pathlib import Path

import pytest

from sse_middleware.testing import FakeUpstream, faults

ROOT = Path(__file__).resolve().parents[1]
TABLE = runpy.run_path(str(ROOT / "tests" / "clients" / "table.py"))
ROWS = TABLE["read"]()
DOCUMENT = (ROOT / "docs" / "faults.md").read_text("utf-8")
FAULTS = sorted(set(faults.__all__) - {"Fault"})


def test_the_document_is_made_of_the_table():
    assert TABLE["document"](ROWS) + "\n" == DOCUMENT


def test_the_table_has_every_fault_and_every_client():
    measured = {row.fault.split("(")[0] for row in ROWS}
    assert measured == {*FAULTS, "none"}
    clients = {row.client for row in ROWS}
    assert {"openai 0.28", "openai 1", "openai 2", "openai 3", "openai 3 async"} <= clients
    assert {"anthropic 2", "openai-node", "Node's fetch", *TABLE["RAW"]} <= clients


@pytest.mark.parametrize("client", sorted({row.client for row in ROWS}))
def test_a_client_has_each_fault_once(client):
    told = [row.fault for row in ROWS if row.client == client]
    assert len(told) == len(set(told))
    everything = list(dict.fromkeys(row.fault for row in ROWS))
    without = {"without_done()", "duplicate_done()"} if client.startswith("anthropic") else set()
    assert told == [fault for fault in everything if fault not in without]


@pytest.mark.parametrize("name", FAULTS)
def test_a_docstring_tells_the_outcome_of_the_table(name):
    told = " ".join(getattr(faults, name).__doc__.split())
    assert told.endswith(TABLE["outcome_of"](name, ROWS))


def test_every_example_has_its_test():
    assert re.findall(r"^```(\w+)$", DOCUMENT, re.MULTILINE) == ["python"]


def test_the_example_runs():
    (code,) = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
    names = {}
    exec(code, names)
    upstream = names["upstream"]
    assert isinstance(upstream, FakeUpstream)
    with pytest.raises(AssertionError, match=r"'chat-text' with faults\.cut\(after_events=2\)"):
        upstream.verify()
