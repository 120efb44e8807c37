"""``FakeUpstream``: replays recordings to whoever asks, and remembers who did.

>>> from urllib.request import ProxyHandler, build_opener
>>> opener = build_opener(ProxyHandler({}))
>>> upstream = FakeUpstream()
>>> upstream.play("chat-text")
>>> with upstream.serve() as base_url:
...     answer = opener.open(base_url + "/chat/completions", data=b'{"stream": true}').read()
>>> answer == Recording.named("chat-text").body
True
>>> upstream.requests[0].json
{'stream': True}
>>> upstream.verify()
"""

import json
import math
import threading
from contextlib import contextmanager
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Dict,
    Iterable,
    Iterator,
    List,
    Optional,
    Sequence,
    Union,
)

from sse_middleware.clock import Clock
from sse_middleware.errors import OptionError, shown
from sse_middleware.testing.exchange import ReceivedRequest, Reply
from sse_middleware.testing.recording import Recording
from sse_middleware.testing.wsgi import respond

if TYPE_CHECKING:
    from sse_middleware.testing.server import Server

__all__ = ["FakeUpstream"]

_TO_ALLOW_REQUESTS = "To allow them: upstream.play(recording, times=N); times=None for any number."
_TO_ALLOW_SCRIPTS = "To allow them: send that many requests, or script fewer."


class _Script:
    """One call of ``play``: what to play, how often and how fast."""

    def __init__(self, recording: Recording, times: Optional[int], speed: Optional[float]) -> None:
        self.recording = recording
        self.times = times
        self.speed = speed
        self.played = 0

    @property
    def is_left(self) -> bool:
        return self.times is None or self.played < self.times

    @property
    def is_due(self) -> bool:
        """True while it was not played as often as it should be: once, for any number of times."""
        return self.played < (1 if self.times is None else self.times)

    def __str__(self) -> str:
        name = self.recording.name
        what = f"{len(self.recording.body)} bytes" if name is None else repr(name)
        return f"{what} (played {self.played} of {self.times or '1 or more'})"


class FakeUpstream:
    """An upstream that plays its script: a real HTTP/1.1 server, and a WSGI application.

    Each POST, whatever its path, headers and body, is answered with the next recording. When none
    is left, and to every other method, the answer is a 404 with an error object that says so.

    Args:
        clock: what recorded delays are waited on. Without one they are skipped, unless ``play``
            is given a speed.
    """

    def __init__(self, clock: Optional[Clock] = None) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._scripts: List[_Script] = []
        self._requests: List[ReceivedRequest] = []
        self._unmatched: List[ReceivedRequest] = []
        self._server: Optional[Server] = None
        self._closed = threading.Event()

    def play(
        self,
        recording: Union[Recording, str],
        *,
        times: Optional[int] = 1,
        speed: Optional[float] = None,
    ) -> None:
        """Script a recording; scripts are played in the order in which they were made.

        Args:
            recording: one of yours, or the name of one that ships.
            times: how many requests it answers; None for all that come.
            speed: how many times faster than recorded, 1.0 being the recorded time. It is real
                time, unless the upstream has a clock.

        Raises:
            OptionError: an argument is of the wrong type or out of its range.
            RecordingError: no recording of that name ships.
        """
        if isinstance(recording, str):
            recording = Recording.named(recording)
        if not isinstance(recording, Recording):
            raise OptionError("recording", shown(recording), "a Recording, or a name that ships")
        if times is not None and (not _is_number(times, int) or times < 1):
            raise OptionError("times", shown(times), "an int >= 1, or None for any number")
        if speed is not None and not (_is_number(speed, (int, float)) and 0 < speed < math.inf):
            raise OptionError("speed", shown(speed), "a number > 0, or None")
        with self._lock:
            self._scripts.append(_Script(recording, times, speed))

    @property
    def requests(self) -> List[ReceivedRequest]:
        """The journal: every request so far, in the order of arrival."""
        with self._lock:
            return list(self._requests)

    def answer(self, request: ReceivedRequest) -> Reply:
        """The reply to ``request``, which enters the journal: what every front calls."""
        with self._lock:
            self._requests.append(request)
            script = self._find_script(request)
            if script is None:
                self._unmatched.append(request)
                return Reply(request, _not_found(self._refusal(request)), None, None)
            script.played += 1
        speed = 1.0 if script.speed is None and self._clock is not None else script.speed
        return Reply(request, script.recording, speed, self._clock)

    def verify(self) -> None:
        """Do nothing, if every request found a recording and every script was played.

        A script with ``times=None`` is played when one request or more had it.

        Raises:
            AssertionError: it was otherwise; the text says which, and what to change.
        """
        with self._lock:
            due = [script for script in self._scripts if script.is_due]
            parts = [
                *_listed("requests without a recording", self._unmatched, _TO_ALLOW_REQUESTS),
                *_listed("recordings not played as often as scripted", due, _TO_ALLOW_SCRIPTS),
            ]
        if parts:
            raise AssertionError("\n".join(["what came is not what was scripted", *parts]))

    @contextmanager
    def serve(self) -> Iterator[str]:
        """A context with the base URL of the HTTP server, which ends in ``/v1``; closes it."""
        try:
            yield self.base_url
        finally:
            self.close()

    @property
    def base_url(self) -> str:
        """Where the HTTP server listens; it starts at the first use."""
        from sse_middleware.testing.server import Server

        with self._lock:
            if self._server is None:
                self._server = Server(self.answer)
            return self._server.base_url

    def close(self) -> None:
        """Stop the HTTP server, if it runs, and end the answers that stall.

        Script and journal stay. Takes about a second at most, whatever the clients do.
        """
        with self._lock:
            server, self._server = self._server, None
            closed, self._closed = self._closed, threading.Event()
        closed.set()
        if server is not None:
            server.close()

    def __call__(
        self, environ: Dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Answer as a WSGI application: yields each recorded chunk that has bytes.

        Where the recording was cut, iteration raises, which a server turns into a cut:
        ``ConnectionAbortedError`` for ``eof``, ``ConnectionResetError`` for ``reset``. Where it
        stalls, iteration blocks until ``close`` and then raises the former.
        """
        return respond(self.answer, self._closed, environ, start_response)

    def _find_script(self, request: ReceivedRequest) -> Optional[_Script]:
        left = (script for script in self._scripts if script.is_left)
        return next(left, None) if request.method == "POST" else None

    def _refusal(self, request: ReceivedRequest) -> str:
        scripted = ", ".join(map(str, self._scripts)) or "nothing"
        if request.method != "POST":
            return f"{request} came, but only a POST plays a recording. Scripted: {scripted}."
        return (
            f"{request} came, but no recording is left to play. Scripted: {scripted}. "
            "To allow it: upstream.play('chat-text'), once for each request, or with times=None."
        )


def _not_found(message: str) -> Recording:
    error = {
        "message": message,
        "type": "invalid_request_error",
        "param": None,
        "code": "no_recording",
    }
    body = json.dumps({"error": error}).encode("ascii")
    return Recording(body, status=404, headers={"content-type": "application/json"})


def _listed(heading: str, entries: Sequence[object], advice: str) -> List[str]:
    """The lines that tell of ``entries``; none, if there are none."""
    if not entries:
        return []
    return [f"{heading}: {len(entries)}", *(f"  {entry}" for entry in entries), f"  {advice}"]


def _is_number(value: object, kind: Any) -> bool:
    """True for a number of that kind. A bool is no number here."""
    return isinstance(value, kind) and not isinstance(value, bool)
