"""``sse-middleware record``: a proxy that records the streams of an upstream."""

import argparse
import signal
import sys
import threading
from contextlib import closing, suppress
from pathlib import Path
from typing import Optional, TextIO

from sse_middleware.cli.arguments import add_address
from sse_middleware.cli.listening import told_in_one_line
from sse_middleware.errors import printable
from sse_middleware.testing.recorder import Recorder
from sse_middleware.testing.recording import Recording

__all__ = ["add", "run"]


def add(command: argparse.ArgumentParser) -> None:
    """Give the command its arguments."""
    command.description = (
        "Pass requests on to an upstream, and record the event streams that come back, and the "
        "errors that answer a POST. Keys and the like are left out. A request's path is put "
        "behind the path of the upstream's URL; where the one ends with what the other begins "
        "with (/v1), this stands once."
    )
    command.add_argument(
        "--upstream", metavar="URL", required=True, help="such as https://api.openai.com/v1"
    )
    command.add_argument(
        "--out", metavar="DIR", required=True, help="where recordings go; nothing is overwritten"
    )
    add_address(command, 8890)
    command.set_defaults(run=lambda given: run(given.upstream, given.out, given.host, given.port))


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
        print(printable(line), file=stream, flush=True)
