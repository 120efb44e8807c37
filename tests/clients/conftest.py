"""Which clients there are, and which an environment of tox is there to run."""

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))  # pytest adds no folder

import anthropic_sdk
import node
import openai_sdk
import raw
import table

OWN = {
    "openai028": {"openai 0.28", "openai 0.28 async"},
    "openai1": {"openai 1", "openai 1 async"},
    "openai2": {"openai 2", "openai 2 async"},
    "openai3": {"openai 3", "openai 3 async"},
    "clients": {
        *("openai 3", "openai 3 async", "anthropic 2", "anthropic 2 async", "openai-node"),
        *("Node's fetch", "requests", "httpx", "httpx async", "httpx2", "httpx2 async", "curl"),
    },
}
TOX_ENV = os.environ.get("TOX_ENV_NAME", "")
INSTALLED = [client for home in (openai_sdk, anthropic_sdk, node, raw) for client in home.clients()]
#: Elsewhere than in tox, all that are installed.
CLIENTS = [client for client in INSTALLED if client.name in OWN.get(TOX_ENV, [client.name])]


def pytest_generate_tests(metafunc):
    if "client" in metafunc.fixturenames:
        ids = [client.name.replace(" ", "-") for client in CLIENTS]
        metafunc.parametrize("client", CLIENTS, ids=ids, scope="session")


@pytest.fixture(scope="session")
def absent():
    """The clients that this environment of tox is there to run, and lacks."""
    return sorted(OWN.get(TOX_ENV, set()) - {client.name for client in CLIENTS})


@pytest.fixture(scope="session")
def measured():
    """The rows of `table` that were measured; ``SSE_OUTCOMES_OUT`` names where to put them."""
    rows = []
    yield rows
    if os.environ.get("SSE_OUTCOMES_OUT"):
        table.write(rows, os.environ["SSE_OUTCOMES_OUT"])


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    """Every client here may read the environment, and must find no way but the direct one."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
