"""The command ``sse-middleware``: arguments to calls, errors to one line and exit code 2."""

import argparse
import math
import os
import sys
from typing import Any, List, Optional

from sse_middleware.errors import SSEError

__all__ = ["main"]


def main(argv: Optional[List[str]] = None) -> int:
    """Run one command line, by default the process's own; the exit code.

    0 when it did its work or was stopped by Ctrl-C, 2 when it was asked for what cannot be done.
    """
    options = _parser().parse_args(argv)
    if hasattr(sys.stdout, "reconfigure"):  # names and texts that its encoding lacks are escaped
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        options.run(options)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read our output has enough
        _drop_output()
    except OSError as error:  # such as no space left for our output
        print(f"sse-middleware: {error}", file=sys.stderr)
        _drop_output()
        return 2
    except SSEError as error:
        print(f"sse-middleware: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(file=sys.stderr)
    return 0


def _drop_output() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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
    _add_address(demo, 8889)
    demo.set_defaults(run=_demo)
    _add_record(commands)
    _add_replay(commands)
    _add_inspect(commands)
    return parser


def _add_record(commands: Any) -> None:
    record = commands.add_parser(
        "record",
        help="record the streams of an upstream, from a proxy before it",
        description="Pass requests on to an upstream, and record the event streams that come "
        "back, and the errors that answer a POST. Keys and the like are left out. A request's "
        "path is put behind the path of the upstream's URL; where the one ends with what the "
        "other begins with (/v1), this stands once.",
    )
    record.add_argument(
        "--upstream", metavar="URL", required=True, help="such as https://api.openai.com/v1"
    )
    record.add_argument(
        "--out", metavar="DIR", required=True, help="where recordings go; nothing is overwritten"
    )
    _add_address(record, 8890)
    record.set_defaults(run=_record)


def _add_replay(commands: Any) -> None:
    replay = commands.add_parser(
        "replay",
        help="serve recordings to any client",
        description="Answer each request with the recording of such a request: the same method "
        "and path, and in its JSON the same model, messages and so on. A recording that does not "
        "know its request answers any POST. Several that fit take turns.",
    )
    replay.add_argument("folder", metavar="DIR", help="where the .sse files are")
    _add_address(replay, 8891)
    replay.add_argument(
        "--speed",
        type=_speed,
        default=1.0,
        help="times as fast as recorded; max leaves out the delays (%(default)s)",
    )
    replay.set_defaults(run=_replay)


def _add_inspect(commands: Any) -> None:
    inspect = commands.add_parser(
        "inspect",
        help="print a recording as a timeline",
        description="Print what came when, and how the transport cut it.",
    )
    inspect.add_argument("file", metavar="FILE", help="an .sse file; its .json is found beside it")
    inspect.set_defaults(run=_inspect)


def _add_address(command: argparse.ArgumentParser, port: int) -> None:
    command.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    command.add_argument(
        "--port", type=_port, default=port, help="0 takes a free one (%(default)s)"
    )


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"port is {text!r}: expected 0 to 65535")
    return int(text)


def _demo(options: argparse.Namespace) -> None:
    from sse_middleware.cli.demo import run

    run(options.host, options.port)


def _speed(text: str) -> float:
    try:
        speed = math.inf if text == "max" else float(text)
    except ValueError:
        speed = 0.0
    if not speed > 0:
        raise argparse.ArgumentTypeError(f"speed is {text!r}: expected a number > 0, or max")
    return speed


def _record(options: argparse.Namespace) -> None:
    from sse_middleware.cli.record import run

    run(options.upstream, options.out, options.host, options.port)


def _replay(options: argparse.Namespace) -> None:
    from sse_middleware.cli.replay import run

    run(options.folder, options.host, options.port, options.speed)


def _inspect(options: argparse.Namespace) -> None:
    from sse_middleware.cli.inspect import run

    run(options.file)
