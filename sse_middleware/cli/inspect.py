"""``sse-middleware inspect``: a recording as lines of text."""

import sys
from pathlib import Path
from typing import TextIO

from sse_middleware.testing.recording import Recording
from sse_middleware.testing.timeline import summary, timeline

__all__ = ["run"]


def run(path: str) -> None:
    """Print what the recording is, then its timeline.

    Raises:
        RecordingError: the file is absent or damaged.
    """
    recording = Recording.load(path)
    out = _tolerant(sys.stdout)
    print(Path(path).name, *summary(recording), "", sep="\n", file=out)
    for line in timeline(recording):
        print(line, file=out)


def _tolerant(stream: TextIO) -> TextIO:
    """``stream``, which escapes what its encoding lacks, where it would have raised."""
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="backslashreplace")
    return stream
