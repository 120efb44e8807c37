"""examples/: each app on a real server, asked by a client, before an upstream that replays."""

import json
import re
import shlex
from pathlib import Path

import pytest

from sse_middleware import Event, encode
from sse_middleware.relay import relay
from sse_middleware.testing import Recording, StreamClient

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
#: How each is started: its module, seen from a folder.
STARTED = {
    "flask": ("examples.flask_app:app", ROOT),
    "bottle": ("bottle_app", ROOT / "examples"),
    "django": ("django_app", ROOT / "examples"),
}
ANSWER = [Event.from_mapping(event) for event in relay([Recording.named("chat-text").body])]
MESSAGES = [{"role": "user", "content": "Hi"}]


@pytest.mark.parametrize(
    "framework",
    ["flask", *(pytest.param(name, marks=pytest.mark.sweep) for name in ("bottle", "django"))],
)
def test_an_example_streams_a_chat_and_ticks(framework, fake_upstream, start_command):
    for package in (framework, "waitress", "openai"):
        module = pytest.importorskip(package)
    if not hasattr(module, "OpenAI"):
        pytest.skip("this openai is older than 1.0")
    fake_upstream.play("chat-text")
    fake_upstream.base_url  # noqa: B018  # served from here on
    target, folder = STARTED[framework]
    command = start_command("serve", target, "--port", "0", folder=folder)
    client = StreamClient(command.url())
    with client.post("/chat", json={"messages": MESSAGES}, timeout=30) as stream:
        assert list(stream) == ANSWER
    assert fake_upstream.requests[0].json["messages"] == MESSAGES
    with client.get("/ticks", timeout=30, last_event_id="41") as stream:
        expected = [Event({"seconds": n}, event="tick", id=n) for n in (42, 43)]
        assert stream.events(2) == expected
    command.process.terminate()
    assert command.wait() == 0
    assert command.errors == ""


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_short_and_has_its_test(example):
    assert len(example.read_text("utf-8").splitlines()) < 40
    assert example.stem[: -len("_app")] in STARTED


TEXT = (ROOT / "examples" / "README.md").read_text("utf-8")
COMMANDS = re.findall(r"^\$ (.*)$", TEXT, re.MULTILINE)


def test_every_command_of_the_page_has_its_test():
    assert [re.sub(r"\w+=\S+ ", "", command).split()[:2] for command in COMMANDS] == [
        ["python", "-m"],
        ["sse-middleware", "serve"],
        ["curl", "-N"],
        ["curl", "-N"],
        ["sse-middleware", "replay"],
        ["sse-middleware", "serve"],
    ]
    assert {path.stem for path in EXAMPLES} == set(re.findall(r"`(\w+)\.py`", TEXT))


def test_without_a_key_a_recording_that_ships_answers_what_curl_sends(start_command):
    words = shlex.split(COMMANDS[3])
    sent = json.loads(words[words.index("-d") + 1])
    _, replay, folder = COMMANDS[4].split()
    command = start_command(
        replay, folder, "--port", "0", "--speed", "max", folder=ROOT / "examples"
    )
    command.line()
    base_url = command.line().partition("OPENAI_BASE_URL=")[2]
    told = COMMANDS[5].partition("OPENAI_BASE_URL=")[2].split()[0]
    assert re.sub(r":\d+", ":8891", base_url) == told
    asked = {"model": "gpt-4o-mini", "stream": True, **sent}  # as the examples do
    with StreamClient(base_url).post("/chat/completions", json=asked, timeout=30) as stream:
        came = list(stream)
    assert list(relay([encode(event) for event in came])) == list(
        relay([Recording.named("chat-text").body])
    )
