"""What a command says of an address that it cannot listen on."""

import errno
import socket
from contextlib import contextmanager
from typing import Iterator

from sse_middleware.errors import OptionError, shown

__all__ = ["told_in_one_line"]


@contextmanager
def told_in_one_line(host: str, port: int) -> Iterator[None]:
    """A context in which an address is listened on.

    Raises:
        OptionError: in place of the OSError or UnicodeError that this raised.
    """
    try:
        yield
    except (socket.gaierror, UnicodeError):
        raise OptionError("host", shown(host), "a name or an address of this machine") from None
    except OSError as error:
        raise _cannot_listen(host, port, error) from None


def _cannot_listen(host: str, port: int, error: OSError) -> OptionError:
    if error.errno == errno.EADDRINUSE:
        return OptionError("port", f"{port}, in use on {host}", "a free one: try --port 0")
    measured = f"{host}:{port} ({error.strerror or error})"
    return OptionError("address", measured, "one of this machine, with a port that you may use")
