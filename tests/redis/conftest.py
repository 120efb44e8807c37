"""The Redis that the tests of this folder share."""

import sys
from pathlib import Path

import pytest

# backend, client, resume_contract, resume_machines: pytest adds no folder
sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
pytest.register_assert_rewrite("resume_contract", "resume_machines")

from backend import Server, require  # noqa: E402


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory):
    """The server that most tests share."""
    require()
    server = Server(tmp_path_factory.mktemp("redis"))
    yield server
    server.stop()


@pytest.fixture
def own_redis(tmp_path):
    """A server for one test, which may do to it what it likes."""
    require()
    server = Server(tmp_path)
    yield server
    server.stop()
