"""A Redis for the tests: on a free port of the loopback, with nothing kept on disk."""

import os
import random
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress

import pytest

DEADLINE_S = 20


def free_port():
    """A port that nobody uses, below those that the system gives to clients.

    A server that is started again finds it still free.
    """
    while True:
        port = random.randrange(10_000, 32_000)
        with socket.socket() as listener, suppress(OSError):
            listener.bind(("", port))
            return port


class Server:
    """One redis-server, which can be stopped and started again with what it held."""

    def __init__(self, folder):
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._folder = folder
        self._process = None
        self.start()

    def start(self):
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir"]
        with open(os.path.join(self._folder, "redis.log"), "ab") as log:
            self._process = subprocess.Popen(
                ["redis-server", *options, str(self._folder)], stdout=log, stderr=log
            )
        gives_up_at = time.monotonic() + DEADLINE_S
        while True:
            try:
                self.command("PING")
                return
            except Exception:
                if time.monotonic() > gives_up_at:
                    raise
                time.sleep(0.02)

    def command(self, *words):
        from redis import Redis

        with Redis.from_url(self.url, socket_timeout=DEADLINE_S) as client:
            return client.execute_command(*words)

    def stop(self, how=signal.SIGKILL):
        self._process.send_signal(how)
        self._process.wait(DEADLINE_S)


def require():
    """Skip where redis-server or its client is absent; in CI fail."""
    try:
        from redis import Redis  # noqa: F401

        absent = "" if shutil.which("redis-server") else "redis-server is not installed"
    except ImportError:
        absent = "the redis client is not installed"
    if absent and os.environ.get("CI") == "true":
        pytest.fail(absent)
    if absent:
        pytest.skip(absent)
