"""For all tests: hypothesis has no deadline, because machines are shared and noisy.

``start_command`` runs the installed command as a process of its own, which is ended by its id;
``raw_server`` sends what no HTTP server would; ``in_greenlet`` runs a function under gevent;
``no_garbage`` is for modules in which a socket that was left open is a failure.
"""

import gc
import importlib.util
import os
import queue
import re
import signal
import socket
import subprocess
import sysconfig
import threading
import warnings
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

import pytest

if importlib.util.find_spec("hypothesis"):
    from hypothesis import settings

    settings.register_profile("project", deadline=None, print_blob=True)
    settings.load_profile("project")

DEADLINE_S = 60


class Command:
    """A process that runs the command line: its lines as they come, its errors, its end."""

    def __init__(self, arguments, folder, errors):
        script = Path(sysconfig.get_path("scripts")) / "sse-middleware"
        dropped = {key for key in os.environ if key.lower().endswith("_proxy")}
        dropped.add("PYTHONUNBUFFERED")  # which would hide that a line is not flushed
        self._errors = errors
        # A run of the tests in the background ignores SIGINT, and a child would inherit that; what
        # this process catches is the default in the child.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            with open(self._errors, "wb") as stderr:
                self.process = subprocess.Popen(
                    [str(script), *map(str, arguments)],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=stderr,
                    env={key: text for key, text in os.environ.items() if key not in dropped},
                    cwd=str(folder),
                    start_new_session=True,  # Ctrl-C goes to all of it, and to nothing else
                )
        finally:
            signal.signal(signal.SIGINT, before)
        self._lines = queue.Queue()
        self._reader = threading.Thread(target=self._read_lines, daemon=True)
        self._reader.start()

    def _read_lines(self):
        for line in self.process.stdout:
            self._lines.put(line.decode().rstrip("\r\n"))
        self._lines.put(None)

    def line(self):
        """The next line of its output, None at its end."""
        try:
            return self._lines.get(timeout=DEADLINE_S)
        except queue.Empty:
            raise AssertionError(f"no line was printed for {DEADLINE_S} s: {self.errors}") from None

    def url(self):
        """What it says of the place where it listens, without the slash at the end."""
        for line in iter(self.line, None):
            found = re.search(r"http://\S+(?=/$)", line)
            if found:
                return found.group()
        raise AssertionError(f"it ended without telling a URL: {self.errors}")

    def interrupt(self):
        """What Ctrl-C does in a terminal."""
        os.killpg(self.process.pid, signal.SIGINT)

    def wait(self):
        """Its exit code."""
        try:
            return self.process.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it did not end in {DEADLINE_S} s: {self.errors}") from None

    @property
    def errors(self):
        """Its standard error, without what waitress says while its threads are not yet all up."""
        lines = self._errors.read_text("utf-8").splitlines(keepends=True)
        return "".join(line for line in lines if not line.startswith("Task queue depth is "))

    def end(self):
        """End it, whatever the test found, with what it has started itself."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(DEADLINE_S)
        self._reader.join(DEADLINE_S)
        self.process.stdout.close()


@contextmanager
def starting_commands(own_folder):
    started = []

    def start(*arguments, folder=own_folder):
        errors = own_folder / f"stderr{len(started)}"
        started.append(Command(arguments, folder, errors))
        return started[-1]

    try:
        yield start
    finally:
        for command in started:
            command.end()


@pytest.fixture
def start_command(tmp_path):
    """Starts ``sse-middleware`` with arguments, in ``folder`` or one of the test's own."""
    with starting_commands(tmp_path) as start:
        yield start


@pytest.fixture(scope="module")
def start_shared_command(tmp_path_factory):
    """The same, for a process that all tests of a file share."""
    with starting_commands(tmp_path_factory.mktemp("shared")) as start:
        yield start


@pytest.fixture
def in_greenlet():
    """Runs a function as a greenlet, in a thread with a hub of its own; what it returned."""
    gevent = pytest.importorskip("gevent")

    def serve(call, done):
        try:
            done.set_result(gevent.spawn(call).get(timeout=DEADLINE_S))
        except BaseException as error:
            done.set_exception(error)
        finally:
            gevent.get_hub().destroy(destroy_loop=True)

    def run(call):
        done = Future()
        threading.Thread(target=serve, args=(call, done), daemon=True).start()
        return done.result(2 * DEADLINE_S)

    return run


class RawServer:
    """Answers each connection with the next of ``answers``, the last one ever after.

    An answer is a list: bytes are sent, a number is waited for, in seconds, an event until it is
    set; None holds the connection open until the test is over. ``requests`` holds what came, until
    its blank line. With a ``context`` it speaks TLS.
    """

    def __init__(self, *answers, context=None):
        self.requests = []
        self._answers = list(answers)
        self._context = context
        self._is_over = threading.Event()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.url = f"{'https' if context else 'http'}://127.0.0.1:{self.port}/stream"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
            threading.Thread(target=self._talk, args=(connection, answer), daemon=True).start()

    def _talk(self, connection, answer):
        connection.settimeout(10)
        try:
            if self._context:
                connection = self._context.wrap_socket(connection, server_side=True)
            with connection:
                self._read(connection)
                self._answer(connection, answer)
        except OSError:
            connection.close()  # the client has left

    def _answer(self, connection, answer):
        for step in answer:
            if isinstance(step, bytes):
                connection.sendall(step)
            elif isinstance(step, threading.Event):
                step.wait(DEADLINE_S)
            elif self._is_over.wait(step):
                return

    def _read(self, connection):
        text = b""
        while b"\r\n\r\n" not in text and not text.startswith(b"\x16"):  # the hello of TLS
            data = connection.recv(65536)
            if not data:
                return
            text += data
        self.requests.append(text)

    def close(self):
        if not self._is_over.is_set():
            self._is_over.set()
            self._listening.shutdown(socket.SHUT_RDWR)
            self._listening.close()


@pytest.fixture(scope="module")
def no_garbage():
    """What other modules' tests left open is no failure of this one's."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture
def raw_server():
    """Makes a `RawServer`."""
    made = []

    def make(*answers, **options):
        made.append(RawServer(*answers, **options))
        return made[-1]

    yield make
    for server in made:
        server.close()
