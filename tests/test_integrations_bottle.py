"""Bottle, 0.12 and 0.13, as it is installed: apps that yield dicts work without a change.

What holds in every framework is in test_frameworks.py; here is what only Bottle has.
"""

import io
from collections import namedtuple
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest

from sse_middleware import Event, EventParser, SSEMiddleware, event_stream
from sse_middleware.errors import OptionError
from sse_middleware.integrations.bottle import SSEPlugin

bottle = pytest.importorskip("bottle")

Answer = namedtuple("Answer", "status headers items")

STREAM = ("200 OK", "text/event-stream; charset=utf-8")
needs_merging_mounts = pytest.mark.skipif(
    not hasattr(bottle.Bottle, "_mount_app"), reason="Bottle 0.12 has WSGI mounts only"
)


def ask(app, path="/", method="GET", **environ):
    """The whole answer, with `wsgiref.validate` outside the middleware."""
    environ = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "wsgi.errors": io.StringIO(),
        **environ,
    }
    setup_testing_defaults(environ)
    told = []
    body = validator(app)(environ, lambda *answer: told.append(answer) or (lambda data: None))
    try:
        items = list(body)
    finally:
        body.close()
    [(status, headers, *_)] = told
    return Answer(status, headers, items)


def kind(answer):
    return answer.status, dict(answer.headers)["Content-Type"]


def events_of(answer):
    return EventParser().feed(b"".join(answer.items))


def streaming_app(*items, path="/"):
    app = bottle.Bottle()
    app.route(path)(lambda: iter(items or [{"data": "a"}, {"data": "b"}]))
    return app


def dict_wsgi_app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/html")])
    return iter([{"data": environ["SCRIPT_NAME"]}])


# How a handler can answer


def yields():
    yield {"data": "a"}
    yield {"data": "b"}


def raises_a_response():
    raise bottle.HTTPResponse(body=yields(), status=201, x_own="1")


def returns_a_response():
    return bottle.HTTPResponse(body=yields(), status=201, x_own="1")


def yields_a_response():
    yield bottle.HTTPResponse(body=yields(), status=201, x_own="1")


def sets_the_response():
    bottle.response.status = 201
    bottle.response.set_header("X-Own", "1")
    return yields()


def declares_a_stream():
    bottle.response.status = 201
    bottle.response.content_type = "text/event-stream"
    bottle.response.set_header("X-Own", "1")
    return yields()


@pytest.mark.parametrize(
    "handler",
    [
        raises_a_response,
        returns_a_response,
        yields_a_response,
        sets_the_response,
        declares_a_stream,
    ],
)
def test_status_and_headers_of_the_response_are_kept(handler):
    app = bottle.Bottle()
    app.route("/")(handler)
    status, headers, items = ask(SSEMiddleware(app))
    assert (status, items) == ("201 Created", [b"data: a\n\n", b"data: b\n\n"])
    assert dict(headers)["X-Own"] == "1"
    assert dict(headers)["Content-Type"] == STREAM[1]


def test_every_cookie_is_kept():
    app = bottle.Bottle()

    @app.route("/")
    def stream():
        bottle.response.set_cookie("a", "1")
        bottle.response.set_cookie("b", "2")
        yield {"data": "a"}

    answer = ask(SSEMiddleware(app))
    assert kind(answer) == STREAM
    assert [value for name, value in answer.headers if name == "Set-Cookie"] == ["a=1", "b=2"]


@pytest.mark.parametrize(
    ("leave", "status"),
    [
        (lambda: bottle.abort(403, "no"), "403 Forbidden"),
        (lambda: bottle.redirect("/elsewhere"), "303 See Other"),
        (lambda: 1 / 0, "500 Internal Server Error"),
    ],
    ids=["abort", "redirect", "exception"],
)
def test_what_is_raised_before_the_first_event_is_answered_by_bottle(leave, status):
    def app():
        app = bottle.Bottle()

        @app.route("/")
        def stream():
            leave()
            yield {"data": "never"}

        return app

    request = {"SERVER_PROTOCOL": "HTTP/1.1"}
    answer = ask(SSEMiddleware(app(), end_event="close"), **request)
    assert answer == ask(app(), **request)
    assert answer.status == status


def test_an_error_page_of_the_app_stays_its_own():
    app = bottle.Bottle()
    app.error(403)(lambda error: "my own 403")

    @app.route("/")
    def stream():
        bottle.abort(403, "no")
        yield {"data": "never"}

    assert ask(SSEMiddleware(app)).items == [b"my own 403"]


def test_an_error_handler_may_stream():
    app = bottle.Bottle()
    app.error(404)(lambda error: yields())
    answer = ask(SSEMiddleware(app), path="/missing")
    assert answer.status == "404 Not Found"
    assert answer.items == [b"data: a\n\n", b"data: b\n\n"]


PAGES = {
    "str": ["<p>", "é", "", "</p>"],
    "str-after-empty-items": ["", None, {}, "<p>"],
    "bytes": [b"", b"<p>", b"\xff"],
    "nothing": [],
    "a-number": [7],
}
DECLARED = {
    "str-framed-by-hand": ["data: a\n\n", "data: b\n\n"],
    "bytes-framed-by-hand": [b"data: a\n\n", b"data: b\n\n"],
}


@pytest.mark.parametrize("items", PAGES.values(), ids=PAGES)
def test_a_generator_that_yields_no_event_is_left_alone(items):
    def page():
        yield from items

    def app():
        app = bottle.Bottle()
        app.route("/")(page)
        return app

    assert ask(SSEMiddleware(app(), end_event="close")) == ask(app())


@pytest.mark.parametrize("items", DECLARED.values(), ids=DECLARED)
def test_frames_made_by_hand_keep_their_bytes(items):
    app = bottle.Bottle()

    @app.route("/")
    def stream():
        bottle.response.content_type = "text/event-stream"
        yield from items

    answer = ask(SSEMiddleware(app))
    assert kind(answer) == STREAM
    assert answer.items == [b"data: a\n\n", b"data: b\n\n"]


def test_a_list_of_dicts_is_no_stream_and_stays_an_error():
    app = bottle.Bottle()
    app.route("/")(lambda: [{"data": "a"}])
    assert ask(SSEMiddleware(app)).status == "500 Internal Server Error"


def test_a_dict_is_still_json():
    app = bottle.Bottle()
    app.route("/")(lambda: {"data": "a"})
    assert kind(ask(SSEMiddleware(app))) == ("200 OK", "application/json")


@pytest.mark.parametrize(
    "items", [["a", {"n": 1}, 0], [0, "a"], [{}, [], "a"], ["", "a"]], ids=repr
)
def test_with_items_data_and_the_content_type_every_object_is_data(items):
    app = bottle.Bottle()

    @app.route("/")
    def stream():
        bottle.response.content_type = "text/event-stream"
        yield from items

    expected = [Event(item) for item in items]
    assert events_of(ask(SSEMiddleware(app, items="data"))) == expected


def test_an_event_stream_of_the_handler_is_framed_once():
    app = bottle.Bottle()
    app.route("/")(lambda: event_stream([{"event": "own"}], items="data", retry=5))
    answer = ask(SSEMiddleware(app, items="data", retry=9, end_event="close"))
    assert answer.items[0] == b'retry: 5\ndata: {"event":"own"}\n\n'
    assert len(answer.items) == 2


def test_nothing_of_a_source_is_sent_after_the_error_event():
    app = streaming_app({"data": "a"}, {"dta": "b"}, {"data": "never"})
    answer = ask(SSEMiddleware(app))
    assert [event.event for event in events_of(answer)] == ["message", "error"]


def test_head_does_not_run_the_generator_and_closes_it():
    class Unrun:
        closed = 0

        def __iter__(self):
            return self

        def __next__(self):
            raise AssertionError("the generator was run")

        def close(self):
            self.closed += 1

    body = Unrun()
    app = bottle.Bottle()
    app.route("/")(lambda: body)
    answer = ask(SSEMiddleware(app), method="HEAD")
    assert (answer.status, answer.items, body.closed) == ("200 OK", [], 1)


def test_hooks_and_plugins_of_the_app_run_as_before():
    calls = []
    app = bottle.Bottle()
    app.hook("before_request")(lambda: calls.append("before"))
    app.hook("after_request")(lambda: calls.append("after"))

    def plugin(callback):
        def wrapped(*args, **kwargs):
            calls.append("plugin")
            return callback(*args, **kwargs)

        return wrapped

    app.install(plugin)
    app.route("/")(yields)
    assert kind(ask(SSEMiddleware(app))) == STREAM
    assert calls == ["before", "plugin", "after"]


# Mounts


def wrap_last(parent, add):
    add()
    return SSEMiddleware(parent)


def wrap_first(parent, add):
    wrapped = SSEMiddleware(parent)
    add()
    return wrapped


in_either_order = pytest.mark.parametrize("wrap", [wrap_last, wrap_first])
at_either_prefix = pytest.mark.parametrize(
    "prefix", ["/c", pytest.param("/c/", id="/c/-merges-in-0.13")]
)


@in_either_order
@at_either_prefix
def test_a_mounted_bottle_app_streams(prefix, wrap):
    parent, child = bottle.Bottle(), streaming_app(path="/s")
    answer = ask(wrap(parent, lambda: parent.mount(prefix, child)), path="/c/s")
    assert kind(answer) == STREAM
    assert answer.items == [b"data: a\n\n", b"data: b\n\n"]


@in_either_order
@pytest.mark.parametrize(
    ("outer", "inner"),
    [("/o", "/i"), ("/o", "/i/"), ("/o/", "/i/")],  # Bottle itself loses "/i" in "/o/"
)
def test_an_app_mounted_in_a_mounted_app_streams(outer, inner, wrap):
    parent, child = bottle.Bottle(), bottle.Bottle()
    child.mount(inner, streaming_app(path="/s"))
    answer = ask(wrap(parent, lambda: parent.mount(outer, child)), path="/o/i/s")
    assert kind(answer) == STREAM
    assert answer.items == [b"data: a\n\n", b"data: b\n\n"]


def test_an_app_mounted_later_in_an_app_mounted_earlier_streams():
    parent, child = bottle.Bottle(), bottle.Bottle()
    parent.mount("/o", child)
    app = SSEMiddleware(parent)
    child.mount("/i", streaming_app(path="/s"))
    assert kind(ask(app, path="/o/i/s")) == STREAM


@in_either_order
def test_routes_merged_from_another_app_stream(wrap):
    parent, other = bottle.Bottle(), streaming_app(path="/s")
    assert kind(ask(wrap(parent, lambda: parent.merge(other)), path="/s")) == STREAM


@in_either_order
def test_a_mount_merged_from_another_app_streams(wrap):
    parent, other = bottle.Bottle(), bottle.Bottle()
    other.mount("/c", streaming_app(path="/s"))
    assert kind(ask(wrap(parent, lambda: parent.merge(other)), path="/c/s")) == STREAM


@in_either_order
def test_a_mounted_app_that_is_not_bottle_streams(wrap):
    parent = bottle.Bottle()
    answer = ask(wrap(parent, lambda: parent.mount("/w", dict_wsgi_app)), path="/w/x")
    assert kind(answer) == STREAM
    assert answer.items == [b"data: /w\n\n"]


def test_a_mounted_page_is_left_alone():
    def app():
        parent, child = bottle.Bottle(), bottle.Bottle()
        child.route("/p")(lambda: iter(["<p>", "é"]))
        parent.mount("/c", child)
        return parent

    assert ask(SSEMiddleware(app()), path="/c/p") == ask(app(), path="/c/p")


def test_a_declared_stream_in_a_mount_is_framed_once():
    parent, child = bottle.Bottle(), bottle.Bottle()

    @child.route("/s")
    def stream():
        bottle.response.content_type = "text/event-stream"
        yield {"n": 1}

    parent.mount("/c", child)
    app = SSEMiddleware(parent, items="data", retry=7, end_event="close")
    assert ask(app, path="/c/s").items == [
        b'retry: 7\ndata: {"n":1}\n\n',
        b"event: close\nid: sse:end\ndata: \n\n",
    ]


def test_two_apps_that_mount_each_other_are_adapted_in_finite_time():
    one, other = streaming_app(), streaming_app()
    one.mount("/other", other)
    other.mount("/one", one)
    assert kind(ask(SSEMiddleware(one), path="/other/")) == STREAM
    one.install(SSEPlugin())
    assert kind(ask(one, path="/other/")) == STREAM


# Several uses of one app


def test_two_middlewares_around_one_app_use_each_its_own_options():
    app = bottle.Bottle()
    app.route("/")(lambda: iter([{"data": 1}]))
    fields = SSEMiddleware(app, retry=1)
    data = SSEMiddleware(app, items="data", retry=2)
    for _ in range(2):
        assert ask(fields).items == [b"retry: 1\ndata: 1\n\n"]
        assert ask(data).items == [b'retry: 2\ndata: {"data":1}\n\n']


def test_an_app_that_is_wrapped_elsewhere_stays_as_bottle_is():
    app = streaming_app()
    SSEMiddleware(app)
    assert ask(app) == ask(streaming_app())
    assert ask(app).status == "500 Internal Server Error"


class Wrapper:
    """A WSGI middleware as Beaker's, which keeps what it wraps as ``app``."""

    def __init__(self, app):
        self.app = app

    def __call__(self, environ, start_response):
        def started(status, headers, exc_info=None):
            return start_response(status, [*headers, ("X-Wrapped", "1")], exc_info)

        return self.app(environ, started)


WRAPPERS = {
    "between": lambda app: SSEMiddleware(Wrapper(app)),
    "twice-between": lambda app: SSEMiddleware(Wrapper(Wrapper(app))),
    "outside": lambda app: Wrapper(SSEMiddleware(app)),
    "bound-method": lambda app: SSEMiddleware(app.wsgi),
}


@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)
def test_other_middleware_may_stand_inside_and_outside(wrap, request):
    answer = ask(wrap(streaming_app()))
    assert kind(answer) == STREAM
    assert answer.items == [b"data: a\n\n", b"data: b\n\n"]
    assert ("X-Wrapped" in dict(answer.headers)) == ("bound" not in request.node.callspec.id)


def test_beaker_sessions_may_stand_between():
    middleware = pytest.importorskip("beaker.middleware")
    app = bottle.Bottle()

    @app.route("/")
    def stream():
        session = bottle.request.environ["beaker.session"]
        session["seen"] = True
        session.save()
        yield {"data": "a"}

    sessions = middleware.SessionMiddleware(app, {"session.type": "memory"})
    answer = ask(SSEMiddleware(sessions))
    assert kind(answer) == STREAM
    assert answer.items == [b"data: a\n\n"]
    assert "set-cookie" in {name.lower() for name, _ in answer.headers}


def test_a_subclass_with_its_own_cast_streams():
    class Own(bottle.Bottle):
        def _cast(self, out, peek=None):
            return super()._cast(out)

    app = Own()
    app.route("/")(yields)
    assert kind(ask(SSEMiddleware(app))) == STREAM


# The plugin


def test_the_plugin_alone_gives_a_stream_with_its_headers():
    app = bottle.Bottle()

    @app.route("/")
    def stream():
        bottle.response.set_cookie("a", "1")
        bottle.response.set_cookie("b", "2")
        bottle.response.set_header("X-Own", "kept")
        bottle.response.set_header("Cache-Control", "private")
        bottle.response.set_header("Content-Length", "3")
        yield {"data": "a"}

    app.install(SSEPlugin(end_event="close"))
    status, headers, items = ask(app)
    assert (status, items) == (
        "200 OK",
        [b"data: a\n\n", b"event: close\nid: sse:end\ndata: \n\n"],
    )
    assert sorted(headers) == [
        ("Cache-Control", "private, no-transform"),
        ("Content-Type", "text/event-stream; charset=utf-8"),
        ("Set-Cookie", "a=1"),
        ("Set-Cookie", "b=2"),
        ("X-Accel-Buffering", "no"),
        ("X-Own", "kept"),
    ]


def test_the_plugin_keeps_the_cookies_of_a_mounted_app():
    def child(environ, start_response):
        start_response("200 OK", [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")])
        return iter([{"data": "a"}])

    app = bottle.Bottle()
    app.mount("/c", child)
    app.install(SSEPlugin())
    answer = ask(app, path="/c/")
    assert kind(answer) == STREAM
    assert [value for name, value in answer.headers if name == "Set-Cookie"] == ["a=1", "b=2"]


@pytest.mark.parametrize(
    "handler", [yields, raises_a_response, returns_a_response, yields_a_response]
)
def test_the_plugin_alone_covers_every_form(handler):
    app = bottle.Bottle()
    app.route("/")(handler)
    app.install(SSEPlugin())
    answer = ask(app)
    assert answer.items == [b"data: a\n\n", b"data: b\n\n"]
    assert kind(answer)[1] == STREAM[1]


@pytest.mark.parametrize("items", PAGES.values(), ids=PAGES)
def test_the_plugin_leaves_pages_alone(items):
    app = bottle.Bottle()
    app.route("/")(lambda: iter(items))
    alone = ask(app)
    app.install(SSEPlugin(end_event="close"))
    assert ask(app) == alone


def test_inside_the_middleware_the_plugin_frames_once_and_its_options_come_first():
    app = streaming_app({"data": "a"})
    app.install(SSEPlugin(items="data", retry=1))
    wrapped = SSEMiddleware(app, items="data", retry=2, end_event="close")
    assert ask(wrapped).items == [
        b'retry: 1\ndata: {"data":"a"}\n\n',
        b"event: close\nid: sse:end\ndata: \n\n",
    ]


@pytest.mark.parametrize("mount_first", [True, False])
@pytest.mark.parametrize("wrapped_before", [True, False])
def test_the_plugin_covers_mounts(mount_first, wrapped_before):
    parent, child = bottle.Bottle(), streaming_app(path="/s")
    if wrapped_before:
        SSEMiddleware(parent)
    if mount_first:
        parent.mount("/c", child)
    parent.install(SSEPlugin())
    if not mount_first:
        parent.mount("/c", child)
    assert kind(ask(parent, path="/c/s")) == STREAM


@pytest.mark.parametrize("mount_first", [True, False])
def test_the_plugin_of_a_mounted_app_keeps_its_options(mount_first):
    parent, child = bottle.Bottle(), streaming_app({"data": "a"}, path="/s")
    child.install(SSEPlugin(retry=1))
    if mount_first:
        parent.mount("/c", child)
    parent.install(SSEPlugin(retry=2))
    if not mount_first:
        parent.mount("/c", child)
    assert ask(parent, path="/c/s").items == [b"retry: 1\ndata: a\n\n"]


def test_without_the_plugin_bottle_is_as_it_was():
    parent, child = streaming_app(), streaming_app(path="/s")
    parent.mount("/c", child)
    plugin = parent.install(SSEPlugin())
    assert kind(ask(parent)) == kind(ask(parent, path="/c/s")) == STREAM
    parent.uninstall(plugin)
    assert ask(parent).status == ask(parent, path="/c/s").status == "500 Internal Server Error"
    assert kind(ask(SSEMiddleware(parent), path="/c/s")) == STREAM


def test_a_plugin_that_one_app_uninstalls_stays_in_the_other():
    plugin = SSEPlugin()
    one, other = streaming_app(), streaming_app()
    one.install(plugin)
    other.install(plugin)
    one.uninstall(plugin)
    assert ask(one).status == "500 Internal Server Error"
    assert kind(ask(other)) == STREAM


def test_the_plugin_refuses_an_unknown_option():
    with pytest.raises(OptionError, match="option is 'heartbeats'"):
        SSEPlugin(heartbeats=1)


def test_the_reason_that_an_event_was_refused_is_logged(caplog):
    answer = ask(SSEMiddleware(streaming_app({"dta": "a"})))
    assert answer.status == "500 Internal Server Error"
    assert b"dta" not in b"".join(answer.items)
    assert "key is 'dta'" in caplog.text


@needs_merging_mounts
def test_a_merging_mount_merges_the_routes_under_the_middleware_too():
    parent, child = bottle.Bottle(), streaming_app(path="/s")
    app = SSEMiddleware(parent)
    parent.mount("/c/", child)
    assert [route.rule for route in parent.routes] == ["/c/s"]
    assert kind(ask(app, path="/c/s")) == STREAM
