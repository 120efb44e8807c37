"""docs/commands.md: each command and option as its parser has it, and the examples, run.

The part about the commands is written by ``python tests/test_docs_commands.py``.
"""

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sse_middleware.cli import COMMANDS, main, parser_of, servers

DEADLINE_S = 60
DOC = Path(__file__).parents[1] / "docs" / "commands.md"
TEXT = DOC.read_text("utf-8")
MAIN = "import sys; from sse_middleware.cli import main; sys.exit(main(sys.argv[1:]))"


def parsers():
    """The parser of each command, by its name."""
    [commands] = [
        action
        for action in parser_of(COMMANDS)._actions
        if isinstance(action, argparse._SubParsersAction)
    ]
    return commands.choices


def arguments(parser):
    return [action for action in parser._actions if action.dest != "help"]


def called(action):
    """How an argument is written: its longest name, and what stands for its value."""
    value = action.metavar or ("" if action.nargs == 0 else action.dest.upper())
    return " ".join(filter(None, (max(action.option_strings, key=len, default=""), value)))


def told(action):
    text = action.help % {**vars(action), "prog": "sse-middleware"}
    return re.sub(r"([|<>*])", r"\\\1", text)


def section(name, parser):
    """What the page says about one command."""
    written = [called(action) for action in arguments(parser) if not action.option_strings]
    needed = [called(a) for a in arguments(parser) if a.option_strings and a.required]
    usage = " ".join(["sse-middleware", name, *needed, *written])
    rows = [f"| `{called(action)}` | {told(action)} |" for action in arguments(parser)]
    return (
        f"## {name}\n\n`{usage}`\n\n{parser.description}\n\n"
        "| argument | meaning, and its default |\n|---|---|\n" + "\n".join(rows) + "\n"
    )


def rendered():
    """The page, with its commands as the parsers have them."""
    head = re.split(rf"^## {next(iter(COMMANDS))}$", TEXT, maxsplit=1, flags=re.MULTILINE)[0]
    sections = [section(name, parser) for name, parser in parsers().items()]
    return head.rstrip("\n") + "\n\n" + "\n".join(sections)


def test_every_command_and_option_is_documented_as_its_parser_has_it():
    assert rendered() == TEXT, "run: python tests/test_docs_commands.py"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_argument_says_what_it_means_and_every_command_what_it_does(name):
    parser = parsers()[name]
    assert parser.description.endswith(".")
    for action in arguments(parser):
        assert action.help, f"{called(action)} has no help"


def test_the_example_prints_what_the_page_shows(tmp_path):
    [[command, *lines]] = [
        block.splitlines() for block in re.findall(r"```console\n\$ (.*?)```", TEXT, re.DOTALL)
    ]
    program, *arguments = command.split()
    assert program == "sse-middleware"
    done = subprocess.run(
        [sys.executable, "-c", MAIN, *arguments],
        cwd=str(tmp_path),
        env={**os.environ, "COLUMNS": "100"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=DEADLINE_S,
        check=False,
    )
    assert (done.returncode, done.stdout.decode().splitlines()) == (2, lines)


def test_generators_are_given_the_time_that_the_page_says():
    assert "three seconds to close" in " ".join(TEXT.split())
    assert servers._DRAIN_S == 3


def test_a_usage_that_is_wrong_has_the_exit_code_of_the_page(capsys):
    assert "2 when it was asked for what cannot be done" in " ".join(TEXT.split())
    with pytest.raises(SystemExit) as caught:
        main(["nothing"])
    assert caught.value.code == 2


if __name__ == "__main__":
    DOC.write_text(rendered(), "utf-8")
