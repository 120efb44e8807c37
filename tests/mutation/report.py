"""What ``mutmut run`` found: ``python tests/mutation/report.py [--record]``, from the root.

A mutant that survives is one that nobody would notice. Those that change nothing stand in
``explained/<module>.tsv``, each with the reason. The exit code is 1 when another one survives, when
more than 5 % do, or when an explained one is killed: then the explanation is wrong, or the run is.
"""

import argparse
import csv
import os
import subprocess
import sys
from collections import Counter
from datetime import date
from pathlib import Path
from platform import python_version

from mutmut import __version__
from mutmut.configuration import config
from mutmut.mutation.data import SourceFileMutationData
from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.stats import status_by_exit_code

HERE = Path(__file__).resolve().parent
MAY_SURVIVE = 0.05
KILLED = {"killed", "timeout"}
#: That of a mutant whose tests pytest could not find by their ids. mutmut counts it as a timeout.
NOT_FOUND = 255
BEGIN, END = "<!-- figures -->\n", "<!-- end of figures -->\n"


def main(argv=None):
    """Print the table, and each survivor without an explanation; the exit code."""
    parser = argparse.ArgumentParser(description="Say which mutants survive.")
    parser.add_argument("--record", action="store_true", help="write the table into README.md")
    record = parser.parse_args(argv).record
    modules = [Module(path) for path in config().only_mutate]
    table = table_of(modules)
    print("\n".join(table))
    wrong = [line for module in modules for line in module.wrong()]
    print("\n".join(wrong))
    if record:
        write(table)
    survived, in_all = (sum(getattr(m, name) for m in modules) for name in ("survived", "in_all"))
    return int(bool(wrong) or survived > MAY_SURVIVE * in_all)


class Module:
    """The mutants of one module."""

    def __init__(self, path):
        self.path = path
        mutants = SourceFileMutationData(path=path)
        mutants.load()
        statuses = {
            key: status_of_not_found(key) if code == NOT_FOUND else status_by_exit_code[code]
            for key, code in mutants.exit_code_by_key.items()
        }
        self.in_all = len(statuses)
        self.counts = Counter(statuses.values())
        alive = [key for key, status in statuses.items() if status not in KILLED]
        self.survived = len(alive)
        self._statuses = statuses
        self._changes = {key: change_of(key, path) for key in alive}
        self._reasons = explained(HERE / "explained" / f"{Path(path).stem}.tsv")

    @property
    def explained(self):
        """How many survivors have an explanation."""
        return sum(change in self._reasons for change in self._changes.values())

    def wrong(self):
        """A line for each survivor without an explanation, and the other way round."""
        for key, change in self._changes.items():
            if change not in self._reasons:
                yield f"{key}: {self._statuses[key]}, not explained: {' | '.join(change)}"
        for change in self._reasons:
            if change not in self._changes.values():
                yield f"{self.path}: explained, but no survivor: {' | '.join(change)}"
        if not self.in_all:
            yield f"{self.path}: no mutants here: run mutmut first"


def status_of_not_found(key):
    """Whether pytest cannot even collect the tests, and says so, or has changed their ids."""
    pytest = [sys.executable, "-m", "pytest", *config().pytest_add_cli_args, "--collect-only", "-x"]
    done = subprocess.run(
        [*pytest, *config().pytest_add_cli_args_test_selection],
        cwd="mutants",
        env=dict(os.environ, MUTANT_UNDER_TEST=key),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    return "killed" if done.returncode else "not found"


def change_of(key, path):
    """The name of the function, and the lines before and after; numbers change with each edit."""
    name = key.rpartition(".")[2].rpartition("__mutmut_")[0]
    function = ".".join(name.split("\u01c1")[1:]) or name[len("x_") :]
    lines = get_diff_for_mutant(key, path=path).splitlines()[2:]
    old, new = (
        " / ".join(line[1:].strip() for line in lines if line.startswith(sign)) for sign in "-+"
    )
    return function, old, new


def explained(path):
    """The reason of each change that changes nothing."""
    if not path.exists():
        return {}
    with path.open(encoding="utf-8", newline="") as lines:
        rows = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
        return {(row["function"], row["old"], row["new"]): row["why"] for row in rows}


def table_of(modules):
    """The lines of the table, with the sum as the last."""
    rows = [
        [m.in_all, m.counts["killed"], m.counts["timeout"], m.survived, m.explained]
        for m in modules
    ]
    named = [(f"`{Path(m.path).name}`", row) for m, row in zip(modules, rows)]
    named.append(("all", [sum(column) for column in zip(*rows)]))
    return [
        "| module | mutants | killed | endless | survived | of these explained | survived |",
        "|---|--:|--:|--:|--:|--:|--:|",
        *(
            f"| {name} | {' | '.join(map(str, row))} | {row[3] / (row[0] or 1):.1%} |"
            for name, row in named
        ),
    ]


def write(table):
    """Put the table into the page, with what made it."""
    page = HERE / "README.md"
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    made = f"{date.today()}, mutmut {__version__}, Python {python_version()}"
    lines = "\n".join([made, "", *table, ""])
    page.write_text(before + BEGIN + lines + END + rest.partition(END)[2], encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
