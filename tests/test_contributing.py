"""CONTRIBUTING.md: every place, file and environment that it names is there."""

import configparser
import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
TOX = configparser.ConfigParser(interpolation=None)
TOX.read(ROOT / "tox.ini", encoding="utf-8")


def section(heading):
    return TEXT.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]


def cells(heading):
    """The rows of the table in a section, as lists of what stands in backticks in each cell."""
    rows = re.findall(r"^ *\| (.+) \|$", section(heading), re.MULTILINE)[1:]
    assert rows
    return [[re.findall(r"`([^`]+)`", cell) for cell in row.split(" | ")] for row in rows]


SYMPTOMS = [(modules, tests) for _, modules, tests in cells("To mend a bug")]


@pytest.mark.parametrize(("modules", "tests"), SYMPTOMS, ids=lambda names: " ".join(names))
def test_a_symptom_leads_to_modules_and_to_a_test_file(modules, tests):
    for name in modules:
        assert (ROOT / "sse_middleware" / name).exists(), name
    for name in tests:
        assert list((ROOT / "tests").glob(f"{name}*")), name


def test_the_modules_of_every_layer_but_the_lowest_can_be_found():
    """A part of the package that no symptom leads to is one that a newcomer does not find."""
    named = " ".join(name for modules, _ in SYMPTOMS for name in modules)
    folders = [path.name for path in (ROOT / "sse_middleware").iterdir() if path.is_dir()]
    missing = {name for name in folders if name + "/" not in named}
    assert missing - {"__pycache__", "integrations"} == set()


def test_each_place_that_is_named_is_there():
    for [place, *_], *_ in cells("Where things are"):
        assert (ROOT / place).exists(), place


def test_each_environment_that_is_named_is_one_of_tox():
    environments = {*TOX["tox"]["env_list"].split()}
    environments |= {name[len("testenv:") :] for name in TOX if name.startswith("testenv:")}
    named = [name for row in cells("From a clone to a first change") for name in row[0]]
    assert [name for name in named if name not in environments] == []
    assert {f"py3{minor}" for minor in range(8, 14)} | set(named) == environments


def commands():
    """Each command line that is shown, in blocks and between backticks."""
    blocks = re.findall(r"^ *\$ (.*?)(?: +#.*)?$", TEXT, re.MULTILINE)
    inline = re.findall(r"`((?:python|pytest|git) [^`]*)`", TEXT)
    return [part for line in [*blocks, *inline] for part in line.split(" && ")]


def test_every_test_file_and_environment_of_a_command_is_there():
    environments = {*TOX["tox"]["env_list"].split(), *(name.split(":")[-1] for name in TOX)}
    assert len(commands()) > 15
    for command in commands():
        words = shlex.split(command)
        for word in words:
            assert not word.startswith("tests/") or (ROOT / word).exists(), command
        if words[:3] == ["python", "-m", "tox"] and "-e" in words:
            named = words[words.index("-e") + 1].split(",")
            assert set(named) <= environments, command


def test_the_release_is_built_checked_and_looked_into_by_the_environment_that_is_named():
    """``tox -e package`` is in CI: so what the page says of it is run there."""
    release = section("Cutting a release")
    assert "python -m tox -e package" in release
    assert "package" in TOX["tox"]["env_list"].split()
    ran = TOX["testenv:package"]["commands"].splitlines()
    assert [line.split()[:3] for line in ran if line] == [
        ["python", "-m", "build"],
        ["twine", "check", "--strict"],
        ["python", "-m", "pip"],
        ["pytest", "tests/test_package.py"],
    ]
    assert "{env_tmp_dir}/dist" in ran[1]
    assert ".tox/package/tmp/dist" in release
