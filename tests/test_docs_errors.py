"""docs/errors.md: its examples, run, and each thing that it says a client sees."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from wsgiref.util import setup_testing_defaults

import pytest

from sse_middleware import EventParser, SSEMiddleware, errors
from sse_middleware.errors import EventError

TEXT = (Path(__file__).parents[1] / "docs" / "errors.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
PYTHON = [text for language, text in BLOCKS if language == "python"]
SHOWN = [text for language, text in BLOCKS if language == "text"]
SECTIONS = dict(part.split("\n", 1) for part in re.split(r"^## ", TEXT, flags=re.MULTILINE)[1:])


def executed(number):
    names = {"__name__": "example"}
    exec(compile(PYTHON[number], "docs/errors.md", "exec"), names)
    return names


def asked(app, **environ):
    """What a GET gets: status, headers, body."""
    environ = {"REQUEST_METHOD": "GET", **environ}
    setup_testing_defaults(environ)
    told = []
    body = app(environ, lambda *answer: told.append(answer))
    try:
        return told[0][0], dict(told[0][1]), b"".join(body)
    finally:
        getattr(body, "close", bool)()


def streams(*items):
    """An app that yields these, and raises those that are exceptions."""

    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        for item in items:
            if isinstance(item, Exception):
                raise item
            yield item

    return app


def test_every_block_has_its_test():
    languages = [language for language, _ in BLOCKS]
    assert " ".join(languages) == "python text text text js python text text python text"


def test_an_item_that_is_no_event_is_refused_with_the_text_on_the_page():
    with pytest.raises(EventError) as raised:
        asked(executed(0)["app"])
    assert f"{EventError.__module__}.EventError: {raised.value}\n" == SHOWN[0]


def test_the_log_and_the_client_have_the_same_id(caplog):
    _, _, body = asked(SSEMiddleware(streams({"data": "first"}, LookupError("secret"))))
    error_id = EventParser().feed(body)[-1].json()["error"]["code"]
    [record] = [record for record in caplog.records if record.levelname == "ERROR"]
    shown_id = re.findall(r"error id (\w+)", SHOWN[1])[0]
    assert f"{record.getMessage()}\n" == SHOWN[1].replace(shown_id, error_id)
    assert record.name == "sse_middleware"
    assert "secret" in caplog.text
    assert body.decode() == "data: first\n\n" + SHOWN[2].replace(shown_id, error_id) + "\n"


def test_with_an_end_event_the_error_carries_its_id_and_204_follows():
    app = SSEMiddleware(streams({"data": "first"}, LookupError()), end_event="close")
    last_id = EventParser().feed(asked(app)[2])[-1].id
    assert f"id `{last_id}`" in SECTIONS["After it"]
    came_back = {"HTTP_ACCEPT": "text/event-stream", "HTTP_LAST_EVENT_ID": last_id}
    assert asked(app, **came_back)[0] == "204 No Content"


PAGE = """
const shown = [], source = new EventTarget();
const show = (text) => shown.push(text);
let closed = 0;
source.close = () => { closed += 1; };
%s
source.dispatchEvent(new Event("error"));
const lost = closed;
source.dispatchEvent(new MessageEvent("error", { data: %s }));
console.log(JSON.stringify({ lost, closed, shown }));
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="this machine has no node")
def test_the_js_tells_the_error_from_a_lost_connection(tmp_path):
    [block] = [text for language, text in BLOCKS if language == "js"]
    [error] = EventParser().feed(SHOWN[2].encode() + b"\n")
    script = tmp_path / "script.mjs"
    script.write_text(PAGE % (block, json.dumps(error.data)), "utf-8")
    printed = subprocess.run(
        ["node", str(script)], stdout=subprocess.PIPE, timeout=60, check=True
    ).stdout
    error_id = error.json()["error"]["code"]
    assert json.loads(printed) == {"lost": 0, "closed": 1, "shown": [error_id]}


def test_an_event_of_your_own(caplog):
    _, _, body = asked(executed(1)["app"])
    [error_id] = re.findall(r"error id (\w+)", caplog.text)
    assert body.decode() == SHOWN[3].replace("<error id>", error_id)


def test_none_ends_the_stream_as_if_it_were_complete():
    app = SSEMiddleware(streams({"data": "a"}, LookupError()), error_event=lambda *told: None)
    assert asked(app)[2] == b"data: a\n\n"


def test_inside_an_event_nothing_is_written():
    app = SSEMiddleware(streams(b"data: ha", LookupError()))
    with pytest.raises(LookupError):
        asked(app)


@pytest.mark.parametrize("accept", ["text/event-stream", "*/*"])
def test_the_answers_while_no_stream_may_begin_are_those_of_the_table(accept):
    app = SSEMiddleware(streams({"data": "a"}), worker=lambda environ: True)
    app.drain(0)
    status, headers, body = asked(app, HTTP_ACCEPT=accept)
    row = status
    if "Retry-After" in headers:
        row += f"`, with `Retry-After: {headers['Retry-After']}"
    else:
        row += f"`, with `{body.decode().strip()}"
    assert f"| `{row}`" in SECTIONS["What the middleware answers by itself"]


def test_the_table_of_statuses_has_all_that_the_code_answers():
    source = Path(errors.__file__).parent
    written = {
        status
        for path in [source / "middleware.py", *source.glob("resume/*.py")]
        for status in re.findall(r'"([1-5]\d\d [A-Z][^"]+)"', path.read_text("utf-8"))
    }
    table = SECTIONS["What the middleware answers by itself"]
    assert set(re.findall(r"^\| `([1-5]\d\d [A-Z][^`]+)`", table, re.MULTILINE)) == written


def test_the_tree_is_that_of_the_module():
    tree = "".join(f"    {line}\n" for line in SHOWN[4].splitlines())
    assert tree in errors.__doc__
    told = [*re.findall(r"(\w+Error)\b  ", tree), "SSEError"]
    assert sorted(told) == sorted(name for name in errors.__all__ if name.endswith("Error"))


def test_an_option_without_meaning_is_refused_when_the_app_is_wrapped(capsys):
    executed(2)
    assert capsys.readouterr().out == SHOWN[5]


def test_every_error_that_compares_is_a_value_error_and_each_of_a_test_an_assertion():
    assert issubclass(errors.EventError, ValueError)
    assert issubclass(errors.OptionError, ValueError)
    for error in (errors.FramingError, errors.StreamEndedError, errors.StillRunningError):
        assert issubclass(error, AssertionError)
