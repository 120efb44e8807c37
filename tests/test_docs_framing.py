"""docs/framing.md: its examples, run, and its rules, compared with the table.

The part about the rules is written by ``python tests/test_docs_framing.py``.
"""

import re
from pathlib import Path

import pytest

from sse_middleware.testing import check_framing
from sse_middleware.testing._framing_rules import RULES

DOC = Path(__file__).parents[1] / "docs" / "framing.md"
TEXT = DOC.read_text("utf-8")


def section(rule):
    """What the page says about one rule."""
    profiles = " and ".join(f"`{profile}`" for profile in rule.profiles)
    return (
        f"### {rule.code} {rule.name}\n\n"
        f"**The fault:** {rule.fault}. Profiles: {profiles}.\n\n"
        f"**Why it hurts:** {rule.harm}\n\n"
        f"**The fix:** {rule.fix}.\n"
    )


def rendered():
    """The page, with its rules as the table has them."""
    head = re.split(r"^### SSE", TEXT, maxsplit=1, flags=re.MULTILINE)[0]
    return head.rstrip("\n") + "\n\n" + "\n".join(section(rule) for rule in RULES.values())


def examples():
    """The tests in the code blocks of the page, by name."""
    names = {}
    for block in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL):
        exec(compile(block, str(DOC), "exec"), names)
    return {name: made for name, made in names.items() if name.startswith("test_")}


def test_every_rule_is_documented_as_the_table_has_it():
    assert rendered() == TEXT


def test_every_example_is_a_test_or_the_message():
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
    assert sorted({language for language, _ in blocks}) == ["python", "text"]
    assert all("def test_" in text for language, text in blocks if language == "python")


def test_the_examples_are_right():
    pytest.importorskip("webtest")
    tests = examples()
    assert len(tests) == 3
    for test in tests.values():
        test()


def test_the_message_on_the_page_is_the_one_that_is_printed():
    [shown] = re.findall(r"```text\n(.*?)```", TEXT, re.DOTALL)
    [problem] = check_framing(b"data: two\nlines\n\n")
    assert shown == f"1 problem in the framing of a stream\n\n{problem}\n"


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.code)
def test_the_parts_of_a_rule_fit_into_a_message(rule):
    assert re.fullmatch(r"SSE[1-4][0-9][0-9]", rule.code)
    assert re.fullmatch(r"[a-z0-9-]+", rule.name)
    assert not rule.fault.endswith(".")
    assert rule.harm.endswith((".", ".)"))
    assert not rule.fix.endswith(".")


if __name__ == "__main__":
    DOC.write_text(rendered(), "utf-8")
