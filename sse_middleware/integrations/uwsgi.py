"""uWSGI keeps one request in memory for each of its threads, and lends it to the app by pointer.

Its ``wsgi.input`` goes on pointing there when the request is over, and the environ is cleared and
filled again for the next one: a worker that outlives its client would see the cookies and read
the body of whoever is served next in that thread. Its ``wsgi.file_wrapper`` works in the thread
of the request alone, and raises SystemError in every other.

Source: uWSGI 2.0.31, plugins/python/wsgi_handlers.c, ``uwsgi_Input_getline`` and
``py_uwsgi_sendfile``.
"""

import tempfile
from typing import Any, Dict

from sse_middleware.response import LaterFile

__all__ = ["release"]

#: A larger request body goes to a temporary file.
_IN_MEMORY_BYTES = 1024 * 1024
_PIECE_BYTES = 64 * 1024


def release(environ: Dict[str, Any]) -> Dict[str, Any]:
    """``environ``; where uWSGI serves, one that is the request's own, with its body read."""
    if "uwsgi.version" not in environ:
        return environ
    left_bytes = int(environ.get("CONTENT_LENGTH") or 0)
    body = tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES)  # noqa: SIM115 the app reads it later
    while left_bytes > 0:
        piece = environ["wsgi.input"].read(min(left_bytes, _PIECE_BYTES))
        if not piece:
            break
        body.write(piece)
        left_bytes -= len(piece)
    body.seek(0)
    own = {**environ, "wsgi.input": body}
    wrap = environ.get("wsgi.file_wrapper")
    if wrap is not None:
        own["wsgi.file_wrapper"] = type("FileWrapper", (LaterFile,), {"wrap": staticmethod(wrap)})
    return own
