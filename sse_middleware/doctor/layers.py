"""Who stands between the app and us, and who compressed, as far as an answer tells.

Few say who they are. The rest are known by habits, each of which was measured: nginx keeps
X-Accel-Buffering to itself; gunicorn never leaves out Connection, so that a proxy which passes its
Server header on shows by that; HAProxy writes the names of headers in lower case; uWSGI sends no
Date; and each compressor writes a gzip header of its own. The signs of content delivery networks
are those that they document.
"""

import re
from typing import List, Tuple

from sse_middleware.doctor.probe import Heard

__all__ = ["APP_SERVERS", "LAYERS", "compressors_of", "layers_of", "likely_layers"]

#: What fixes are known for, by their names in reports.
LAYERS = {
    "nginx": "nginx",
    "apache": "Apache",
    "haproxy": "HAProxy",
    "caddy": "Caddy",
    "gunicorn": "gunicorn",
    "uwsgi": "uWSGI",
    "flask-compress": "Flask-Compress",
    "django": "Django",
}
#: Of which an app has one.
APP_SERVERS = {
    *("gunicorn", "uwsgi", "waitress", "Werkzeug", "wsgiref", "cheroot", "granian", "uvicorn"),
}
#: A header, a pattern of its value, and whom it names.
_SIGNS: List[Tuple[str, str, str]] = [
    ("server", r"nginx|openresty", "nginx"),
    ("server", r"apache", "apache"),
    ("server", r"caddy", "caddy"),
    ("via", r"caddy", "caddy"),
    ("via", r"apache", "apache"),
    ("via", r"varnish", "Varnish"),
    ("via", r"google", "Google's front end"),
    ("via", r"cloudfront", "CloudFront"),
    ("x-varnish", r"", "Varnish"),
    ("server", r"cloudflare", "Cloudflare"),
    ("cf-ray", r"", "Cloudflare"),
    ("x-amz-cf-id", r"", "CloudFront"),
    ("x-served-by", r"cache-", "Fastly"),
    ("server", r"akamai", "Akamai"),
    ("server", r"envoy", "Envoy"),
    ("x-envoy-upstream-service-time", r"", "Envoy"),
    ("server", r"microsoft-iis", "IIS"),
    ("server", r"litespeed", "LiteSpeed"),
    ("server", r"gunicorn", "gunicorn"),
    ("server", r"waitress", "waitress"),
    ("server", r"werkzeug", "Werkzeug"),
    ("server", r"wsgiserver", "wsgiref"),
    ("server", r"cheroot", "cheroot"),
    ("server", r"granian", "granian"),
    ("server", r"uvicorn", "uvicorn"),
]
_FLAG_NAME = 8  # of a gzip header: a file name follows; RFC 1952
_UNKNOWN_SYSTEM, _UNIX = 255, 3
_GO_ZERO_TIME = bytes.fromhex("00096e88")  # the year 1, in 32 bits


def layers_of(heard: Heard) -> List[str]:
    """The layers that say who they are."""
    found: List[str] = []
    for name, pattern, layer in _SIGNS:
        values = [value for key, value in heard.headers if key.lower() == name]
        if layer not in found and any(re.search(pattern, value, re.I) for value in values):
            found.append(layer)
    return found


def likely_layers(heard: Heard) -> List[str]:
    """The layers that only their habits show."""
    found = layers_of(heard)
    if found == ["gunicorn"] and heard.find("connection") is None and heard.version == 11:
        is_lower = all(name == name.lower() for name, _ in heard.headers)
        return ["haproxy" if is_lower else "apache"]
    if not found and heard.headers and heard.find("date") is None and heard.find("server") is None:
        return ["uwsgi"]
    return []


def compressors_of(heard: Heard, layers: List[str]) -> List[str]:
    """Who compressed the body, as its first bytes tell; none where they do not."""
    head = heard.body[:10]
    if (heard.find("content-encoding") or "").strip().lower() == "deflate":
        return ["flask-compress"]
    if len(head) < 10 or head[:3] != b"\x1f\x8b\x08":
        return []
    flags, made_at, level, system = head[3], head[4:8], head[8], head[9]
    if system == _UNKNOWN_SYSTEM and made_at == _GO_ZERO_TIME:
        return ["caddy"]
    if system == _UNKNOWN_SYSTEM:  # of Python, or of a Go program of another kind
        in_app = [] if "caddy" in layers else ["django", "flask-compress"]
        return ["django"] if flags & _FLAG_NAME else in_app
    if system == _UNIX and "nginx" in layers:
        return ["nginx"]
    if system == _UNIX:
        return ["haproxy"] if level else ["apache"]
    return []
