"""sse_middleware.cli.serve: what is wrapped, with which options, and how it is told.

That it is served, and ends, is in test_cli_servers.py.
"""

import inspect
import sys

import pytest

from sse_middleware import Event, SSEMiddleware
from sse_middleware.cli import main, serve
from sse_middleware.cli.servers import SERVERS
from sse_middleware.testing import StreamClient

APPS = """
from sse_middleware import SSEMiddleware

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/html")])
    return iter([{"data": "one"}, {"data": "two"}])

wrapped = SSEMiddleware(app, end_event="fin")

class Framework:
    def __init__(self, wsgi_app):
        self.wsgi_app = wsgi_app
    def __call__(self, environ, start_response):
        return self.wsgi_app(environ, start_response)

class Outer:
    def __init__(self, app):
        self.app = app
    def __call__(self, environ, start_response):
        return self.app(environ, start_response)

framework = Framework(wrapped)
outer = Outer(Outer(framework))
unwrapped = Outer(app)
itself = Framework(app)
itself.wsgi_app = itself
"""


@pytest.fixture(autouse=True)
def apps(tmp_path, monkeypatch):
    (tmp_path / "apps_to_serve.py").write_text(APPS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    yield
    sys.modules.pop("apps_to_serve", None)


@pytest.fixture
def served(monkeypatch):
    """What came to the server, by name; nothing is listened on."""
    came = {}

    def take(app, **arguments):
        came.update(arguments, app=app)
        arguments["told"]("http://127.0.0.1:8000")

    monkeypatch.setattr(serve, "serve", take)
    return came


def run(*arguments):
    return main(["serve", *arguments])


OPTIONS = {
    "worker": (["--worker", "/chat/*", "--worker", "/x"], {"worker": ["/chat/*", "/x"]}),
    "items": (["--items", "data"], {"items": "data"}),
    "heartbeat": (["--heartbeat", "2.5"], {"heartbeat": 2.5}),
    "no heartbeat": (["--heartbeat", "none"], {"heartbeat": None}),
    "retry": (["--retry", "3000"], {"retry": 3000}),
    "end event": (["--end-event", "close"], {"end_event": "close"}),
    "an end event of digits": (["--end-event", "7"], {"end_event": "7"}),
    "max age": (["--max-age", "3600"], {"max_age": 3600}),
    "max streams": (["--max-streams", "9"], {"max_streams": 9}),
    "none": ([], {}),
}


@pytest.mark.parametrize(("given", "options"), OPTIONS.values(), ids=OPTIONS)
def test_the_options_of_the_middleware_reach_it(given, options, served, monkeypatch):
    made = []

    class Recorded(SSEMiddleware):
        __signature__ = inspect.signature(SSEMiddleware)

        def __init__(self, app, **options):
            made.append(options)
            super().__init__(app, **options)

    monkeypatch.setattr(serve, "SSEMiddleware", Recorded)
    assert run("apps_to_serve", *given) == 0
    assert made == [options]


REFUSED = {
    "heartbeat": (["--heartbeat", "often"], "heartbeat is 'often': expected seconds, a number > 0"),
    "no seconds": (["--heartbeat", "0"], "heartbeat is 0: expected seconds, a number > 0"),
    "retry": (["--retry", "-1"], "retry is -1: expected an int >= 0"),
    "items": (["--items", "dicts"], "items is 'dicts': expected 'event' or 'data'"),
    "end event": (["--end-event", "message"], "end_event is 'message': expected a name that"),
    "max age": (["--max-age", "inf"], "max_age is inf: expected seconds, a number > 0"),
    "max streams": (["--max-streams", "1.5"], "max_streams is 1.5: expected an int >= 1"),
    "a module": (["nowhere"], "module is 'nowhere', not found: expected one that is installed"),
    "no WSGI app": (["sys:path"], "sys:path is ["),
}


@pytest.mark.parametrize(("given", "message"), REFUSED.values(), ids=REFUSED)
def test_what_has_no_meaning_is_one_line_and_exit_code_2(given, message, served, capsys):
    target = [] if not given[0].startswith("--") else ["apps_to_serve"]
    assert run(*target, *given) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"sse-middleware: {message}")
    assert err.count("\n") == 1
    assert served == {}


def test_an_app_is_wrapped_and_its_streams_can_be_drained(served, capsys):
    assert run("apps_to_serve", "--end-event", "close") == 0
    assert capsys.readouterr().out.splitlines() == [
        "Serving: apps_to_serve, wrapped in SSEMiddleware, on waitress",
        "URL:     http://127.0.0.1:8000/",
    ]
    with StreamClient(served["app"]).get("/") as stream:
        assert list(stream) == [Event("one"), Event("two"), Event("", event="close", id="sse:end")]
    assert served["drain"] == served["app"].drain


@pytest.mark.parametrize("name", ["wrapped", "framework", "outer"])
def test_an_app_that_is_wrapped_is_served_as_it_is(name, served, capsys):
    assert run(f"apps_to_serve:{name}") == 0
    assert f"apps_to_serve:{name}, which is wrapped already, on" in capsys.readouterr().out
    apps = sys.modules["apps_to_serve"]
    assert served["app"] is getattr(apps, name)
    assert served["drain"] == apps.wrapped.drain


@pytest.mark.parametrize("name", ["unwrapped", "itself"])
def test_attributes_that_lead_to_no_middleware_do_not_count(name, served, capsys):
    assert run(f"apps_to_serve:{name}") == 0
    assert isinstance(served["app"], SSEMiddleware)


def test_options_for_an_app_that_has_its_own_are_refused(served, capsys):
    assert run("apps_to_serve:outer", "--max-age", "3", "--retry", "5") == 2
    told = "apps_to_serve:outer is wrapped in SSEMiddleware already"
    assert capsys.readouterr().err.endswith(f"{told}: expected no --retry, --max-age\n")


def test_the_server_the_host_and_the_port_are_passed_on(served):
    run("apps_to_serve")
    assert (served["server"], served["host"], served["port"]) == ("waitress", "127.0.0.1", 8000)
    run("apps_to_serve", "--server", "werkzeug", "--host", "::", "--port", "0")
    assert (served["server"], served["host"], served["port"]) == ("werkzeug", "::", 0)


def test_an_unknown_server_is_refused_with_those_that_there_are(capsys):
    with pytest.raises(SystemExit) as caught:
        run("apps_to_serve", "--server", "uwsgi")
    assert caught.value.code == 2
    told = capsys.readouterr().err
    assert all(name in told for name in SERVERS)
