"""README.md has all targets and models, with figures, and names tests that exist."""

import re

import pytest
from figures import PAGE, cells_of, rows_of
from models import MODELS

from run import HERE, TARGETS

ROOT = HERE.parents[1]
TEXT = PAGE.read_text(encoding="utf-8")


def table_of(heading):
    """The rows of the first table below a heading."""
    section = TEXT.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return cells_of("\n".join(lines))


@pytest.mark.parametrize(
    ("heading", "name", "names"),
    [("By coverage", "coverage", TARGETS), ("Models", "models", sorted(MODELS))],
    ids=["targets", "models"],
)
def test_each_is_described_and_has_figures(heading, name, names):
    described = [row[0].strip("`") for row in table_of(heading) if len(row) == 3]
    assert sorted(described) == names
    figures = rows_of(name)
    also = [f"{model}, preempted" for model in names if name == "models"]
    assert sorted(row[0] for row in figures) == sorted(names + also)
    for row in figures:
        assert all(re.fullmatch("[0-9]+", cell) for cell in row[1:-1]), row
        assert re.fullmatch(r"20\d\d-\d\d-\d\d, Python 3\.\d+\.\d+", row[-1])


@pytest.mark.parametrize("row", table_of("What was found"), ids=lambda row: row[2].split("::")[1])
def test_what_was_found_is_held_by_a_test(row):
    _, found_by, held_by = row
    path, _, name = held_by.strip("`").partition("::")
    assert f"def {name}(" in (ROOT / path).read_text(encoding="utf-8")
    assert found_by.startswith("threads") or found_by.split("`")[1] in {*TARGETS, *MODELS}
