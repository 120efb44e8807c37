"""From the samples of a soak to its verdicts and its tables.

A quantity is flat when what it grew by over the last three quarters of the run, by the median of
the slopes between all pairs of its samples (Theil and Sen's), is within its bound: a single high
sample moves that as little as the warm-up does.
"""

import csv
import io
import statistics
from typing import List, Mapping, NamedTuple, Sequence, Tuple

__all__ = [
    "FLAT",
    "MIB",
    "Outcome",
    "Sample",
    "Verdict",
    "csv_of",
    "faults",
    "growth",
    "holds",
    "report_lines",
    "verdicts",
]

MIB = 1024 * 1024


class Sample(NamedTuple):
    """What was seen at one moment; sizes in bytes."""

    at_s: float
    phase: str
    private_bytes: int
    rss_bytes: int
    threads: int
    files: int
    generators: int
    servings: int
    greenlets: int
    objects: int
    blocks: int
    allocated_bytes: int
    redis_connections: int
    redis_keys: int
    redis_bytes: int
    cpu_s: float
    clients: int


class Quantity(NamedTuple):
    """What has to be flat: it may grow by ``limit``, or by that ``share`` of its mean."""

    field: str
    text: str
    limit: float = 1.0
    share: float = 0.0
    is_to_return: bool = False

    @property
    def unit(self) -> float:
        """What a figure is divided by where it is shown."""
        return MIB if self.field.endswith("_bytes") else 1.0

    def bound(self, mean: float) -> float:
        """How much it may grow by."""
        return max(self.limit, self.share * mean)


FLAT = (
    Quantity("private_bytes", "private memory, MiB", limit=MIB),
    Quantity("rss_bytes", "resident memory, MiB", limit=MIB),
    Quantity("threads", "threads", share=0.1, is_to_return=True),
    Quantity("files", "file descriptors, but for those to Redis", share=0.1, is_to_return=True),
    Quantity("redis_connections", "connections to Redis", share=0.1),
    Quantity("generators", "generators open", share=0.1, is_to_return=True),
    Quantity("servings", "responses open", share=0.1, is_to_return=True),
    Quantity("greenlets", "greenlets", share=0.1, is_to_return=True),
    Quantity("objects", "objects that the collector tracks", share=0.03),
    Quantity("blocks", "blocks that Python has allocated", share=0.03),
    Quantity("allocated_bytes", "bytes that malloc has handed out, MiB", limit=MIB),
    Quantity("redis_keys", "keys in Redis", share=0.1, is_to_return=True),
    Quantity("redis_bytes", "memory of Redis, MiB", limit=0.25 * MIB),
)


class Outcome(NamedTuple):
    """What one server has come to: ``idle`` is before the run, ``left`` after it, both at rest.

    ``counts`` is what was begun and ended, ``alive`` the middleware's own objects in the end.
    """

    server: str
    samples: List[Sample]
    idle: Sample
    left: Sample
    counts: Mapping[str, int]
    alive: Mapping[str, int]
    logged: Mapping[str, int]
    lived: Mapping[str, int]
    wrong: Mapping[str, Sequence[str]]
    was_restarted: bool


class Verdict(NamedTuple):
    """One quantity of one server."""

    quantity: Quantity
    mean: float
    grew: float
    bound: float
    idle: float
    left: float

    @property
    def holds(self) -> bool:
        """Whether it was flat, and is back where it was."""
        is_back = not self.quantity.is_to_return or self.left <= self.idle
        return self.grew <= self.bound and is_back


def growth(points: Sequence[Tuple[float, float]]) -> float:
    """What a quantity grew by from the first to the last point, by the median of all slopes."""
    slopes = [
        (later - earlier) / (at - before)
        for index, (before, earlier) in enumerate(points)
        for at, later in points[index + 1 :]
        if at > before
    ]
    return statistics.median(slopes) * (points[-1][0] - points[0][0]) if slopes else 0.0


def verdicts(outcome: Outcome) -> List[Verdict]:
    """One for each quantity that has to be flat."""
    run = [sample for sample in outcome.samples if sample.phase == "run"]
    settled = [sample for sample in run if sample.at_s >= run[-1].at_s / 4]
    found = []
    for quantity in FLAT:
        points = [(sample.at_s, float(getattr(sample, quantity.field))) for sample in settled]
        mean = statistics.mean(value for _, value in points)
        idle = 0.0 if quantity.field == "redis_keys" else getattr(outcome.idle, quantity.field)
        left = getattr(outcome.left, quantity.field)
        grew = growth(points)
        found.append(Verdict(quantity, mean, grew, quantity.bound(mean), idle, left))
    return found


def faults(outcome: Outcome) -> List[str]:
    """What does not hold, beside the quantities; nothing where all does."""
    counts, told = outcome.counts, []
    for kind in ("generators", "callbacks"):
        begun, ended = counts.get(f"{kind} begun", 0), counts.get(f"{kind} ended", 0)
        twice = counts.get(f"{kind} ended twice", 0)
        if begun != ended or twice:
            told.append(f"{kind}: {begun} begun, {ended} ended, {twice} twice")
    told += [f"{count} {kind} are alive" for kind, count in outcome.alive.items() if count]
    wrongs = outcome.wrong.items()
    told += [f"{kind}: {len(wrong)} wrong, such as {wrong[0]}" for kind, wrong in wrongs]
    return told + (["the worker was restarted"] if outcome.was_restarted else [])


def holds(outcome: Outcome) -> bool:
    """Whether everything does."""
    return all(verdict.holds for verdict in verdicts(outcome)) and not faults(outcome)


def report_lines(outcomes: Sequence[Outcome]) -> List[str]:
    """The tables: each server's quantities, the lives of its clients, and what was wrong."""
    lines: List[str] = []
    for outcome in outcomes:
        lines += [*_flat_lines(outcome), ""]
    lines += _life_lines(outcomes)
    for outcome in outcomes:
        lines += ["", *_ledger_lines(outcome)]
    return lines


def _flat_lines(outcome: Outcome) -> List[str]:
    run = [sample for sample in outcome.samples if sample.phase == "run"]
    minutes, clients = run[-1].at_s / 60, run[-1].clients
    cpu = (run[-1].cpu_s - run[0].cpu_s) / max(run[-1].at_s - run[0].at_s, 1e-9)
    lines = [
        f"#### gunicorn {outcome.server}: {minutes:.0f} minutes, {clients:,} clients, "
        f"{cpu:.0%} of a core",
        "",
        "| | mean | grew by | may grow by | idle before | idle after | |",
        "|---|---|---|---|---|---|---|",
    ]
    for verdict in verdicts(outcome):
        quantity, *figures = verdict
        shown = " | ".join(_shown(figure / quantity.unit) for figure in figures)
        lines.append(f"| {quantity.text} | {shown} | {'ok' if verdict.holds else '**missed**'} |")
    return lines


def _shown(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.2f}"


def _life_lines(outcomes: Sequence[Outcome]) -> List[str]:
    names = " | ".join(f"{outcome.server}, not as it should" for outcome in outcomes)
    lines = [f"| a client that | {names} |", "|---|" + "---|" * len(outcomes)]
    for kind in dict.fromkeys(kind for outcome in outcomes for kind in outcome.lived):
        cells = [
            f"{len(outcome.wrong.get(kind, ())):,} of {outcome.lived.get(kind, 0):,}"
            for outcome in outcomes
        ]
        lines.append(f"| {kind} | {' | '.join(cells)} |")
    return lines


def _ledger_lines(outcome: Outcome) -> List[str]:
    counts = outcome.counts
    told = [f"{kind} {counts.get(kind, 0):,}" for kind in sorted(counts)]
    logged = [f"`{message}` {count:,}" for message, count in sorted(outcome.logged.items())]
    lines = [f"{outcome.server}: {', '.join(told)}. Logged: {', '.join(logged) or 'nothing'}."]
    return lines + [f"**Wrong**: {fault}" for fault in faults(outcome)]


def csv_of(outcomes: Sequence[Outcome]) -> str:
    """All samples."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["server", *Sample._fields])
    for outcome in outcomes:
        writer.writerows([outcome.server, *sample] for sample in outcome.samples)
    return out.getvalue()
