"""sse_middleware.pytest_plugin: each test here runs pytest on a small project of its own.

In a process of its own, too: what a plugin imports and leaves behind is then its own.
"""

import os
import re
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

import pytest

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.sweep  # a run of pytest in each

# Not by importorskip: pytester forgets what was imported, and not every module can come twice.
try:
    IS_OPENAI_1 = not version("openai").startswith("0.")
except PackageNotFoundError:
    IS_OPENAI_1 = False
needs_openai_1 = pytest.mark.skipif(not IS_OPENAI_1, reason="openai 1 or later is absent")

CONFTEST = """
import json
import os
from urllib.request import Request, urlopen

import pytest


@pytest.fixture
def ask():
    def ask(**body):
        url = os.environ["OPENAI_BASE_URL"] + "/chat/completions"
        headers = {"Content-Type": "application/json"}
        with urlopen(Request(url, json.dumps(body).encode(), headers), timeout=5) as answer:
            return answer.read()

    return ask
"""
RECORDED = b"data: 1\n\ndata: [DONE]\n\n"
SHIPPED = (
    "azure-chat, chat-crlf-comments, chat-cut, chat-error, chat-newlines, chat-refusal, "
    "chat-text, chat-tool-call, chat-usage"
)
TO_ANSWER = "to answer it: upstream.play(recording), times=N for more, times=None for any number"
TO_ALLOW = "to allow them: %s=False, in @pytest.mark.fake_upstream(...) or verify(...)"
TO_ALLOW_REQUESTS = TO_ALLOW % "assert_all_requests_were_expected"
TO_ALLOW_RECORDINGS = TO_ALLOW % "assert_all_responses_were_requested"
MODES = (
    "as_recorded",
    "per_event",
    "by_line",
    "bytewise",
    "every(7)",
    "inside_utf8",
    "inside_crlf",
    "between_newlines",
    "coalesced",
    "seeded(1)",
)


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch):
    # Others make it slow. The plugin is loaded by the name of its entry point.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    for name in ("PYTEST_ADDOPTS", "OPENAI_BASE_URL", "OPENAI_API_BASE", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def run(pytester):
    """Runs pytest on a test module; ``outcomes`` must be all that came of it."""
    pytester.makeconftest(CONFTEST)

    def run(source, *options, **outcomes):
        pytester.makepyfile("import os\nimport pytest\n" + source)
        fixed = ("-p", "sse_middleware", "-p", "no:cacheprovider", "--strict-markers")
        result = pytester.runpytest_subprocess(*fixed, *options, timeout=60)
        got = result.parseoutcomes()
        assert {name: n for name, n in got.items() if "warning" not in name} == outcomes
        return result

    return run


def told(result, title):
    """What pytest tells under the heading that ends with ``title``, without empty lines."""
    lines = result.stdout.lines
    [start] = [
        number
        for number, line in enumerate(lines)
        if re.match(r"[_-]{2,} .* [_-]{2,}$", line) and line.strip("_- ").endswith(title)
    ]
    rest = lines[start + 1 :]
    ends = (n for n, line in enumerate(rest) if re.match(r"([_=-])\1{2,} .* \1{2,}$", line))
    return "\n".join(line for line in rest[: next(ends)] if line)


# --- verdicts


def test_a_test_that_forgets_to_play_a_script_fails(run):
    result = run(
        """
def test_it(fake_upstream, ask):
    with pytest.raises(OSError):
        ask(model="m", stream=True)
""",
        passed=1,
        errors=1,
    )
    assert told(result, "ERROR at teardown of test_it") == (
        "what came is not what was scripted\n"
        "requests without a recording:\n"
        "  POST /v1/chat/completions (model 'm', stream True)\n"
        "    nothing is scripted\n"
        f"  {TO_ANSWER}\n"
        f"  {TO_ALLOW_REQUESTS}"
    )
    assert "- fake upstream -" not in result.stdout.str()  # it would say the same again


def test_a_test_that_plays_one_too_many_fails(run):
    result = run(
        """
@pytest.mark.fake_upstream("chat-text", "chat-usage")
def test_it(ask):
    assert ask().endswith(b"data: [DONE]\\n\\n")
""",
        passed=1,
        errors=1,
    )
    assert told(result, "ERROR at teardown of test_it") == (
        "what came is not what was scripted\n"
        "recordings not played as often as scripted:\n"
        "  'chat-usage' (played 0 of 1)\n"
        f"  {TO_ALLOW_RECORDINGS}"
    )


def test_the_failure_of_the_test_itself_is_told_alone_with_what_came_and_what_was_scripted(run):
    result = run(
        """
from sse_middleware.testing import faults

@pytest.mark.fake_upstream("chat-text")
def test_it(fake_upstream, ask):
    fake_upstream.play("chat-usage", when={"json": {"model": "o1"}})
    fake_upstream.play("chat-refusal", fault=faults.bom(), times=2)
    ask(model="m", stream=True)
    ask(model="m")
    ask(model="m")
    with pytest.raises(OSError):
        ask(model="m")
    assert 1 == 2
""",
        failed=1,
    )
    assert told(result, "fake upstream") == (
        "requests:\n"
        "  POST /v1/chat/completions (model 'm', stream True)\n"
        "    answered by 'chat-text'\n"
        "  POST /v1/chat/completions (model 'm')\n"
        "    answered by 'chat-refusal' with faults.bom()\n"
        "  POST /v1/chat/completions (model 'm')\n"
        "    answered by 'chat-refusal' with faults.bom()\n"
        "  POST /v1/chat/completions (model 'm')\n"
        "    all that matches was played: 'chat-text' (played 1 of 1), "
        "'chat-refusal' with faults.bom() (played 2 of 2)\n"
        "    nearest: 'chat-usage' for json {'model': 'o1'} (played 0 of 1)\n"
        "    json['model'] is 'm': expected 'o1'\n"
        "scripted:\n"
        "  'chat-text' (played 1 of 1)\n"
        "  'chat-usage' for json {'model': 'o1'} (played 0 of 1)\n"
        "  'chat-refusal' with faults.bom() (played 2 of 2)"
    )
    assert "assert 1 == 2" in told(result, "test_it")


def test_a_test_that_fails_before_anything_came_is_told_so(run):
    result = run("def test_it(fake_upstream):\n    assert 1 == 2\n", failed=1)
    assert told(result, "fake upstream") == "requests:\n  none\nscripted:\n  nothing"


def test_a_fixture_that_fails_is_told_alone_too(run):
    result = run(
        """
@pytest.fixture
def broken(fake_upstream):
    assert 1 == 2

@pytest.mark.fake_upstream("chat-text")
def test_it(broken):
    pass
""",
        errors=1,
    )
    assert "assert 1 == 2" in told(result, "ERROR at setup of test_it")
    assert told(result, "fake upstream") == (
        "requests:\n  none\nscripted:\n  'chat-text' (played 0 of 1)"
    )


def test_a_test_without_the_fixture_has_no_section(run):
    result = run("def test_it():\n    assert 1 == 2\n", failed=1)
    assert "fake upstream" not in result.stdout.str()


@pytest.mark.parametrize(
    ("source", "outcomes"),
    [
        ("def test_it():\n    pytest.skip('not today')\n", {"skipped": 1}),
        ("@pytest.mark.xfail\ndef test_it():\n    assert 1 == 2\n", {"xfailed": 1}),
        ("@pytest.mark.xfail(strict=True)\ndef test_it():\n    pass\n", {"failed": 1}),
    ],
    ids=["skipped", "xfailed", "xpassed strictly"],
)
def test_there_is_no_verdict_on_a_test_that_did_not_pass(run, source, outcomes):
    run("@pytest.mark.fake_upstream('chat-text')\n" + source, **outcomes)


def test_there_is_no_verdict_on_a_test_that_was_interrupted(run):
    result = run(
        """
@pytest.mark.fake_upstream("chat-text")
def test_it():
    raise KeyboardInterrupt
"""
    )
    assert "KeyboardInterrupt" in result.stdout.str()
    assert "what came is not what was scripted" not in result.stdout.str() + result.stderr.str()


def test_the_mark_allows_what_the_verdict_says_it_does(run):
    run(
        """
@pytest.mark.fake_upstream(assert_all_requests_were_expected=False)
def test_requests(ask):
    with pytest.raises(OSError):
        ask()

@pytest.mark.fake_upstream("chat-text", assert_all_responses_were_requested=False)
def test_recordings():
    pass
""",
        passed=2,
    )


@needs_openai_1
def test_an_sdk_that_asks_again_is_told_how_not_to(run):
    result = run(
        """
import openai
from sse_middleware.testing import faults

def test_it(fake_upstream):
    fake_upstream.play("chat-text", fault=faults.http_error(500), times=1)
    with pytest.raises(openai.NotFoundError):
        openai.OpenAI().chat.completions.create(model="m", messages=[], stream=True)
""",
        passed=1,
        errors=1,
    )
    assert told(result, "ERROR at teardown of test_it") == (
        "what came is not what was scripted\n"
        "requests without a recording:\n"
        "  POST /v1/chat/completions (model 'm', stream True)\n"
        "    all that matches was played: 'chat-text' with faults.http_error(500) (played 1 of 1)\n"
        "    the SDK asks again (retry 1): max_retries=0 on its client turns that off\n"
        f"  {TO_ANSWER}\n"
        f"  {TO_ALLOW_REQUESTS}"
    )


STUCK = (
    "the virtual clock stood still for 0.05 s of real time while a delay was waited for on it: "
    "expected clock.advance(seconds), before the wait or from another thread; "
    "play(..., speed=math.inf) plays without delays"
)


def test_a_test_that_blocks_on_its_own_clock_is_told_so(run):
    result = run(
        """
from sse_middleware.testing import Recording, clock

def test_it(fake_upstream, sse_clock, ask, monkeypatch):
    monkeypatch.setattr(clock, "PATIENCE_S", 0.05)
    fake_upstream.play(Recording(b"data: 1\\n\\n", chunks=[(3, 9)], name="late"))
    ask()

def test_that_hides_it(fake_upstream, sse_clock, ask, monkeypatch):
    with pytest.raises(Exception):
        test_it(fake_upstream, sse_clock, ask, monkeypatch)
""",
        passed=1,
        failed=1,
        errors=1,
    )
    assert told(result, "fake upstream") == (
        "requests:\n"
        "  POST /v1/chat/completions\n"
        "    answered by 'late'\n"
        f"    broke off: {STUCK}\n"
        "scripted:\n"
        "  'late' (played 1 of 1)"
    )
    assert told(result, "ERROR at teardown of test_that_hides_it") == (
        "what came is not what was scripted\n"
        "answers that broke off:\n"
        f"  POST /v1/chat/completions: {STUCK}"
    )


def test_a_request_after_the_end_of_its_test_reaches_nobody(run):
    run(
        """
from urllib.error import URLError
from urllib.request import urlopen

kept = []

def test_first(fake_upstream):
    kept.append((fake_upstream, fake_upstream.base_url))

def test_second(fake_upstream):
    before, base_url = kept[0]
    with pytest.raises(URLError, match="refused"):
        urlopen(base_url + "/chat/completions", b"{}", timeout=5)
    assert before.requests == fake_upstream.requests == []
""",
        passed=2,
    )


def test_each_test_has_an_upstream_of_its_own(run):
    run(
        """
@pytest.mark.parametrize("number", range(3))
@pytest.mark.fake_upstream("chat-text")
def test_it(fake_upstream, ask, number):
    assert fake_upstream.requests == []
    ask()
    assert len(fake_upstream.requests) == 1
""",
        passed=3,
    )


# --- the mark


def test_the_mark_alone_uses_the_fixture_and_plays_in_order(run):
    run(
        """
import unittest
from sse_middleware.testing import Recording

def recorded(name):
    return Recording.named(name).body

@pytest.mark.fake_upstream("chat-text", Recording(b"data: mine\\n\\n"))
def test_it(ask):
    assert [ask(), ask()] == [recorded("chat-text"), b"data: mine\\n\\n"]

@pytest.mark.fake_upstream
def test_bare():
    assert os.environ["OPENAI_API_KEY"] == "sk-fake"

class TestCase(unittest.TestCase):
    @pytest.mark.fake_upstream(assert_all_responses_were_requested=False)
    def test_it(self):
        assert os.environ["OPENAI_API_KEY"] == "sk-fake"

def test_unmarked():
    assert "OPENAI_API_KEY" not in os.environ
""",
        passed=4,
    )


def test_it_is_there_before_the_fixtures_of_the_test(run):
    run(
        """
@pytest.fixture
def client():
    return os.environ["OPENAI_BASE_URL"]

@pytest.mark.fake_upstream
def test_it(client):
    assert client.endswith("/v1")
""",
        passed=1,
    )


def test_the_closest_mark_that_names_recordings_counts_and_so_does_the_closest_verdict(run):
    run(
        """
from http.client import HTTPException
from sse_middleware.testing import Recording

pytestmark = pytest.mark.fake_upstream("chat-text")

def body(name):
    return Recording.named(name).body

def test_of_module(ask):
    assert ask() == body("chat-text")

@pytest.mark.fake_upstream("chat-usage")
def test_own(ask):
    assert ask() == body("chat-usage")

@pytest.mark.fake_upstream(assert_all_responses_were_requested=False)
def test_own_verdict(ask):
    pass

@pytest.mark.parametrize("name", [
    "chat-text", pytest.param("chat-refusal", marks=pytest.mark.fake_upstream("chat-refusal")),
])
def test_of_a_parameter(ask, name):
    assert ask() == body(name)

@pytest.mark.fake_upstream("chat-error", assert_all_responses_were_requested=False)
class TestClass:
    def test_unplayed(self):
        pass

    @pytest.mark.fake_upstream("chat-cut", assert_all_requests_were_expected=False)
    def test_both_verdicts(self, ask):
        for _ in range(2):
            with pytest.raises((OSError, HTTPException)):
                ask()

    @pytest.mark.fake_upstream(assert_all_responses_were_requested=True)
    def test_closest_verdict(self, ask):
        assert ask() == body("chat-error")
""",
        passed=8,
    )


def test_the_closest_verdict_may_be_the_stricter_one(run):
    run(
        """
pytestmark = pytest.mark.fake_upstream("chat-text", assert_all_responses_were_requested=False)

@pytest.mark.fake_upstream(assert_all_responses_were_requested=True)
def test_it():
    pass
""",
        passed=1,
        errors=1,
    )


MISTAKES = {
    "unknown name": (
        "'chat-txt'",
        f"recording 'chat-txt' is unknown: expected one of mine, {SHIPPED}, "
        "or a file in {folder} (ini option sse_recordings)",
    ),
    "no recording": (
        "7",
        "recording is 7: expected a Recording, or the name of one (Recording.load reads a file)",
    ),
    "unknown keyword": (
        "assert_all=False",
        "keyword 'assert_all' is unknown: expected one of assert_all_requests_were_expected, "
        "assert_all_responses_were_requested",
    ),
    "no bool": (
        "assert_all_requests_were_expected=0",
        "assert_all_requests_were_expected is 0: expected True or False",
    ),
    "damaged": (
        "'mine'",
        "{folder}/mine.json line 1 is not JSON (Expecting property name enclosed in double "
        "quotes): expected an object with keys of status, headers, request, chunks, end",
    ),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_in_the_mark_is_one_clear_line(run, pytester, case):
    arguments, text = MISTAKES[case]
    folder = pytester.mkdir("tests") / "recordings"
    folder.mkdir()
    (folder / "mine.sse").write_bytes(RECORDED)
    (folder / "mine.json").write_text("{")
    result = run(
        f"@pytest.mark.fake_upstream({arguments})\ndef test_it():\n    pass\n\n"
        "def test_another():\n    pass\n",
        passed=1,
        errors=1,
    )
    expected = "@pytest.mark.fake_upstream: " + text.format(folder=folder)
    assert told(result, "ERROR at setup of test_it") == expected


def test_two_marks_with_recordings_on_one_test_are_refused(run):
    result = run(
        """
@pytest.mark.fake_upstream("chat-text")
@pytest.mark.fake_upstream("chat-usage")
def test_it():
    pass
""",
        errors=1,
    )
    assert told(result, "ERROR at setup of test_it") == (
        "@pytest.mark.fake_upstream: test_it is marked twice: "
        "expected one mark, with all names in their order"
    )


def test_the_mark_is_registered_and_explained(pytester):
    result = pytester.runpytest_subprocess("-p", "sse_middleware", "--markers")
    result.stdout.fnmatch_lines(
        [
            "@pytest.mark.fake_upstream(*recordings, assert_all_requests_were_expected=True, "
            "assert_all_responses_were_requested=True): use the fixture of that name, and script "
            "the recordings (their names, or Recording objects) in this order."
        ]
    )


# --- the environment


def test_the_environment_leads_to_the_upstream_and_is_put_back(run, monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", "http://example.com")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    run(
        """
NAMES = ("OPENAI_BASE_URL", "OPENAI_API_BASE", "OPENAI_API_KEY", "NO_PROXY", "no_proxy")
before = [os.environ.get(name) for name in NAMES]

@pytest.mark.fake_upstream("chat-text")
def test_it(fake_upstream, ask):
    url = fake_upstream.base_url
    hosts = "127.0.0.1,localhost"
    assert [os.environ[name] for name in NAMES] == [url, url, "sk-fake", hosts, hosts]
    ask()

def test_after():
    assert [os.environ.get(name) for name in NAMES] == before
    assert before == ["http://example.com", None, None, None, None]
""",
        passed=2,
    )


@pytest.mark.skipif(os.name == "nt", reason="there, the two are one variable")
def test_hosts_that_need_no_proxy_are_kept(run):
    run(
        """
@pytest.mark.parametrize(("upper", "lower", "expected"), [
    ("a.example", None, ("a.example,127.0.0.1,localhost",) * 2),
    (None, "b.example", ("b.example,127.0.0.1,localhost",) * 2),
    ("a", "b", ("a,127.0.0.1,localhost", "b,127.0.0.1,localhost")),
    ("*", "b", ("*", "b,127.0.0.1,localhost")),
    ("", "", ("127.0.0.1,localhost",) * 2),
    (None, None, ("127.0.0.1,localhost",) * 2),
])
def test_it(request, monkeypatch, upper, lower, expected):
    for name, value in (("NO_PROXY", upper), ("no_proxy", lower)):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    request.getfixturevalue("fake_upstream")
    assert (os.environ["NO_PROXY"], os.environ["no_proxy"]) == expected
""",
        passed=6,
    )


@pytest.mark.parametrize("name", ["api_base", "base_url"])
def test_an_openai_module_that_was_imported_before_is_led_too(run, name):
    run(
        f"""
import sys
from types import SimpleNamespace

was = SimpleNamespace(api_key="sk-real", {name}="http://example.com")
sys.modules["openai"] = was

def test_it(fake_upstream):
    assert vars(was) == {{"api_key": "sk-fake", {name!r}: fake_upstream.base_url}}

def test_after():
    assert vars(was) == {{"api_key": "sk-real", {name!r}: "http://example.com"}}
""",
        passed=2,
    )


@needs_openai_1
def test_the_client_of_the_openai_module_is_led_in_every_test(run):
    run(
        """
import openai

@pytest.mark.parametrize("number", range(2))
@pytest.mark.fake_upstream("chat-text")
def test_it(number):
    assert list(openai.chat.completions.create(model="m", messages=[], stream=True))
""",
        passed=2,
    )


# --- recordings


@pytest.mark.parametrize("option", ["", "tests/recordings", "elsewhere"])
def test_recordings_are_found_in_the_folder_of_the_ini_option(run, pytester, option):
    folder = pytester.path / (option or "tests/recordings")
    folder.mkdir(parents=True)
    (folder / "mine.sse").write_bytes(RECORDED)
    if option:
        pytester.makeini(f"[pytest]\nsse_recordings = {option}\n")
    run(
        f"""
from pathlib import Path

@pytest.fixture(scope="session")
def listed(sse_recordings):
    return [path.name for path in sse_recordings.iterdir()]

@pytest.mark.fake_upstream("mine")
def test_it(ask, listed, sse_recordings):
    assert sse_recordings == Path({str(folder)!r})
    assert listed == ["mine.sse"]
    assert ask() == {RECORDED!r}
""",
        passed=1,
    )


# --- sse_rechunk

CHUNKS = """
from io import BytesIO
from sse_middleware.testing import Recording, rechunk

def chunks(upstream):
    environ = {"REQUEST_METHOD": "POST", "PATH_INFO": "/v1/x", "wsgi.input": BytesIO()}
    return list(upstream(environ, lambda status, headers: None))

def recorded(mode):
    return [data for _, data in mode(Recording.named("chat-text")).pieces()]
"""


def test_a_test_with_sse_rechunk_runs_under_each_mode(run):
    result = run(
        CHUNKS
        + """
@pytest.mark.fake_upstream("chat-text")
def test_it(fake_upstream, sse_rechunk):
    assert chunks(fake_upstream) == recorded(sse_rechunk)
""",
        "-v",
        passed=len(MODES),
    )
    assert re.findall(r"::test_it\[(.*)\] PASSED", result.stdout.str()) == list(MODES)


def test_sse_rechunk_reaches_a_test_by_way_of_a_fixture_or_usefixtures(run):
    run(
        CHUNKS
        + """
@pytest.fixture
def mode(sse_rechunk):
    return sse_rechunk

def test_by_a_fixture(fake_upstream, mode):
    fake_upstream.play("chat-text", rechunk=mode)
    assert chunks(fake_upstream) == recorded(mode)

@pytest.mark.usefixtures("sse_rechunk")
@pytest.mark.fake_upstream("chat-text")
def test_by_usefixtures(fake_upstream):
    assert b"".join(chunks(fake_upstream)) == Recording.named("chat-text").body
""",
        passed=2 * len(MODES),
    )


def test_a_test_may_choose_the_modes(run):
    run(
        CHUNKS
        + """
TWO = [rechunk.bytewise, rechunk.coalesced]
pytestmark = pytest.mark.fake_upstream("chat-text")

@pytest.mark.parametrize("sse_rechunk", TWO)
def test_name(fake_upstream, sse_rechunk):
    assert chunks(fake_upstream) == recorded(sse_rechunk)

@pytest.mark.parametrize("n, sse_rechunk", zip(range(2), TWO))
def test_names(fake_upstream, n, sse_rechunk):
    assert chunks(fake_upstream) == recorded(sse_rechunk)

@pytest.mark.parametrize(["sse_rechunk", "n"], zip(TWO, range(2)))
def test_list(fake_upstream, n, sse_rechunk):
    assert chunks(fake_upstream) == recorded(sse_rechunk)

@pytest.mark.parametrize(argnames="sse_rechunk", argvalues=TWO, indirect=True)
def test_keyword(fake_upstream, sse_rechunk):
    assert chunks(fake_upstream) == recorded(sse_rechunk)

@pytest.mark.parametrize("n", range(2))
def test_another(fake_upstream, sse_rechunk, n):
    assert chunks(fake_upstream) == recorded(sse_rechunk)
""",
        passed=8 + 2 * len(MODES),
    )


# --- a client, and a comparison


def test_a_stream_client_runs_its_app_on_the_clock_of_the_test(run):
    run(
        """
from sse_middleware.clock import SystemClock

seen = []

def app(environ, start_response):
    seen.append(environ.get("sse_middleware.clock"))
    start_response("200 OK", [("Content-Type", "text/event-stream")])
    return [b"data: Hello\\n\\n"]

def asked(client):
    with client.get("/") as stream:
        assert stream.event().data == "Hello"
    return seen.pop()

def test_without(stream_client):
    assert asked(stream_client(app)) is None

def test_with(stream_client, sse_clock):
    assert asked(stream_client(app)) is sse_clock

def test_with_another(stream_client, sse_clock):
    other = SystemClock()
    assert asked(stream_client(app, clock=other)) is other

@pytest.mark.fake_upstream("chat-text")
def test_a_url_has_a_clock_of_its_own(stream_client, sse_clock, fake_upstream):
    with stream_client(fake_upstream.base_url).post("/chat/completions", json={}) as stream:
        assert stream.status_code == 200
""",
        passed=4,
    )


def test_events_that_differ_are_explained(run):
    result = run(
        """
from sse_middleware import Event

def test_events():
    assert [Event("a")] == [Event("b")]

def test_others():
    assert ["a"] == ["b"]

def test_another_operator():
    assert [Event("a")] is [Event("b")]
""",
        failed=3,
    )
    explained = [line for line in result.stdout.lines if re.match(r"E +\[0\]\.data", line)]
    assert explained == ["E         [0].data: 'a' != 'b'"]


# --- what it costs, and how to be rid of it

IMPORTED = """
import sys

def pytest_unconfigure():
    print("imported:", *sorted(sys.modules))
"""


def imported(pytester, *options):
    pytester.makeconftest(IMPORTED)
    pytester.makepyfile(
        "import pytest\n"
        "def test_plain():\n    assert [1] == [1]\n\n"
        "def test_failing():\n    assert [1] == [2]\n\n"
        "@pytest.mark.parametrize('number', [1, 2])\ndef test_parametrised(number):\n    pass\n\n"
        "def test_stream(fake_upstream):\n    pass\n"
    )
    result = pytester.runpytest_subprocess(*options)
    [line] = [line for line in result.stdout.lines if line.startswith("imported:")]
    return set(line.split()[1:])


@pytest.mark.parametrize("options", [("--collect-only",), ("-k", "not stream")])
def test_nothing_is_imported_before_a_fixture_is_used(pytester, options):
    pytester.makepyfile(empty_plugin="")
    loaded = ("-p", "sse_middleware.pytest_plugin")  # an entry point costs pytest some more
    with_it = imported(pytester, *loaded, *options)
    assert with_it - imported(pytester, "-p", "empty_plugin", *options) == {
        "sse_middleware",
        "sse_middleware.pytest_plugin",
    }
    assert "sse_middleware.testing.upstream" in imported(pytester, *loaded)


def test_it_can_be_switched_off(pytester, monkeypatch):
    monkeypatch.delenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD")
    pytester.makepyfile("def test_it(fake_upstream):\n    pass\n")
    result = pytester.runpytest_subprocess("-p", "no:sse_middleware")
    assert result.parseoutcomes()["errors"] == 1
    result.stdout.fnmatch_lines(["*fixture 'fake_upstream' not found"])


# --- beside other plugins


@pytest.mark.skipif(find_spec("xdist") is None, reason="xdist is absent")
def test_verdicts_and_sections_come_through_xdist(run):
    result = run(
        """
@pytest.mark.fake_upstream("chat-text")
def test_unplayed():
    pass

@pytest.mark.fake_upstream("chat-text")
def test_failing():
    assert 1 == 2

@pytest.mark.parametrize("number", range(6))
@pytest.mark.fake_upstream("chat-text")
def test_passing(ask, number):
    ask()
""",
        *("-p", "xdist", "-n", "2"),
        passed=7,
        failed=1,
        errors=1,
    )
    scripted = "'chat-text' (played 0 of 1)"
    assert told(result, "fake upstream") == f"requests:\n  none\nscripted:\n  {scripted}"
    assert scripted in told(result, "ERROR at teardown of test_unplayed")


ASYNC = """
import asyncio

MARK
@pytest.mark.fake_upstream("chat-text")
async def test_it(ask):
    body = await asyncio.get_running_loop().run_in_executor(None, ask)
    assert body.endswith(b"data: [DONE]\\n\\n")

MARK
@pytest.mark.fake_upstream("chat-text")
async def test_failing():
    await asyncio.sleep(0)
    assert 1 == 2

MARK
async def test_unplayed(fake_upstream):
    await asyncio.sleep(0)
    fake_upstream.play("chat-text")
"""


@pytest.mark.parametrize(
    ("plugin", "module"), [("anyio", "anyio"), ("asyncio", "pytest_asyncio")], ids=str
)
def test_an_async_test_has_fixtures_and_verdicts_like_any_other(run, plugin, module):
    if find_spec(module) is None:
        pytest.skip(f"{module} is absent")
    backend = "@pytest.fixture\ndef anyio_backend():\n    return 'asyncio'\n"
    source = backend + ASYNC.replace("MARK", f"@pytest.mark.{plugin}")
    run(source, "-p", plugin, passed=2, failed=1, errors=1)
