"""Past the proxies that the environment names: what goes to a loopback server is not for them."""

import os
import threading
from contextlib import contextmanager
from typing import Dict, Iterator, Optional

__all__ = ["exceptions", "passed_by"]

_LOOPBACK = ("127.0.0.1", "localhost")

_lock = threading.Lock()
_users = 0
_before: Dict[str, Optional[str]] = {}


def exceptions() -> Dict[str, str]:
    """``NO_PROXY`` and ``no_proxy`` as they are, and the loopback interface in both.

    Some clients read one, some the other: what is in the only one that is set counts for both.
    """
    upper, lower = os.environ.get("NO_PROXY"), os.environ.get("no_proxy")
    return {
        "NO_PROXY": _with_loopback(upper or lower),
        "no_proxy": _with_loopback(lower or upper),
    }


@contextmanager
def passed_by() -> Iterator[None]:
    """A context in which no client of this process asks a proxy for the loopback interface.

    The environment is the process's: contexts that overlap share the change, and the last one to
    end takes it back.
    """
    global _users
    with _lock:
        if not _users:
            _before.update({name: os.environ.get(name) for name in ("NO_PROXY", "no_proxy")})
            os.environ.update(exceptions())
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if not _users:
                _restore()


def _restore() -> None:
    for name, value in _before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _with_loopback(hosts: Optional[str]) -> str:
    """``hosts`` and the loopback ones; ``*`` stays alone, or some clients do not understand it."""
    if hosts and hosts.strip() == "*":
        return hosts
    return ",".join([*([hosts] if hosts else []), *_LOOPBACK])
