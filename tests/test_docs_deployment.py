"""docs/deployment.md: its commands and configurations are those of the tests; its Python runs."""

import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from sse_middleware import SSEMiddleware

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "deployment.md").read_text("utf-8")


def test_each_command_and_configuration_is_the_one_that_the_tests_run():
    made = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "servers" / "deployment_docs.py")],
        stdout=subprocess.PIPE,
        timeout=60,
        check=True,
    )
    assert made.stdout.decode("utf-8") == TEXT


def test_every_block_is_made_or_run():
    fences = re.findall(r"^```(\w*)$", TEXT, re.MULTILINE)[::2]
    marks = re.findall(r"^<!-- (?:command|apache|lines|timeout): ", TEXT, re.MULTILINE)
    assert fences.count("python") == 1
    assert len(fences) == len(marks) + 1


COMMANDS = re.findall(r"pip install '?(\w+)(?:(?!```).)*```\n(\S+)", TEXT, re.DOTALL)


def test_every_command_has_its_pip_install():
    assert len(COMMANDS) == TEXT.count("<!-- command: ")


@pytest.mark.parametrize(("package", "command"), COMMANDS)
def test_a_command_is_one_that_its_package_installs(package, command):
    try:
        files = metadata.distribution(package).files
    except metadata.PackageNotFoundError:
        pytest.skip(f"{package} is not installed")
    assert command in [path.stem for path in files if path.parent.name in ("bin", "Scripts")]


def test_the_number_of_servers_is_right():
    table = (ROOT / "docs" / "servers.md").read_text("utf-8").split("|---|", 1)[1]
    rows = re.findall(r"^\| .*\|$", table, re.MULTILINE)
    assert "all sixteen that were measured" in TEXT
    assert len(rows) == 16


def test_the_python_wraps_an_app():
    [block] = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    names = {}
    exec(compile(block, "docs/deployment.md", "exec"), names)
    wrapped = names["wrapped"](print)
    assert isinstance(wrapped, SSEMiddleware)
    told = re.search(r"with (\d+)\nthreads", TEXT), re.search(r"the (\d+)st stream", TEXT)
    threads, first_refused = (int(found.group(1)) for found in told)
    assert first_refused == wrapped._max_streams + 1
    assert threads - wrapped._max_streams == 4
    assert "and four\nthreads are left" in TEXT
