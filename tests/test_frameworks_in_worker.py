"""What frameworks keep by thread and by context works in a worker; none of it is left behind."""

import threading
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest

from sse_middleware import EventParser, SSEMiddleware, event_stream

DEADLINE_S = 20


def streamed(app, path="/stream", query="name=Ada", before=lambda: None, after=lambda: None):
    """The events of one request that runs in a worker, read in a thread as a server's are."""
    environ = {"SCRIPT_NAME": "", "PATH_INFO": path, "QUERY_STRING": query}
    setup_testing_defaults(environ)
    seen = {}

    def serve():
        seen["thread"] = threading.current_thread()
        wrapped = validator(SSEMiddleware(app, worker=lambda environ: True))
        body = wrapped(environ, lambda status, headers, exc_info=None: seen.update(status=status))
        before()
        frames = b"".join(body)
        body.close()
        after()
        seen["events"] = EventParser().feed(frames)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    thread.join(DEADLINE_S)
    assert not thread.is_alive(), "the request did not end in time"
    return seen


def test_flask_has_its_contexts_while_the_generator_runs_and_nowhere_else():
    flask = pytest.importorskip("flask")
    app = flask.Flask("app")
    app.secret_key = "secret"
    torn_down, left = [], []
    finished = threading.Event()

    @app.teardown_request
    def teardown(error):
        torn_down.append(threading.current_thread())
        finished.set()

    @app.route("/stream")
    def stream():
        flask.g.count = 0
        flask.session["user"] = "Ada"

        def events():
            for _ in range(3):
                flask.g.count += 1
                yield {"data": [flask.request.args["name"], flask.session["user"], flask.g.count]}

        return flask.Response(flask.stream_with_context(events()))

    seen = streamed(
        app.wsgi_app,
        before=lambda: left.append(flask.has_request_context()),
        after=lambda: left.append(flask.has_request_context()),
    )
    assert [event.json() for event in seen["events"]] == [["Ada", "Ada", n] for n in (1, 2, 3)]
    assert left == [False, False]
    assert finished.wait(DEADLINE_S), "teardown did not run"
    assert len(set(torn_down)) == 1
    assert torn_down[0] is not seen["thread"]


def test_flask_sees_an_error_in_the_view_as_its_own():
    flask = pytest.importorskip("flask")
    app = flask.Flask("app")

    @app.route("/stream")
    def stream():
        flask.abort(403)

    assert streamed(app.wsgi_app)["status"].startswith("403")


def test_bottle_has_its_request_while_the_generator_runs():
    bottle = pytest.importorskip("bottle")
    app = bottle.Bottle()

    @app.route("/stream")
    def stream():
        for number in range(3):
            yield {"data": [bottle.request.query.name, number]}

    seen = streamed(app)
    assert [event.json() for event in seen["events"]] == [["Ada", n] for n in range(3)]


@pytest.fixture
def django_app():
    pytest.importorskip("django")
    from django.conf import settings

    if not settings.configured:
        from django.urls import re_path

        # A process has one configuration: test_frameworks.py has the same, and may come after.
        settings.configure(
            ALLOWED_HOSTS=["*"],
            ROOT_URLCONF=(re_path("", lambda request: request.environ["tests.view"](request)),),
            SECRET_KEY="for tests",
            LOGGING_CONFIG=None,
        )
    import django
    from django.core.handlers.wsgi import WSGIHandler
    from django.test.utils import override_settings

    django.setup()
    with override_settings(ROOT_URLCONF=__name__, MIDDLEWARE=[], ALLOWED_HOSTS=["*"]):
        yield WSGIHandler()


def django_stream(request):
    """A view whose generator uses a connection, which Django ties to the thread it is made in."""
    from django.db.backends.sqlite3.base import DatabaseWrapper
    from django.http import StreamingHttpResponse

    settings = {
        "NAME": ":memory:",
        "TIME_ZONE": None,
        "CONN_MAX_AGE": 0,
        "CONN_HEALTH_CHECKS": False,
        "AUTOCOMMIT": True,
        "ATOMIC_REQUESTS": False,
        "OPTIONS": {},
        "TEST": {},
        "USER": "",
        "PASSWORD": "",
        "HOST": "",
        "PORT": "",
    }
    connection = DatabaseWrapper(settings)
    connection.ensure_connection()

    def events():
        for number in range(3):
            with connection.cursor() as cursor:
                cursor.execute("select %s + 1", [number])
                yield {"data": [request.GET["name"], cursor.fetchone()[0]]}
        connection.close()

    return StreamingHttpResponse(event_stream(events()))


def __getattr__(name):
    if name == "urlpatterns":
        from django.urls import path

        return [path("stream", django_stream)]
    raise AttributeError(name)


def test_django_has_its_connections_while_the_generator_runs(django_app):
    seen = streamed(django_app)
    assert [event.json() for event in seen["events"]] == [["Ada", n] for n in (1, 2, 3)]
