"""docs/quick-start.md, followed: each framework's file is saved, tested, served and asked."""

import os
import re
import subprocess
import sys
import urllib.request
from pathlib import Path
from types import ModuleType

import pytest

from sse_middleware.cli import servers
from sse_middleware.cli.loading import load_app
from sse_middleware.errors import OptionError
from sse_middleware.testing import StreamClient

DEADLINE_S = 60
DOC = Path(__file__).parents[1] / "docs" / "quick-start.md"
TEXT = DOC.read_text("utf-8")
#: The heading of each framework, and its module, or None.
FRAMEWORKS = {
    "Flask": "flask",
    "Bottle": "bottle",
    "Django": "django",
    "Pyramid": "pyramid",
    "Falcon": "falcon",
    "CherryPy": "cherrypy",
    "web.py": "web",
    "Plain WSGI": None,
}
BLOCKS = {"python": len(FRAMEWORKS) + 1, "console": 4, "js": 1}


def blocks(heading, language):
    """The blocks of ``language`` under ``heading``, of whatever depth."""
    section = re.split(rf"\n##+ {re.escape(heading)}\n", TEXT)[1]
    section = re.split(r"\n##+ ", section)[0]
    return re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)


def shown(command):
    """What the page shows of the output of ``command``."""
    [text] = re.findall(rf"```console\n\$ {re.escape(command)}\n(.*?)```", TEXT, re.DOTALL)
    return text


def test_every_block_has_its_test():
    found = re.findall(r"^```(\w+)$", TEXT, re.MULTILINE)
    assert {language: found.count(language) for language in set(found)} == BLOCKS


@pytest.fixture(
    params=[
        name if name in ("Flask", "Plain WSGI") else pytest.param(name, marks=pytest.mark.sweep)
        for name in FRAMEWORKS
    ]
)
def saved(request, tmp_path):
    """A folder with ``chat.py`` of a framework, and ``test_chat.py``."""
    if FRAMEWORKS[request.param]:
        pytest.importorskip(FRAMEWORKS[request.param])
    [chat] = blocks(request.param, "python")
    [test] = blocks("Test it", "python")
    (tmp_path / "chat.py").write_text(chat, "utf-8")
    (tmp_path / "test_chat.py").write_text(test, "utf-8")
    return tmp_path


def test_the_file_passes_its_test_and_streams_what_the_page_shows(saved, start_command):
    pytest.importorskip("waitress")
    done = subprocess.run(
        [sys.executable, *["-m", "pytest", "-q", "-p", "no:cacheprovider", "test_chat.py"]],
        cwd=str(saved),
        env={key: text for key, text in os.environ.items() if not key.startswith("PYTEST_")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout.decode()
    assert "2 passed" in done.stdout.decode()
    command = start_command("serve", "chat", "--port", "0")
    first, second = shown("sse-middleware serve chat").splitlines()
    assert command.line() == first
    url = command.line().replace("URL:", "").strip()
    assert re.sub(r":\d+/$", ":8000/", url) == second.split()[1]
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{url}chat?q=Why", timeout=DEADLINE_S) as response:
        body = response.read().decode()
    assert body == shown("curl -N 'http://127.0.0.1:8000/chat?q=Why'")


def test_cherrypy_without_streaming_answers_500_as_the_page_says():
    pytest.importorskip("cherrypy")
    [chat] = blocks("CherryPy", "python")
    names = {"__name__": "newlines"}
    exec(compile(chat.replace('"response.stream": True', ""), str(DOC), "exec"), names)
    names["site"].log.screen = False
    with StreamClient(names["app"]).get("/chat?q=Why") as stream:
        assert stream.status_code == 500


def test_an_asgi_app_of_falcon_is_refused_as_the_page_says(monkeypatch):
    asgi = pytest.importorskip("falcon.asgi")
    module = ModuleType("falcon_for_asgi")
    module.app = asgi.App()
    monkeypatch.setitem(sys.modules, module.__name__, module)
    with pytest.raises(OptionError, match="falcon_for_asgi is an ASGI app: expected a WSGI app"):
        load_app("falcon_for_asgi")


def test_the_commands_are_those_that_are_meant():
    assert blocks("Install", "console") == [
        "$ python -m pip install 'sse-middleware[testing]' waitress\n"
    ]
    assert blocks("Test it", "console") == ["$ python -m pytest test_chat.py\n"]
    for name in re.findall(r"--server (\w+)", TEXT):
        assert name in servers.SERVERS


def test_the_page_names_each_framework_in_its_list():
    listed = re.findall(r"\[([^\]]+)\]\(#([^)]+)\)", TEXT.split("## Install")[0])
    anchors = {re.sub(r"[^\w -]", "", name.lower()).replace(" ", "-") for name in FRAMEWORKS}
    assert {anchor for _, anchor in listed} == anchors


def test_the_script_of_the_page_reads_what_the_stream_sends():
    [script] = blocks("See it stream", "js")
    assert 'new EventSource("/chat?q=Why")' in script
    assert 'addEventListener("close", () => source.close())' in script
