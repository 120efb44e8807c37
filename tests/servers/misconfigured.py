"""Layers that are set up wrongly, each in the one place that a fix of the doctor replaces.

A `Case` has a configuration with a hole, ``<here>``: with ``wrong`` in it the doctor has to name
``code`` and ``layer``; with the lines of that fix in it nothing may be wrong.
"""

import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, List, NamedTuple

import proxies
from launch import Place, launch

from sse_middleware.doctor.fixes import FIXES

__all__ = ["CASES", "Case", "backend", "running"]


class Case(NamedTuple):
    """One misconfiguration. ``about`` holds ``<here>``; of a server it is a command or a file."""

    layer: str
    code: str
    path: str
    about: str
    wrong: str
    #: What runs behind a proxy, or in a server.
    app: str = "misconfigured_app:application"
    #: A server to put behind this proxy, in place of the one behind all others.
    behind: str = ""

    @property
    def right(self) -> str:
        """The lines of the fix."""
        return FIXES[self.code][self.layer].lines


_NGINX = "<here>\nproxy_pass http://{backend};"
_DEAF = "proxy_ignore_headers X-Accel-Buffering;\n" + _NGINX
_APACHE = '<here>\nProxyPass "/" "http://{backend}/"'
_HAPROXY = """\
defaults
    mode http
    timeout connect 5s
    <defaults>
frontend web
    bind {listen}
    default_backend app
backend app
    <backend>
    server app {backend}
"""
_MINUTE = "timeout client 60s\n    timeout server 60s\n    "
_HAPROXY_DEFAULTS = _HAPROXY.replace("<backend>", "")
_HAPROXY_BACKEND = _HAPROXY.replace("<backend>", "<here>").replace("<defaults>", _MINUTE)
_CADDY = "http://{listen} {{\n<here>\nreverse_proxy {backend}\n}}"
_CADDY_PROXY = "http://{listen} {{\nreverse_proxy {backend} {{\n<here>\n}}\n}}"
_CADDY_FORCED = """\
encode gzip {
    minimum_length 1
    match header Content-Type text/event-stream*
}"""
_GUNICORN = f"{sys.executable} -m gunicorn --bind {{listen}} --graceful-timeout 1 "
_GUNICORN += "--no-control-socket --worker-tmp-dir {folder} "
_GTHREAD = _GUNICORN + "--worker-class gthread --threads 32 "
_UWSGI = f"""\
[uwsgi]
http = {{listen}}
virtualenv = {sys.prefix}
need-app = true
master = true
die-on-term = true
enable-threads = true
threads = 8
<here>
"""

_UWSGI_SOCKET = _UWSGI.replace("http =", "uwsgi-socket =").replace("<here>\n", "")
_UWSGI_PASS = "include /etc/nginx/uwsgi_params;\n<here>\nuwsgi_pass {backend};"

CASES = {
    "nginx-deaf": Case("nginx", "buffered", "/beating", _DEAF, ""),
    "nginx-bare": Case("nginx", "burst", "/bare", _NGINX, ""),
    "nginx-bare-large": Case("nginx", "buffered", "/bare-large", _NGINX, ""),
    "nginx-endless": Case("nginx", "no-answer", "/endless", _DEAF, ""),
    "nginx-gzip": Case(
        "nginx", "compressed", "/beating", "gzip_types text/event-stream;\n" + _NGINX, "gzip on;"
    ),
    "nginx-timeout": Case("nginx", "cut-in-silence", "/pause", _NGINX, "proxy_read_timeout 1s;"),
    "nginx-uwsgi-deaf": Case(
        "nginx",
        "buffered",
        "/beating",
        "uwsgi_ignore_headers X-Accel-Buffering;\n" + _UWSGI_PASS,
        "",
        behind=_UWSGI_SOCKET,
    ),
    "nginx-uwsgi-timeout": Case(
        "nginx",
        "cut-in-silence",
        "/pause",
        _UWSGI_PASS,
        "uwsgi_read_timeout 1s;",
        behind=_UWSGI_SOCKET,
    ),
    "apache-deflate": Case("apache", "compressed", "/beating", _APACHE, "SetOutputFilter DEFLATE"),
    "apache-timeout": Case("apache", "cut-in-silence", "/pause", _APACHE, "ProxyTimeout 1"),
    "haproxy-cork": Case(
        "haproxy",
        "bundled",
        "/quick",
        _HAPROXY_DEFAULTS.replace("<defaults>", _MINUTE + "<here>"),
        "",
    ),
    "haproxy-compression": Case(
        "haproxy",
        "compressor-holds",
        "/transformable",
        _HAPROXY_BACKEND,
        "compression algo gzip\ncompression type text/event-stream",
    ),
    "haproxy-timeout": Case(
        "haproxy",
        "cut-in-silence",
        "/pause",
        _HAPROXY_DEFAULTS.replace("<defaults>", "<here>"),
        "timeout client 1s\ntimeout server 1s",
    ),
    "caddy-forced": Case("caddy", "compressor-holds", "/beating", _CADDY, _CADDY_FORCED),
    "caddy-encode": Case("caddy", "compressor-holds", "/large", _CADDY, "encode gzip"),
    "caddy-buffer": Case("caddy", "buffered", "/beating", _CADDY_PROXY, "buffer_responses"),
    "caddy-endless": Case("caddy", "no-answer", "/endless", _CADDY_PROXY, "buffer_responses"),
    "caddy-timeout": Case(
        "caddy",
        "cut-in-silence",
        "/pause",
        _CADDY_PROXY,
        "transport http {\n    read_timeout 1s\n}",
    ),
    "gunicorn-sync": Case(
        "gunicorn", "one-at-a-time", "/beating", _GUNICORN + "<here>", "--worker-class sync"
    ),
    "gunicorn-timeout": Case(
        "gunicorn", "cut", "/long", _GUNICORN + "--timeout 1 <here>", "--worker-class sync"
    ),
    "uwsgi-unchunked": Case("uwsgi", "no-end-signal", "/unmarked", _UWSGI, ""),
    "uwsgi-harakiri": Case("uwsgi", "no-end-signal", "/long", _UWSGI, "harakiri = 1"),
    "uwsgi-timeout": Case("uwsgi", "cut-in-silence", "/pause", _UWSGI, "http-timeout = 1"),
    "flask-compress": Case(
        "flask-compress",
        "compressor-holds",
        "/stream",
        _GTHREAD,
        "",
        "misconfigured_flask:application",
    ),
    "django-gzip": Case(
        "django", "compressed", "/stream", _GTHREAD, "", "misconfigured_django:application"
    ),
}


@contextmanager
def backend(about: str = _GTHREAD) -> Iterator[int]:
    """The port of the server that stands behind the proxies."""
    with launch(_command(about, "misconfigured_app:application")) as process:
        yield process.port


@contextmanager
def running(case: Case, lines: str, backend_port: int, folder: Path) -> Iterator[int]:
    """The port of the layer of ``case``, with ``lines`` where they belong."""
    if case.behind:
        bare = case._replace(behind="")
        with backend(case.behind) as behind, running(bare, lines, behind, folder) as port:
            yield port
        return
    if case.layer in proxies.PROXIES:
        about = case.about.replace("<here>", lines.replace("{", "{{").replace("}", "}}"))
        setup = proxies.Setup(case.layer, "", about, "")
        with proxies.running(setup, backend_port, folder) as port:
            yield port
        return
    command = _command(case.about.replace("<here>", lines), case.app)
    with launch(command, env={"SSE_LINES": lines}) as process:
        yield process.port


def _command(about: str, app: str):
    def command(place: Place) -> List[str]:
        listen = f"127.0.0.1:{place.port}"
        text = about.format(listen=listen, folder=place.directory)
        if not about.startswith("[uwsgi]"):
            return [*text.split(), app]
        config = place.directory / "uwsgi.ini"
        config.write_text(text)
        uwsgi = Path(sys.prefix) / "bin" / "uwsgi"
        return [os.fspath(uwsgi), "--ini", os.fspath(config), "--module", app]

    return command
