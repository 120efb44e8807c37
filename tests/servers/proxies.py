"""Real proxies on loopback, each a foreground process with a configuration of its own.

A `Setup` is one way to put a proxy before a server. Its ``lines`` are what a user would write, and
what docs/proxies.md shows; `_WHOLE` puts around them what a process in a temporary folder needs
besides. `running` starts it; what it started ends with the ``with``, by its process id.
"""

import os
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, List, NamedTuple, Optional, Tuple

from launch import Place, find_program, launch

__all__ = ["PROXIES", "READ_TIMEOUT_S", "SETUPS", "Setup", "lines", "program", "running", "version"]

#: How long a proxy may be idle in front of a silent stream in the tests, in seconds.
READ_TIMEOUT_S = 2


class Setup(NamedTuple):
    """One configuration. ``lines`` and ``timeout`` may name ``{backend}``, a host and a port."""

    proxy: str
    title: str
    lines: str
    #: What sets the read timeout, from the end of the line before: ``{timeout}`` in ``lines``.
    timeout: str
    #: What runs behind it, by its name in `proxied_servers`.
    server: str = "gunicorn"


_NGINX = "proxy_pass http://{backend};{timeout}"
_NGINX_TIMEOUT = "\nproxy_read_timeout {seconds}s;"
_HTTP11 = 'proxy_http_version 1.1;\nproxy_set_header Connection "";\n'

_APACHE = 'ProxyPass "/" "http://{backend}/"{timeout}'
_APACHE_TIMEOUT = "\nProxyTimeout {seconds}"

_HAPROXY = """\
defaults
    mode http
    timeout connect 5s{timeout}

frontend web
    bind {listen}
    default_backend app

backend app
    server app {backend}
"""
_HAPROXY_TIMEOUT = "\n    timeout client {seconds}s\n    timeout server {seconds}s"

_CADDY = """\
http://{listen} {{
    reverse_proxy {backend}{timeout}
}}
"""
_CADDY_TIMEOUT = """ {{
        transport http {{
            read_timeout {seconds}s
        }}
    }}"""

SETUPS = {
    "nginx": Setup("nginx", "nginx, plain `proxy_pass`", _NGINX, _NGINX_TIMEOUT),
    "nginx-http11": Setup(
        "nginx", "nginx, HTTP/1.1 to the server", _HTTP11 + _NGINX, _NGINX_TIMEOUT
    ),
    "nginx-gzip": Setup(
        "nginx",
        "nginx, gzip on for event streams",
        "gzip on;\ngzip_types text/event-stream;\n" + _HTTP11 + _NGINX,
        _NGINX_TIMEOUT,
    ),
    "nginx-deaf": Setup(
        "nginx",
        "nginx that ignores X-Accel-Buffering",
        "proxy_ignore_headers X-Accel-Buffering;\n" + _NGINX,
        _NGINX_TIMEOUT,
    ),
    "nginx-unbuffered": Setup(
        "nginx",
        "nginx that ignores it, `proxy_buffering off`",
        "proxy_ignore_headers X-Accel-Buffering;\nproxy_buffering off;\n" + _NGINX,
        _NGINX_TIMEOUT,
    ),
    "nginx-waitress": Setup(
        "nginx", "nginx, plain, before waitress", _NGINX, _NGINX_TIMEOUT, "waitress"
    ),
    "nginx-uwsgi": Setup(
        "nginx",
        "nginx, `uwsgi_pass` to uWSGI",
        "include /etc/nginx/uwsgi_params;\nuwsgi_pass {backend};{timeout}",
        "\nuwsgi_read_timeout {seconds}s;",
        "uwsgi",
    ),
    "apache": Setup("apache", "Apache, mod_proxy", _APACHE, _APACHE_TIMEOUT),
    "apache-deflate": Setup(
        "apache",
        "Apache, mod_proxy with mod_deflate",
        "SetOutputFilter DEFLATE\n" + _APACHE,
        _APACHE_TIMEOUT,
    ),
    "haproxy": Setup("haproxy", "HAProxy", _HAPROXY, _HAPROXY_TIMEOUT),
    "haproxy-tuned": Setup(
        "haproxy",
        "HAProxy, `http-no-delay` and `abortonclose`",
        _HAPROXY.replace(
            "mode http\n",
            "mode http\n    option http-no-delay\n    option abortonclose\n",
            1,
        ),
        _HAPROXY_TIMEOUT,
    ),
    "haproxy-compression": Setup(
        "haproxy",
        "HAProxy, compression on for event streams",
        _HAPROXY.replace(
            "    server",
            "    compression algo gzip\n    compression type text/event-stream\n    server",
        ),
        _HAPROXY_TIMEOUT,
    ),
    "caddy": Setup("caddy", "Caddy, `reverse_proxy`", _CADDY, _CADDY_TIMEOUT),
    "caddy-encode": Setup(
        "caddy",
        "Caddy, `encode gzip`",
        _CADDY.replace("    reverse", "    encode gzip\n    reverse"),
        _CADDY_TIMEOUT,
    ),
    "caddy-forced": Setup(
        "caddy",
        "Caddy, `encode` made to match event streams",
        _CADDY.replace(
            "    reverse",
            "    encode gzip {{\n"
            "        minimum_length 1\n"
            "        match header Content-Type text/event-stream*\n"
            "    }}\n"
            "    reverse",
        ),
        _CADDY_TIMEOUT,
    ),
    "caddy-spared": Setup(
        "caddy",
        "Caddy, `encode` for named types only",
        _CADDY.replace(
            "    reverse",
            "    encode gzip {{\n"
            "        match {{\n"
            "            header Content-Type text/html*\n"
            "            header Content-Type application/json*\n"
            "        }}\n"
            "    }}\n"
            "    reverse",
        ),
        _CADDY_TIMEOUT,
    ),
}

_NGINX_WHOLE = """\
{user}daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen {listen};
        location / {{
{lines}
        }}
    }}
}}
"""
_APACHE_WHOLE = """\
{user}ServerRoot {folder}
ServerName localhost
Listen {listen}
PidFile {folder}/apache.pid
ErrorLog {folder}/error.log
{modules}
{lines}
"""
_WHOLE = {
    "nginx": _NGINX_WHOLE,
    "apache": _APACHE_WHOLE,
    "haproxy": "{lines}\n",
    "caddy": "{{\n    admin off\n    auto_https off\n}}\n{lines}\n",
}
_APACHE_MODULES = ["mpm_event", "authz_core", "filter", "deflate", "proxy", "proxy_http"]
_APACHE_FOLDERS = ["/usr/lib/apache2/modules", "/usr/lib64/httpd/modules"]


class _Program(NamedTuple):
    names: Tuple[str, ...]
    arguments: str
    asks_version: str


PROXIES = {
    "nginx": _Program(("nginx",), "-e stderr -c {config}", "-v"),
    "apache": _Program(("apache2", "httpd"), "-DFOREGROUND -f {config}", "-v"),
    "haproxy": _Program(("haproxy",), "-db -f {config}", "-v"),
    "caddy": _Program(("caddy",), "run --adapter caddyfile --config {config}", "version"),
}


def program(proxy: str) -> Optional[str]:
    """The path of the proxy's program, where it is installed."""
    found = (find_program(name) for name in PROXIES[proxy].names)
    return next((path for path in found if path), None)


def version(proxy: str) -> str:
    """What the installed program says it is, such as ``1.22.1``; "" where there is none."""
    path = program(proxy)
    if path is None:
        return ""
    asked = subprocess.run(
        [path, PROXIES[proxy].asks_version],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=20,
    )
    words = asked.stdout.replace("/", " ").split()
    return next(word.split("-")[0] for word in words if word[:1].isdigit() and "." in word)


def lines(setup: Setup, *, listen: str, backend: str, timeout_s: Optional[int] = None) -> str:
    """The lines of ``setup`` as they go into its file; without ``timeout_s`` it sets none."""
    if timeout_s is None and setup.proxy == "haproxy":  # warns about a server without one
        timeout_s = 60
    timeout = "" if timeout_s is None else setup.timeout.format(seconds=timeout_s)
    text = setup.lines.format(listen=listen, backend=backend, timeout=timeout)
    return "\n".join(line.rstrip() for line in text.splitlines())


@contextmanager
def running(
    setup: Setup, backend_port: int, folder: Path, timeout_s: Optional[int] = None
) -> Iterator[int]:
    """The port of a proxy set up as ``setup`` says, before the server at ``backend_port``."""

    def command(place: Place) -> List[str]:
        listen, backend = f"127.0.0.1:{place.port}", f"127.0.0.1:{backend_port}"
        config = folder / "config"
        text = _WHOLE[setup.proxy].format(
            folder=folder,
            listen=listen,
            lines=lines(setup, listen=listen, backend=backend, timeout_s=timeout_s),
            user=_user(setup.proxy),
            modules=_apache_modules() if setup.proxy == "apache" else "",
        )
        config.write_text(text)
        arguments = PROXIES[setup.proxy].arguments.format(config=config).split()
        return [str(program(setup.proxy)), *arguments]

    # Caddy keeps its state below its home; nothing of the user's own may be touched.
    own = {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    with launch(command, folder, env=own, cwd=folder) as process:
        yield process.port


def _user(proxy: str) -> str:
    """A process of root has to say as whom its workers run: nginx's must reach the folder."""
    if os.geteuid() != 0:
        return ""
    return "user root;\n" if proxy == "nginx" else "User www-data\nGroup www-data\n"


def _apache_modules() -> str:
    folder = next((Path(name) for name in _APACHE_FOLDERS if Path(name).is_dir()), None)
    if folder is None:
        raise RuntimeError("Apache's modules are in none of " + ", ".join(_APACHE_FOLDERS))
    load = "LoadModule {0}_module {1}/mod_{0}.so"
    return "\n".join(load.format(name, folder) for name in _APACHE_MODULES)
