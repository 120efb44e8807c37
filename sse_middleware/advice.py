"""What a server or an app needs to be told, once each, in the log: each saves an evening.

Every sentence here is a measurement: gunicorn's sync worker kills a stream at ``--timeout``
though events are flowing; waitress looks for a client that has left only with
``channel_request_lookahead``; eventlet gathers 4 KiB before it writes.
"""

import logging
import sys
from typing import Any, Set

from sse_middleware.headers import Headers, hop_by_hop
from sse_middleware.response import Environ

__all__ = ["Advice"]

_log = logging.getLogger("sse_middleware")


class Advice:
    """Says each thing once."""

    def __init__(self) -> None:
        self._said: Set[str] = set()

    def on_server(self, environ: Environ) -> None:
        """Look at the server that asks for a stream, and cure what can be cured from here."""
        software = str(environ.get("SERVER_SOFTWARE"))
        if software.startswith("gunicorn") and not _may_wait(environ):
            self._say(
                "gunicorn's sync worker kills every stream that is open for longer than --timeout "
                "(30 s by default): run it with --worker-class gthread or gevent"
            )
        if _waitress_never_looks(environ):
            self._say(
                "waitress does not look for clients that have left: start it with "
                "channel_request_lookahead=1, or wait for failed writes"
            )
        if "eventlet.input" in environ and "eventlet.minimum_write_chunk_size" not in environ:
            environ["eventlet.minimum_write_chunk_size"] = "1"
            self._say("eventlet holds back what is under 4 KiB: told not to for streams")

    def on_headers(self, headers: Headers) -> None:
        """Name the hop-by-hop headers that the app set and that were stripped from its stream."""
        for name in hop_by_hop(headers):
            self._say(f"{name} was stripped from a stream: it is for the server to set (PEP 3333)")

    def on_encoding(self) -> None:
        """An event stream came compressed."""
        self._say(
            "an event stream came compressed from the app and is left as it is: name its "
            'path with worker="...", so that the app is not asked to compress it'
        )

    def on_inline(self, environ: Environ) -> None:
        """A stream ran in the thread of the server."""
        path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
        self._say(
            "the stream at %r runs without heartbeats, and its client's leaving goes unseen while "
            "it is silent: wrap with worker=%r, or send Accept: text/event-stream",
            path,
            path,
        )

    def on_unresumable(self, environ: Environ) -> None:
        """A stream ran in the thread of the server, where nobody goes on when its client leaves."""
        path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
        self._say(
            "the stream at %r cannot be resumed, because it does not run in a worker: wrap with "
            "worker=%r, or send Accept: text/event-stream",
            path,
            path,
        )

    def _say(self, text: str, *told: str) -> None:
        if text not in self._said:  # whatever it is told of
            self._said.add(text)
            _log.warning(text, *told)


def _may_wait(environ: Environ) -> bool:
    """Whether other requests go on while one of gunicorn's waits: threads, or greenlets."""
    return bool(environ.get("wsgi.multithread")) or "gevent" in sys.modules


def _waitress_never_looks(environ: Environ) -> bool:
    asked = environ.get("waitress.client_disconnected")
    settings: Any = getattr(getattr(asked, "__self__", None), "adj", None)
    return getattr(settings, "channel_request_lookahead", None) == 0
