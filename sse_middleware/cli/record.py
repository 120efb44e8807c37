"""``sse-middleware record``: a proxy that records the streams of an upstream."""

import signal
import sys
import threading
from contextlib import closing, suppress
from pathlib import Path
from typing import Optional, TextIO

from sse_middleware.cli.listening import told_in_one_line
from sse_middleware.testing.recorder import Recorder
from sse_middleware.testing.recording import Recording

__all__ = ["run"]


def run(upstream: str, folder: str, host: str, port: int) -> None:
    """Record until interrupted or terminated; what is under way then is saved as cut.

    Raises:
        OptionError: the upstream, the folder or the address cannot be used.
        KeyboardInterrupt: a signal ended it.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with told_in_one_line(host, port):
        recorder = Recorder(upstream, folder, host=host, port=port, saved=_saved, failed=_failed)
    with closing(recorder):
        _tell(f"Recording: {upstream}")
        _tell(f"Into:      {folder}")
        _tell(f"Clients:   OPENAI_BASE_URL={recorder.base_url}")
        threading.Event().wait()


def _saved(path: Path, recording: Recording) -> None:
    seconds = sum(chunk.delay_s for chunk in recording.chunks)
    size = f"{len(recording.chunks)} chunks, {len(recording.body)} bytes in {seconds:.2f} s"
    _tell(f"{path}: {recording.status}, {size}, {recording.end}")


def _failed(text: str) -> None:
    _tell(f"sse-middleware: {text}", sys.stderr)


def _tell(line: str, stream: Optional[TextIO] = None) -> None:
    with suppress(OSError):  # whoever read our lines may be gone: streams pass all the same
        print(line, file=stream, flush=True)
