"""Which headers of a stream keep it from arriving at once, whole, and as what it is."""

import re
from typing import List, Optional, Tuple

from sse_middleware.headers import (
    Headers,
    find_header,
    hop_by_hop,
    is_encoded,
    is_event_stream,
)
from sse_middleware.testing._framing_problem import Problem

__all__ = ["header_problems"]

_CHARSET = re.compile(r"""charset\s*=\s*"?utf-?8"?\s*\Z""", re.IGNORECASE)
_UNCACHED = {"no-cache", "no-store", "max-age=0"}


def header_problems(headers: Headers) -> List[Problem]:
    """The faults of a response that is a stream.

    Where ``Date`` is among them, a server has put its own connection headers there too.

    >>> [problem.code for problem in header_problems([("Content-Type", "text/event-stream")])]
    ['SSE302', 'SSE306', 'SSE307']
    """
    problems = [_find_content_type_problem(headers)]
    length = find_header(headers, "content-length")
    if length is not None:
        problems.append(_problem("SSE303", "Content-Length", length))
    if is_encoded(headers):
        encoding = find_header(headers, "content-encoding")
        problems.append(_problem("SSE304", "Content-Encoding", encoding))
    if find_header(headers, "date") is None:
        for name in dict.fromkeys(hop_by_hop(headers)):
            value = find_header(headers, name.lower())
            problems.append(_problem("SSE305", name, value))
    problems.append(_find_cache_problem(headers))
    buffering = find_header(headers, "x-accel-buffering")
    if (buffering or "").strip().lower() != "no":
        problems.append(_problem("SSE307", "X-Accel-Buffering", buffering))
    return [problem for problem in problems if problem is not None]


def _find_content_type_problem(headers: Headers) -> Optional[Problem]:
    content_type = find_header(headers, "content-type")
    if not is_event_stream(headers):
        return _problem("SSE301", "Content-Type", content_type)
    parameters = (content_type or "").split(";")[1:]
    if any(_CHARSET.match(parameter.strip()) for parameter in parameters):
        return None
    return _problem("SSE302", "Content-Type", content_type)


def _find_cache_problem(headers: Headers) -> Optional[Problem]:
    lines = [(name, value) for name, value in headers if name.lower() == "cache-control"]
    directives = _directives(lines)
    etag = find_header(headers, "etag")
    if etag is not None:
        return _problem("SSE306", "ETag", etag)
    if _UNCACHED.intersection(directives):
        return None
    joined = ", ".join(value for _, value in lines)
    return _problem("SSE306", "Cache-Control", joined if lines else None)


def _directives(lines: List[Tuple[str, str]]) -> List[str]:
    joined = ",".join(value for _, value in lines)
    return [directive.replace(" ", "").lower() for directive in joined.split(",")]


def _problem(code: str, name: str, value: Optional[str]) -> Problem:
    return Problem(code, "in the headers", f"no {name}" if value is None else f"{name}: {value}")
