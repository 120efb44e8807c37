"""docs/security.md: its examples, run; its bounds, compared; its promises, each with its test."""

import ast
import inspect
import logging
import os
import re
import sys
import time
from contextlib import suppress
from importlib import import_module
from itertools import product
from pathlib import Path
from pkgutil import walk_packages
from wsgiref.util import setup_testing_defaults

import pytest

import sse_middleware
from sse_middleware import EventParser, SSEMiddleware, cli, handover
from sse_middleware.cli.servers import SERVERS
from sse_middleware.doctor import ask, probe
from sse_middleware.errors import OptionError
from sse_middleware.relay import frames
from sse_middleware.resume import MemoryLog, commands, keeping
from sse_middleware.testing import FakeUpstream, Recording, StreamClient, _request_reading, _take
from sse_middleware.testing.recorder import Recorder

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "security.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
SECTIONS = dict(part.split("\n", 1) for part in re.split(r"^## ", TEXT, flags=re.MULTILINE)[1:])
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", TEXT)


def executed(number):
    names = {"__name__": "example"}
    python = [text for language, text in BLOCKS if language == "python"]
    exec(compile(python[number], "docs/security.md", "exec"), names)
    return names


def asked(app, **environ):
    environ = {"REQUEST_METHOD": "GET", "HTTP_ACCEPT": "text/event-stream", **environ}
    setup_testing_defaults(environ)
    body = app(environ, lambda *answer: None)
    try:
        return EventParser().feed(b"".join(body))
    finally:
        getattr(body, "close", bool)()


def test_every_block_has_its_test():
    assert [language for language, _ in BLOCKS] == ["python", "text", "python"]


def test_what_is_typed_stays_data_or_is_refused(capsys):
    executed(0)
    assert capsys.readouterr().out == BLOCKS[1][1]


def test_an_id_is_good_for_its_owner_alone():
    app = executed(1)["app"]
    first = asked(app, REMOTE_USER="ada")[0]
    assert [event.data for event in asked(app, REMOTE_USER="ada", HTTP_LAST_EVENT_ID=first.id)] == [
        "and nobody else"
    ]
    assert asked(app, REMOTE_USER="bob", HTTP_LAST_EVENT_ID=first.id)[0].data == "For bob"


def defaults(made):
    return {name: one.default for name, one in inspect.signature(made).parameters.items()}


def test_the_bounds_are_those_of_the_code():
    rows = re.findall(r"^\| (.+?) \| (.+?) \| .+ \|$", SECTIONS["Bounds"], re.MULTILINE)[1:]
    log = defaults(MemoryLog)
    mebibyte = 1 << 20
    measured = [
        defaults(SSEMiddleware)["max_streams"],
        f"{handover._MAX_FRAMES:,} frames, {handover._MAX_BYTES // 1024} KiB",
        str(defaults(SSEMiddleware)["max_age"]).lower(),
        f"{defaults(EventParser)['max_event_bytes'] // mebibyte} MiB",
        f"{frames._MAX_EVENT_BYTES // mebibyte} MiB",
        f"{log['linger']:g} s",
        f"{log['max_events']:,}",
        f"{log['max_bytes'] // mebibyte} MiB",
        f"{log['max_streams']:,}",
        f"{log['max_age']:g} s",
        f"{keeping._MAX_HALF_BYTES // mebibyte} MiB",
        f"{keeping._PATIENCE_S:g} s",
        f"{commands.TIMEOUT_S:g} s",
        f"{_request_reading._MAX_BODY_BYTES // mebibyte} MiB",
        f"{_take._MAX_BYTES // mebibyte} MiB",
        f"{probe.LIMIT_BYTES // mebibyte} MiB",
    ]
    assert [default for _, default in rows] == [str(value) for value in measured]


@pytest.mark.parametrize(("path", "name"), NAMED, ids=[name for _, name in NAMED])
def test_the_test_that_holds_a_promise_exists(path, name):
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    assert name in [made.name for made in tree.body if isinstance(made, ast.FunctionDef)]


def test_every_promise_names_a_test():
    for bullet in re.findall(r"^- \*\*.*(?:\n  .*)*", TEXT, re.MULTILINE):
        assert re.search(r"`tests/[\w/]+\.py::\w+`", bullet), bullet


def test_the_log_never_holds_what_was_sent_either_way(caplog):
    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        yield {"data": "sent-text"}
        raise LookupError("why")

    caplog.set_level(logging.DEBUG, "sse_middleware")
    private = {
        "HTTP_AUTHORIZATION": "Bearer key-text",
        "HTTP_COOKIE": "cookie-text",
        "HTTP_X_API_KEY": "header-text",
        "QUERY_STRING": "query-text",
    }
    for accept in ("text/event-stream", "*/*"):
        asked(SSEMiddleware(app), **{**private, "HTTP_ACCEPT": accept})
    assert "why" in caplog.text
    assert "without heartbeats" in caplog.text or "runs without" in caplog.text
    assert re.findall(r"\w+-text", caplog.text) == []


def recorder(url):
    Recorder(url, "nowhere")


@pytest.mark.parametrize("take", [ask, recorder, StreamClient], ids=lambda t: t.__name__)
@pytest.mark.parametrize("url", ["htp://me:hunter2@h/", "http://h:port/?key=hunter2"])
def test_no_error_of_a_url_holds_its_secret(take, url):
    with pytest.raises(OptionError) as caught:
        take(url)
    assert "hunter2" not in str(caught.value)


#: What a text repeats, and how it ends, to make a pattern try again and again.
REPEATED = [
    *["a", "0", "-", "_", ".", "=", " ", "\t", "\n", "\r", "\r\n", '"', "\\", ":", "a-", "1-", "/"],
    *["event", "json", "stream", "text/", "id:", "id: a\n", "data", "data: a\n", ": a\n", "\n:"],
    *[
        "charset",
        "charset =",
        "utf-8 ",
        "\ufeff:\n",
        "v1",
        "every(",
        "HTTP/1.1 200",
        "key",
        "token",
    ],
]
ENDS = ["", "x", "\n", "\u00e9", "\0"]
#: These look for their match anywhere in a text; all others at one place.
SEARCHED = ("_BLANK", "_LOST_LINE", "_DATA", "_ID", "LINE_END", "_LINE_END", "_STRING", "_FOLD")
SEARCHED += ("_BLANK_LINE", "_CONTINUATION", "_LABEL")
#: Bounded, or tested where it is.
ELSEWHERE = ("sse_middleware.testing._secrets", "sse_middleware.parser")


def patterns():
    for module in walk_packages(sse_middleware.__path__, "sse_middleware."):
        if module.name in ELSEWHERE:
            continue
        with suppress(ImportError):  # of a server or a framework that is not here
            for name, value in vars(import_module(module.name)).items():
                if isinstance(value, re.Pattern):
                    yield pytest.param(value, name in SEARCHED, id=f"{module.name}.{name}")


@pytest.mark.sweep
@pytest.mark.parametrize(("pattern", "is_searched"), list(patterns()))
def test_every_pattern_is_linear_in_what_it_is_given(pattern, is_searched):
    def measured_s(look, repeated, end, size, rounds):
        text = repeated * (size // len(repeated)) + end
        given = text.encode() if isinstance(pattern.pattern, bytes) else text
        times_s = []
        for _ in range(rounds):
            began_s = time.process_time()
            look(given)
            times_s.append(time.process_time() - began_s)
        return min(times_s)

    looks = [pattern.search, pattern.findall] if is_searched else [pattern.match, pattern.fullmatch]
    for look, repeated, end in product(looks, REPEATED, ENDS):
        if measured_s(look, repeated, end, 12_000, 1) > 0.02:  # squared, it is 0.1 s
            short_s, long_s = (measured_s(look, repeated, end, n, 3) for n in (3_000, 12_000))
            assert long_s < 10 * short_s, (repeated, end)


def test_what_is_excused_is_what_the_page_says():
    told = SECTIONS["How this is checked"]
    sources = [
        path.read_text("utf-8") for path in Path(sse_middleware.__file__).parent.rglob("*.py")
    ]
    excused = sum(text.count("# nosec") for text in sources)
    assert f"({excused} lines with `# nosec`)" in told
    lint, strict = (environment(name) for name in ("lint", "security"))
    assert "bandit -q -c pyproject.toml -r sse_middleware" in lint
    for version in re.findall(r"(?:pip-audit|bandit)==\S+", lint + strict):
        assert version.partition("==")[2] in told


def test_the_audit_is_strict():
    """Without it pip-audit calls clean what it could not look up."""
    assert "pip-audit --strict" in environment("security")


def environment(name):
    """What tox.ini says of one of its environments."""
    text = (ROOT / "tox.ini").read_text("utf-8")
    return text.split(f"[testenv:{name}]\n", 1)[1].split("\n[", 1)[0]


COMMANDS = {
    "demo": [],
    "record": ["--upstream", "http://127.0.0.1:9/v1", "--out", "out"],
    "replay": ["recordings"],
    "serve": ["hello:app"],
}
LISTENING = "0A"  # in /proc/net/tcp
LOOPBACK = "0100007F"


def sockets_of(group):
    """The inodes of the sockets that the processes of a group have open."""
    for path in Path("/proc").glob("[0-9]*/fd"):
        with suppress(OSError):  # the process has ended meanwhile
            if os.getpgid(int(path.parent.name)) != group:
                continue
            for link in list(path.iterdir()):
                with suppress(OSError):  # the one that lists them is among them
                    yield from re.findall(r"socket:\[(\d+)\]", os.readlink(str(link)))


def listening_at(group):
    """The addresses at which the processes of a group listen, as the kernel has them."""
    inodes = set(sockets_of(group))
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            _, local, _, state, *_, inode = line.split()[:10]
            if state == LISTENING and inode in inodes:
                yield local


def test_every_command_that_listens_is_named():
    named = re.findall(r"`(\w+)`", SECTIONS["The commands"].split("listen on")[0])
    assert sorted(named) == sorted(COMMANDS)
    for command in set(cli.COMMANDS) - set(named):
        assert "add_address" not in inspect.getsource(import_module(f"{cli.__name__}.{command}"))


@pytest.mark.skipif(sys.platform != "linux", reason="/proc/net/tcp is Linux's")
@pytest.mark.parametrize(
    ("command", "server"),
    [("demo", "waitress"), *(("serve", name) for name in SERVERS), ("record", ""), ("replay", "")],
)
def test_every_command_that_listens_does_so_on_this_machine_alone(
    command, server, start_command, tmp_path
):
    for needed in filter(None, [server, *(["flask", "requests"] if command == "demo" else [])]):
        pytest.importorskip(needed)
    (tmp_path / "hello.py").write_text("def app(environ, start_response): ...")
    (tmp_path / "recordings").mkdir()
    Recording(b"data: 1\n\n").save(tmp_path / "recordings" / "a.sse")
    options = ["--server", server] if server else []
    started = start_command(command, *COMMANDS[command], *options, "--port", "0")
    assert any("http://127.0.0.1:" in line for line in iter(started.line, None))
    found = list(listening_at(started.process.pid))
    assert found, "nothing listens"
    assert {place.partition(":")[0] for place in found} == {LOOPBACK}


@pytest.mark.skipif(sys.platform != "linux", reason="/proc/net/tcp is Linux's")
def test_the_fake_upstream_listens_on_this_machine_alone():
    with FakeUpstream().serve() as url:
        port = f"{int(url.split(':')[2].partition('/')[0]):04X}"
        assert [place for place in listening_at(os.getpgrp()) if place.endswith(port)] == [
            f"{LOOPBACK}:{port}"
        ]
