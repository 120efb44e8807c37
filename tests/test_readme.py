"""README.md: every example in it is run here, and every name that it tells is looked up.

``tox -e docs`` has all that the examples need: there nothing is skipped, but for what needs node.
"""

import importlib
import inspect
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections import Counter
from configparser import ConfigParser
from importlib.metadata import distribution
from pathlib import Path
from types import SimpleNamespace
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest

from sse_middleware import Event, EventParser, SSEMiddleware, encode
from sse_middleware.cli import main, parser_of
from sse_middleware.errors import EventError
from sse_middleware.relay import relay
from sse_middleware.testing import FakeUpstream, Recording

DEADLINE_S = 60
ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
NODE = shutil.which("node")
IN_DOCS = os.environ.get("TOX_ENV_NAME") == "docs"
needs_node = pytest.mark.skipif(NODE is None, reason="this machine has no node")

#: Each fenced block has its test below: how many of each language stand under each heading.
BLOCKS = {
    ("See it run", "console"): 2,
    ("Wrap your app", "python"): 3,
    ("Wrap your app", "console"): 2,
    ("Wrap your app", "text"): 1,
    ("Test it", "python"): 1,
    ("Test it", "console"): 1,
    ("Pass on what OpenAI streams", "python"): 1,
    ("Read it in the page", "js"): 1,
    ("When something fails", "text"): 1,
    ("When it arrives all at once", "console"): 1,
    ("Test without a network", "python"): 1,
    ("The documentation", "console"): 1,
    ("Run the tests", "console"): 1,
}


def fenced_blocks():
    """Each fenced block: the heading above it, its language, its text."""
    heading = language = None
    lines = []
    for line in README.splitlines(keepends=True):
        if language is not None and line == "```\n":
            yield heading, language, "".join(lines)
            language = None
        elif language is not None:
            lines.append(line)
        elif line.startswith("```"):
            language, lines = line[3:].strip(), []
        elif line.startswith("#"):
            heading = line.lstrip("#").strip()


def blocks(heading, language):
    return [text for *key, text in fenced_blocks() if key == [heading, language]]


def section(heading):
    """The text under a heading."""
    return README.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]


def package(name):
    """A package that an example needs; where it must be installed, it is."""
    return importlib.import_module(name) if IN_DOCS else pytest.importorskip(name)


def executed(text, **names):
    """The names that a block defines, after it ran as a module of its own."""
    namespace = {"__name__": "readme", **names}
    exec(compile(text, "README.md", "exec", dont_inherit=True), namespace)
    return namespace


def asked(app, method="GET", path="/stream", **extra):
    """Status, headers and body of one request, checked by wsgiref.validate."""
    environ = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": io.StringIO(),
        **extra,
    }
    setup_testing_defaults(environ)
    told = []

    def start_response(status, headers, exc_info=None):
        told.append((status, dict(headers)))
        return told.append

    answer = validator(app)(environ, start_response)
    try:
        body = b"".join(answer)
    finally:
        answer.close()
    [(status, headers)] = told
    return status, headers, body


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


def test_every_block_has_its_test():
    assert Counter((heading, language) for heading, language, _ in fenced_blocks()) == BLOCKS


# See it run


def stopped(app, *, host, port, told, **options):
    """In place of a server: on the port that was asked for, and stopped at once."""
    told(f"http://{host}:{port}")


@pytest.fixture
def printed(monkeypatch, capsys):
    """What ``sse-middleware demo`` prints."""
    package("flask")
    package("waitress")
    monkeypatch.setattr("sse_middleware.cli.demo.serve", stopped)
    assert main(["demo"]) == 0
    return capsys.readouterr().out


def test_the_demo_is_installed_by_an_extra_and_run_by_a_command_that_exist():
    install, run = blocks("See it run", "console")[0].strip().split(" && ")
    assert install == "$ python -m pip install '.[demo]'"
    assert run == "sse-middleware demo"
    installed = distribution("sse-middleware")
    assert "demo" in installed.metadata.get_all("Provides-Extra")
    [script] = [entry for entry in installed.entry_points if entry.name == run.split()[0]]
    assert (script.group, script.value) == ("console_scripts", "sse_middleware.cli:main")


def test_the_demo_is_where_the_readme_says(printed):
    [url] = re.findall(r"<(http://127\.0\.0\.1[^>]*)>", section("See it run"))
    assert f"The page:  {url}\n" in printed


def test_the_demo_prints_the_curl_command_of_the_readme(printed):
    command = blocks("See it run", "console")[1]
    assert command.startswith("$ curl -N ")
    assert f"The stream: {command[2:]}" in printed


def test_the_curl_command_asks_what_the_demo_answers():
    package("flask")
    from sse_middleware.cli.demo import demo_app

    words = shlex.split(blocks("See it run", "console")[1])[2:]
    assert [words[0], words[1], words[3]] == ["-N", "-d", "-H"]
    header, content_type = words[4].split(": ")
    assert header == "Content-Type"
    body = words[2].encode()
    status, _, data = asked(
        demo_app(lambda messages: [Recording.named("chat-text").body]),
        "POST",
        CONTENT_TYPE=content_type,
        CONTENT_LENGTH=str(len(body)),
        **{"wsgi.input": io.BytesIO(body)},
    )
    assert status == "200 OK"
    assert data.endswith(b"event: close\nid: sse:end\ndata: \n\n")


# Wrap your app


def test_what_the_app_and_its_server_need_is_installed():
    words = blocks("Wrap your app", "console")[0].split()
    assert words == ["$", "python", "-m", "pip", "install", ".", "flask", "waitress"]


@pytest.mark.parametrize("page", ["README.md", "docs/quick-start.md"])
def test_that_it_is_not_on_pypi_is_said_as_long_as_it_is_not_released(page):
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    is_released = re.search(r"^## \S+ \(\d{4}-", changelog, re.MULTILINE) is not None
    assert ("is not on PyPI yet" in (ROOT / page).read_text("utf-8")) == (not is_released)


def claimed_stream():
    return blocks("Wrap your app", "text")[0].encode()


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_flask_app_streams_what_the_readme_shows(method):
    package("flask")
    app = executed(blocks("Wrap your app", "python")[0])["app"]
    status, headers, body = asked(app, method)
    assert (status, headers["Content-Type"]) == ("200 OK", "text/event-stream; charset=utf-8")
    assert body == claimed_stream()


def test_the_bottle_app_streams_what_the_readme_shows():
    package("bottle")
    app = executed(blocks("Wrap your app", "python")[1])["app"]
    status, headers, body = asked(app)
    assert (status, headers["Content-Type"]) == ("200 OK", "text/event-stream; charset=utf-8")
    assert body == claimed_stream()


def django_site(view):
    """A site of one view. A process has one configuration: test_frameworks.py has the same."""
    settings = package("django.conf").settings
    if not settings.configured:
        from django.urls import re_path

        settings.configure(
            ALLOWED_HOSTS=["*"],
            ROOT_URLCONF=(re_path("", lambda request: request.environ["tests.view"](request)),),
            SECRET_KEY="for tests",
            LOGGING_CONFIG=None,
        )
    site = package("django.core.wsgi").get_wsgi_application()
    return lambda environ, start_response: site({**environ, "tests.view": view}, start_response)


@pytest.mark.parametrize("wrap", [lambda app: app, SSEMiddleware], ids=["alone", "wrapped"])
def test_the_django_view_streams_its_events(wrap):
    package("django")
    view = executed(blocks("Wrap your app", "python")[2])["stream"]
    status, _, body = asked(wrap(django_site(view)))
    assert status == "200 OK"
    assert body == b'data: {"n":0}\n\ndata: {"n":1}\n\ndata: {"n":2}\n\n'


def test_each_framework_that_is_named_has_its_tests():
    frameworks = (ROOT / "tests" / "test_frameworks.py").read_text(encoding="utf-8")
    for name in ("Pyramid", "Falcon", "CherryPy", "Django", "web.py", "Bottle", "Flask"):
        assert name in README
        assert f'importorskip("{ {"web.py": "web"}.get(name, name.lower()) }' in frameworks


def test_the_versions_that_are_named_are_those_that_tox_runs():
    tox = ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini", encoding="utf-8")
    environments = tox["tox"]["env_list"].split()

    def runs(name):
        return [env[len(name) :] for env in environments if re.fullmatch(rf"{name}\d+", env)]

    def compact(*versions):
        return [text.replace(".", "") for text in versions]

    [flask] = re.findall(r"^Flask, (\S+) to (\S+):$", README, re.MULTILINE)
    [bottle] = re.findall(r"^Bottle, (\S+) and (\S+),", README, re.MULTILINE)
    [openai] = re.findall(r"any `openai` client from (\S+) on", README)
    assert [runs("flask")[0], runs("flask")[-1]] == compact(*flask)
    assert runs("bottle") == compact(*bottle)
    assert runs("openai") == [*compact(openai), "1", "2", "3"]
    pythons = re.findall(r"from\s+(?:Python )?(3\.\d+)\s+to\s+(3\.\d+)", README)
    assert len(pythons) == 2
    for oldest, newest in pythons:
        assert (runs("py")[0], runs("py")[-1]) == tuple(compact(oldest, newest))


FRAMEWORKS = ["flask", "bottle"]  # in the order of the blocks


@pytest.fixture
def saved(tmp_path):
    """Saves the app of a framework, and its test, as the README says."""

    def save(framework):
        package(framework)
        app, test = (
            re.search(r"[Ss]ave (?:this|one of these) as `(\w+\.py)`", section(heading)).group(1)
            for heading in ("Wrap your app", "Test it")
        )
        block = blocks("Wrap your app", "python")[FRAMEWORKS.index(framework)]
        (tmp_path / app).write_text(block, encoding="utf-8")
        (tmp_path / test).write_text(blocks("Test it", "python")[0], encoding="utf-8")
        return tmp_path

    return save


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_app_is_served_and_asked_as_the_readme_says(framework, saved, monkeypatch):
    serve, ask = (line[2:] for line in blocks("Wrap your app", "console")[1].splitlines())
    assert serve.startswith("sse-middleware ")
    served = {}
    monkeypatch.chdir(saved(framework))
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "app", raising=False)
    monkeypatch.setattr(
        "sse_middleware.cli.serve.serve", lambda app, **options: served.update(options, app=app)
    )
    assert main(shlex.split(serve)[1:]) == 0
    monkeypatch.delitem(sys.modules, "app")
    assert ask == f"curl -N http://{served['host']}:{served['port']}/stream"
    assert asked(served["app"])[2] == claimed_stream()


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_test_of_the_readme_passes(framework, saved):
    words = shlex.split(blocks("Test it", "console")[0])
    assert words[:2] == ["$", "python"]
    done = subprocess.run(
        [sys.executable, *words[2:]],
        cwd=saved(framework),
        capture_output=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert b"2 passed" in done.stdout, done.stdout.decode()


def test_the_check_of_the_readme_is_a_command(monkeypatch):
    words = shlex.split(blocks("When it arrives all at once", "console")[0])
    assert words[:2] == ["$", "sse-middleware"]
    options = parser_of(words[2:]).parse_args(words[2:])
    assert options.url == "https://example.com/stream"


# What a dict means


def keys_of_the_table():
    rows = re.findall(r"^\| `(\w+)` \|", section("What a dict means"), re.MULTILINE)
    assert rows
    return rows


def test_the_table_names_exactly_the_keys_of_an_event():
    parameters = inspect.signature(Event).parameters
    assert sorted(keys_of_the_table()) == sorted(parameters)
    with pytest.raises(EventError):
        encode({"name": "x"})


@pytest.mark.parametrize("key", keys_of_the_table())
def test_none_leaves_a_key_out(key):
    other = {"comment": "x"} if key != "comment" else {"data": "x"}
    assert encode({key: None}) == b""
    assert encode({**other, key: None}) == encode(other) != b""


def test_the_id_is_a_str_or_an_int_and_retry_is_milliseconds():
    assert encode({"id": 7, "data": ""}) == encode({"id": "7", "data": ""})
    assert encode({"retry": 1500, "data": ""}) == b"retry: 1500\ndata: \n\n"
    for fields in ({"id": 1.5, "data": ""}, {"id": "a\nb", "data": ""}, {"event": "a\nb"}):
        with pytest.raises(EventError):
            encode(fields)


def test_each_option_of_the_middleware_that_is_named_exists():
    calls = re.findall(r"SSEMiddleware\(([^()]*)\)", README)
    named = {name for call in calls for name in re.findall(r"(\w+)=", call)}
    assert {"items", "worker", "end_event"} <= named
    assert named <= set(inspect.signature(SSEMiddleware).parameters)


def test_with_items_data_the_dicts_are_sent_as_they_are():
    [expression] = re.findall(r"`(SSEMiddleware\(app, items=[^`]*\))`", README)

    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return iter([{"name": "x"}, {"data": 1}])

    wrapped = eval(expression, {"SSEMiddleware": SSEMiddleware, "app": app})
    assert asked(wrapped)[2] == b'data: {"name":"x"}\n\ndata: {"data":1}\n\n'


# Pass on what OpenAI streams


class StandIn:
    """The client of the example on requests, for where there is no openai with clients."""

    def __init__(self, base_url):
        self.chat = SimpleNamespace(completions=self)
        self._url = base_url + "/chat/completions"

    def create(self, **fields):
        return package("requests").post(
            self._url, json=fields, stream=fields["stream"], timeout=DEADLINE_S
        )


def openai_client(base_url):
    openai = package("openai")
    if not IN_DOCS and not hasattr(openai, "OpenAI"):
        pytest.skip("this openai has no client objects")
    return openai.OpenAI(base_url=base_url, api_key="x", max_retries=0, timeout=DEADLINE_S)


@pytest.mark.parametrize("client", [openai_client, StandIn], ids=["openai", "requests"])
def test_the_relay_example_passes_on_a_stream(client):
    answer = executed(blocks("Pass on what OpenAI streams", "python")[0])["answer"]
    messages = [{"role": "user", "content": "Hi"}]
    upstream = FakeUpstream()
    upstream.play("chat-text")
    with upstream.serve() as base_url:
        events = list(answer(client(base_url), messages))
    upstream.verify()
    assert events == list(relay([Recording.named("chat-text").body]))
    asked_for = upstream.requests[0].json
    assert (asked_for["stream"], asked_for["messages"]) == (True, messages)


def test_the_relay_yields_the_dict_that_is_shown():
    [shown] = re.findall(r'`(\{"event": "message"[^`]*\})`', README)
    template = json.loads(shown)
    *events, last = relay([Recording.named("chat-text").body])
    assert len(events) > 3
    for number, event in enumerate(events, 1):
        text = event["data"]["data"]
        assert event == {**template, "id": number, "data": {"data": text}}
    assert template["id"] == 1
    assert template["data"] == {"data": "<text>"}
    assert last["event"] == "close"


# Read it in the page


def run_node(script, tmp_path):
    """What node prints for a script."""
    path = tmp_path / "script.mjs"
    path.write_text(script, encoding="utf-8")
    done = subprocess.run(
        [NODE, str(path)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


EVENT_SOURCE = """
const shown = [];
const show = (text) => shown.push(text);
class EventSource {
  constructor(url) { this.url = url; this.closed = 0; this.heard = {}; EventSource.last = this; }
  addEventListener(type, listener) { this.heard[type] = listener; }
  close() { this.closed += 1; }
  dispatch(type, event) {
    if (type === "message") this.onmessage(event);
    else if (this.heard[type]) this.heard[type](event);
  }
}
%(block)s
for (const [type, event] of %(events)s) EventSource.last.dispatch(type, event);
const { url, closed } = EventSource.last;
console.log(JSON.stringify({ url, closed, shown }));
"""


def seen_by_event_source(events, tmp_path):
    """What the lines for EventSource do with events, as a browser dispatches them."""
    block = blocks("Read it in the page", "js")[0]
    script = EVENT_SOURCE % {"block": block, "events": json.dumps(events)}
    return json.loads(run_node(script, tmp_path))


def dispatched(frames):
    return [
        (event.event or "message", {"data": event.data}) for event in EventParser().feed(frames)
    ]


@needs_node
def test_the_event_source_shows_the_answer_and_closes_at_its_end(tmp_path):
    recording = Recording.named("chat-newlines")
    events = list(relay([recording.body]))
    frames = b"".join(map(encode, events))
    assert seen_by_event_source(dispatched(frames), tmp_path) == {
        "url": "/stream",
        "closed": 1,
        "shown": [event["data"]["data"] for event in events[:-1]],
    }


@needs_node
def test_the_event_source_shows_an_error_of_the_app_and_closes(tmp_path):
    frames = blocks("When something fails", "text")[0].encode() + b"\n"
    assert seen_by_event_source(dispatched(frames), tmp_path) == {
        "url": "/stream",
        "closed": 1,
        "shown": ["The stream failed."],
    }


@needs_node
def test_the_event_source_stays_open_when_the_connection_is_lost(tmp_path):
    assert seen_by_event_source([("error", {})], tmp_path) == {
        "url": "/stream",
        "closed": 0,
        "shown": [],
    }


def test_an_event_source_that_comes_back_after_the_end_gets_204():
    assert "answers `204`" in section("Read it in the page")

    def app(environ, start_response):
        raise AssertionError("the app was asked again")

    came_back = {"HTTP_ACCEPT": "text/event-stream", "HTTP_LAST_EVENT_ID": "sse:end"}
    assert asked(SSEMiddleware(app), **came_back)[0] == "204 No Content"


# When something fails


def failing_app(*events):
    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])

        def generate():
            yield from events
            raise LookupError("secret")

        return generate()

    return SSEMiddleware(app)


def test_a_failure_after_the_first_event_is_the_frame_that_is_shown(caplog):
    _, _, body = asked(failing_app({"data": "first"}))
    first, frame = body.decode().split("\n\n", 1)
    error_id = json.loads(frame.split("data: ")[1])["error"]["code"]
    shown = blocks("When something fails", "text")[0]
    assert first == "data: first"
    assert frame == shown.replace("<error id>", error_id) + "\n"
    assert error_id in caplog.text
    assert "LookupError: secret" in caplog.text


def test_a_failure_before_the_first_event_is_left_to_the_server():
    with pytest.raises(LookupError, match="secret"):
        asked(failing_app())


# Test without a network


def test_the_upstream_of_the_example_plays_to_whoever_asks_it():
    requests = package("requests")
    [text] = blocks("Test without a network", "python")
    assert re.search(r"^    \.\.\. ", text, re.MULTILINE)
    asking = re.sub(r"^    \.\.\. .*$", "    client(base_url)", text, flags=re.MULTILINE)
    bodies = []

    def client(base_url):
        url = base_url + "/chat/completions"
        for _ in range(2):
            answer = requests.post(url, json={"stream": True}, timeout=DEADLINE_S)
            bodies.append(answer.content)

    names = executed(asking, client=client)
    names["upstream"].verify()
    assert bodies[0] == Recording.named("chat-text").body
    assert b'"content":"Hello"' in bodies[1]
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/v1", names["base_url"])
    assert "# http://127.0.0.1:<port>/v1" in text


def test_the_example_runs_as_it_stands():
    names = executed(blocks("Test without a network", "python")[0])
    assert names["upstream"].requests == []


def test_every_page_that_the_readme_names_is_there():
    pages = re.findall(r"\]\((docs/[^)]+)\)", README)
    assert len(pages) >= 10
    assert [page for page in pages if not (ROOT / page).exists()] == []


def test_a_recording_is_loaded_as_the_readme_says(tmp_path, monkeypatch):
    [expression] = re.findall(r"`(Recording\.load\([^`]*\))`", README)
    monkeypatch.chdir(tmp_path)
    recording = Recording(b"data: 1\n\n", chunks=[(0.5, 9)])
    recording.save("answer.sse")
    assert Path("answer.sse").read_bytes() == recording.body
    assert json.loads(Path("answer.json").read_text())["chunks"] == [[0.5, 9]]
    assert eval(expression, {"Recording": Recording}) == recording


def test_the_files_that_are_named_exist_and_list_what_ships():
    for name in re.findall(r"`(fixtures/[^`]*)`|(\w+\.md)\b says", README):
        assert (ROOT / "".join(name)).is_file()
    listed = (ROOT / "fixtures" / "recordings" / "README.md").read_text(encoding="utf-8")
    for path in (ROOT / "fixtures" / "recordings").glob("*.sse"):
        assert f"`{path.stem}`" in listed


# Run the tests


def test_the_test_command_is_the_one_that_ci_runs():
    [command] = blocks("Run the tests", "console")
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    called = re.findall(r'^(?:status=0\n)?"\$python" (-m .*?) </dev/null', ci, re.MULTILINE)
    assert command == "$ " + " && ".join(f"python {arguments}" for arguments in called) + "\n"
