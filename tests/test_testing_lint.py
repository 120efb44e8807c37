"""FramingLint: each faulty app of fixtures/apps is caught by its rule, the correct ones by none."""

import gc
import importlib.util
import io
import sys
import threading
from pathlib import Path
from wsgiref.handlers import SimpleHandler
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest

from sse_middleware import SSEMiddleware
from sse_middleware.errors import FramingError, OptionError
from sse_middleware.headers import stream_headers
from sse_middleware.testing import FramingLint, VirtualClock
from sse_middleware.testing._framing_rules import RULES

APPS = Path(__file__).parents[1] / "fixtures" / "apps"
FAULTY = sorted(path.stem for path in (APPS / "faulty").glob("*.py"))


# A body that was never closed: its __del__ raises, and Python can but warn.
ignores_what_no_one_can_raise = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)


def load(path):
    """The module at ``path``."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CORRECT = [
    pytest.param(app, method, module, id=f"{module.__name__}: {name}, {method}")
    for module in map(load, sorted((APPS / "correct").glob("*.py")))
    for name, app in module.APPS.items()
    for method in getattr(module, "METHODS", ["GET"])
]


def serve(app, method="GET", accept="*/*", path="/"):
    """The body, as a server reads it: call, iterate, close. Headers arrive before the body."""
    environ = {"REQUEST_METHOD": method, "HTTP_ACCEPT": accept, "QUERY_STRING": ""}
    environ.update({"SCRIPT_NAME": "", "PATH_INFO": path})
    setup_testing_defaults(environ)
    written = io.BytesIO()
    body = app(environ, lambda *answer: written.write)
    try:
        return written.getvalue() + b"".join(body)
    finally:
        if hasattr(body, "close"):
            body.close()


def fault(app, method="GET"):
    """The codes of what is raised where ``app`` is served."""
    with pytest.raises(FramingError) as caught:
        serve(app, method)
    return [problem.code for problem in caught.value.problems]


def stream(body, status="200 OK", headers=()):
    """An app that returns ``body`` as a stream."""

    def app(environ, start_response):
        start_response(status, stream_headers([]) + list(headers))
        return body

    return app


def generated(*items):
    yield from items


def test_there_is_one_faulty_app_for_each_rule():
    expected = [f"{rule.code.lower()}_{rule.name.replace('-', '_')}" for rule in RULES.values()]
    assert expected == FAULTY


@ignores_what_no_one_can_raise
@pytest.mark.parametrize("name", FAULTY)
def test_a_faulty_app_is_caught_by_exactly_its_rule(name):
    module = load(APPS / "faulty" / f"{name}.py")
    lint = FramingLint(module.app, profile=getattr(module, "PROFILE", "whatwg"))
    app = getattr(module, "around", lambda app: app)(lint)
    with pytest.raises(FramingError) as caught, lint:
        serve(app, getattr(module, "METHOD", "GET"))
    assert {problem.code for problem in caught.value.problems} == {name[:6].upper()}
    assert list(caught.value.problems) == lint.problems


@pytest.mark.parametrize("name", [name for name in FAULTY if name.startswith("sse2")])
def test_what_breaks_an_sdk_only_is_no_fault_elsewhere(name):
    serve(FramingLint(load(APPS / "faulty" / f"{name}.py").app))


@pytest.mark.parametrize(("app", "method", "module"), CORRECT)
def test_a_correct_app_is_caught_by_no_rule(app, method, module):
    with FramingLint(app, profile=getattr(module, "PROFILE", "whatwg")) as checked:
        serve(checked, method)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(("name", "app"), load(APPS / "correct" / "others.py").APPS.items())
def test_what_is_no_stream_leaves_as_it_came(name, app, method):
    assert serve(FramingLint(app), method) == serve(app, method)


@ignores_what_no_one_can_raise
@pytest.mark.parametrize("name", FAULTY)
def test_a_faulty_app_shows_its_faults_also_where_an_error_is_swallowed(name):
    module = load(APPS / "faulty" / f"{name}.py")
    lint = FramingLint(module.app, profile=getattr(module, "PROFILE", "whatwg"))
    with pytest.raises(FramingError), lint:
        try:
            serve(
                getattr(module, "around", lambda app: app)(lint), getattr(module, "METHOD", "GET")
            )
        except FramingError:
            pass


def test_the_middleware_around_turns_the_error_into_an_event_and_the_with_still_raises():
    lint = FramingLint(stream(generated(b"data: 1\n\n", b"Data: 2\n\n")))
    with pytest.raises(FramingError, match="SSE104"), lint:
        assert b"event: error" in serve(SSEMiddleware(lint))


@pytest.mark.parametrize(
    ("first", "heartbeat"), [({"data": {}}, b": \n\n"), ({"id": 1, "data": {}}, b":\n")]
)
def test_the_heartbeats_of_the_middleware_are_right_for_openai_too(first, heartbeat):
    clock, gate = VirtualClock(), threading.Event()

    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        yield first
        assert gate.wait(20), "the test never went on"
        yield {"data": "[DONE]"}

    middleware = SSEMiddleware(app, clock=clock, worker=lambda environ: True)
    with FramingLint(middleware, profile="openai") as checked:
        body = checked({"REQUEST_METHOD": "GET"}, lambda *answer: None)
        assert next(body).endswith(b"data: {}\n\n")
        clock.advance(15)
        assert next(body) == heartbeat
        gate.set()
        assert list(body) == [b"data: [DONE]\n\n"]
        body.close()


def test_an_event_source_that_is_sent_away_for_a_while_gets_a_right_stream():
    middleware = SSEMiddleware(stream(generated(b"data: 1\n\n")))
    middleware.drain(0)
    with FramingLint(middleware) as checked:
        assert serve(checked, accept="text/event-stream") == b"retry: 5000\n\n"


def test_the_error_is_an_assertion_error_and_never_raised_inside_start_response():
    def app(environ, start_response):
        try:
            start_response("200 OK", [("Content-Type", "text/event-stream")])
        except AssertionError:
            pytest.fail("a framework would make an error page of it")
        return generated()

    with pytest.raises(AssertionError, match="SSE307"):
        serve(FramingLint(app))


def test_the_body_of_an_app_with_faulty_headers_is_closed():
    class Body:
        closed = 0

        def __iter__(self):
            return iter([])

        def close(self):
            self.closed += 1

    body = Body()
    assert fault(FramingLint(stream(body, headers=[("Content-Length", "0")]))) == ["SSE303"]
    assert body.closed == 1


def test_close_reaches_the_app_once_and_its_error_passes():
    class Body:
        def __iter__(self):
            return iter([b"data: 1\n\n"])

        def close(self):
            raise OSError("the app's own")

    with pytest.raises(OSError, match="the app's own"):
        serve(FramingLint(stream(Body())))


def test_a_body_that_is_dropped_without_close_is_told_where_it_can_be(monkeypatch):
    told = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: told.append(unraisable.exc_value))
    lint = FramingLint(stream(generated(b"data: 1\n\n")))
    body = lint({"REQUEST_METHOD": "GET"}, lambda *answer: None)
    assert list(body) == [b"data: 1\n\n"]
    del body
    gc.collect()
    assert [problem.code for error in told for problem in error.problems] == ["SSE408"]
    assert [problem.code for problem in lint.problems] == ["SSE408"]


def test_a_body_that_failed_in_the_test_need_not_be_closed():
    lint = FramingLint(stream(generated(b"Data: 1\n\n")))
    body = lint({"REQUEST_METHOD": "GET"}, lambda *answer: None)
    with pytest.raises(FramingError, match="SSE104"):
        next(body)
    del body
    gc.collect()
    assert [problem.code for problem in lint.problems] == ["SSE104"]


def test_a_body_that_is_open_when_the_with_is_left_is_told_once():
    lint = FramingLint(stream(generated(b"data: 1\n\n")))
    with pytest.raises(FramingError, match="SSE408"), lint:
        body = lint({"REQUEST_METHOD": "GET"}, lambda *answer: None)
    del body
    gc.collect()
    assert len(lint.problems) == 1


@ignores_what_no_one_can_raise
def test_the_error_of_a_test_inside_the_with_is_not_hidden():
    with pytest.raises(ZeroDivisionError), FramingLint(stream(generated())) as lint:
        lint({"REQUEST_METHOD": "GET"}, lambda *answer: None)
        raise ZeroDivisionError


def test_a_client_that_leaves_early_is_no_fault():
    with FramingLint(stream(generated(b"data: 1\n\n", b"data: 2\n\n")), profile="openai") as lint:
        body = lint({"REQUEST_METHOD": "GET"}, lambda *answer: None)
        assert next(iter(body)) == b"data: 1\n\n"
        body.close()


def test_an_error_of_the_app_passes_as_it_is():
    def failing():
        yield b"data: 1\n\n"
        raise KeyError("the app's own")

    with pytest.raises(KeyError, match="the app's own"):
        serve(FramingLint(stream(failing())))


@pytest.mark.parametrize(
    ("items", "codes"),
    [
        pytest.param([b"data: 1", b"\n\n"], ["SSE401"], id="inside a line"),
        pytest.param([b"data: 1\n", b"\n"], ["SSE401"], id="before the blank line"),
        pytest.param([b"data: 1\r\n\r", b"\n"], ["SSE401"], id="inside CRLF"),
        pytest.param([b"data: 1\r", b"\r"], ["SSE401"], id="between two CR"),
        pytest.param([b": pi", b"ng\n\n"], ["SSE401"], id="inside a comment"),
        pytest.param(["data: é".encode()[:-1], b"\xa9\n\n"], ["SSE401"], id="inside a character"),
        pytest.param([b"data: 1\n\nda", b"ta: 2\n\n"], ["SSE401"], id="after a whole one"),
        pytest.param([b"data: 1"], ["SSE105"], id="cut at the end"),
        pytest.param([bytearray(b"data: 1\n\n")], ["SSE403"], id="bytearray"),
        pytest.param([{"data": "1"}], ["SSE403"], id="dict"),
        pytest.param([b"data: 1\n\n", None], ["SSE403"], id="None"),
    ],
)
def test_items_are_whole_events_in_bytes(items, codes):
    assert fault(FramingLint(stream(generated(*items)))) == codes


@pytest.mark.parametrize("status", ["204 No Content", "205 Reset Content", "304 Not Modified"])
def test_a_status_without_content_has_no_body(status):
    assert fault(FramingLint(stream(generated(b"data: 1\n\n"), status))) == ["SSE410"]


def test_a_stream_on_head_is_told_before_it_is_read():
    assert fault(FramingLint(stream(generated(b"data: 1\n\n"))), "HEAD") == ["SSE409"]


def typed(content_type, *items):
    """An app whose body is ``items``, of that type, or of none."""

    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", content_type)] if content_type else [])
        return generated(*items)

    return app


@pytest.mark.parametrize(
    "content_type",
    [
        "text/html",
        "Text/Plain; charset=utf-8",
        "application/json",
        "application/x-ndjson",
        "text/stream",
        "text/eventstream",
        None,
    ],
)
@pytest.mark.parametrize(
    "items",
    [
        [b": hello\n\n", b"event: a\ndata: 1\n\n"],
        [b"data: 1\r\n\r\n"],
        [b"", b": c\rdata:1\r\r"],
        [b"data: a\ndata: b\nid: 1\n\n", b"and whatever follows"],
    ],
)
def test_events_under_another_type_are_told(content_type, items):
    assert fault(FramingLint(typed(content_type, *items))) == ["SSE301"]


@pytest.mark.parametrize(
    "items",
    [
        [b"data: 1\n"],
        [b"id: 1\nname: x\ndata: y\n\n"],
        [b"id: 1\n\n"],
        [b"<p>", b"data: 1\n\n"],
        [b"data: 1\n\nHello"],
        [b"\n\n"],
    ],
)
def test_a_text_that_only_begins_like_events_is_left_alone(items):
    assert serve(FramingLint(typed("text/plain", *items))) == b"".join(items)


def test_a_large_text_that_begins_like_events_costs_no_more_than_its_size():
    text = b"data: 1\r\n" * 50000 + b"Hello"
    assert serve(FramingLint(typed("text/plain", text))) == text


def test_what_a_client_that_wants_events_gets_is_taken_for_events():
    app = FramingLint(typed("application/yaml", b"data: 1\n\n"))
    assert serve(app) == b"data: 1\n\n"
    with pytest.raises(FramingError, match="SSE301"):
        serve(app, accept="text/event-stream")


def test_a_dict_in_any_response_is_told():
    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/html")])
        return iter([{"data": "1"}])

    assert fault(FramingLint(app)) == ["SSE403"]


def test_a_second_start_response_with_exc_info_is_the_servers_business():
    def app(environ, start_response):
        start_response("200 OK", stream_headers([]))
        yield_first = generated(b"data: 1\n\n")
        start_response("200 OK", stream_headers([]), (None, None, None))
        return yield_first

    assert serve(FramingLint(app)) == b"data: 1\n\n"


def replacing(first, second, headers):
    """An app whose generator answers anew, with exc_info, before its first item."""

    def body(start_response):
        try:
            raise ValueError
        except ValueError:
            start_response("500 Oops", headers, sys.exc_info())
        yield second

    def app(environ, start_response):
        start_response("200 OK", first)
        return body(start_response)

    return app


def test_an_error_page_that_replaces_a_stream_is_no_stream():
    page = replacing(stream_headers([]), b"<h1>Oops</h1>", [("Content-Type", "text/html")])
    with FramingLint(page) as checked:
        assert serve(checked) == b"<h1>Oops</h1>"


def test_a_stream_that_replaces_a_page_is_a_stream():
    plain = [("Content-Type", "text/html")]
    assert fault(FramingLint(replacing(plain, b"Data: 1\n\n", stream_headers([])))) == ["SSE104"]


def test_faults_of_write_are_raised_when_the_app_returns():
    def app(environ, start_response):
        write = start_response("200 OK", stream_headers([]))
        write(b"Data: 1\n\n")
        return []

    assert fault(FramingLint(app)) == ["SSE104"]


def test_a_list_of_another_type_goes_to_the_server_as_it_is():
    page = [b"<p>Hello"]

    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/html")])
        return page

    assert FramingLint(app)({"REQUEST_METHOD": "GET"}, lambda *answer: None) is page


def test_what_it_returns_suits_the_validator_of_the_standard_library():
    app = validator(FramingLint(validator(stream(generated(b"data: 1\n\n")))))
    assert serve(app) == b"data: 1\n\n"


def test_an_unknown_profile_is_refused():
    with pytest.raises(OptionError, match="profile is 'openid': expected one of whatwg, openai"):
        FramingLint(stream(generated()), profile="openid")


def test_what_is_no_app_is_refused():
    with pytest.raises(OptionError, match="app is None: expected a WSGI app"):
        FramingLint(None)


def test_webtest_reads_through_it():
    webtest = pytest.importorskip("webtest")
    with FramingLint(stream(generated(b"data: 1\n\n"))) as checked:
        assert webtest.TestApp(checked).get("/").body == b"data: 1\n\n"


@pytest.mark.parametrize("buffered", [True, False], ids=["buffered", "streamed"])
def test_werkzeug_reads_through_it(buffered):
    werkzeug = pytest.importorskip("werkzeug.test")
    with FramingLint(stream(generated(b"data: 1\n\n"))) as checked:
        response = werkzeug.Client(checked).get("/", buffered=buffered)
        assert response.data == b"data: 1\n\n"
        response.close()


def test_httpx_reads_through_it():
    httpx = pytest.importorskip("httpx")
    with FramingLint(stream(generated(b"data: 1\n\n"))) as checked:
        client = httpx.Client(transport=httpx.WSGITransport(app=checked))
        assert client.get("http://test/").content == b"data: 1\n\n"


def test_wsgiref_serves_through_it():
    output, environ = io.BytesIO(), {"REQUEST_METHOD": "GET"}
    setup_testing_defaults(environ)
    with FramingLint(stream(generated(b"data: 1\n\n"))) as checked:
        handler = SimpleHandler(io.BytesIO(), output, io.StringIO(), environ)
        handler.run(checked)
    assert output.getvalue().endswith(b"data: 1\n\n")


def flask_app():
    flask = pytest.importorskip("flask")
    app = flask.Flask(__name__)

    @app.route("/stream")
    def stream_of_bytes():
        return flask.Response(generated("data: 1\n\n", "data: 2\n\n"), headers=stream_headers([]))

    @app.route("/dicts")
    def stream_of_dicts():
        return flask.Response(generated({"data": 1}, {"data": 2}))

    @app.route("/page")
    def page():
        return "<p>Hello"

    return app


def bottle_app():
    bottle = pytest.importorskip("bottle")
    app = bottle.Bottle()

    @app.get("/stream")
    def stream_of_bytes():
        for name, value in stream_headers([]):
            bottle.response.set_header(name, value)
        return generated(b"data: 1\n\n", b"data: 2\n\n")

    @app.get("/dicts")
    def stream_of_dicts():
        return generated({"data": 1}, {"data": 2})

    @app.get("/page")
    def page():
        return "<p>Hello"

    return app


@pytest.mark.parametrize("make_app", [flask_app, bottle_app])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("accept", ["*/*", "text/event-stream"])
@pytest.mark.parametrize("path", ["/stream", "/dicts", "/page", "/none"])
def test_a_right_app_of_a_framework_is_caught_by_no_rule(make_app, path, method, accept):
    app = make_app() if path == "/stream" else SSEMiddleware(make_app())
    with FramingLint(app) as checked:
        body = serve(checked, method, accept, path)
    assert (body == b"data: 1\n\ndata: 2\n\n") == (
        method == "GET" and path in ("/stream", "/dicts")
    )
