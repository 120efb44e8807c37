"""What it costs to start: importing the package, and pytest with the plugin that nobody uses.

In seconds of the processor, which others on the machine disturb less than those of the wall.
"""

import os
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Dict, List, Sequence

from places import environment
from report import Row, Rows

__all__ = ["measure"]

_PROGRAMS = {
    "pass": "pass",
    "import sse_middleware": "import sse_middleware",
    "import logging, json, threading, typing": "import logging, json, threading, typing",
    "from sse_middleware import SSEMiddleware": "from sse_middleware import SSEMiddleware",
}
#: Of so many starts in a row the cheapest counts, for noise only adds.
_TRIES = 4
_ENTRY_POINT = "[pytest11]\nsse_middleware = sse_middleware.pytest_plugin\n"


def measure(python: Path, *, rounds: int) -> Rows:
    """What each program takes, from start to exit."""
    commands = {name: [str(python), "-c", text] for name, text in _PROGRAMS.items()}
    rows = _taken("import", commands, rounds, environment())
    with TemporaryDirectory() as folder:
        return rows + _plugin(python, Path(folder), rounds)


def _plugin(python: Path, folder: Path, rounds: int) -> Rows:
    """One test that uses nothing; the plugin is found as it is when the package is installed."""
    (folder / "test_one.py").write_text("def test_one():\n    pass\n")
    (folder / "pytest.ini").write_text("[pytest]\n")
    installed = folder / "site" / "sse_middleware-0.dist-info"
    installed.mkdir(parents=True)
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: sse-middleware\nVersion: 0\n")
    (installed / "entry_points.txt").write_text(_ENTRY_POINT)
    variables = environment()
    variables["PYTHONPATH"] += f":{installed.parent}"
    run = [
        str(python),
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:anyio",
        str(folder),
    ]
    commands = {"without": [*run, "-p", "no:sse_middleware"], "with the plugin": run}
    return _taken("start of pytest, one test", commands, rounds, variables)


def _taken(
    task: str, commands: Dict[str, List[str]], rounds: int, variables: Dict[str, str]
) -> Rows:
    taken: Dict[str, List[float]] = {name: [] for name in commands}
    for number in range(rounds + 1):
        for name, command in commands.items():
            seconds = min(_seconds_of(command, variables) for _ in range(_TRIES))
            if number:  # the first writes what is compiled
                taken[name].append(seconds)
    return [Row(task, name, seconds) for name, seconds in taken.items()]


def _seconds_of(command: Sequence[str], variables: Dict[str, str]) -> float:
    process = subprocess.Popen(command, env=variables, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.WEXITSTATUS(status)
    if status:
        raise RuntimeError(f"failed: {' '.join(command)}")
    return usage.ru_utime + usage.ru_stime
