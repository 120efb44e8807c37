"""``sse-middleware inspect``: a recording as lines of text."""

from pathlib import Path

from sse_middleware.testing.recording import Recording
from sse_middleware.testing.timeline import summary, timeline

__all__ = ["run"]


def run(path: str) -> None:
    """Print what the recording is, then its timeline.

    Raises:
        RecordingError: the file is absent or damaged.
    """
    recording = Recording.load(path)
    print(Path(path).name, *summary(recording), "", sep="\n")
    for line in timeline(recording):
        print(line)
