"""sse_middleware.cli: what the command line says and returns. What it serves: test_cli_demo.py."""

import os
import signal
import socket
import subprocess
import sys
import sysconfig
from pathlib import Path
from types import ModuleType

import pytest

from sse_middleware.cli import COMMANDS, main

DEADLINE_S = 60
SCRIPT = Path(sysconfig.get_path("scripts")) / "sse-middleware"
DEMO = ["demo", "--port", "0"]


def run(*command):
    """The exit code and both outputs of a process that ends by itself."""
    environ = {key: text for key, text in os.environ.items() if not key.lower().endswith("_proxy")}
    done = subprocess.run(
        [str(part) for part in command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=environ,
        cwd=os.path.dirname(sys.executable),  # no checkout there to be imported
        timeout=DEADLINE_S,
        check=False,
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@pytest.fixture(autouse=True)
def handlers():
    """Ctrl-C is pytest's again after a command in this process has taken it."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def taken_port():
    """A port of 127.0.0.1 on which something else listens."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen(1)
        yield other.getsockname()[1]


class InterruptedServer:
    """In place of waitress's: Ctrl-C comes as soon as it runs."""

    effective_port = 80

    def run(self):
        raise KeyboardInterrupt


# The command as it is installed


REFUSED = {
    "no command": ([], "the following arguments are required: COMMAND"),
    "an unknown command": (["server"], "invalid choice: 'server'"),
    "an unknown option": (["demo", "--prot", "1"], "unrecognized arguments: --prot 1"),
    "a port that is none": (["demo", "--port", "http"], "port is 'http': expected 0 to 65535"),
    "a port that is too high": (["demo", "--port", "65536"], "'65536': expected 0 to 65535"),
    "a port below 0": (["demo", "--port=-1"], "port is '-1': expected 0 to 65535"),
    "a digit that is no number": (["demo", "--port", "\u00b2"], ": expected 0 to 65535"),
    "an empty port": (["demo", "--port", ""], "port is '': expected 0 to 65535"),
}


@pytest.mark.parametrize(("arguments", "message"), REFUSED.values(), ids=REFUSED)
def test_a_wrong_command_line_is_refused_with_its_usage_and_exit_code_2(arguments, message):
    code, out, err = run(SCRIPT, *arguments)
    usage, *_, told = err.splitlines()
    assert (code, out) == (2, "")
    assert usage.startswith("usage: sse-middleware")
    assert "error: " in told
    assert message in told


def test_help_lists_the_commands_and_that_of_a_command_its_options():
    code, out, err = run(SCRIPT, "--help")
    assert (code, err) == (0, "")
    listed = [line.split()[0] for line in out.splitlines() if line.startswith("    ")]
    assert listed == list(COMMANDS)
    code, out, err = run(SCRIPT, "demo", "--help")
    assert (code, err) == (0, "")
    told = " ".join(out.split())
    assert "--host HOST address to listen on (127.0.0.1)" in told
    assert "--port PORT 0 takes a free one (8889)" in told


def test_a_port_in_use_is_one_line_and_exit_code_2(taken_port):
    pytest.importorskip("flask")
    pytest.importorskip("waitress")
    message = (
        f"sse-middleware: port is {taken_port}, in use on 127.0.0.1: "
        "expected a free one: try --port 0"
    )
    code, out, err = run(SCRIPT, "demo", "--port", taken_port)
    assert (code, out, err.splitlines()) == (2, "", [message])


def test_a_missing_extra_is_one_line_with_the_command_that_installs_it_and_exit_code_2():
    pytest.importorskip("flask")
    program = "import sys; sys.modules['waitress'] = None; from sse_middleware.cli import main; "
    message = "sse-middleware: --server waitress needs waitress: pip install waitress"
    code, out, err = run(sys.executable, "-c", f"{program} sys.exit(main({DEMO}))")
    assert (code, out, err.splitlines()) == (2, "", [message])


# The same in this process


@pytest.mark.parametrize(
    ("absent", "named"),
    [(["flask"], "flask"), (["openai", "requests"], "requests")],
    ids=["flask", "openai and requests"],
)
def test_each_missing_package_of_the_demo_is_named(absent, named, monkeypatch, capsys):
    for name in {"flask"} - set(absent):
        pytest.importorskip(name)
    for name in absent:
        monkeypatch.setitem(sys.modules, name, None)
    assert main(DEMO) == 2
    assert capsys.readouterr() == (
        "",
        f"sse-middleware: the demo needs {named}: pip install 'sse-middleware[demo]'\n",
    )


@pytest.fixture
def demo_extra():
    pytest.importorskip("flask")
    return pytest.importorskip("waitress")


def test_a_port_in_use_is_an_error_and_no_exception(demo_extra, taken_port, capsys):
    assert main(["demo", "--port", str(taken_port)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"sse-middleware: port is {taken_port}, in use on 127.0.0.1: ")


HOSTS = {
    "": "sse-middleware: host is '': expected a name or an address of this machine\n",
    "a..b": "sse-middleware: host is 'a..b': expected a name or an address of this machine\n",
    # RFC 5737: an address for documents, which no machine has
    "203.0.113.1": "sse-middleware: address is 203.0.113.1:0 (Cannot assign requested address): "
    "expected one of this machine, with a port that you may use\n",
}


@pytest.mark.parametrize(("host", "message"), HOSTS.items(), ids=HOSTS)
def test_a_host_to_which_nothing_can_be_bound_is_an_error(demo_extra, host, message, capsys):
    assert main([*DEMO, "--host", host]) == 2
    assert capsys.readouterr() == ("", message)


@pytest.mark.parametrize(("returned", "code"), [(None, 0), (0, 0), (1, 1)])
def test_what_a_command_returns_is_the_exit_code(returned, code, monkeypatch):
    module = ModuleType("sse_middleware.cli.made_up")
    module.add = lambda parser: parser.set_defaults(run=lambda options: returned)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(COMMANDS, "made_up", "what a test makes up")
    assert main(["made_up"]) == code


def test_only_the_command_that_is_asked_for_is_imported():
    program = (
        "import sys; from sse_middleware.cli import parser_of; parser_of(['inspect', 'x.sse']); "
        "print(*sorted(name for name in sys.modules if name.startswith('sse_middleware.cli.')))"
    )
    code, out, err = run(sys.executable, "-c", program)
    assert (code, out.split(), err) == (0, ["sse_middleware.cli.inspect"], "")


def test_an_interrupt_ends_the_command_with_exit_code_0(demo_extra, monkeypatch, capsys):
    monkeypatch.setattr(demo_extra, "create_server", lambda *args, **options: InterruptedServer())
    assert main(DEMO) == 0
    assert capsys.readouterr().err == "\n"


def test_without_arguments_those_of_the_process_are_taken(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["sse-middleware", "server"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 2
    assert "invalid choice: 'server'" in capsys.readouterr().err
