"""How fast the fake upstream replays, over a socket."""

import subprocess
from pathlib import Path
from typing import Dict, List

from payloads import SMALL_COUNT
from places import HERE, environment
from reader import swallow_s
from report import Row, Rows

__all__ = ["measure"]


def measure(python: Path, *, rounds: int) -> Rows:
    """Seconds an event, against a loop around ``sendall`` in the same process."""
    command = [str(python), str(HERE / "replayer.py")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, env=environment(), **pipes) as process:  # type: ignore[call-overload]
        port, bare_port = map(int, process.stdout.readline().split())
        ports = {"bare": bare_port, "per-event": port, "coalesced": port}
        taken: Dict[str, List[float]] = {subject: [] for subject in ports}
        for number in range(rounds + 1):
            for subject, at in ports.items():
                seconds = swallow_s(at, f"/{subject}", SMALL_COUNT)
                if number:
                    taken[subject].append(seconds / SMALL_COUNT)
        process.stdin.close()
        process.wait(10)
    return [Row("the fake upstream replays an event", *pair) for pair in taken.items()]
