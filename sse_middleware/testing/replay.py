"""``Replay``: a folder of recordings, each played to the requests that it was recorded for.

Scripts match as those of the fake upstream do. They differ in what comes after: each is played any
number of times and in turn, and nobody verifies, so no journal grows while it serves.
"""

import json
import os
import threading
from glob import escape
from pathlib import Path
from typing import Any, Dict, List, Mapping, Union

from sse_middleware.clock import SystemClock
from sse_middleware.errors import RecordingError
from sse_middleware.testing import _redact as redact
from sse_middleware.testing._edits import paced
from sse_middleware.testing._script import Script, reasons
from sse_middleware.testing._vendor_errors import http_error_body
from sse_middleware.testing.exchange import ReceivedRequest, Reply
from sse_middleware.testing.matching import Match
from sse_middleware.testing.recording import Recording
from sse_middleware.testing.server import Server

__all__ = ["MATCHED_KEYS", "Replay", "ReplayServer"]

#: What of the JSON body of a request must be as it was recorded, if it was.
MATCHED_KEYS = ("contents", "input", "messages", "model", "prompt", "stream", "system")

_HINT = 'a recording answers every POST once the "request" in its .json is taken out'


class Replay:
    """Answers requests from a folder.

    A recording that knows its ``request`` answers requests of that method and path, with those
    keys of `MATCHED_KEYS` that its body has, at least. Of the path an end will do:
    ``/chat/completions`` for ``/v1/chat/completions``, and the other way round. The other
    recordings answer every POST for which there is none of the former. Where several fit, they
    take turns in the order of their names.

    Args:
        folder: where the ``.sse`` files are.
        speed: how many times faster than recorded; ``math.inf`` leaves out the delays.

    Raises:
        RecordingError: there is no recording, or a damaged one.
    """

    def __init__(self, folder: Union[str, "os.PathLike[str]"], *, speed: float = 1.0) -> None:
        files = sorted(Path(folder).glob("*.sse"))
        if not files:
            raise RecordingError(str(folder), "without recordings", "a folder of .sse files")
        recordings = [Recording.load(file) for file in files]
        #: The names of the recordings, in their order.
        self.names: List[str] = [file.stem for file in files]
        self._lock = threading.Lock()
        self._paths = [str(asked["path"]) for asked in map(_asked, recordings) if "path" in asked]
        self._exact = [_script(one, speed) for one in recordings if _when(one)]
        self._open = [_script(one, speed) for one in recordings if not _when(one)]

    def answer(self, request: ReceivedRequest) -> Reply:
        """What is played to ``request``; a 404 that names the nearest recording, if none fits."""
        seen = self._as_recorded(request)
        with self._lock:
            for scripts in (self._exact, self._open):
                fitting = [one for one in scripts if not one.match.differences(seen)]
                if fitting:
                    script = min(fitting, key=lambda one: one.played)
                    script.played += 1
                    return Reply(request, script.recording, SystemClock())
            why = "; ".join([*reasons([*self._exact, *self._open], seen), _HINT])
        return Reply(request, _not_found(f"no recording answers {seen}: {why}"), SystemClock())

    def _as_recorded(self, request: ReceivedRequest) -> ReceivedRequest:
        """``request`` as a recorder would have kept it, so that what is masked there matches."""
        body = redact.find_json(request.body)
        return ReceivedRequest(
            request.method,
            self._recorded_path(redact.kept_path(request.path)),
            request.query,
            request.headers,
            request.body if body is None else json.dumps(redact.kept_body(body)).encode("ascii"),
        )

    def _recorded_path(self, path: str) -> str:
        """The recorded path that is meant by ``path``: itself, or one that has the same end."""
        if path in self._paths or path == "/":
            return path
        ends = (known for known in self._paths if known.endswith(path) or path.endswith(known))
        return next(ends, path)


class ReplayServer(Server):
    """Serves a `Replay`, and not to pages of other sites: what was recorded may be private."""

    checks_host = True


def _asked(recording: Recording) -> Dict[str, Any]:
    return recording.request or {}


def _when(recording: Recording) -> Dict[str, Any]:
    """What the recording was asked for, as the fake upstream matches it; empty: it is not known."""
    asked = _asked(recording)
    when: Dict[str, Any] = {"method": str(asked["method"])} if "method" in asked else {}
    if "path" in asked:
        when["path"] = escape(str(asked["path"]))  # a path there is a pattern
    body = asked.get("body")
    if isinstance(body, Mapping):
        when["json"] = {key: body[key] for key in MATCHED_KEYS if key in body}
    return when


def _script(recording: Recording, speed: float) -> Script:
    match = Match(_when(recording) or None)
    return Script(recording.name, paced(recording, speed), match, None, None)


def _not_found(message: str) -> Recording:
    body = http_error_body(404, message, "no_recording")
    return Recording(body, status=404, headers={"content-type": "application/json"})
