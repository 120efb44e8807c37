"""One answer while it is recorded. Masked and written when it is over: a secret may be cut."""

import time
from typing import TYPE_CHECKING, Any, Dict, List, Tuple

from sse_middleware.errors import RecordingError
from sse_middleware.headers import Headers
from sse_middleware.testing import _redact as redact
from sse_middleware.testing._secrets import masked
from sse_middleware.testing._shelf import name_of
from sse_middleware.testing.exchange import ReceivedRequest
from sse_middleware.testing.recording import Recording

if TYPE_CHECKING:
    from sse_middleware.testing.recorder import Recorder

__all__ = ["Take"]

_DIGITS_OF_A_DELAY = 6
#: What is kept of an answer until it is over; all of it would be as much as an upstream likes.
_MAX_BYTES = 64 << 20
_BYTES_OF_A_CHUNK = 128  # of memory, for its size and its time


class Take:
    """Chunks and their times, and what was asked for.

    Args:
        path: the path at the upstream.
        started_s: when the request had been sent.
    """

    def __init__(
        self, recorder: "Recorder", request: ReceivedRequest, path: str, started_s: float
    ) -> None:
        self._recorder = recorder
        self._request = _kept_request(request, path)
        self._last_s = started_s
        self._number = recorder.shelf.next_number()
        self._body: List[bytes] = []
        self._chunks: List[Tuple[float, int]] = []
        self._room_bytes = _MAX_BYTES

    def add(self, data: bytes) -> None:
        """Note a chunk that has just come."""
        now_s = time.monotonic()
        self._room_bytes -= len(data) + _BYTES_OF_A_CHUNK
        if self._room_bytes < 0:
            self._chunks, self._body = [], []
            return
        self._chunks.append((round(now_s - self._last_s, _DIGITS_OF_A_DELAY), len(data)))
        self._body.append(data)
        self._last_s = now_s

    def save(self, status: int, headers: Headers, end: str) -> None:
        """Write what was noted, without its secrets, and tell where; or why it cannot be."""
        name = name_of(self._request["path"][len(self._recorder.upstream.path) :])
        if self._room_bytes < 0:
            self._recorder.failed(f"{name} is not recorded: it is over {_MAX_BYTES >> 20} MiB")
            return
        try:
            recording = Recording(
                masked(b"".join(self._body)),
                status=status,
                headers=redact.without_ids(redact.kept_headers(headers)),
                request=self._request,
                chunks=self._chunks,
                end=end,
            )
            path = self._recorder.shelf.save(self._number, name, recording)
        except (RecordingError, OSError) as error:
            self._recorder.failed(f"{name} is not recorded: {error}")
        else:
            self._recorder.saved(path, recording)


def _kept_request(request: ReceivedRequest, path: str) -> Dict[str, Any]:
    """The ``request`` of a recording."""
    kept: Dict[str, Any] = {"method": request.method, "path": redact.kept_path(path)}
    if request.query:
        kept["query"] = redact.kept_query(request.query)
    kept["headers"] = redact.kept_request_headers(request.headers.items())
    body = redact.find_json(request.body)
    if body is not None:
        kept["body"] = redact.kept_body(body)
    return kept
