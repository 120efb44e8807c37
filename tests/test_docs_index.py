"""docs/index.md: its example, run."""

import re
from pathlib import Path

TEXT = (Path(__file__).parents[1] / "docs" / "index.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)


def test_every_block_has_its_test():
    assert [language for language, _ in BLOCKS] == ["python", "text"]


def test_the_example_sends_what_is_shown():
    names = {"__name__": "example"}
    exec(compile(BLOCKS[0][1], "docs/index.md", "exec"), names)
    body = names["app"]({"REQUEST_METHOD": "GET"}, lambda *answer: None)
    assert b"".join(body).decode() == BLOCKS[1][1]
