"""``sse-middleware check``: what a deployment does to a stream, what is wrong, and what helps."""

import argparse
import json
import sys
from contextlib import suppress
from typing import Any, List

from sse_middleware.doctor import ask, examine, exit_code, findings_of, report_lines, report_object
from sse_middleware.doctor.asking import Asked, checked_header
from sse_middleware.doctor.masking import secrets_of
from sse_middleware.errors import OptionError, SSEError

__all__ = ["add", "run"]

_STYLES = {"error": "bold red", "warning": "bold yellow", "note": "bold"}


def add(command: argparse.ArgumentParser) -> None:
    """Give the command its arguments."""
    command.description = (
        "Ask URL for a stream, as a browser does, and say what is wrong with what comes. Exit "
        "code: 0 nothing is wrong, 1 something is, 2 it could not be asked. A GET is made up to "
        "three times, to see what compression does and what a reconnection gets; a POST once."
    )
    command.add_argument("url", metavar="URL", help="of the stream, such as http://host/stream")
    command.add_argument(
        "--method",
        metavar="METHOD",
        choices=["GET", "POST"],
        help="GET or POST (POST where --data is given)",
    )
    command.add_argument("--data", metavar="JSON", help="the body of a POST, sent as it is")
    command.add_argument(
        "--header",
        metavar="'NAME: VALUE'",
        action="append",
        default=[],
        help="sent too, and never shown; may be given several times",
    )
    command.add_argument("--json", action="store_true", help="print the report as JSON")
    command.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=_seconds,
        default=10.0,
        help="how long each request is watched at most (%(default)g)",
    )
    command.set_defaults(run=_run)


def run(asked: Asked, timeout_s: float, *, as_json: bool) -> int:
    """Print the report; the exit code.

    Raises:
        SSEError: there is nobody to ask, no HTTP is spoken there, or Ctrl-C ended it.
    """
    try:
        seen = examine(asked, timeout_s)
    except KeyboardInterrupt:  # which is no "nothing is wrong"
        raise SSEError("interrupted before anything was known") from None
    secrets = secrets_of(asked)  # what is not in an answer: a redirect may put one into a path
    if as_json:
        told = json.dumps(report_object(seen), indent=1)
        print(_masked(told, secrets))
    else:
        _print([_masked(line, secrets) for line in report_lines(seen)])
    return exit_code(findings_of(seen))


def _run(options: Any) -> int:
    headers = [checked_header(text) for text in options.header]
    if options.data is not None and options.method == "GET":
        raise OptionError("method", "GET", "POST, as --data is given")
    asked = ask(options.url, method=options.method, data=options.data, headers=headers)
    return run(asked, options.timeout, as_json=options.json)


def _masked(text: str, secrets: List[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, "***")
    return text


def _print(lines: List[str]) -> None:
    if sys.stdout.isatty():
        with suppress(ImportError):
            _print_in_colour(lines)
            return
    print("\n".join(lines))


def _print_in_colour(lines: List[str]) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console()
    for line in lines:
        console.print(Text(line, _STYLES.get(line.partition(" ")[0], "")), soft_wrap=True)


def _seconds(text: str) -> float:
    with suppress(ValueError):
        if 0 < float(text) <= 3600:
            return float(text)
    raise argparse.ArgumentTypeError(f"timeout is {text!r}: expected seconds, up to 3600")
