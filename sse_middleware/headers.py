"""Which headers a stream sets, keeps and strips.

Measured on the servers and proxies that this package supports: nginx holds a stream back unless
``X-Accel-Buffering: no`` is there; HAProxy compresses it unless ``no-transform`` is; a hop-by-hop
header from the app is a 500 on waitress and wsgiref, and a broken body on uWSGI and mod_wsgi.
"""

from typing import List, Optional, Set, Tuple

__all__ = [
    "EVENT_STREAM",
    "HOP_BY_HOP",
    "Headers",
    "accepts_event_stream",
    "find_header",
    "hop_by_hop",
    "is_encoded",
    "is_event_stream",
    "stream_headers",
    "without_content",
]

Headers = List[Tuple[str, str]]

EVENT_STREAM = "text/event-stream"

#: For one connection only: RFC 9110 section 7.6.1, and what RFC 2616 section 13.5.1 listed.
HOP_BY_HOP = {
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "trailers",
    "transfer-encoding",
    "upgrade",
}
_SET_OR_WRONG = {"content-type", "content-length", "etag", "x-accel-buffering", "cache-control"}


def find_header(headers: Headers, name: str) -> Optional[str]:
    """The first value of ``name`` (lower case), or None."""
    for key, value in headers:  # as a generator expression it takes twice as long
        if key.lower() == name:
            return value
    return None


def is_event_stream(headers: Headers) -> bool:
    """Whether Content-Type is ``text/event-stream``, whatever its parameters."""
    return _is_named((find_header(headers, "content-type") or "").lower())


def _is_named(media_range: str) -> bool:
    """Whether it is ours, in lower case; that most are not is seen before they are cut up."""
    return EVENT_STREAM in media_range and media_range.partition(";")[0].strip() == EVENT_STREAM


def is_encoded(headers: Headers) -> bool:
    """Whether the body went through a compressor, so that its bytes are no text."""
    encoding = find_header(headers, "content-encoding") or "identity"
    return encoding.strip().lower() != "identity"


def accepts_event_stream(accept: str) -> bool:
    """Whether an ``Accept`` value names ``text/event-stream``; ``*/*`` does not."""
    named = accept.lower()
    return EVENT_STREAM in named and any(map(_is_named, named.split(",")))


def stream_headers(headers: Headers) -> Headers:
    """``headers`` of the app as a stream sends them: its own kept, the harmful ones replaced."""
    unwanted = {name.lower() for name in hop_by_hop(headers)} | _SET_OR_WRONG
    kept = [(name, value) for name, value in headers if name.lower() not in unwanted]
    return [
        ("Content-Type", EVENT_STREAM + "; charset=utf-8"),
        ("Cache-Control", _cache_control(headers)),
        ("X-Accel-Buffering", "no"),
        *kept,
    ]


def hop_by_hop(headers: Headers) -> List[str]:
    """The names among ``headers`` that a server alone may set, or that Connection nominates."""
    unwanted = HOP_BY_HOP | _nominated(headers)
    return [name for name, _ in headers if name.lower() in unwanted]


def without_content(headers: Headers) -> Headers:
    """``headers`` for a response that has no body and so describes none (204, 304)."""
    return [
        (name, value)
        for name, value in headers
        if name.lower() not in {"content-type", "content-length"} | HOP_BY_HOP
    ]


def _nominated(headers: Headers) -> Set[str]:
    """The fields that the app's Connection header names as hop-by-hop too."""
    values = [value for name, value in headers if name.lower() == "connection"]
    return {option.strip().lower() for option in ",".join(values).split(",")}


def _cache_control(headers: Headers) -> str:
    """The app's directives, or ``no-cache``; in any case with ``no-transform``."""
    values = [value.strip() for name, value in headers if name.lower() == "cache-control"]
    directives = ", ".join(value for value in values if value) or "no-cache"
    if "no-transform" in directives.lower():
        return directives
    return directives + ", no-transform"
