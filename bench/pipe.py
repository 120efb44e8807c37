"""The whole pipe: from a source of events through a server to a socket."""

from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Dict, Iterator, List, Tuple

from payloads import LARGE_COUNT, SMALL_COUNT
from reader import first_event_s, latencies, percentile, swallow_s
from report import Row, Rows
from servers import node, python_servers

__all__ = ["measure"]

_HOWS = {
    "gthread": ["raw", "by-hand", "inline", "worker"],
    "gevent": ["raw", "inline", "worker"],
    "waitress": ["raw", "inline", "worker"],
    "uvicorn": ["raw", "sse-starlette", "fastapi"],
    "node": ["raw", "unbounded", "better-sse"],
}
_NEVER_PACED = ("gthread by-hand", "node unbounded")
#: A burst is over in 30 to 3,000 ms: of so many in a row the best counts, for noise only adds.
_TRIES = 3
#: A paced stream: 50 events a second.
_EVERY_S = 0.02


@contextmanager
def _subjects(python: Path) -> Iterator[Dict[str, Tuple[int, str]]]:
    """Port and path of each subject, such as ``gthread raw``."""
    with ExitStack() as stack:
        names = [name for name in _HOWS if name != "node"]
        ports = {**stack.enter_context(python_servers(python, names))}
        ports.update(stack.enter_context(node()))
        yield {
            f"{name} {how}": (ports[name], f"/{how}")
            for name, hows in _HOWS.items()
            for how in hows
            if name in ports
        }


def measure(python: Path, *, rounds: int, paced_s: float) -> Rows:
    """All tasks of the pipe, in turns: each round asks every subject once."""
    with _subjects(python) as subjects:
        rows: Rows = []
        rows += _bursts("pipe, 30,000 small events", "small", SMALL_COUNT, subjects, rounds)
        rows += _bursts("pipe, 1,000 events of 4 KiB", "large", LARGE_COUNT, subjects, rounds)
        rows += _first_events(subjects, rounds * 20)
        rows += _paced(subjects, int(paced_s / _EVERY_S))
        return rows


def _bursts(
    task: str, kind: str, count: int, subjects: Dict[str, Tuple[int, str]], rounds: int
) -> Rows:
    taken: Dict[str, List[float]] = {subject: [] for subject in subjects}
    for number in range(rounds + 1):
        for subject, (port, path) in subjects.items():
            seconds = min(swallow_s(port, f"{path}/{kind}", count) for _ in range(_TRIES))
            if number:  # the first warms up
                taken[subject].append(seconds / count)
    return [Row(task, subject, rounds_) for subject, rounds_ in taken.items()]


def _first_events(subjects: Dict[str, Tuple[int, str]], rounds: int) -> Rows:
    taken: Dict[str, List[float]] = {subject: [] for subject in subjects}
    for _ in range(rounds):
        for subject, (port, path) in subjects.items():
            taken[subject].append(first_event_s(port, f"{path}/one"))
    return [Row("time to the first event", subject, rounds_) for subject, rounds_ in taken.items()]


def _paced(subjects: Dict[str, Tuple[int, str]], count: int) -> Rows:
    """Four parts of one run, so that there is a spread."""
    streams = {
        subject: (port, f"{path}/paced")
        for subject, (port, path) in subjects.items()
        if subject not in _NEVER_PACED
    }
    late = latencies(streams, count, _EVERY_S)
    rows: Rows = []
    for share in (0.5, 0.99):
        for subject, values in late.items():
            part = len(values) // 4
            parts = [values[start : start + part] for start in range(0, part * 4, part)]
            figures = [percentile(some, share) for some in parts]
            rows.append(Row(f"a lone event, 50 a second, p{share * 100:.0f}", subject, figures))
    return rows
