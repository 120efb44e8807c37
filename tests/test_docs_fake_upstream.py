"""The examples of docs/fake-upstream.md, run as a user would: by pytest."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sse_middleware.testing import faults, rechunk

TEXT = (Path(__file__).parents[1] / "docs" / "fake-upstream.md").read_text("utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
NAMES = [re.findall(r"^def (test_\w+)", block, re.MULTILINE) for block in BLOCKS]
LATER_OPENAI = "from openai import OpenAI"


def test_each_block_is_one_test():
    assert [len(names) for names in NAMES] == [1] * 8


def missing(block):
    """What an example needs and this environment has not, or None."""
    for name in re.findall(r"^(?:import|from) (\w+)", block, re.MULTILINE):
        if importlib.util.find_spec(name) is None:
            return name
    if LATER_OPENAI in block and not hasattr(importlib.import_module("openai"), "OpenAI"):
        return "openai from 1"
    return None


def test_the_examples_pass(tmp_path):
    runnable = [block for block in BLOCKS if missing(block) is None]
    if not runnable:
        pytest.skip("no client is installed")
    for number, block in enumerate(runnable):
        (tmp_path / f"test_example_{number}.py").write_text(block, "utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    environ = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    run = subprocess.run(
        command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=240
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_the_modes_are_those_that_the_text_names():
    [named] = re.findall(
        r"`rechunk.MODES` has one mode of each kind\s\((.*?)\)[;:]", TEXT, re.DOTALL
    )
    assert re.findall(r"`([^`]+)`", named) == [mode.__name__ for mode in rechunk.MODES]


@pytest.mark.parametrize(
    "call", re.findall(r"`(\w+\([^`]*\))`", TEXT.split("`faults` are what", 1)[1].split(".\n")[0])
)
def test_each_fault_that_the_text_names_exists(call):
    assert repr(eval(call, dict(vars(faults)))).startswith("faults.")
