"""The arguments that several commands have."""

import argparse

from sse_middleware.cli.servers import SERVERS

__all__ = ["add_address", "add_server"]


def add_address(command: argparse.ArgumentParser, port: int) -> None:
    """Give ``command`` the options ``--host`` and ``--port``, the latter ``port`` by default."""
    command.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    command.add_argument(
        "--port", type=_port, default=port, help="0 takes a free one (%(default)s)"
    )


def add_server(command: argparse.ArgumentParser) -> None:
    """Give ``command`` the option ``--server``, one of `SERVERS`."""
    command.add_argument(
        "--server",
        metavar="NAME",
        choices=SERVERS,
        default="waitress",
        help=f"{', '.join(SERVERS)}: what serves it (%(default)s)",
    )


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"port is {text!r}: expected 0 to 65535")
    return int(text)
