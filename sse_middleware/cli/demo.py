"""``sse-middleware demo``: a page, a Flask app on the middleware, and a fake OpenAI upstream.

The app is the one that most people write first: ``POST /stream`` takes ``{"messages": [...]}``,
asks the upstream with ``stream=True``, and yields what comes.
"""

import argparse
import pkgutil
from typing import Any, Callable, Iterator, List

from sse_middleware.cli.arguments import add_address, add_server
from sse_middleware.cli.servers import serve
from sse_middleware.errors import SSEError
from sse_middleware.middleware import SSEMiddleware
from sse_middleware.relay import relay
from sse_middleware.response import WSGIApp
from sse_middleware.testing import FakeUpstream

__all__ = ["add", "demo_app", "run"]

#: Asks an upstream for the answer to messages; the stream of it.
Ask = Callable[[List[Any]], Any]

_CURL = "curl -N -d '{\"messages\": []}' -H 'Content-Type: application/json'"


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
    upstream = FakeUpstream()
    upstream.play("chat-text", times=None, speed=1.0)
    with upstream.serve() as base_url:
        try:
            app = demo_app(_asker(base_url))
        except ImportError as error:
            told = f"the demo needs {error.name}: pip install 'sse-middleware[demo]'"
            raise SSEError(told) from None
        drain = app.wsgi_app.drain  # type: ignore[attr-defined]
        serve(app, server=server, host=host, port=port, told=_tell, drain=drain)


def _tell(url: str) -> None:
    print(f"The page:  {url}/")
    print(f"The stream: {_CURL} {url}/stream", flush=True)


def demo_app(ask: Ask) -> WSGIApp:
    """The Flask app, wrapped: the page at ``/``, the stream at ``/stream`` (GET and POST)."""
    from flask import Flask, Response, request

    app = Flask("sse_middleware demo")

    @app.route("/")
    def page() -> Response:
        return Response(pkgutil.get_data("sse_middleware.cli", "demo.html"), mimetype="text/html")

    @app.route("/stream", methods=["GET", "POST"])
    def stream() -> Any:
        body = request.get_json(silent=True) if request.method == "POST" else {"messages": []}
        if not isinstance(body, dict) or not isinstance(body.get("messages"), list):
            told = 'the body is no {"messages": [...]} in JSON, sent as application/json'
            return {"error": {"message": told, "type": "invalid_request_error"}}, 400
        messages = body["messages"]

        def answer() -> Iterator[Any]:
            yield from relay(ask(messages))

        return Response(answer())

    app.wsgi_app = SSEMiddleware(app.wsgi_app, worker="/stream")  # type: ignore[method-assign]
    return app


def _asker(base_url: str) -> Ask:
    """The openai client where it is installed, else requests. Neither uses a proxy."""
    try:
        from openai import DefaultHttpxClient, OpenAI
    except ImportError:
        return _requests_asker(base_url)
    client = OpenAI(
        base_url=base_url, api_key="none", http_client=DefaultHttpxClient(trust_env=False)
    )

    def ask(messages: List[Any]) -> Any:
        return client.chat.completions.create(model="demo", messages=messages, stream=True)

    return ask


def _requests_asker(base_url: str) -> Ask:
    import requests

    def ask(messages: List[Any]) -> Any:
        session = requests.Session()
        session.trust_env = False
        asked: Any = {"model": "demo", "messages": messages, "stream": True}
        return session.post(base_url + "/chat/completions", json=asked, stream=True, timeout=60)

    return ask
