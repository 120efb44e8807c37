"""The bench: ``python bench/run.py`` measures all, and rewrites README.md.

    python bench/run.py pipe growth      # some of it, printed and not written
    python bench/run.py --quick          # what is recorded in ratios.json, against what is there
    python bench/run.py --quick --record # record it anew

Peers are installed below ``.bench/``, at the versions in ``requirements/`` and ``package.json``.
See README.md for what is measured, and what one run gave.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Callable, Dict, List, Optional, Sequence

import growth
import pipe
import replay
import startup
from goals import GOALS, QUICK
from places import HERE, ROOT, environment, python_with
from report import (
    Goal,
    Row,
    Rows,
    best_speed,
    figure_of,
    goal_lines,
    slower_than_recorded,
    task_lines,
    with_part,
)

_README = HERE / "README.md"
_RATIOS = HERE / "ratios.json"
#: A ratio that fell further than this below the recorded one is a failure.
_TOLERANCE = 0.2


def _of_script(python: Path, script: str, *arguments: str) -> Rows:
    """The rows that a script of the bench prints, a JSON object a line."""
    command = [str(python), str(HERE / script), *arguments]
    done = subprocess.run(command, env=environment(), check=True, stdout=subprocess.PIPE)
    objects = map(json.loads, done.stdout.splitlines())
    return [Row(row["task"], row["subject"], row["rounds"]) for row in objects]


def _format(python: Path, *arguments: str) -> Rows:
    return _of_script(python, "format.py", "--json", *arguments)


GROUPS: Dict[str, Callable[[Path], Rows]] = {
    "format": _format,
    "pipe": lambda python: pipe.measure(python, rounds=7, paced_s=20.0),
    "overhead": lambda python: _of_script(python, "overhead.py"),
    "startup": lambda python: startup.measure(python, rounds=12),
    "replay": lambda python: replay.measure(python, rounds=5),
    "growth": growth.measure,
}


def _full(names: Sequence[str]) -> int:
    python = python_with("peers")
    rows: Rows = []
    for name in names or GROUPS:
        began_at = time.monotonic()
        rows += GROUPS[name](python)
        print(f"{name}: {time.monotonic() - began_at:.0f} s", file=sys.stderr, flush=True)
    goals = [goal for goal in GOALS if figure_of(rows, goal) is not None] if names else GOALS
    parts = {"goals": goal_lines(goals, rows), "tasks": task_lines(rows), "machine": _machine()}
    for lines in parts.values():
        print("\n".join(lines))
    if not names:
        _write(parts, rows)
    return 0


def _write(parts: Dict[str, List[str]], rows: Rows) -> None:
    text = _README.read_text(encoding="utf-8")
    for name, lines in parts.items():
        text = with_part(text, name, lines)
    _README.write_text(text, encoding="utf-8")
    figures = {goal.key: figure_of(rows, goal) for goal in GOALS}
    _record("goals", {key: found.middle for key, found in figures.items() if found is not None})


def _machine() -> List[str]:
    load = os.getloadavg()[0]
    return [
        f"{os.cpu_count()} cores, load average {load:.1f} at the end, "
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}, "
        f"{time.strftime('%d %B %Y', time.gmtime())}."
    ]


def _quick(is_to_record: bool) -> int:
    version = "{}.{}".format(*sys.version_info)
    if is_to_record:
        runs = [_measured(QUICK) for _ in range(3)]
        _record(version, {key: min(run[key] for run in runs) for key in runs[0]})
        return 0
    measured = _measured(QUICK)
    recorded = _recorded().get(version)
    if recorded is None:
        print(f"nothing is recorded for Python {version}: run with --record")
        return 1
    slow = slower_than_recorded(measured, recorded, _TOLERANCE)
    if slow:  # once more: a machine has bad moments
        again = _measured([goal for goal in QUICK if goal.key in slow])
        measured.update({key: max(speed, measured[key]) for key, speed in again.items()})
        slow = slower_than_recorded(measured, recorded, _TOLERANCE)
    for goal in QUICK:
        told = "SLOWER" if goal.key in slow else "ok"
        speed = measured.get(goal.key, 0.0)
        print(f"{goal.text}: {speed:.3g}, recorded {recorded.get(goal.key, 0.0):.3g}: {told}")
    return 1 if slow else 0


def _measured(goals: Sequence[Goal]) -> Dict[str, float]:
    """Speeds, in the processor's time, each subject in its best round."""
    python = python_with("quick")
    os.environ["BENCH_WITHOUT_NODE"] = "1"
    wanted = {goal.task for goal in goals}
    rows: Rows = []
    if any(task.startswith(("encode", "parse")) for task in wanted):
        recordings = str(ROOT / "fixtures" / "recordings")  # the same on every machine
        rows += _format(python, "--rounds", "11", "--recordings", recordings)
    short = [task for task in wanted if not task.startswith(("encode", "parse"))]
    if short:
        rows += _of_script(python, "overhead.py", *short)
    speeds = {goal.key: best_speed(rows, goal) for goal in goals}
    return {key: speed for key, speed in speeds.items() if speed is not None}


def _recorded() -> Dict[str, Dict[str, float]]:
    found: Dict[str, Dict[str, float]] = json.loads(_RATIOS.read_text(encoding="utf-8"))
    return found


def _record(name: str, figures: Dict[str, float]) -> None:
    rounded = {key: float(f"{value:.4g}") for key, value in figures.items()}
    recorded = {**_recorded(), name: rounded}
    _RATIOS.write_text(json.dumps(recorded, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """0, or 1 where a ratio fell."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="group", help=", ".join(GROUPS))
    parser.add_argument("--quick", action="store_true", help="only what ratios.json records")
    parser.add_argument("--record", action="store_true", help="with --quick: write ratios.json")
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.names) - set(GROUPS))
    if unknown:
        parser.error(f"no such group: {', '.join(unknown)}")
    return _quick(options.record) if options.quick else _full(options.names)


if __name__ == "__main__":
    sys.exit(main())
