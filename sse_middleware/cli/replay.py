"""``sse-middleware replay``: the recordings of a folder, served to any client."""

import argparse
import math
import signal
import threading
from contextlib import closing

from sse_middleware.cli.arguments import add_address
from sse_middleware.cli.listening import told_in_one_line
from sse_middleware.testing.replay import Replay, ReplayServer

__all__ = ["add", "run"]


def add(command: argparse.ArgumentParser) -> None:
    """Give the command its arguments."""
    command.description = (
        "Answer each request with the recording of such a request: the same method and path, and "
        "in its JSON the same model, messages and so on. A recording that does not know its "
        "request answers any POST. Several that fit take turns."
    )
    command.add_argument("folder", metavar="DIR", help="where the .sse files are")
    add_address(command, 8891)
    command.add_argument(
        "--speed",
        type=_speed,
        default=1.0,
        help="times as fast as recorded; max leaves out the delays (%(default)s)",
    )
    command.set_defaults(run=lambda given: run(given.folder, given.host, given.port, given.speed))


def _speed(text: str) -> float:
    try:
        speed = math.inf if text == "max" else float(text)
    except ValueError:
        speed = 0.0
    if not speed > 0:
        raise argparse.ArgumentTypeError(f"speed is {text!r}: expected a number > 0, or max")
    return speed


def run(folder: str, host: str, port: int, speed: float) -> None:
    """Serve the recordings until interrupted or terminated.

    Raises:
        OptionError: the address cannot be listened on.
        RecordingError: the folder holds no recording, or a damaged one.
        KeyboardInterrupt: a signal ended it.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    replay = Replay(folder, speed=speed)
    with told_in_one_line(host, port):
        server = ReplayServer(replay.answer, host=host, port=port)
    with closing(server):
        print(f"Replaying: {folder} (files: {len(replay.names)})")
        print(f"Clients:   OPENAI_BASE_URL={server.base_url}", flush=True)
        threading.Event().wait()
