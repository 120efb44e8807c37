"""Real frameworks under the middleware: each one serves events, and nothing else of it changes.

Every framework builds the same small app around a source of items; the facts are then one table
for all. `wsgiref.validate` stands outside the middleware in every request (inside, it would
refuse the dicts). A framework that is not installed is skipped.
"""

import http.client
import io
import logging
import threading
from collections import namedtuple
from wsgiref.simple_server import WSGIRequestHandler, make_server
from wsgiref.util import FileWrapper, setup_testing_defaults
from wsgiref.validate import validator

import pytest

from sse_middleware import Event, EventParser, SSEMiddleware, current_stream, event_stream

DEADLINE_S = 20
COMMON = ["Content-Type", "Cache-Control", "X-Accel-Buffering"]


# What a server does


class Reply:
    """One response, taken item by item, as a server takes it."""

    def __init__(self, app, method="GET", path="/", validate=True, **environ):
        self.status = None
        self.headers = []
        self.items = []
        self._given = 0
        environ = {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": "",
            "PATH_INFO": path,
            "QUERY_STRING": "",
            "HTTP_HOST": "127.0.0.1",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "wsgi.file_wrapper": FileWrapper,
            "wsgi.errors": io.StringIO(),
            **environ,
        }
        setup_testing_defaults(environ)
        self.environ = environ
        self.body = (validator(app) if validate else app)(environ, self._start_response)
        try:
            self._iterator = iter(self.body)
        except BaseException:
            self.close()
            raise

    def _start_response(self, status, headers, exc_info=None):
        if exc_info and self._given:
            raise exc_info[1].with_traceback(exc_info[2])
        assert exc_info or self.status is None
        self.status, self.headers = status, list(headers)
        return self._write

    def _write(self, data):
        self._given += 1
        self.items.append(data)

    def __iter__(self):
        return self

    def __next__(self):
        item = next(self._iterator)
        self._write(item)
        return item

    def read(self):
        """The rest, and the end."""
        try:
            for _ in self:
                pass
        finally:
            self.close()
        return self

    def close(self):
        close = getattr(self.body, "close", None)
        if close:
            close()

    def header(self, name):
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        assert len(values) < 2, f"{name} is there twice: {values}"
        return values[0] if values else None

    @property
    def events(self):
        return EventParser().feed(b"".join(self.items))


def outcome(app, **request):
    """All that a server can see of a response: what was raised, or what was answered."""
    try:
        reply = Reply(app, **request).read()
    except Exception as error:
        return type(error), str(error), []
    headers = [pair for pair in reply.headers if pair[0] not in ("Date", "Expires")]
    return reply.status, headers, reply.items


class Source:
    """A generator of items that tells how far it was driven; exceptions in it are raised."""

    def __init__(self, *items):
        self.items = items
        self.produced = 0
        self.finished = 0

    def __call__(self):
        try:
            for item in self.items:
                self.produced += 1
                if isinstance(item, Exception):
                    raise item
                yield item() if callable(item) else item
        finally:
            self.finished += 1


class Iterator:
    """An iterator that is no generator."""

    def __init__(self, items):
        self._items = items
        self.close = items.close

    def __iter__(self):
        return self

    def __next__(self):
        return next(self._items)


# The same app in each framework: GET and HEAD / answer with what ``produce()`` returns


def plain_iterator(produce, headers=()):
    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/html"), *headers])
        return Iterator(produce())

    return app


def plain_generator(produce, headers=()):
    def app(environ, start_response):  # start_response runs at the first next()
        start_response("200 OK", [("Content-Type", "text/html"), *headers])
        yield from produce()

    return app


def plain_class(produce, headers=()):
    class App:
        def __init__(self, environ, start_response):
            start_response("200 OK", [("Content-Type", "text/event-stream"), *headers])
            self._items = produce()
            self.close = self._items.close

        def __iter__(self):
            return self._items

    return App


def plain_event_stream(produce, headers=()):
    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain"), *headers])
        return event_stream(produce())

    return app


def _flask(respond, headers):
    flask = pytest.importorskip("flask")
    app = flask.Flask("streams")

    @app.route("/")
    def stream():
        response = app.make_response(respond(flask))
        response.headers.extend(list(headers))
        return response

    return app.wsgi_app


def flask_response(produce, headers=()):
    return _flask(lambda flask: flask.Response(produce()), headers)


def flask_bare(produce, headers=()):
    from importlib import metadata

    pytest.importorskip("flask")
    if metadata.version("flask").startswith("1."):
        pytest.skip("Flask 1 refuses a bare generator, as it does without the middleware")
    return _flask(lambda flask: produce(), headers)


def flask_with_context(produce, headers=()):
    return _flask(lambda flask: flask.Response(flask.stream_with_context(produce())), headers)


def flask_passthrough(produce, headers=()):
    return _flask(lambda flask: flask.Response(produce(), direct_passthrough=True), headers)


def _bottle(respond, headers):
    bottle = pytest.importorskip("bottle")
    app = bottle.Bottle()

    @app.route("/")
    def stream():
        return respond(bottle, dict(headers))

    return app


def bottle_yield(produce, headers=()):
    bottle = pytest.importorskip("bottle")
    app = bottle.Bottle()

    @app.route("/")
    def stream():
        for name, value in headers:
            bottle.response.set_header(name, value)
        yield from produce()

    return app


def bottle_raise(produce, headers=()):
    def respond(bottle, headers):
        raise bottle.HTTPResponse(body=produce(), **headers)

    return _bottle(respond, headers)


def bottle_return(produce, headers=()):
    return _bottle(
        lambda bottle, headers: bottle.HTTPResponse(body=Iterator(produce()), **headers), headers
    )


def pyramid(produce, headers=()):
    config = pytest.importorskip("pyramid.config").Configurator()
    response = pytest.importorskip("pyramid.response")
    html = ("Content-Type", "text/html")
    config.add_route("stream", "/")
    config.add_view(
        lambda request: response.Response(app_iter=produce(), headerlist=[html, *headers]),
        route_name="stream",
    )
    return config.make_wsgi_app()


def webob(produce, headers=()):
    webob = pytest.importorskip("webob")
    dec = pytest.importorskip("webob.dec")
    return dec.wsgify(
        lambda request: webob.Response(
            app_iter=produce(), headerlist=[("Content-Type", "text/html"), *headers]
        )
    )


def falcon(produce, headers=()):
    falcon = pytest.importorskip("falcon")

    class Stream:
        def on_get(self, request, response):
            response.stream = produce()
            response.set_headers(list(headers))

        on_head = on_get

    app = falcon.App()
    app.add_route("/", Stream())
    return app


def cherrypy(produce, headers=()):
    cherrypy = pytest.importorskip("cherrypy")

    class Root:
        @cherrypy.expose
        def index(self):
            cherrypy.response.headers.update(dict(headers))
            return produce()

    config = {"response.stream": True, "request.show_tracebacks": False}
    app = cherrypy.Application(Root(), config={"/": config})
    app.log.screen = False
    return app


def _django(view):
    """The one site of the process; the view of a request is in its environ."""
    conf = pytest.importorskip("django.conf")
    if not conf.settings.configured:
        import django
        from django.urls import re_path

        conf.settings.configure(
            ALLOWED_HOSTS=["*"],
            ROOT_URLCONF=(re_path("", lambda request: request.environ["tests.view"](request)),),
            SECRET_KEY="for tests",
            LOGGING_CONFIG=None,
        )
        django.setup()
    from django.core.wsgi import get_wsgi_application

    site = get_wsgi_application()
    return lambda environ, start_response: site({**environ, "tests.view": view}, start_response)


def django(produce, headers=()):
    http = pytest.importorskip("django.http")

    def view(request):
        response = http.StreamingHttpResponse(event_stream(produce()))
        for name, value in headers:
            response[name] = value
        return response

    return _django(view)


def webpy(produce, headers=()):
    web = pytest.importorskip("web")
    web.config.debug = False  # its pages of errors tell addresses, and never say the same

    class Stream:
        def GET(self):
            for name, value in headers:
                web.header(name, value)
            return event_stream(produce())

        HEAD = GET

    return web.application(("/", Stream), {}).wsgifunc()


STREAMS = {
    "plain-iterator": plain_iterator,
    "plain-generator-function": plain_generator,
    "plain-class": plain_class,
    "plain-event-stream": plain_event_stream,
    "flask": flask_response,
    "flask-bare": flask_bare,
    "flask-stream-with-context": flask_with_context,
    "flask-passthrough": flask_passthrough,
    "bottle-yield": bottle_yield,
    "bottle-raise": bottle_raise,
    "bottle-return": bottle_return,
    "pyramid": pyramid,
    "webob": webob,
    "falcon": falcon,
    "cherrypy": cherrypy,
    "django": django,
    "web.py": webpy,
}
UNDECLARED = {
    name: stream
    for name, stream in STREAMS.items()
    if stream not in (plain_class, plain_event_stream, django, webpy)
}
ONE_EACH = ["plain-iterator", "flask", "bottle-yield", "pyramid", "falcon", "cherrypy", "django"]
ONE_EACH.append("web.py")

in_each_framework = pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS)
in_one_form_of_each = pytest.mark.parametrize(
    "stream", [STREAMS[name] for name in ONE_EACH], ids=ONE_EACH
)


# Facts that hold in all of them


@in_each_framework
def test_each_event_leaves_by_itself_and_none_is_made_before_it_is_asked_for(stream):
    source = Source({"data": "a"}, {"event": "b", "data": {"n": 1}}, {"id": 3, "data": "c"})
    reply = Reply(SSEMiddleware(stream(source)))
    assert source.produced == 1  # looked at, because it decides what the response is
    frames = []
    for frame in reply:
        frames.append(frame)
        assert source.produced == len(frames)
    assert frames == [b"data: a\n\n", b'event: b\ndata: {"n":1}\n\n', b"id: 3\ndata: c\n\n"]
    reply.close()


@in_each_framework
def test_webtest_finds_no_fault_in_the_response(stream):
    webtest = pytest.importorskip("webtest")
    source = Source({"data": "a"}, {"data": "b"})
    app = webtest.TestApp(validator(SSEMiddleware(stream(source))), lint=True)
    response = app.get("/")
    assert (response.status, response.body) == ("200 OK", b"data: a\n\ndata: b\n\n")


@in_each_framework
def test_the_headers_are_those_of_a_stream(stream):
    reply = Reply(SSEMiddleware(stream(Source({"data": "a"})))).read()
    assert reply.status == "200 OK"
    assert {name: reply.header(name) for name in [*COMMON, "Content-Length"]} == {
        "Content-Type": "text/event-stream; charset=utf-8",
        "Cache-Control": "no-cache, no-transform",
        "X-Accel-Buffering": "no",
        "Content-Length": None,
    }


@in_each_framework
def test_the_app_keeps_its_headers_except_those_that_break_a_stream(stream):
    headers = [
        ("X-Own", "kept"),
        ("Cache-Control", "private"),
        ("Connection", "X-Hop"),
        ("X-Hop", "1"),
        ("Keep-Alive", "timeout=5"),
        ("Transfer-Encoding", "chunked"),
        ("ETag", '"1"'),
    ]
    reply = Reply(SSEMiddleware(stream(Source({"data": "a"}), headers))).read()
    names = {name.lower() for name, _ in reply.headers}
    assert reply.header("X-Own") == "kept"
    assert reply.header("Cache-Control") == "private, no-transform"
    assert not names & {"connection", "x-hop", "keep-alive", "transfer-encoding", "etag"}


@in_each_framework
@pytest.mark.parametrize("taken", [0, 1, 2])
def test_closing_early_runs_the_finally_of_the_generator_once(stream, taken):
    source = Source({"data": "a"}, {"data": "b"}, {"data": "c"})
    reply = Reply(SSEMiddleware(stream(source)))
    for _ in range(taken):
        next(reply)
    assert source.finished == 0
    reply.close()
    assert source.finished == 1
    assert source.produced == max(taken, 1)


@in_each_framework
def test_after_the_end_closing_runs_nothing_twice(stream):
    source = Source({"data": "a"}, {"data": "b"})
    Reply(SSEMiddleware(stream(source))).read()
    assert (source.finished, source.produced) == (1, 2)


@in_each_framework
def test_a_client_that_leaves_is_told_to_the_app(stream):
    told = []

    def register():
        current_stream().on_disconnect(lambda: told.append("left"))
        return {"data": "a"}

    reply = Reply(SSEMiddleware(stream(Source(register, {"data": "b"}))))
    next(reply)
    assert told == []
    reply.close()
    assert told == ["left"]


@in_each_framework
def test_a_client_that_stays_to_the_end_has_not_left(stream):
    told = []

    def register():
        current_stream().on_disconnect(lambda: told.append("left"))
        return {"data": "a"}

    Reply(SSEMiddleware(stream(Source(register)))).read()
    assert told == []


@in_each_framework
def test_a_failure_before_the_first_event_is_what_it_is_without_the_middleware(stream):
    failing = Source(LookupError("secret"))
    alone = outcome(stream(failing), validate=False)
    assert str(alone[0]).startswith(("500 ", "<class 'LookupError'>"))
    assert outcome(SSEMiddleware(stream(failing)), validate=False) == alone
    assert failing.finished == 2


@in_each_framework
def test_a_handler_that_fails_is_answered_as_without_the_middleware(stream):
    def fail():
        raise LookupError("secret")

    alone = outcome(stream(fail), validate=False)
    assert str(alone[0]).startswith(("500 ", "<class 'LookupError'>"))
    assert outcome(SSEMiddleware(stream(fail)), validate=False) == alone


@in_each_framework
def test_a_failure_after_the_first_event_is_an_error_event_without_the_reason(stream, caplog):
    source = Source({"data": "a"}, LookupError("secret"), {"data": "never"})
    reply = Reply(SSEMiddleware(stream(source))).read()
    first, last = reply.events
    error_id = last.json()["error"]["code"]
    assert first == Event("a")
    assert last.event == "error"
    assert last.json() == {
        "error": {"message": "The stream failed.", "type": "stream_error", "code": error_id}
    }
    assert b"secret" not in b"".join(reply.items)
    assert source.finished == 1
    ours = [each for each in caplog.records if each.name == "sse_middleware"]
    [record] = [each for each in ours if each.levelno == logging.ERROR]
    assert error_id in record.getMessage()
    assert record.exc_info[1].args == ("secret",)


BAD_ITEMS = {
    "unknown-key": ({"dta": "x"}, "key is 'dta'"),
    "id-with-a-null": ({"data": "x", "id": "1\0"}, "id is '1\\x00'"),
    "id-with-a-line-end": ({"data": "x", "id": "1\n"}, "id is '1\\n'"),
    "event-with-a-line-end": ({"data": "x", "event": "a\nb"}, "event is 'a\\nb'"),
    "event-without-data": ({"event": "ping"}, "data is None"),
    "negative-retry": ({"data": "x", "retry": -1}, "retry is -1"),
    "lone-surrogate": ({"data": "\ud800"}, "data is '\\ud800'"),
    "not-serialisable": ({"data": object}, "data is <class 'object'>"),
}


@in_each_framework
@pytest.mark.parametrize(("item", "reason"), BAD_ITEMS.values(), ids=BAD_ITEMS)
def test_a_bad_event_is_logged_with_its_value_and_ends_the_stream(stream, item, reason, caplog):
    source = Source({"data": "a"}, dict(item), {"data": "never"})
    reply = Reply(SSEMiddleware(stream(source))).read()
    assert [event.event for event in reply.events] == ["message", "error"]
    assert reason in caplog.text
    assert source.items[1] == item  # the app's own dict is left as it is


@in_each_framework
@pytest.mark.parametrize(("item", "reason"), BAD_ITEMS.values(), ids=BAD_ITEMS)
def test_a_bad_first_event_is_no_stream_but_a_failure_that_names_it(stream, item, reason, caplog):
    caplog.set_level(logging.ERROR)
    source = Source(item, {"data": "never"})
    log = io.StringIO()
    status, told, items = outcome(
        SSEMiddleware(stream(source)), validate=False, **{"wsgi.errors": log}
    )
    if isinstance(status, str):
        assert status.startswith("500 ")
        assert reason in caplog.text + log.getvalue()
    else:
        assert status.__name__ == "EventError"
        assert reason in told
    assert b"never" not in b"".join(items)
    assert source.finished == 1


@in_each_framework
def test_a_str_after_a_dict_is_refused(stream, caplog):
    reply = Reply(SSEMiddleware(stream(Source({"data": "a"}, "data: b")))).read()
    assert [event.event for event in reply.events] == ["message", "error"]
    assert "data: b" in caplog.text
    assert b"data: b" not in b"".join(reply.items)


@in_each_framework
def test_bytes_after_a_dict_are_a_finished_frame(stream):
    reply = Reply(SSEMiddleware(stream(Source({"data": "a"}, b": own\n\n", {"data": "b"}))))
    assert reply.read().items == [b"data: a\n\n", b": own\n\n", b"data: b\n\n"]


@in_each_framework
def test_a_dict_that_says_nothing_writes_nothing(stream):
    source = Source({"data": None}, {"data": "a"}, {}, {"data": None, "id": None}, {"data": "b"})
    assert Reply(SSEMiddleware(stream(source))).read().items == [b"data: a\n\n", b"data: b\n\n"]


@in_each_framework
def test_a_dict_that_the_app_goes_on_to_change_was_sent_as_it_was(stream):
    def produce():
        fields = {"data": "a"}
        yield fields
        fields["data"] = "b"
        yield fields

    assert Reply(SSEMiddleware(stream(produce))).read().events == [Event("a"), Event("b")]


@in_each_framework
def test_the_end_event_is_sent_with_its_id_and_nothing_follows(stream):
    source = Source({"data": "a"})
    reply = Reply(SSEMiddleware(stream(source), end_event="close")).read()
    assert reply.items == [b"data: a\n\n", b"event: close\nid: sse:end\ndata: \n\n"]
    assert source.finished == 1


@in_each_framework
def test_an_end_event_of_the_app_is_the_end(stream):
    source = Source({"data": "a"}, {"event": "close", "data": "bye"}, {"data": "never"})
    reply = Reply(SSEMiddleware(stream(source), end_event="close")).read()
    assert reply.items == [b"data: a\n\n", b"event: close\nid: sse:end\ndata: bye\n\n"]
    assert source.finished == 1


@in_each_framework
def test_a_failed_stream_ends_with_the_error_event_under_the_end_id(stream):
    source = Source({"data": "a"}, LookupError("secret"))
    reply = Reply(SSEMiddleware(stream(source), end_event="close")).read()
    assert [(event.event, event.id) for event in reply.events] == [
        ("message", None),
        ("error", "sse:end"),
    ]


@in_each_framework
def test_an_event_source_that_returns_after_the_end_is_told_to_stop(stream):
    source = Source({"data": "a"})
    app = SSEMiddleware(stream(source), end_event="close")
    request = {"HTTP_ACCEPT": "text/event-stream", "HTTP_LAST_EVENT_ID": "sse:end"}
    reply = Reply(app, **request).read()
    assert (reply.status, reply.items, source.produced) == ("204 No Content", [], 0)
    reply = Reply(app, **{**request, "HTTP_ACCEPT": "*/*"}).read()
    assert (reply.status, source.produced) == ("200 OK", 1)


@in_each_framework
def test_head_has_no_body_and_leaves_the_generator_alone(stream, request):
    source = Source({"data": "a"}, {"data": "b"})
    reply = Reply(SSEMiddleware(stream(source)), method="HEAD").read()
    looks_first = {"plain-generator-function", "web.py"}  # before the middleware has a say
    assert (reply.status, b"".join(reply.items)) == ("200 OK", b"")
    assert source.produced == (request.node.callspec.id in looks_first)
    assert source.finished == source.produced


@in_each_framework
def test_the_handler_and_its_generator_know_the_last_event_id(stream):
    def produce():
        in_the_handler = current_stream().last_event_id

        def events():
            yield {"data": in_the_handler}
            yield {"data": current_stream().last_event_id}
            yield {"data": current_stream().last_event_id}

        return events()

    reply = Reply(SSEMiddleware(stream(produce)), HTTP_LAST_EVENT_ID="é7".encode().decode("l1"))
    assert reply.read().events == [Event("é7")] * 3
    assert current_stream().last_event_id == ""


TEXTS = [
    "plain",
    " leading and trailing ",
    "",
    "two\nlines",
    "crlf\r\nand cr\rand a last one\n",
    "\n\n",
    "\u00e9 \u4f60\u597d \U0001f600 \u2028\u2029\x85\x0b\x0c\x1c",
    ": no comment",
    "data: no field",
    "\ufeffbom",
    "nul\0",
]


@in_each_framework
def test_text_survives_the_way_to_the_browser(stream):
    source = Source(*({"data": text, "id": n} for n, text in enumerate(TEXTS)))
    reply = Reply(SSEMiddleware(stream(source))).read()
    assert reply.events == [Event(text, id=n) for n, text in enumerate(TEXTS)]


@in_each_framework
def test_event_objects_leave_as_the_mappings_do(stream):
    events = [Event("a\nb", event="x", id=1, retry=5, comment="c"), Event({"n": [1, None]})]
    assert Reply(SSEMiddleware(stream(Source(*events)))).read().events == events


@in_each_framework
def test_with_items_data_each_dict_is_the_data_of_an_event(stream):
    values = [{"data": 1, "x": "é"}, {"event": "no name"}, {}]
    app = SSEMiddleware(stream(Source(*values)), items="data")
    assert [event.json() for event in Reply(app).read().events] == values


@in_each_framework
def test_retry_is_put_into_the_first_event(stream):
    app = SSEMiddleware(stream(Source({"data": "a"}, {"data": "b"})), retry=1500)
    assert Reply(app).read().items == [b"retry: 1500\ndata: a\n\n", b"data: b\n\n"]


@pytest.mark.parametrize("stream", UNDECLARED.values(), ids=UNDECLARED)
def test_an_empty_generator_is_no_stream_and_stays_as_it_was(stream):
    assert outcome(SSEMiddleware(stream(Source()))) == outcome(stream(Source()))


@in_each_framework
def test_two_requests_at_once_do_not_mix(stream):
    app = SSEMiddleware(stream(lambda: Source({"data": "a"}, {"data": "b"})()))
    one, other = Reply(app), Reply(app)
    assert [next(one), next(other), next(one), next(other)] == [
        b"data: a\n\n",
        b"data: a\n\n",
        b"data: b\n\n",
        b"data: b\n\n",
    ]
    other.close()
    one.close()


@in_one_form_of_each
def test_over_a_socket_each_event_arrives_before_the_next_is_made(stream):
    may_go_on = [threading.Event() for _ in range(3)]

    def produce():
        for n, event in enumerate(may_go_on):
            assert event.wait(DEADLINE_S), f"waited {DEADLINE_S} s for event {n} to be asked for"
            yield {"data": str(n)}

    class Quiet(WSGIRequestHandler):
        def log_message(self, *args):
            pass

    app = validator(SSEMiddleware(stream(produce), end_event="close"))
    with make_server("127.0.0.1", 0, app, handler_class=Quiet) as server:
        server.timeout = DEADLINE_S
        thread = threading.Thread(target=server.handle_request, daemon=True)
        thread.start()
        connection = http.client.HTTPConnection(*server.server_address, timeout=DEADLINE_S)
        try:
            may_go_on[0].set()
            connection.request("GET", "/", headers={"Accept": "text/event-stream"})
            response = connection.getresponse()
            parser, came = EventParser(), []
            for allowed in range(1, 4):
                while len(came) < allowed:
                    line = response.readline()
                    assert line, f"the stream ended after {came}"
                    came += parser.feed(line)
                if allowed < 3:
                    may_go_on[allowed].set()
            rest = parser.feed(response.read())
        finally:
            connection.close()
        thread.join(DEADLINE_S)
        assert not thread.is_alive(), f"the request was not over after {DEADLINE_S} s"
    assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert came == [Event("0"), Event("1"), Event("2")]
    assert rest == [Event("", event="close", id="sse:end")]


# What is no stream leaves as it came


def site_plain(path_of_file):
    def app(environ, start_response):
        path = environ["PATH_INFO"]
        html = [("Content-Type", "text/html; charset=utf-8")]
        if path == "/html":
            start_response("200 OK", [*html, ("Content-Length", "4")])
            return [b"<p>\xc3"]
        if path == "/tuple":
            start_response("200 OK", html)
            return (b"a", b"", b"b")
        if path == "/streamed":
            start_response("200 OK", [*html, ("ETag", '"1"'), ("Connection", "close")])
            return iter([b"<p>", b"", b"</p>"])
        if path == "/written":
            write = start_response("200 OK", html)
            write(b"a")
            write(b"b")
            return iter([b"c"])
        if path == "/replaced":
            start_response("200 OK", html)
            try:
                raise LookupError("replaced")
            except LookupError as error:
                text = [("Content-Type", "text/plain")]
                start_response("500 Sorry", text, (type(error), error, None))
            return [b"sorry"]
        if path == "/file":
            start_response("200 OK", [("Content-Type", "text/plain")])
            return environ["wsgi.file_wrapper"](path_of_file.open("rb"))
        if path == "/nothing":
            start_response("204 No Content", [("X-Own", "1")])
            return []
        start_response("404 Not Found", html)
        return iter(())

    return app


def site_flask(path_of_file):
    flask = pytest.importorskip("flask")
    app = flask.Flask("site")
    app.secret_key = "for tests"

    def cookies():
        response = flask.make_response("two")
        response.set_cookie("a", "1")
        response.set_cookie("b", "2", httponly=True)
        return response

    views = {
        "/html": lambda: "<p>é",
        "/json": lambda: flask.jsonify({"event": "x", "data": [1]}),
        "/redirect": lambda: flask.redirect("/html"),
        "/file": lambda: flask.send_file(str(path_of_file), mimetype="text/plain"),
        "/streamed": lambda: flask.Response(iter(["<p>", "é", "</p>"])),
        "/nothing": lambda: ("", 204),
        "/not-modified": lambda: ("", 304),
        "/teapot": lambda: flask.abort(418),
        "/fails": lambda: 1 / 0,
        "/cookies": cookies,
    }
    for path, view in views.items():
        app.add_url_rule(path, path[1:], view)
    return app.wsgi_app


def site_bottle(path_of_file):
    bottle = pytest.importorskip("bottle")
    app = bottle.Bottle()

    def cookies():
        bottle.response.set_cookie("a", "1")
        bottle.response.set_cookie("b", "2", httponly=True)
        return ["t", "wo"]

    def file():
        return bottle.static_file(path_of_file.name, root=str(path_of_file.parent))

    def streamed():
        yield "<p>"
        yield "é"

    app.route("/html")(lambda: "<p>é")
    app.route("/json")(lambda: {"event": "x", "data": [1]})
    app.route("/redirect")(lambda: bottle.redirect("/html"))
    app.route("/file")(file)
    app.route("/streamed")(streamed)
    app.route("/streamed-bytes")(lambda: iter([b"", b"<p>", b"</p>"]))
    app.route("/nothing")(lambda: bottle.HTTPResponse(status=204))
    app.route("/not-modified")(lambda: bottle.HTTPResponse(status=304))
    app.route("/teapot")(lambda: bottle.abort(418, "short"))
    app.route("/fails")(lambda: 1 / 0)
    app.route("/number")(lambda: iter([7]))
    app.route("/cookies")(cookies)
    return app


def site_pyramid(path_of_file):
    config = pytest.importorskip("pyramid.config").Configurator()
    exceptions = pytest.importorskip("pyramid.httpexceptions")
    response = pytest.importorskip("pyramid.response")

    def cookies(request):
        request.response.set_cookie("a", "1")
        request.response.set_cookie("b", "2", httponly=True)
        request.response.text = "two"
        return request.response

    views = {
        "html": lambda request: response.Response("<p>é"),
        "json": lambda request: response.Response(json={"event": "x", "data": [1]}),
        "redirect": lambda request: exceptions.HTTPFound("/html"),
        "file": lambda request: response.FileResponse(str(path_of_file), request),
        "streamed": lambda request: response.Response(app_iter=iter([b"<p>", b"</p>"])),
        "nothing": lambda request: exceptions.HTTPNoContent(),
        "not-modified": lambda request: exceptions.HTTPNotModified(),
        "teapot": lambda request: exceptions.HTTPForbidden(),
        "fails": lambda request: 1 / 0,
        "cookies": cookies,
    }
    for name, view in views.items():
        config.add_route(name, "/" + name)
        config.add_view(view, route_name=name)
    return config.make_wsgi_app()


def site_falcon(path_of_file):
    falcon = pytest.importorskip("falcon")
    app = falcon.App()

    def html(request, response):
        response.content_type = falcon.MEDIA_HTML
        response.text = "<p>é"

    def send_json(request, response):
        response.media = {"event": "x", "data": [1]}

    def redirect(request, response):
        raise falcon.HTTPFound("/html")

    def file(request, response):
        response.stream = path_of_file.open("rb")

    def streamed(request, response):
        response.stream = iter([b"<p>", b"</p>"])

    def nothing(request, response):
        response.status = falcon.HTTP_204

    def teapot(request, response):
        raise falcon.HTTPForbidden(title="short")

    def fails(request, response):
        raise LookupError("secret")

    def cookies(request, response):
        response.set_cookie("a", "1")
        response.set_cookie("b", "2")
        response.text = "two"

    for name, view in {"json": send_json, **locals()}.items():
        if name not in ("app", "falcon", "path_of_file", "send_json"):
            resource = type("Resource", (), {"on_get": staticmethod(view)})()
            app.add_route("/" + name, resource)
    return app


def site_cherrypy(path_of_file):
    cherrypy = pytest.importorskip("cherrypy")
    static = pytest.importorskip("cherrypy.lib.static")

    class Site:
        @cherrypy.expose
        def html(self):
            return "<p>é"

        @cherrypy.expose
        @cherrypy.tools.json_out()
        def json(self):
            return {"event": "x", "data": [1]}

        @cherrypy.expose
        def redirect(self):
            raise cherrypy.HTTPRedirect("/html")

        @cherrypy.expose
        def file(self):
            return static.serve_file(str(path_of_file), content_type="text/plain")

        @cherrypy.expose
        @cherrypy.config(**{"response.stream": True})
        def streamed(self):
            yield "<p>"
            yield "</p>"

        @cherrypy.expose
        def nothing(self):
            cherrypy.response.status = 204

        @cherrypy.expose
        def teapot(self):
            raise cherrypy.HTTPError(403, "short")

        @cherrypy.expose
        def fails(self):
            raise LookupError("secret")

        @cherrypy.expose
        def cookies(self):
            cherrypy.response.cookie["a"] = "1"
            cherrypy.response.cookie["b"] = "2"
            return "two"

    app = cherrypy.Application(Site(), config={"/": {"request.show_tracebacks": False}})
    app.log.screen = False
    return app


def site_django(path_of_file):
    http = pytest.importorskip("django.http")

    def cookies(request):
        response = http.HttpResponse("two")
        response.set_cookie("a", "1")
        response.set_cookie("b", "2", httponly=True)
        return response

    views = {
        "/html": lambda request: http.HttpResponse("<p>é"),
        "/json": lambda request: http.JsonResponse({"event": "x", "data": [1]}),
        "/redirect": lambda request: http.HttpResponseRedirect("/html"),
        "/file": lambda request: http.FileResponse(path_of_file.open("rb")),
        "/streamed": lambda request: http.StreamingHttpResponse(iter(["<p>", "é"])),
        "/nothing": lambda request: http.HttpResponse(status=204),
        "/not-modified": lambda request: http.HttpResponseNotModified(),
        "/teapot": lambda request: http.HttpResponseForbidden("short"),
        "/fails": lambda request: 1 / 0,
        "/cookies": cookies,
    }

    def view(request):
        if request.path not in views:
            raise http.Http404
        return views[request.path](request)

    return _django(view)


def site_webpy(path_of_file):
    web = pytest.importorskip("web")
    web.config.debug = False

    def page(respond):
        return type("Page", (), {"GET": lambda self: respond()})

    def raises(error, *args):
        def respond():
            raise error(*args)

        return respond

    def cookies():
        web.setcookie("a", "1")
        web.setcookie("b", "2")
        return "two"

    pages = {
        "/html": page(lambda: "<p>é"),
        "/streamed": page(lambda: iter(["<p>", "é"])),
        "/redirect": page(raises(web.seeother, "/html")),
        "/teapot": page(raises(web.forbidden)),
        "/fails": page(raises(LookupError, "secret")),
        "/cookies": page(cookies),
    }
    return web.application([part for pair in pages.items() for part in pair], {}).wsgifunc()


Page = namedtuple("Page", "site path status")

_SHARED = {
    "/html": "200",
    "/json": "200",
    "/redirect": "30",
    "/file": "200",
    "/streamed": "200",
    "/nothing": "204",
    "/not-modified": "304",
    "/teapot": "4",
    "/fails": "500",
    "/cookies": "200",
    "/missing": "404",
}
_ABSENT = {
    site_falcon: {"/not-modified"},
    site_cherrypy: {"/not-modified"},
    site_webpy: {"/json", "/file", "/nothing", "/not-modified"},
}
_OWN = {
    site_plain: {
        "/html": "200",
        "/tuple": "200",
        "/streamed": "200",
        "/written": "200",
        "/replaced": "500",
        "/file": "200",
        "/nothing": "204",
        "/missing": "404",
    },
    site_bottle: {**_SHARED, "/streamed-bytes": "200", "/number": "500"},
    site_pyramid: {**_SHARED, "/fails": "<class 'ZeroDivisionError'>"},
}
_SITES = [site_plain, site_flask, site_bottle, site_pyramid, site_falcon, site_cherrypy]
_SITES += [site_django, site_webpy]
PAGES = [
    Page(site, path, status)
    for site in _SITES
    for path, status in _OWN.get(site, _SHARED).items()
    if path not in _ABSENT.get(site, ())
]

# Bottle runs a generator to its first item even then; under the middleware, which cannot know
# whether it is a stream before it runs, it is closed unrun and the answer is 200.
RUN_BY_HEAD = [page for page in PAGES if page[:2] == (site_bottle, "/number")]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "download.txt"
    path.write_bytes(b"data: not ours\n\n" * 3)
    return path


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("accept", ["*/*", "text/event-stream"])
@pytest.mark.parametrize(
    "page", PAGES, ids=[f"{page.site.__name__[5:]}{page.path.replace('/', '-')}" for page in PAGES]
)
def test_a_page_is_the_same_with_and_without_the_middleware(page, method, accept, file):
    request = {"method": method, "path": page.path, "HTTP_ACCEPT": accept}
    alone = outcome(page.site(file), validate=False, **request)
    if method == "GET":
        assert str(alone[0]).startswith(page.status)
    elif page in RUN_BY_HEAD:
        return
    app = SSEMiddleware(page.site(file), end_event="close")
    wrapped = outcome(app, validate=False, **request)
    assert wrapped[:2] == alone[:2]
    assert wrapped[2] == alone[2] or (method == "HEAD" and wrapped[2] == [])
    if outcome(page.site(file), **request) == alone:  # not all frameworks keep the standard
        assert outcome(app, **request) == wrapped


# Plain WSGI


def test_an_app_without_iterator_passes_as_the_same_object(file):
    bodies = [[b"a"], (b"a",), FileWrapper(file.open("rb"))]
    for body in bodies:

        def app(environ, start_response, body=body):
            start_response("200 OK", [("Content-Type", "text/plain")])
            return body

        assert Reply(SSEMiddleware(app), validate=False).body is body
    bodies[2].close()


def test_an_app_is_told_to_the_server_before_the_first_item_is_asked_for():
    reply = Reply(SSEMiddleware(plain_generator(Source({"data": "a"}))), validate=False)
    assert reply.status == "200 OK"
    reply.close()


def test_an_app_that_replaces_its_answer_by_exc_info_streams_the_second():
    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/html"), ("X-First", "1")])
        try:
            raise LookupError("replaced")
        except LookupError as error:
            headers = [("Content-Type", "text/html"), ("X-Second", "1")]
            start_response("500 Sorry", headers, (type(error), error, None))
        return iter([{"data": "a"}])

    class Server(Reply):
        def _start_response(self, status, headers, exc_info=None):
            told.append(exc_info and exc_info[0])
            return super()._start_response(status, headers, exc_info)

    told = []
    reply = Server(SSEMiddleware(app)).read()
    assert (reply.status, reply.items) == ("500 Sorry", [b"data: a\n\n"])
    assert (reply.header("X-First"), reply.header("X-Second")) == (None, "1")
    assert told == [LookupError]


def test_an_app_that_writes_sends_what_it_writes_at_once_and_as_it_is():
    order = []

    class Server(Reply):
        def _write(self, data):
            order.append(data)

    def app(environ, start_response):
        write = start_response("200 OK", [("Content-Type", "text/event-stream")])
        write(b"data: a")
        order.append("the app goes on")
        return iter([b"\n\n"])

    reply = Server(SSEMiddleware(app)).read()
    assert order == [b"data: a", "the app goes on", b"\n\n"]
    assert reply.headers == [("Content-Type", "text/event-stream")]


def test_an_app_that_never_answers_is_refused_and_closed():
    source = Source({"data": "a"})
    with pytest.raises(Exception, match="never called start_response"):
        Reply(SSEMiddleware(lambda environ, start_response: source()), validate=False)
    assert source.finished == 1


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_a_status_without_a_body_closes_the_generator_unrun(status):
    source = Source({"data": "a"})

    def app(environ, start_response):
        start_response(status, [])
        return source()

    reply = Reply(SSEMiddleware(app)).read()
    assert (reply.status, reply.headers, reply.items) == (status, [], [])
    assert source.produced == 0


def test_a_response_with_a_content_length_is_no_stream_and_is_not_looked_into():
    body = iter([b"a"])

    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "1")])
        return body

    assert Reply(SSEMiddleware(app), validate=False).body is body


class Closing:
    """Iterates what it is given, and counts how often it was closed."""

    def __init__(self, *items):
        self._items = Source(*items)()
        self.closed = 0

    def __iter__(self):
        return self

    def __next__(self):
        return next(self._items)

    def close(self):
        self.closed += 1


@pytest.mark.parametrize("content_type", ["text/html", "text/event-stream"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    "items",
    [[], [{"data": "a"}], [{"data": "a"}, {"dta": 1}], [{"dta": 1}], [LookupError()], [b"a\n\n"]],
    ids=["empty", "event", "bad-event", "bad-first-event", "failure", "bytes"],
)
def test_the_body_of_the_app_is_closed_once(items, method, content_type):
    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", content_type)])
        return body

    body = Closing(*items)
    try:
        Reply(SSEMiddleware(app), method=method).read()
    except (LookupError, ValueError):
        assert items[0] != {"data": "a"}
    assert body.closed == 1


def test_a_server_that_closes_twice_closes_the_app_once():
    body = Closing({"data": "a"}, {"data": "b"})
    reply = Reply(SSEMiddleware(plain_iterator(lambda: body)), validate=False)
    reply.close()
    reply.close()
    assert body.closed == 1


def test_a_stream_that_the_server_never_reads_is_closed():
    source = Source({"data": "a"}, {"data": "b"})
    Reply(SSEMiddleware(plain_iterator(source))).close()
    assert (source.produced, source.finished) == (1, 1)


# Flask


@pytest.fixture
def flask():
    return pytest.importorskip("flask")


@pytest.fixture
def flask_app(flask):
    app = flask.Flask("own")
    app.secret_key = "for tests"
    return app


def wrapped(app, **options):
    app.wsgi_app = validator(SSEMiddleware(app.wsgi_app, **options))
    return app


def events_of(body):
    return EventParser().feed(body)


def test_flask_the_test_client_reads_the_stream(flask, flask_app):
    flask_app.route("/")(lambda: flask.Response(Source({"data": "a"}, {"data": "b"})()))
    with wrapped(flask_app).test_client().get("/") as response:
        assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        assert events_of(response.data) == [Event("a"), Event("b")]


def test_flask_request_and_session_are_there_in_the_generator(flask, flask_app):
    @flask_app.route("/")
    def stream():
        flask.session["seen"] = "before"

        def events():
            yield {"data": flask.request.args["q"]}
            yield {"data": flask.session["seen"]}

        return flask.Response(flask.stream_with_context(events()))

    with wrapped(flask_app).test_client().get("/?q=1") as response:
        assert events_of(response.data) == [Event("1"), Event("before")]
        assert "session=" in response.headers["Set-Cookie"]
    assert not flask.has_request_context()


@pytest.mark.parametrize("taken", [1, 2, 3], ids=lambda taken: f"{taken}-taken")
def test_flask_tears_down_as_often_as_without_the_middleware_and_leaves_no_context(flask, taken):
    def torn_down(item, wrap):
        torn = []
        app = flask.Flask("own")
        app.teardown_request(lambda error: torn.append("request"))
        app.teardown_appcontext(lambda error: torn.append("app"))

        @app.route("/")
        def stream():
            def events():
                for _ in range(2):
                    assert flask.request.path == "/"
                    yield item

            return flask.Response(flask.stream_with_context(events()))

        reply = Reply(wrap(app.wsgi_app))
        for _ in range(taken):
            next(reply, None)
        reply.close()
        assert not flask.has_request_context()
        assert not flask.has_app_context()
        return torn

    alone = torn_down(b"a", wrap=lambda app: app)  # with Flask 3.1 it is twice
    assert torn_down({"data": "a"}, wrap=SSEMiddleware) == alone
    assert "request" in alone


def test_flask_an_error_handler_of_a_blueprint_answers_before_the_stream(flask, flask_app):
    part = flask.Blueprint("part", "part")
    part.errorhandler(LookupError)(lambda error: ("my own", 418))

    @part.route("/")
    def stream():
        raise LookupError("before")

    flask_app.register_blueprint(part, url_prefix="/part")
    with wrapped(flask_app).test_client().get("/part/") as response:
        assert (response.status_code, response.data) == (418, b"my own")


def test_flask_an_error_handler_may_stream(flask, flask_app):
    source = Source({"data": "a"})
    flask_app.errorhandler(404)(lambda error: (flask.Response(source()), 404))
    with wrapped(flask_app).test_client().get("/") as response:
        assert (response.status_code, response.data) == (404, b"data: a\n\n")


def test_flask_after_request_sees_the_response_before_it_is_a_stream(flask, flask_app):
    @flask_app.after_request
    def add(response):
        response.headers["X-After"] = response.mimetype
        return response

    flask_app.route("/")(lambda: flask.Response(Source({"data": "a"})()))
    with wrapped(flask_app).test_client().get("/") as response:
        assert response.headers["X-After"] == "text/html"
        assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"


def test_flask_call_on_close_runs_once(flask, flask_app):
    closed = []

    @flask_app.route("/")
    def stream():
        response = flask.Response(Source({"data": "a"}, {"data": "b"})())
        response.call_on_close(lambda: closed.append(1))
        return response

    reply = Reply(wrapped(flask_app), validate=False)
    next(reply)
    assert closed == []
    reply.close()
    assert closed == [1]


# Middleware around middleware


class Wrapper:
    """Keeps what it wraps as ``app``, and passes its answer on."""

    def __init__(self, app):
        self.app = app

    def __call__(self, environ, start_response):
        def started(status, headers, exc_info=None):
            return start_response(status, [*headers, ("X-Wrapped", "1")], exc_info)

        return self.app(environ, started)


class GeneratorWrapper(Wrapper):
    """Starts nothing before its first item is asked for, and closes what it wraps."""

    def __call__(self, environ, start_response):
        body = self.app(environ, start_response)
        try:
            yield from body
        finally:
            if hasattr(body, "close"):
                body.close()


@in_one_form_of_each
@pytest.mark.parametrize("wrapper", [Wrapper, GeneratorWrapper])
@pytest.mark.parametrize("inside", [True, False], ids=["inside", "outside"])
def test_other_middleware_may_stand_on_either_side(stream, wrapper, inside):
    source = Source({"data": "a"}, {"data": "b"})
    app = stream(source)
    app = SSEMiddleware(wrapper(app)) if inside else wrapper(SSEMiddleware(app))
    reply = Reply(app)
    assert [next(reply), next(reply)] == [b"data: a\n\n", b"data: b\n\n"]
    assert reply.header("X-Wrapped") == ("1" if wrapper is Wrapper else None)
    reply.read()
    assert source.finished == 1


@in_one_form_of_each
def test_webob_may_stand_outside(stream):
    dec = pytest.importorskip("webob.dec")
    source = Source({"data": "a"}, {"data": "b"})
    app = SSEMiddleware(stream(source), end_event="close")
    reply = Reply(dec.wsgify(lambda request: request.get_response(app))).read()
    assert reply.items == [
        b"data: a\n\n",
        b"data: b\n\n",
        b"event: close\nid: sse:end\ndata: \n\n",
    ]


@in_one_form_of_each
def test_a_second_middleware_around_the_first_changes_nothing(stream):
    source = Source({"data": "a"}, {"data": "b"})
    options = {"retry": 5, "end_event": "close"}
    once = outcome(SSEMiddleware(stream(source), **options))
    assert outcome(SSEMiddleware(SSEMiddleware(stream(source), **options), **options)) == once
    assert len(once[2]) == 3


@in_one_form_of_each
def test_a_picked_request_hides_accept_encoding_from_the_app(stream):
    webob_exc = pytest.importorskip("webob")

    class Gzip(Wrapper):
        def __call__(self, environ, start_response):
            seen.append(webob_exc.Request(environ).headers.get("Accept-Encoding"))
            return self.app(environ, start_response)

    seen = []
    app = SSEMiddleware(Gzip(stream(Source({"data": "a"}))), worker="/elsewhere")
    for accept in ("text/event-stream", "*/*"):
        Reply(app, HTTP_ACCEPT=accept, HTTP_ACCEPT_ENCODING="gzip").read()
    assert seen == [None, "gzip"]
