"""``sse-middleware demo``: a page, a Flask app on the middleware, and a fake OpenAI upstream.

The app is the one that most people write first: ``POST /stream`` takes ``{"messages": [...]}``,
asks the upstream with ``stream=True``, and yields what comes. The page may add to the query what
goes wrong (see `Choice`), and ``POST /drop`` breaks the connection of its stream.
"""

import argparse
import pkgutil
import secrets
from typing import Any, Callable, Iterator, Optional

from sse_middleware.cli._demo_answers import PLAIN_TEXT
from sse_middleware.cli._demo_connections import Connections
from sse_middleware.cli._demo_upstream import Choice, ChoosyUpstream
from sse_middleware.cli.arguments import add_address, add_server
from sse_middleware.cli.servers import serve
from sse_middleware.errors import OptionError, SSEError
from sse_middleware.middleware import SSEMiddleware
from sse_middleware.relay import relay
from sse_middleware.response import Environ
from sse_middleware.resume import MemoryLog

__all__ = ["add", "demo_app", "run"]

#: Asks an upstream for the answer to messages, with more fields if any; the stream of it.
_Ask = Callable[..., Any]

_CURL = "curl -N -d '{\"messages\": []}' -H 'Content-Type: application/json'"
_COOKIE = "sse_demo_visitor"
_HEARTBEAT_S = 2.0  # so short that it is seen
_LINGER_S = 30.0
_PATIENCE_S = 20.0  # with a silent upstream
_RETRY_MS = 1000


def add(command: argparse.ArgumentParser) -> None:
    """Give the command its arguments."""
    command.description = "Serve a Flask app that streams the answer of a fake OpenAI upstream."
    add_address(command, 8889)
    add_server(command)
    command.set_defaults(run=lambda given: run(given.host, given.port, given.server))


def run(host: str, port: int, server: str) -> None:
    """Serve the demo until it is interrupted; says on standard output where it is.

    Raises:
        SSEError: the packages of the ``demo`` extra, or the server, are not installed.
        OptionError: the address cannot be listened on.
    """
    # Never closed: an answer that goes on without its client would fail then, and be logged.
    upstream = ChoosyUpstream()
    try:
        app = demo_app(_asker(upstream.base_url))
    except ImportError as error:
        told = f"the demo needs {error.name}: pip install 'sse-middleware[demo]'"
        raise SSEError(told) from None
    drain = app.extensions["sse_middleware"].drain
    serve(app, server=server, host=host, port=port, told=_tell, drain=drain)


def _tell(url: str) -> None:
    print(f"The page:  {url}/")
    print(f"The stream: {_CURL} {url}/stream", flush=True)


def demo_app(ask: _Ask) -> Any:
    """The Flask app, wrapped: the page at ``/``, the stream at ``/stream`` (GET and POST)."""
    from flask import Flask, Response, request

    app = Flask("sse_middleware demo")

    @app.route("/")
    def page() -> Response:
        response = Response(_page(), mimetype="text/html")
        if _find_visitor(request.environ) is None:
            name = secrets.token_hex(16)
            response.set_cookie(_COOKIE, name, httponly=True, samesite="Strict")
        return response

    @app.route("/stream", methods=["GET", "POST"])
    def stream() -> Any:
        body = request.get_json(silent=True) if request.method == "POST" else {"messages": []}
        if not isinstance(body, dict) or not isinstance(body.get("messages"), list):
            told = 'the body is no {"messages": [...]} in JSON, sent as application/json'
            return _refusal(told), 400
        try:
            choice = Choice.read(request.args)
        except OptionError as error:
            return _refusal(str(error)), 400
        messages, is_page = body["messages"], "tab" in request.args

        def answer() -> Iterator[Any]:
            if is_page:
                yield {"retry": _RETRY_MS}
            if choice.answer == "unicode":
                yield {"event": "plain", "data": PLAIN_TEXT}
            yield from relay(ask(messages, **choice.fields()))

        return Response(answer())

    @app.route("/drop", methods=["POST"])
    def drop() -> Any:
        name = _find_tab(request.environ)
        if name is None or not connections.drop(name):
            return _refusal("no stream of yours is open"), 404
        return "", 204

    # A cookie tells the visitors apart. Whoever has none, such as curl, cannot resume.
    log = MemoryLog(owner=_find_visitor, linger=_LINGER_S)
    wrapped = SSEMiddleware(app.wsgi_app, worker="/stream", resume=log, heartbeat=_HEARTBEAT_S)
    app.extensions["sse_middleware"] = wrapped
    app.wsgi_app = connections = Connections(wrapped, _find_stream)  # type: ignore[method-assign]
    return app


def _page() -> bytes:
    return pkgutil.get_data("sse_middleware.cli", "demo.html") or b""


def _refusal(told: str) -> Any:
    return {"error": {"message": told, "type": "invalid_request_error"}}


def _find_visitor(environ: Environ) -> Optional[str]:
    """Who a request is from: what the page's cookie says."""
    from werkzeug.http import parse_cookie

    return parse_cookie(environ).get(_COOKIE)


def _find_stream(environ: Environ) -> Optional[str]:
    return _find_tab(environ) if environ.get("PATH_INFO") == "/stream" else None


def _find_tab(environ: Environ) -> Optional[str]:
    """Which page of which visitor a request is from: a visitor may have several open."""
    from werkzeug.wrappers import Request

    request = Request(environ)
    visitor, tab = _find_visitor(environ), request.args.get("tab")
    return None if visitor is None or tab is None else f"{visitor} {tab}"


def _asker(base_url: str) -> _Ask:
    """The openai client where it is installed, else requests. Neither uses a proxy."""
    try:
        from openai import DefaultHttpxClient, OpenAI
    except ImportError:
        return _requests_asker(base_url)
    client = OpenAI(
        base_url=base_url,
        api_key="none",
        timeout=_PATIENCE_S,
        http_client=DefaultHttpxClient(trust_env=False),
    )

    def ask(messages: Any, **fields: Any) -> Any:
        return client.chat.completions.create(
            model="demo", messages=messages, stream=True, extra_body=fields
        )

    return ask


def _requests_asker(base_url: str) -> _Ask:
    import requests

    def ask(messages: Any, **fields: Any) -> Any:
        session = requests.Session()
        session.trust_env = False
        asked: Any = {"model": "demo", "messages": messages, "stream": True, **fields}
        url = base_url + "/chat/completions"
        return session.post(url, json=asked, stream=True, timeout=_PATIENCE_S)

    return ask
