"""``sse-middleware replay``: the recordings of a folder, served to any client."""

import signal
import threading
from contextlib import closing

from sse_middleware.cli.listening import told_in_one_line
from sse_middleware.testing.replay import Replay
from sse_middleware.testing.server import Server

__all__ = ["run"]


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
        server = Server(replay.answer, host=host, port=port)
    with closing(server):
        print(f"Replaying: {folder} (files: {len(replay.names)})")
        print(f"Clients:   OPENAI_BASE_URL={server.base_url}", flush=True)
        threading.Event().wait()
