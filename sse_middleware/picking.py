"""What a request asks for, before any of the app has run."""

from fnmatch import fnmatchcase
from typing import Callable, Optional, Sequence, Union

from sse_middleware.errors import OptionError, shown
from sse_middleware.headers import accepts_event_stream
from sse_middleware.response import Environ

__all__ = ["Worker", "is_event_source", "last_event_id", "picker"]

#: Which requests run in a worker: path patterns, or a predicate on the environ.
Worker = Union[str, Sequence[str], Callable[[Environ], bool]]


def is_event_source(environ: Environ) -> bool:
    """Whether the request is what an EventSource sends: a GET that names the media type."""
    return environ.get("REQUEST_METHOD") == "GET" and _names_event_stream(environ)


def last_event_id(environ: Environ) -> str:
    """The Last-Event-ID; the header's bytes are UTF-8, which WSGI hands over as latin-1."""
    raw: Optional[str] = environ.get("HTTP_LAST_EVENT_ID")
    return _decoded(raw) if raw else ""


def picker(worker: Optional[Worker]) -> Callable[[Environ], bool]:
    """The rule that the option ``worker`` describes.

    Raises:
        OptionError: it is no rule.
    """
    if callable(worker):
        return worker
    patterns = [worker] if isinstance(worker, str) else worker or ()
    if not isinstance(patterns, Sequence) or not all(isinstance(item, str) for item in patterns):
        raise OptionError("worker", shown(worker), "path patterns, or a predicate on environ")
    for pattern in patterns:
        if pattern and pattern[0] not in "/*?[":
            raise OptionError("worker", shown(pattern), f'a path such as "/{pattern}"')

    def is_picked(environ: Environ) -> bool:
        if _names_event_stream(environ):
            return True
        if not patterns:
            return False
        path = _decoded(environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", ""))
        return any(fnmatchcase(path, pattern) for pattern in patterns)

    return is_picked


def _names_event_stream(environ: Environ) -> bool:
    return accepts_event_stream(environ.get("HTTP_ACCEPT", ""))


def _decoded(text: str) -> str:
    return text.encode("latin-1", "replace").decode(errors="replace")
