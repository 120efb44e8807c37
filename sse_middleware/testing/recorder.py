"""``Recorder``: a proxy before an upstream, which records the streams that pass through it.

What comes from the upstream goes on to the client at once, chunk for chunk, and ends for it as it
ended for us. Recorded are event streams, and the errors (400 and above) that answer a POST; all
else passes. What a recording holds of the exchange, ``_redact.py`` says.
"""

import os
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Iterator, Union

from sse_middleware.errors import OptionError, shown
from sse_middleware.testing._forwarding import Upstream
from sse_middleware.testing._passage import Passage
from sse_middleware.testing._shelf import Shelf
from sse_middleware.testing.exchange import ReceivedRequest, Reply
from sse_middleware.testing.recording import Recording
from sse_middleware.testing.server import Server

__all__ = ["Recorder"]

_LONGEST_SAVE_S = 60.0


class Recorder:
    """Serves from the moment it is made, until closed.

    Args:
        upstream: the URL of an API, such as ``https://api.openai.com/v1``.
        folder: where recordings are saved; made if it is not there.
        host: what to listen on; this machine alone by default.
        port: 0 takes a free one.
        saved: called with each recording and the file that holds it, from any thread.
        failed: called with one line on what went wrong, from any thread.

    Raises:
        OptionError: the upstream is no URL of one, or the recorder's own, or the folder cannot be
            written to.
        OSError: the address cannot be listened on.
    """

    def __init__(
        self,
        upstream: str,
        folder: Union[str, "os.PathLike[str]"],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        saved: Callable[[Path, Recording], object] = lambda path, recording: None,
        failed: Callable[[str], object] = lambda text: None,
    ) -> None:
        self.upstream = Upstream(upstream)
        self.shelf = Shelf(folder)
        self.saved = saved
        self.failed = failed
        self._under_way = 0
        self._changed = threading.Condition()
        self._server = ProxyServer(self, host, port)
        if self.upstream.is_at(self._server.server_address[1]):
            self._server.close()  # each request would ask it again, without end
            expected = "another address than the recorder's own"
            raise OptionError("upstream", shown(upstream), expected)

    @property
    def base_url(self) -> str:
        """What a client is given in place of the URL of the upstream."""
        return self._server.origin + self.upstream.path

    @contextmanager
    def until_saved(self) -> Iterator[None]:
        """A context that `close` waits for: a long stream takes a while to mask and write."""
        with self._changed:
            self._under_way += 1
        try:
            yield
        finally:
            with self._changed:
                self._under_way -= 1
                self._changed.notify_all()

    def close(self) -> None:
        """Stop listening, and end and save what is under way, as cut. Takes a second or so."""
        self._server.close()
        with self._changed:
            self._changed.wait_for(lambda: not self._under_way, _LONGEST_SAVE_S)


class ProxyServer(Server):
    """The side of the recorder that clients see."""

    handler = Passage
    checks_host = True

    def __init__(self, recorder: Recorder, host: str, port: int) -> None:
        self.recorder = recorder
        super().__init__(_unanswered, host=host, port=port)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Tell in one line what ended a connection."""
        error = sys.exc_info()[1]
        self.recorder.failed(f"a request was not passed on: {type(error).__name__}: {error}")


def _unanswered(request: ReceivedRequest) -> Reply:
    raise NotImplementedError("the upstream answers")
