"""What to change where: for each fault that a layer can cause, a configuration that cures it.

Each was run: ``tests/servers/test_check.py`` sets the layer up wrongly, sees the fault named, puts
these lines in and sees nothing left. They stand here once, for reports and ``docs/check.md`` both.
"""

from typing import Dict, NamedTuple

__all__ = ["FIXES", "Fix"]


class Fix(NamedTuple):
    """What to do, as a sentence, and the lines to write; these may be none."""

    say: str
    lines: str = ""


_UNCOMPRESSED = {
    "nginx": Fix(
        "Leave text/event-stream out of gzip_types, or turn gzip off for this location:",
        "gzip off;",
    ),
    "apache": Fix(
        "Compress named types, in place of SetOutputFilter DEFLATE:",
        "AddOutputFilterByType DEFLATE text/html text/css application/javascript application/json",
    ),
    "haproxy": Fix(
        "Name the types to compress, without text/event-stream:",
        "compression algo gzip\ncompression type text/html text/css application/json",
    ),
    "caddy": Fix(
        "Name the types to compress: a bare encode takes event streams too, once they are large:",
        "encode gzip {\n"
        "    match {\n"
        "        header Content-Type text/html*\n"
        "        header Content-Type application/json*\n"
        "    }\n"
        "}",
    ),
    "flask-compress": Fix(
        "Leave streams alone (or text/event-stream out of COMPRESS_MIMETYPES):",
        'app.config["COMPRESS_STREAMS"] = False',
    ),
    "django": Fix(
        "GZipMiddleware compresses every response that has no Content-Encoding; say that the "
        "stream has one:",
        'response["Content-Encoding"] = "identity"',
    ),
}
_UNBUFFERED = {
    "nginx": Fix(
        "nginx holds back what does not say X-Accel-Buffering: no, and all if it ignores that "
        "header (proxy_ignore_headers). For this location:",
        "proxy_buffering off;\nuwsgi_buffering off;",
    ),
    "caddy": Fix("Take buffer_responses (since 2.7: response_buffers) out of reverse_proxy."),
}
_LONG_ENOUGH = {
    "nginx": Fix(
        "Or let it wait longer than the longest silence:",
        "proxy_read_timeout 75s;\nuwsgi_read_timeout 75s;",
    ),
    "apache": Fix("Or let it wait longer than the longest silence:", "ProxyTimeout 75"),
    "haproxy": Fix(
        "Or let it wait longer than the longest silence:",
        "timeout client 75s\ntimeout server 75s",
    ),
    "caddy": Fix(
        "Or take read_timeout out of reverse_proxy, or let it wait longer:",
        "transport http {\n    read_timeout 75s\n}",
    ),
    "uwsgi": Fix("Or let its router wait longer:", "http-timeout = 75"),
}
_SYNC = Fix(
    "A sync worker serves one stream at a time, and is killed at --timeout though events flow. If "
    "it is one, start gunicorn with:",
    "--worker-class gthread --threads 32",
)
_HARAKIRI = Fix(
    "harakiri kills what takes long, a stream too: set none for streams. For an end that clients "
    "can see, chunk the body:",
    "http-auto-chunked = true\nhttp-keepalive = 75",
)

#: By the code of the finding, then by the layer.
FIXES: Dict[str, Dict[str, Fix]] = {
    "buffered": _UNBUFFERED,
    "burst": _UNBUFFERED,
    "no-answer": _UNBUFFERED,
    "nothing-yet": _UNBUFFERED,
    "bundled": {
        "haproxy": Fix("In defaults, or in the frontend and the backend:", "option http-no-delay")
    },
    "compressor-holds": _UNCOMPRESSED,
    "compressed": _UNCOMPRESSED,
    "cut-in-silence": _LONG_ENOUGH,
    "cut": {"gunicorn": _SYNC, "uwsgi": _HARAKIRI},
    "no-end-signal": {"uwsgi": _HARAKIRI},
    "one-at-a-time": {"gunicorn": _SYNC},
}
