"""Starts servers, each a process of its own on a free port of this machine, and ends them.

``SERVERS`` is the table of what is tested. `launch` starts any command and waits until it accepts
connections; `start` does so for a server of the table.
"""

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence

import sse_middleware

__all__ = [
    "IMPOSSIBLE",
    "ONE_UWSGI_THREAD",
    "SERVERS",
    "Process",
    "Server",
    "find_program",
    "free_port",
    "launch",
    "start",
    "version",
    "why_absent",
]

HERE = Path(__file__).resolve().parent
PYTHON = sys.executable
#: How many requests a server with threads runs at once here.
THREADS = 24
_STARTS_WITHIN_S = 20.0
_ENDS_WITHIN_S = 3.0


class Place(NamedTuple):
    """Where a server is to run."""

    port: int
    directory: Path


class Server(NamedTuple):
    """How one server is started, and what the table says of it."""

    name: str
    command: Callable[[Place], List[str]]
    #: What has to be there: Python distributions, then programs.
    distributions: Sequence[str] = ()
    program: str = ""
    #: How many streams it can serve at once; None: as many as it likes.
    at_once: Optional[int] = THREADS
    #: Whether a client's leaving is ever seen, and whether also where nothing is written.
    sees_leaving: bool = True
    sees_silent_leaving: bool = False
    #: The same server, started so that SIGTERM drains its streams; see ``recipes``.
    draining: Optional[Callable[[Place], List[str]]] = None


class Process:
    """A server that runs: ``port``, ``pid``, and what it has written."""

    def __init__(self, command: Sequence[str], port: int, env: Dict[str, str], cwd: Path) -> None:
        self.port = port
        self._text = ""
        self._grown = threading.Condition()
        self._process = subprocess.Popen(
            command,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # so that it ends with all that it forked
        )
        self.pid = self._process.pid
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        while True:
            data = os.read(self._process.stdout.fileno(), 65536)
            with self._grown:
                self._text += data.decode(errors="replace")
                self._grown.notify_all()
            if not data:
                return

    @property
    def log(self) -> str:
        """All that it has written until now, to stdout and stderr."""
        return self._text

    def wait_for_log(self, text: str, timeout_s: float = 10.0) -> None:
        """Wait until ``text`` stands in the log."""
        with self._grown:
            if not self._grown.wait_for(lambda: text in self._text, timeout_s):
                raise TimeoutError(f"waited in vain for {text!r} in the log:\n{self._text}")

    @property
    def has_ended(self) -> bool:
        """Whether the process that was started is gone."""
        return self._process.poll() is not None

    def wait(self, timeout_s: float) -> int:
        """Wait until it has ended; its exit status. Raises TimeoutError."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"process {self.pid} runs after {timeout_s} s") from None

    def wait_until_it_accepts(self, timeout_s: float = _STARTS_WITHIN_S) -> None:
        """Wait for the first connection that succeeds."""
        ends_at = time.monotonic() + timeout_s
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError as error:
                if self._has_ended_within(0.05) or time.monotonic() > ends_at:
                    raise TimeoutError(f"no server on {self.port} ({error}):\n{self.log}") from None

    def _has_ended_within(self, seconds: float) -> bool:
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def signal(self, number: int) -> None:
        """Send a signal to the process that was started, and only to it."""
        self._process.send_signal(number)

    def stop(self) -> None:
        """End it and what it forked: by SIGTERM, and where that does not do, by SIGKILL."""
        if not self.has_ended:
            self.signal(signal.SIGTERM)
            self._has_ended_within(_ENDS_WITHIN_S)
        self.kill()

    def kill(self) -> None:
        """End it and what it forked, now."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._process.wait(10)
        self._reader.join(10)


def free_port() -> int:
    """A port that nobody uses, below those that the system gives to clients.

    Between this look and the server's start any connection may take one of the system's.
    """
    while True:
        port = random.randrange(10_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("", port))
            return port


@contextmanager
def launch(
    command: Callable[[Place], Sequence[str]],
    directory: Optional[Path] = None,
    *,
    env: Optional[Dict[str, str]] = None,
    cwd: Path = HERE,
) -> Iterator[Process]:
    """Run what ``command`` makes of a free port and ``directory``, until it accepts; then end it.

    The process runs in this folder, so that it can import ``apps``. Without ``directory`` it gets
    a new one, which every user may read: Apache does not stay root.
    """
    with tempfile.TemporaryDirectory(prefix="sse-server-") as made:
        os.chmod(made, 0o755)
        place = Place(free_port(), directory or Path(made))
        env = {**os.environ, "PYTHONPATH": _with_here(), **(env or {})}
        process = Process(command(place), place.port, env, cwd)
        try:
            process.wait_until_it_accepts()
            yield process
        finally:
            process.stop()


def _with_here() -> str:
    """Also where a script is run from elsewhere, it can import ``apps``."""
    return os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH", "")]))


@contextmanager
def start(
    server: Server, directory: Optional[Path] = None, *, env: Optional[Dict[str, str]] = None
) -> Iterator[Process]:
    """Run a server of the table; ``env`` is added to the environment (``SSE_OPTIONS``)."""
    with launch(server.command, directory, env=env) as process:
        yield process


def why_absent(server: Server) -> str:
    """What of ``server`` is not installed here, or ""."""
    if server.program and not find_program(server.program):
        return f"{server.program} is not installed"
    for name in server.distributions:
        try:
            metadata.version(name)
        except metadata.PackageNotFoundError:
            return f"{name} is not installed"
    if server.name == "mod_wsgi" and not _mod_wsgi():
        return "mod_wsgi is not installed (Debian: libapache2-mod-wsgi-py3)"
    return ""


def find_program(name: str) -> Optional[str]:
    """Where a program is, also one that only root usually calls."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    return shutil.which(name, path=path)


def version(server: Server) -> str:
    """The version that is tested, for the table."""
    if server.distributions:
        return ", ".join(f"{name} {metadata.version(name)}" for name in server.distributions)
    if server.program:
        said = subprocess.run(
            [find_program(server.program) or "", "-v"], capture_output=True, text=True, timeout=20
        )
        return said.stdout.split("\n")[0].replace("Server version: ", "")
    return f"Python {sys.version.split()[0]}"


# --- the commands


def _module(name: str, *arguments: str) -> List[str]:
    return [PYTHON, "-m", name, *arguments]


_DRAINS = ("--config", str(HERE / "recipes" / "gunicorn_drain.py"), "--graceful-timeout", "30")


def _gunicorn(worker: str, *more: str) -> Callable[[Place], List[str]]:
    def command(place: Place) -> List[str]:
        return _module(
            *("gunicorn", "--worker-class", worker, "--bind", f"127.0.0.1:{place.port}"),
            *("--worker-tmp-dir", str(place.directory), "--graceful-timeout", "3"),
            "--no-control-socket",
            *(*more, "apps:application"),
        )

    return command


def _recipe(name: str) -> Callable[[Place], List[str]]:
    return lambda place: [PYTHON, str(HERE / "recipes" / f"{name}_drain.py"), str(place.port)]


def _waitress(lookahead: int) -> Callable[[Place], List[str]]:
    def command(place: Place) -> List[str]:
        return _module(
            *("waitress", f"--listen=127.0.0.1:{place.port}", f"--threads={THREADS}"),
            *(f"--channel-request-lookahead={lookahead}", "apps:application"),
        )

    return command


def _script(name: str) -> Callable[[Place], List[str]]:
    return lambda place: [PYTHON, str(HERE / "run.py"), name, str(place.port)]


def _uwsgi(option: str, threads: int = THREADS) -> Callable[[Place], List[str]]:
    def command(place: Place) -> List[str]:
        return [
            *(str(Path(sys.prefix) / "bin" / "uwsgi"), f"--{option}", f"127.0.0.1:{place.port}"),
            *("--virtualenv", sys.prefix, "--module", "apps:application"),
            *("--master", "--enable-threads", "--threads", str(threads), "--die-on-term"),
            *("--need-app", "--listen", "100"),
        ]

    return command


def _granian(place: Place) -> List[str]:
    return _module(
        *("granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(place.port)),
        *("--blocking-threads", str(THREADS), "apps:application"),
    )


def _a2wsgi(place: Place) -> List[str]:
    return _module("uvicorn", "--host", "127.0.0.1", "--port", str(place.port), "asgi:application")


def _mod_wsgi() -> Optional[Path]:
    return next(iter(sorted(Path("/usr/lib/apache2/modules").glob("mod_wsgi.so"))), None)


_APACHE = """\
ServerRoot {directory}
ServerName 127.0.0.1
PidFile {directory}/pid
DefaultRuntimeDir {directory}
Listen 127.0.0.1:{port}
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule wsgi_module {modules}/mod_wsgi.so
User {user}
Group {group}
ErrorLog /dev/stderr
LogLevel warn
ServerLimit 2
StartServers 1
MaxRequestWorkers 50
WSGISocketPrefix {directory}/wsgi
WSGIDaemonProcess apps threads={threads} python-path={directory} shutdown-timeout=3
WSGIProcessGroup apps
WSGIApplicationGroup %{{GLOBAL}}
WSGIScriptAlias / {directory}/apps.py
<Directory {directory}>
  Require all granted
</Directory>
"""


def _apache(place: Place) -> List[str]:
    """Apache runs the Python of the system, perhaps as a user who cannot read this checkout."""
    shutil.copytree(Path(sse_middleware.__file__).parent, place.directory / "sse_middleware")
    shutil.copy(HERE / "apps.py", place.directory)
    user, group = ("www-data", "www-data") if os.getuid() == 0 else (f"#{os.getuid()}",) * 2
    module = _mod_wsgi()
    assert module is not None
    config = place.directory / "apache.conf"
    config.write_text(
        _APACHE.format(
            directory=place.directory,
            port=place.port,
            modules=module.parent,
            user=user,
            group=group,
            threads=THREADS,
        )
    )
    return [find_program("apache2") or "", "-f", str(config), "-DFOREGROUND", "-k", "start"]


#: For a test that needs two requests to follow each other in one thread.
ONE_UWSGI_THREAD = Server("uwsgi", _uwsgi("http-socket", 1), ["uwsgi"], at_once=1)

#: Servers whose absence is no failure in CI, and why.
IMPOSSIBLE: Dict[str, str] = {}

_MANY = ("--threads", str(THREADS))

SERVERS = [
    Server(
        "gunicorn sync",
        _gunicorn("sync"),
        ["gunicorn"],
        at_once=1,
        sees_silent_leaving=True,
        draining=_gunicorn("sync", *_DRAINS),
    ),
    Server(
        "gunicorn gthread",
        _gunicorn("gthread", *_MANY),
        ["gunicorn"],
        sees_silent_leaving=True,
        draining=_gunicorn("gthread", *_MANY, *_DRAINS),
    ),
    Server(
        "gunicorn gevent",
        _gunicorn("gevent"),
        ["gunicorn", "gevent"],
        at_once=None,
        sees_silent_leaving=True,
        draining=_gunicorn("gevent", *_DRAINS),
    ),
    Server("waitress", _waitress(0), ["waitress"]),
    Server(
        "waitress lookahead",
        _waitress(1),
        ["waitress"],
        sees_silent_leaving=True,
        draining=_recipe("waitress"),
    ),
    Server("werkzeug", _script("werkzeug"), ["werkzeug"], at_once=None, sees_silent_leaving=True),
    Server("wsgiref", _script("wsgiref"), at_once=1),
    Server("cheroot", _script("cheroot"), ["cheroot"], draining=_recipe("cheroot")),
    Server(
        "gevent.pywsgi",
        _script("pywsgi"),
        ["gevent"],
        at_once=None,
        draining=_recipe("pywsgi"),
    ),
    Server("uwsgi http-socket", _uwsgi("http-socket"), ["uwsgi"], sees_silent_leaving=True),
    Server("uwsgi http", _uwsgi("http"), ["uwsgi"], sees_silent_leaving=True),
    Server("granian", _granian, ["granian"]),
    Server("mod_wsgi", _apache, program="apache2"),
    Server("bjoern", _script("bjoern"), ["bjoern"], at_once=1),
    Server("a2wsgi on uvicorn", _a2wsgi, ["a2wsgi", "uvicorn"], sees_silent_leaving=True),
    Server("eventlet", _script("eventlet"), ["eventlet"], at_once=None),
]
