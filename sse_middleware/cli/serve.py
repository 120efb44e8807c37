"""``sse-middleware serve``: any WSGI app, wrapped and served, for development.

An app that brings a middleware of its own keeps it: a second one around it would replace its
heartbeats, its workers and its log with the defaults.
"""

import argparse
import inspect
from typing import Any, Dict, Optional, Union

from sse_middleware.cli.arguments import add_address, add_server
from sse_middleware.cli.loading import load_app
from sse_middleware.cli.servers import serve
from sse_middleware.errors import OptionError
from sse_middleware.middleware import SSEMiddleware
from sse_middleware.response import WSGIApp

__all__ = ["add", "run"]

#: What options of the middleware mean on a command line; their values are checked by it.
_OPTIONS = {
    "worker": ("PATTERN", "run requests to such paths in a worker; may be given several times"),
    "items": ("KIND", "event: a dict holds the fields of an event; data: it is the data of one"),
    "heartbeat": ("SECONDS", "of silence before a comment is sent; none: never"),
    "retry": ("MS", "until a browser reconnects"),
    "end-event": ("NAME", "of the last event, sent when a stream is complete"),
    "max-age": ("SECONDS", "after which a stream ends, so that its client reconnects"),
    "max-streams": ("N", "requests that may hold a worker at a time"),
}
_NUMBERS = ("heartbeat", "retry", "max-age", "max-streams")

_DEPTH = 10  # middlewares around the one that is looked for


def add(command: argparse.ArgumentParser) -> None:
    """Give the command its arguments."""
    command.description = (
        "Serve a WSGI app, wrapped in SSEMiddleware unless it is already. For development: "
        "it does not reload what you change."
    )
    command.add_argument(
        "app",
        metavar="MODULE[:APP]",
        help="such as chat:app, or chat:create_app() for a factory; "
        "without a name it is app, else application",
    )
    add_server(command)
    add_address(command, 8000)
    group = command.add_argument_group("options of SSEMiddleware, for an app that is not wrapped")
    defaults = inspect.signature(SSEMiddleware).parameters
    for name, (metavar, told) in _OPTIONS.items():
        default = defaults[name.replace("-", "_")].default
        group.add_argument(
            f"--{name}",
            metavar=metavar,
            help=told if default is None else f"{told} ({default})",
            default=argparse.SUPPRESS,
            action="append" if name == "worker" else "store",
            type=_number if name in _NUMBERS else str,
        )
    command.set_defaults(run=_run)


def _number(text: str) -> Union[int, float, str, None]:
    """The number that ``text`` is, or None; any other text is for the middleware to refuse."""
    if text.lower() == "none":
        return None
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def _run(given: argparse.Namespace) -> None:
    names = [name.replace("-", "_") for name in _OPTIONS]
    options = {name: getattr(given, name) for name in names if hasattr(given, name)}
    run(given.app, options, server=given.server, host=given.host, port=given.port)


def run(target: str, options: Dict[str, Any], *, server: str, host: str, port: int) -> None:
    """Serve the app that ``target`` names until interrupted; says on standard output where.

    Raises:
        OptionError: there is no such app, or an option has no meaning.
        SSEError: the app cannot be imported, or the server is not installed.
    """
    app = load_app(target)
    own = _find_middleware(app)
    if own is not None and options:
        flags = ", ".join("--" + name.replace("_", "-") for name in options)
        raise OptionError(target, "wrapped in SSEMiddleware already", f"no {flags}")
    middleware = SSEMiddleware(app, **options) if own is None else own

    def tell(url: str) -> None:
        wrapped = "wrapped in SSEMiddleware" if own is None else "which is wrapped already"
        print(f"Serving: {target}, {wrapped}, on {server}")
        print(f"URL:     {url}/", flush=True)

    served = middleware if own is None else app
    serve(served, server=server, host=host, port=port, told=tell, drain=middleware.drain)


def _find_middleware(app: WSGIApp) -> Optional[SSEMiddleware]:
    """The SSEMiddleware that ``app`` is, or has below it, as far as attributes tell."""
    seen: Any = app
    for _ in range(_DEPTH):
        if isinstance(seen, SSEMiddleware):
            return seen
        attributes = getattr(seen, "__dict__", {})
        seen = attributes.get("wsgi_app", attributes.get("app"))
    return None
