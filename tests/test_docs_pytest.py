"""The examples of docs/pytest.md, run: each is a test module of its own."""

import os
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import pytest

from sse_middleware.pytest_plugin import __all__ as fixtures
from sse_middleware.testing.rechunk import MODES

pytestmark = pytest.mark.sweep  # a run of pytest in each

DOC = Path(__file__).parents[1] / "docs" / "pytest.md"
TEXT = DOC.read_text("utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
EXAMPLES = [text for language, text in BLOCKS if language == "python"]
MESSAGES = [text for language, text in BLOCKS if not language]
#: Of each example, in their order: what comes of its tests. The last three print the messages.
OUTCOMES = [
    {"passed": 1},
    {"passed": 3},
    {"passed": 1},
    {"passed": len(MODES)},
    {"passed": 1, "errors": 1},
    {"passed": 1, "errors": 1},
    {"failed": 1},
]


def is_absent(package):
    """Whether ``package`` is absent, or too old for the examples."""
    try:
        return version(package).startswith("0.")
    except PackageNotFoundError:
        return True


def run(folder, example):
    """What pytest prints of one example, each run of spaces and line ends as it is."""
    for package in ("flask", "openai"):
        if f"import {package}" in example and is_absent(package):
            pytest.skip(f"{package} is absent, or too old")
    if "stream_client" in example and find_spec("werkzeug") is None:
        pytest.skip("werkzeug is absent")
    (folder / "test_example.py").write_text(example, "utf-8")
    options = ["-p", "sse_middleware", "-p", "no:cacheprovider", "--rootdir", str(folder)]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "test_example.py"],
        cwd=folder,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""},
        stdout=subprocess.PIPE,
        timeout=120,
    )
    return done.stdout.decode("utf-8").replace("\r\n", "\n")


def outcomes(printed):
    """The counts of the last line."""
    counts = re.findall(r"(\d+) (passed|failed|error|warning)s?\b", printed.splitlines()[-1])
    plural = {"error": "errors"}
    return {plural.get(name, name): int(n) for n, name in counts if name != "warning"}


@pytest.mark.parametrize("number", range(len(OUTCOMES)))
def test_an_example_runs(tmp_path, number):
    printed = run(tmp_path, EXAMPLES[number])
    assert outcomes(printed) == OUTCOMES[number], printed
    if number >= len(OUTCOMES) - len(MESSAGES):
        assert MESSAGES[number - len(OUTCOMES)] in printed


def test_every_example_has_its_test():
    assert len(EXAMPLES) == len(OUTCOMES)
    assert len(MESSAGES) == 3


def test_the_ini_file_names_the_folder(tmp_path):
    [ini] = [text for language, text in BLOCKS if language == "ini"]
    (tmp_path / "pytest.ini").write_text(ini, "utf-8")
    example = (
        "def test_it(sse_recordings, pytestconfig):\n"
        "    assert sse_recordings == pytestconfig.rootpath / 'recorded'\n"
    )
    printed = run(tmp_path, example)
    assert outcomes(printed) == {"passed": 1}, printed


def test_the_table_lists_every_fixture():
    assert sorted(re.findall(r"^\| `(\w+)` \|", TEXT, re.MULTILINE)) == sorted(fixtures)
