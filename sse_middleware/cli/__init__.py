"""The command ``sse-middleware``: arguments to calls, errors to one line and exit code 2."""

import argparse
import sys
from typing import List, Optional

from sse_middleware.errors import SSEError

__all__ = ["main"]


def main(argv: Optional[List[str]] = None) -> int:
    """Run one command line, by default the process's own; the exit code.

    0 when it did its work or was stopped by Ctrl-C, 2 when it was asked for what cannot be done.
    """
    options = _parser().parse_args(argv)
    try:
        options.run(options)
    except SSEError as error:
        print(f"sse-middleware: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(file=sys.stderr)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sse-middleware", description="Server-Sent Events for WSGI applications."
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    demo = commands.add_parser(
        "demo",
        help="stream a recorded OpenAI answer from a Flask app to a page",
        description="Serve a Flask app that streams the answer of a fake OpenAI upstream.",
    )
    demo.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    demo.add_argument("--port", type=_port, default=8889, help="0 takes a free one (%(default)s)")
    demo.set_defaults(run=_demo)
    return parser


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"port is {text!r}: expected 0 to 65535")
    return int(text)


def _demo(options: argparse.Namespace) -> None:
    from sse_middleware.cli.demo import run

    run(options.host, options.port)
