"""The servers under test: each is started once, and what was measured ends in one file.

``SSE_MATRIX_OUT`` names the file, JSON; ``table.py`` makes ``docs/servers.md`` of it.
"""

import json
import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))  # client, launch: pytest adds no folder

from client import Desk, fetch
from launch import IMPOSSIBLE, SERVERS, start, version, why_absent


class Kept:
    """A server that runs until its last test; one that no longer answers is started anew."""

    def __init__(self, server):
        self.server = server
        self._context = None
        self.process = None

    def running(self):
        """The process, which answers now."""
        if self._context is None:
            self._context = start(self.server)
            self.process = self._context.__enter__()
        return self.process

    def stop(self):
        context, self._context = self._context, None
        if context is not None:
            context.__exit__(None, None, None)


def require(server):
    """Skip where ``server`` is not installed; in CI, where all are to run, fail."""
    absent = why_absent(server)
    if not absent:
        return
    if os.environ.get("CI") == "true" and server.name not in IMPOSSIBLE:
        pytest.fail(f"{server.name}: {absent}")
    pytest.skip(f"{server.name}: {IMPOSSIBLE.get(server.name, absent)}")


@pytest.fixture(scope="session")
def measured():
    """What was measured, by server: ``measured[name][what] = value``."""
    facts = {}
    yield facts
    if os.environ.get("SSE_MATRIX_OUT"):
        Path(os.environ["SSE_MATRIX_OUT"]).write_text(json.dumps(facts, indent=1))


@pytest.fixture(scope="session", params=SERVERS, ids=lambda server: server.name.replace(" ", "-"))
def kept(request):
    require(request.param)
    kept = Kept(request.param)
    yield kept
    kept.stop()


@pytest.fixture
def server(kept):
    """The server of the table."""
    return kept.server


@pytest.fixture
def facts(server, measured):
    """Where what was measured of this server goes."""
    found = measured.setdefault(server.name, {})
    found["version"] = found.get("version") or version(server)
    return found


@pytest.fixture
def process(kept):
    """The running server; after each test it must answer, on every one of its threads' behalf."""
    process = kept.running()
    yield process
    try:
        assert fetch(process.port, "/plain").body == b"plain"
    except Exception:
        kept.stop()
        raise


@pytest.fixture
def desk():
    """Where the apps of this test report. Hangs up on all of them at its end."""
    with Desk() as desk:
        yield desk
