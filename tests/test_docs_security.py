"""docs/security.md: its examples, run; its bounds, compared; its promises, each with its test."""

import ast
import inspect
import logging
import re
from pathlib import Path
from wsgiref.util import setup_testing_defaults

import pytest

from sse_middleware import EventParser, SSEMiddleware, handover
from sse_middleware.cli import main
from sse_middleware.relay import frames
from sse_middleware.resume import MemoryLog, commands, keeping

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "security.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
SECTIONS = dict(part.split("\n", 1) for part in re.split(r"^## ", TEXT, flags=re.MULTILINE)[1:])
NAMED = re.findall(r"`(tests/\w+\.py)::(\w+)`", TEXT)


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
    ]
    assert [default for _, default in rows] == [str(value) for value in measured]


@pytest.mark.parametrize(("path", "name"), NAMED, ids=[name for _, name in NAMED])
def test_the_test_that_holds_a_promise_exists(path, name):
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    assert name in [made.name for made in tree.body if isinstance(made, ast.FunctionDef)]


def test_every_promise_names_a_test():
    for bullet in re.findall(r"^- \*\*.*(?:\n  .*)*", TEXT, re.MULTILINE):
        assert re.search(r"`tests/\w+\.py::\w+`", bullet), bullet


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


@pytest.mark.parametrize(
    "command", re.findall(r"`(\w+)`", SECTIONS["The commands"].split("listen on")[0])
)
def test_every_command_that_listens_does_so_on_this_machine_alone(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert not ended.value.code, f"there is no command {command}"
    told = " ".join(capsys.readouterr().out.split())
    assert re.search(r"--host HOST [^(]*\(127\.0\.0\.1\)", told)
