"""``sse-middleware inspect``: a recording as lines of text."""

import argparse
from pathlib import Path

from sse_middleware.errors import printable
from sse_middleware.testing.recording import Recording
from sse_middleware.testing.timeline import summary, timeline

__all__ = ["add", "run"]


def add(command: argparse.ArgumentParser) -> None:
    """Give the command its arguments."""
    command.description = "Print what came when, and how the transport cut it."
    command.add_argument("file", metavar="FILE", help="an .sse file; its .json is found beside it")
    command.set_defaults(run=lambda options: run(options.file))


def run(path: str) -> None:
    """Print what the recording is, then its timeline.

    Raises:
        RecordingError: the file is absent or damaged.
    """
    recording = Recording.load(path)
    print(printable(Path(path).name), *summary(recording), "", sep="\n")
    for line in timeline(recording):
        print(line)
