"""From measurements to figures: medians, ratios round by round, verdicts, the tables of README.md.

A ratio is taken within each round, whose subjects were measured one right after the other, and
then the median of the rounds: what a shared machine did in one round it did to both.
"""

import statistics
from typing import Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple

__all__ = [
    "Figure",
    "Goal",
    "Row",
    "Rows",
    "figure_of",
    "find_row",
    "goal_lines",
    "slower_than_recorded",
    "task_lines",
    "with_part",
]


class Row(NamedTuple):
    """What one subject of a task took: a figure for each round, in ``unit`` (seconds, bytes)."""

    task: str
    subject: str
    rounds: List[float]
    unit: str = "s"


Rows = List[Row]


class Goal(NamedTuple):
    """A figure that has to hold, made of the rows of one task.

    ``kind``: "speed", how many times as fast ``ours`` is as the fastest of ``others``; "cost",
    how many times it takes; "more", how much it takes beyond; "value", what it takes. What the
    subject ``less`` takes is taken off ``ours`` before.
    """

    key: str
    text: str
    kind: str
    task: str
    ours: str
    others: Tuple[str, ...]
    limit: float
    less: str = ""

    @property
    def is_at_least(self) -> bool:
        """Whether more is better."""
        return self.kind == "speed"


class Figure(NamedTuple):
    """The median of the rounds, with the lowest and the highest."""

    middle: float
    low: float
    high: float
    unit: str = ""

    def meets(self, goal: Goal) -> bool:
        """Whether the median holds what ``goal`` asks."""
        return self.middle >= goal.limit if goal.is_at_least else self.middle <= goal.limit


def find_row(rows: Iterable[Row], task: str, subject: str) -> Optional[Row]:
    """The row of that subject, or None."""
    return next((row for row in rows if (row.task, row.subject) == (task, subject)), None)


def figure_of(rows: Rows, goal: Goal) -> Optional[Figure]:
    """What was measured of ``goal``; None where a subject it needs is not there."""
    ours = find_row(rows, goal.task, goal.ours)
    found = [find_row(rows, goal.task, other) for other in goal.others]
    others = [row for row in found if row is not None]
    if ours is None or (goal.others and not others):
        return None
    if goal.less:
        less = find_row(rows, goal.task, goal.less)
        if less is None:
            return None
        ours = ours._replace(rounds=[a - b for a, b in zip(ours.rounds, less.rounds)])
    if not goal.others:
        return _figure(ours.rounds, ours.unit)
    best = [min(of_round) for of_round in zip(*(row.rounds for row in others))]
    pairs = list(zip(ours.rounds, best))
    if goal.kind == "more":
        return _figure([own - other for own, other in pairs], ours.unit)
    if goal.kind == "speed":
        pairs = [(other, own) for own, other in pairs]
    if not all(below for _, below in pairs):
        return None
    return _figure([above / below for above, below in pairs])


def _figure(rounds: Sequence[float], unit: str = "") -> Figure:
    return Figure(statistics.median(rounds), min(rounds), max(rounds), unit)


def shown(value: float, unit: str = "") -> str:
    """Three digits, with the unit that suits.

    >>> shown(0.0000123, "s"), shown(24576, "B"), shown(1.5)
    ('12.3 us', '24 KiB', '1.5')
    """
    if unit == "s":
        for size, name in ((1.0, "s"), (1e-3, "ms"), (1e-6, "us")):
            if abs(value) >= size:
                return f"{_digits(value / size)} {name}"
        return f"{_digits(value * 1e9)} ns"
    if unit == "B":
        return f"{_digits(value / 1024)} KiB"
    return _digits(value) + (f" {unit}" if unit else "")


def _digits(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def goal_lines(goals: Sequence[Goal], rows: Rows) -> List[str]:
    """A table of the goals: the limit, the figure with its spread, the verdict."""
    lines = ["| goal | limit | measured (lowest to highest round) | |", "|---|---|---|---|"]
    for goal in goals:
        figure = figure_of(rows, goal)
        unit = "s" if figure is None else figure.unit
        bound = ">=" if goal.is_at_least else "<="
        limit = f"{bound} {shown(goal.limit, unit if goal.kind in ('more', 'value') else '')}"
        if figure is None:
            lines.append(f"| {goal.text} | {limit} | not measured | |")
            continue
        spread = f"{shown(figure.low, figure.unit)} to {shown(figure.high, figure.unit)}"
        told = "ok" if figure.meets(goal) else f"**missed** ({goal.key})"
        measured = f"{shown(figure.middle, figure.unit)} ({spread})"
        lines.append(f"| {goal.text} | {limit} | {measured} | {told} |")
    return lines


def task_lines(rows: Rows) -> List[str]:
    """A table for each task: the median of each subject, and its ratio to the first one."""
    lines: List[str] = []
    for task in dict.fromkeys(row.task for row in rows):
        own = [row for row in rows if row.task == task]
        first = own[0]
        lines += [f"#### {task}", "", f"| | median | times {first.subject} |", "|---|---|---|"]
        for row in own:
            figure = figure_of(rows, Goal("", "", "cost", task, row.subject, (first.subject,), 0))
            middle = shown(statistics.median(row.rounds), row.unit)
            ratio = "" if figure is None else _ratio(figure)
            lines.append(f"| {row.subject} | {middle} | {ratio if row is not first else '1'} |")
        lines.append("")
    return lines


def _ratio(figure: Figure) -> str:
    return f"{_digits(figure.middle)} ({_digits(figure.low)} to {_digits(figure.high)})"


def with_part(text: str, name: str, lines: Sequence[str]) -> str:
    """``text`` with what stands between the markers of that name replaced.

    Raises:
        ValueError: the markers are not there.
    """
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"no markers of {name!r}")
    return before + begin + "\n".join(lines).rstrip("\n") + "\n" + end + after


def best_speed(rows: Rows, goal: Goal) -> Optional[float]:
    """How many times as fast as the others ours was, each in its best round: noise only adds."""
    ours = find_row(rows, goal.task, goal.ours)
    others = [find_row(rows, goal.task, other) for other in goal.others]
    best = [min(row.rounds) for row in others if row is not None]
    return None if ours is None or not best else min(best) / min(ours.rounds)


def slower_than_recorded(
    measured: Dict[str, float], recorded: Dict[str, float], tolerance: float
) -> List[str]:
    """The keys whose speed fell by more than ``tolerance`` of what was recorded, or is gone."""
    return [
        key for key, speed in recorded.items() if measured.get(key, 0.0) < speed * (1.0 - tolerance)
    ]
