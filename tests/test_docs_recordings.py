"""The examples of docs/recordings.md, run."""

import json
import re
from pathlib import Path

import pytest

from sse_middleware.testing import Recording

DOC = Path(__file__).parents[1] / "docs" / "recordings.md"
TEXT = DOC.read_text("utf-8")
BODY = b"data: 1\n\ndata: 2\n\n"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nSet-Cookie: a=b\r\n\r\n"


def blocks(heading, language="python"):
    """The blocks under ``heading``."""
    section = TEXT.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)


def run(block):
    """The names of the block, executed."""
    names = {}
    exec(compile(block, str(DOC), "exec"), names)
    return names


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder to run in that has the folders and files of the examples."""
    for made in re.findall(r"^mkdir -p (\S+)$", TEXT, re.MULTILINE):
        (tmp_path / made).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_example_has_its_test():
    assert len(re.findall(r"^```python$", TEXT, re.MULTILINE)) == 4


def test_what_is_built_is_scripted():
    [block] = blocks("Build one")
    names = run(block)
    with pytest.raises(AssertionError) as caught:
        names["upstream"].verify()
    for name in ("Let me see.", "It is sunny."):
        assert repr(name) in str(caught.value)


def test_the_table_names_every_argument_and_the_line_below_is_right():
    [table] = re.findall(r"\n\|---.*?\n\n", TEXT, re.DOTALL)
    named = set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE))
    code = [Recording.chat.__func__.__code__, Recording.response.__func__.__code__]
    taken = {name for c in code for name in c.co_varnames[2 : 2 + c.co_kwonlyargcount]}
    assert named == taken
    assert eval(re.search(r"write the bytes: `(.*?)`", TEXT).group(1)).end == "reset"


def test_dumps_of_curl_are_imported(project):
    (project / "weather.txt").write_bytes(HEAD + BODY)
    (project / "weather.sse").write_bytes(BODY)
    (project / "headers.txt").write_bytes(HEAD)
    names = run(blocks("Import one")[0])
    assert names["one"] == names["other"]
    assert Recording.load("tests/recordings/weather.sse") == names["one"]
    assert names["one"].headers == {"Content-Type": "text/event-stream"}


def test_a_cassette_is_imported(project):
    yaml = pytest.importorskip("yaml")
    one = {
        "request": {"method": "POST", "uri": "https://api.example.test/v1/chat/completions"},
        "response": {
            "body": {"string": BODY.decode()},
            "headers": {"Content-Type": ["text/event-stream"]},
            "status": {"code": 200, "message": "OK"},
        },
    }
    (project / "cassettes").mkdir()
    (project / "cassettes" / "chat.yaml").write_text(yaml.dump({"interactions": [one, one]}))
    assert run(blocks("Import one")[1])["answer"].body == BODY


def test_a_recording_is_loaded_and_saved(project):
    (project / "tests" / "recordings" / "weather.sse").write_bytes(BODY)
    [block] = blocks("Load and save")
    assert run(block)["recording"].body == BODY
    assert (project / "tests" / "recordings" / "copy.sse").read_bytes() == BODY


def test_the_json_that_is_shown_is_right(project):
    [block] = blocks("Load and save", "json")
    (project / "r.sse").write_bytes(b"x" * 370)
    (project / "r.json").write_text(block)
    recording = Recording.load("r.sse")
    settings = json.loads(block)
    assert recording.headers == settings["headers"]
    assert recording.request == settings["request"]
    assert [list(chunk) for chunk in recording.chunks] == settings["chunks"]
