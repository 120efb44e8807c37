"""The command ``sse-middleware``: arguments to calls, errors to one line and exit code 2.

Each command is a module of this package, imported when it is asked for: ``add(parser)`` gives the
parser its description, its arguments and the default ``run``, which takes what was parsed and may
return an exit code.
"""

import argparse
import os
import sys
from importlib import import_module
from typing import Container, List, Optional

from sse_middleware.errors import SSEError, printable

__all__ = ["COMMANDS", "main", "parser_of"]

#: The commands, in the order of their help, and what each does.
COMMANDS = {
    "demo": "stream a recorded OpenAI answer from a Flask app to a page",
    "serve": "wrap a WSGI app and serve it, for development",
    "record": "record the streams of an upstream, from a proxy before it",
    "replay": "serve recordings to any client",
    "inspect": "print a recording as a timeline",
    "check": "say what a deployment does to a stream, and what is wrong",
}


def main(argv: Optional[List[str]] = None) -> int:
    """Run one command line, by default the process's own; the exit code.

    0 when it did its work or was stopped by Ctrl-C, 2 when it was asked for what cannot be done;
    a command may have others of its own.
    """
    arguments = sys.argv[1:] if argv is None else argv
    options = parser_of(arguments).parse_args(arguments)
    if hasattr(sys.stdout, "reconfigure"):  # names and texts that its encoding lacks are escaped
        sys.stdout.reconfigure(errors="backslashreplace")
    code: Optional[int] = 0
    try:
        code = options.run(options)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read our output has enough
        _drop_output()
    except OSError as error:  # such as no space left for our output
        _tell(error)
        _drop_output()
        return 2
    except SSEError as error:
        _tell(error)
        return 2
    except KeyboardInterrupt:
        print(file=sys.stderr)
    return code or 0


def _tell(error: Exception) -> None:
    # It may hold what others wrote: a server, a file, the name of a file.
    print(f"sse-middleware: {printable(str(error))}", file=sys.stderr)


def _drop_output() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def parser_of(named: Container[str]) -> argparse.ArgumentParser:
    """The parser of the whole command line; only the commands in ``named`` have arguments."""
    parser = argparse.ArgumentParser(
        prog="sse-middleware", description="Server-Sent Events for WSGI applications."
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, told in COMMANDS.items():
        command = commands.add_parser(name, help=told)
        if name in named:
            import_module(f"sse_middleware.cli.{name}").add(command)
    return parser
