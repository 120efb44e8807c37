"""docs/recording.md: each command is run, each list compared with the one in the code."""

import json
import os
import queue
import re
import shlex
import shutil
import signal
import subprocess
import sysconfig
import threading
from pathlib import Path

import pytest

from sse_middleware.testing import FakeUpstream, Recording, _redact, replay

DEADLINE_S = 60
ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "recording.md").read_text("utf-8")
SCRIPT = Path(sysconfig.get_path("scripts")) / "sse-middleware"
REAL_URL = "https://api.openai.com/v1"
COMMANDS = [
    (found.group(1), found.group(2))
    for found in re.finditer(r"```console\n\$ (.*)\n((?:.*\n)*?)```", TEXT)
]


def environ():
    kept = {key: text for key, text in os.environ.items() if not key.lower().endswith("_proxy")}
    return {**kept, "OPENAI_API_KEY": "sk-proj-0123456789abcdef"}


class Running:
    """A command that runs until it is ended; its lines, each with a deadline."""

    def __init__(self, command, folder):
        self._process = subprocess.Popen(
            command,
            cwd=folder,
            env=environ(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._lines = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self._process.stdout:
            self._lines.put(line)

    def lines(self, count):
        return [self._lines.get(timeout=DEADLINE_S) for _ in range(count)]

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._process.send_signal(signal.SIGTERM)
        try:
            assert self._process.wait(DEADLINE_S) == 0
        finally:
            self._process.kill()
            self._process.wait()
            self._reader.join(DEADLINE_S)
            self._process.stdout.close()


def command(start, number=0):
    """The command of the page that starts so, as arguments, and what it prints."""
    line, printed = [pair for pair in COMMANDS if pair[0].startswith(start)][number]
    return line, printed.splitlines(keepends=True)


def served(line, url=REAL_URL):
    """The arguments of a command that serves; on a free port, and before an upstream of ours."""
    arguments = shlex.split(line.replace(REAL_URL, url))[1:]
    return [str(SCRIPT), *arguments, "--port", "0"]


def with_port(lines, port):
    return [re.sub(r"127\.0\.0\.1:\d+/", f"127.0.0.1:{port}/", line) for line in lines]


def test_every_command_of_the_page_is_one_that_is_run_here():
    starts = [line.split()[:2] for line, _ in COMMANDS]
    assert starts == [
        ["sse-middleware", "record"],
        ["curl", "-N"],
        ["sse-middleware", "replay"],
        ["sse-middleware", "replay"],
        ["sse-middleware", "inspect"],
    ]


@pytest.mark.parametrize("number", [0, 1], ids=["as recorded", "max"])
def test_what_is_recorded_by_the_page_is_replayed_by_it(number, tmp_path):
    if shutil.which("curl") is None:
        pytest.skip("no curl here")
    curl, _ = command("curl")
    upstream = FakeUpstream()
    upstream.play("chat-text")
    line, printed = command("sse-middleware record")
    with upstream.serve() as url:
        url_lines = [text.replace(REAL_URL, url) for text in printed]
        with Running(served(line, url), tmp_path) as recorder:
            lines = recorder.lines(3)
            base_url = lines[2].split("=")[1].strip()
            assert with_port(lines[1:], 8890) == url_lines[1:]
            assert lines[0] == url_lines[0]
            streamed = run_curl(curl, "http://127.0.0.1:8890/v1", base_url, tmp_path)
            [saved] = recorder.lines(1)
    [asked] = upstream.requests
    assert asked.headers["Authorization"] == "Bearer sk-proj-0123456789abcdef"
    example = re.search(r"```text\n(recordings/001.*\n)```", TEXT).group(1)
    assert re.sub(r"[\d.]+ s", "S", saved) == re.sub(r"[\d.]+ s", "S", example)
    assert streamed == Recording.named("chat-text").body
    assert b"0123456789abcdef" not in b"".join(
        file.read_bytes() for file in (tmp_path / "recordings").iterdir()
    )
    line, printed = command("sse-middleware replay", number)
    with Running(served(line), tmp_path) as replaying:
        lines = replaying.lines(2)
        assert with_port(lines, 8891) == printed
        base_url = lines[1].split("=")[1].strip()
        assert run_curl(curl, "http://127.0.0.1:8890/v1", base_url, tmp_path) == streamed


def run_curl(line, documented, base_url, folder):
    replaced = line.replace(documented, base_url).replace(
        "$OPENAI_API_KEY", environ()["OPENAI_API_KEY"]
    )
    name, *arguments = shlex.split(replaced)
    done = subprocess.run(
        [name, "--silent", "--noproxy", "*", *arguments],
        cwd=folder,
        capture_output=True,
        timeout=DEADLINE_S,
        check=True,
    )
    return done.stdout


def test_what_inspect_prints_is_what_the_page_shows():
    line, printed = command("sse-middleware inspect")
    done = subprocess.run(
        [str(SCRIPT), *shlex.split(line)[1:]],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=True,
    )
    assert done.stdout.splitlines(keepends=True) == printed


LISTS = {
    "RESPONSE_HEADERS": _redact.RESPONSE_HEADERS,
    "REQUEST_HEADERS": _redact.REQUEST_HEADERS,
    "QUERY_NAMES": _redact.QUERY_NAMES,
    "BODY_KEYS": _redact.BODY_KEYS,
    "MATCHED_KEYS": replay.MATCHED_KEYS,
}


@pytest.mark.parametrize("name", LISTS)
def test_the_lists_of_the_page_are_those_of_the_code(name):
    [listed] = re.findall(rf"<!-- {name} -->\n```text\n(.*?)```", TEXT, re.DOTALL)
    assert tuple(listed.split()) == LISTS[name]
    assert sorted(LISTS[name], key=str.lower) == list(LISTS[name])


def test_every_list_of_the_page_is_compared():
    assert re.findall(r"<!-- (\w+) -->", TEXT) == list(LISTS)


def test_the_request_of_the_page_is_json():
    data = shlex.split(command("curl")[0])[-1]
    assert json.loads(data)["stream"] is True
