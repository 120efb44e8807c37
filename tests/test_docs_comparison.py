"""docs/comparison.md: its column on this package; the others are run by ``tox -e peers``."""

import re
import runpy
from pathlib import Path

from sse_middleware.testing import faults, rechunk

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "comparison.md").read_text("utf-8")
FRAMING = runpy.run_path(str(ROOT / "tests" / "peers" / "framing.py"))
NUMBERS = {"nine": 9, "seventeen": 17}


def table(heading):
    """The rows of the table under a heading, as lists of cells."""
    section = TEXT.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    rows = [line[2:-2].split(" | ") for line in section.splitlines() if line.startswith("| ")]
    assert len({len(row) for row in rows}) == 1
    return rows


def test_the_column_on_this_package_is_what_comes_out():
    head, *rows = table("What becomes of a text")
    assert head[1] == FRAMING["title"]("sse-middleware")
    assert [row[1] for row in rows] == FRAMING["column"]("sse-middleware")
    assert [row[0] for row in rows] == list(FRAMING["ROWS"])


def test_the_versions_that_are_named_are_those_that_are_run():
    tox = (ROOT / "tox.ini").read_text("utf-8").split("[testenv:peers]", 1)[1].split("\n\n", 1)[0]
    for name, version in re.findall(r"^    ([\w-]+)==([\d.]+)$", tox, re.MULTILINE):
        assert f"{name} {version} |" in TEXT, name


def test_the_counts_are_right():
    ways = re.search(r"cut in (\w+) other ways", TEXT).group(1)
    assert NUMBERS[ways] == len(rechunk.MODES) - 1
    kinds = re.search(r"\| (\w+), with what each SDK", TEXT).group(1)
    assert NUMBERS[kinds] == len(set(faults.__all__) - {"Fault"})


def test_the_page_has_a_date():
    assert re.search(r"^As of \w+ 20\d\d\.", TEXT, re.MULTILINE)
