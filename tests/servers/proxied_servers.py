"""The servers that run behind the proxies; each serves ``proxied_app``."""

import sys
from importlib import metadata
from pathlib import Path
from typing import Callable, List, NamedTuple

from launch import Place

__all__ = ["SERVERS", "why_absent"]

_APP = "proxied_app:application"


class Server(NamedTuple):
    """A distribution on PyPI, and how it is started."""

    distribution: str
    command: Callable[[Place], List[str]]


def _gunicorn(place: Place) -> List[str]:
    return [
        *(sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{place.port}"),
        *("--worker-class", "gthread", "--threads", "32", "--graceful-timeout", "1"),
        *("--no-control-socket", "--worker-tmp-dir", str(place.directory), _APP),
    ]


def _waitress(place: Place) -> List[str]:
    return [
        *(sys.executable, "-m", "waitress", f"--listen=127.0.0.1:{place.port}"),
        *("--threads=16", "--channel-request-lookahead=1", _APP),
    ]


def _uwsgi(place: Place) -> List[str]:
    return [
        *(str(_uwsgi_program()), "--uwsgi-socket", f"127.0.0.1:{place.port}"),
        *("--virtualenv", sys.prefix, "--module", _APP, "--need-app"),
        *("--master", "--die-on-term", "--enable-threads", "--threads", "16"),
    ]


def _uwsgi_program() -> Path:
    return Path(sys.prefix) / "bin" / "uwsgi"


SERVERS = {
    "gunicorn": Server("gunicorn", _gunicorn),
    "waitress": Server("waitress", _waitress),
    "uwsgi": Server("uwsgi", _uwsgi),
}


def why_absent(name: str) -> str:
    """What is missing for this server, or ""."""
    try:
        metadata.version(SERVERS[name].distribution)
    except metadata.PackageNotFoundError:
        return f"{name} is not installed"
    return ""
