"""`RedisLog` where there is no Redis; with one, its tests are in a folder of their own."""

import subprocess
import sys

import pytest

from sse_middleware.resume import RedisLog


def test_without_the_client_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(
        ImportError, match=r"^RedisLog needs .* pip install 'sse-middleware\[redis\]'$"
    ):
        RedisLog("redis://localhost", owner=None)


def test_the_client_is_not_imported_before_a_log_is_made():
    code = "import sys, sse_middleware.resume as r; r.RedisLog; print('redis' in sys.modules)"
    asked = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert asked.stdout.strip() == "False"
