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

import os
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Dict,
    Iterable,
    Iterator,
    List,
    Optional,
    Pattern,
    Union,
)
from weakref import WeakSet

from sse_middleware.clock import Clock, SystemClock, checked_clock
from sse_middleware.testing._proxies import passed_by
from sse_middleware.testing._script import ONCE, Script, Times, Told, outcome, reasons, scripted
from sse_middleware.testing._shelf import recording_of
from sse_middleware.testing._verdict import (
    TO_ALLOW_REQUESTS,
    TO_ALLOW_SCRIPTS,
    TO_ANSWER,
    not_found,
    section,
    told,
)
from sse_middleware.testing.exchange import ReceivedRequest, Reply
from sse_middleware.testing.faults import Fault
from sse_middleware.testing.matching import When
from sse_middleware.testing.rechunk import Rechunk
from sse_middleware.testing.recording import Recording
from sse_middleware.testing.wsgi import respond

if TYPE_CHECKING:
    from sse_middleware.testing._httpx_front import AsyncTransport, Transport
    from sse_middleware.testing._responses_front import UpstreamResponse
    from sse_middleware.testing.server import Server

__all__ = ["FakeUpstream"]


class FakeUpstream:
    """An upstream that plays its script: a real HTTP/1.1 server, and a WSGI application.

    A request is answered by the first script, in the order in which they were made, that matches
    it and has answers left. When there is none, the answer is a 404 with an error object that
    tells what was nearest and how the request differs from it.

    Args:
        clock: what recorded delays are waited on. Without one they are skipped, unless ``play``
            is given a speed.
        recordings: a folder whose ``.sse`` files ``play`` finds by name, before those that ship.

    Raises:
        OptionError: ``clock`` is none.
    """

    def __init__(
        self,
        clock: Optional[Clock] = None,
        *,
        recordings: Union[str, "os.PathLike[str]", None] = None,
    ) -> None:
        self._clock = checked_clock(clock)
        self._folder = None if recordings is None else Path(recordings)
        self._lock = threading.RLock()  # a `when` of the test's may look into the journal
        self._scripts: List[Script] = []
        self._requests: List[ReceivedRequest] = []
        self._unmatched: List[Told] = []
        self._server: Optional[Server] = None
        self._replies: WeakSet[Reply] = WeakSet()

    def play(
        self,
        recording: Union[Recording, str],
        *,
        when: Optional[When] = None,
        times: Times = ONCE,
        speed: Optional[float] = None,
        rechunk: Optional[Rechunk] = None,
        fault: Union[Fault, Rechunk, None] = None,
    ) -> None:
        """Script a recording.

        Args:
            recording: one of yours, or the name of one.
            when: which requests it answers: a mapping with ``method`` (POST unless named),
                ``path`` (``*`` stands for anything), ``headers`` and ``json`` (the body has at
                least these values); texts may be compiled patterns. Or a function of the
                `ReceivedRequest`. None: every POST.
            times: how many requests it answers; None for all that come. Once, unless ``fault`` is
                an HTTP error: SDKs ask again after those, so they have no number.
            speed: how many times faster than recorded, 1.0 being the recorded time and ``inf`` no
                delays. It is real time, unless the upstream has a clock.
            rechunk: a mode of `rechunk`: the same bytes in other chunks.
            fault: one of `faults`: what goes wrong. It is put in before the chunks are cut.

        Raises:
            OptionError: an argument is of the wrong type or out of its range.
            RecordingError: there is no recording of that name.
        """
        script = scripted(
            recording_of(recording, self._folder),
            when=when,
            times=times,
            speed=speed,
            rechunk=rechunk,
            fault=fault,
            has_clock=self._clock is not None,
        )
        with self._lock:
            self._scripts.append(script)

    @property
    def requests(self) -> List[ReceivedRequest]:
        """The journal: every request so far, in the order of arrival."""
        with self._lock:
            return list(self._requests)

    def answer(self, request: ReceivedRequest) -> Reply:
        """The reply to ``request``, which enters the journal: what every front calls."""
        clock = SystemClock() if self._clock is None else self._clock
        with self._lock:
            self._requests.append(request)
            reply = Reply(request, self._recording_for(request), clock)
            self._replies.add(reply)
        return reply

    def verify(
        self,
        *,
        assert_all_requests_were_expected: bool = True,
        assert_all_responses_were_requested: bool = True,
    ) -> None:
        """Do nothing, if every request found a script and every script was played.

        A script for any number of requests is played when one request or more had it. Each
        argument set to False allows one of the two.

        Raises:
            AssertionError: it was otherwise; the text says which, and what to change. Also if a
                reply broke off because the clock stood still.
        """
        with self._lock:
            stuck = [f"{one}: {one.problem}" for one in self._requests if one.problem is not None]
            lines = section("answers that broke off", stuck)
            if assert_all_requests_were_expected and self._unmatched:
                lines += section("requests without a recording", told(self._unmatched))
                lines += [f"  {TO_ANSWER}", f"  {TO_ALLOW_REQUESTS}"]
            due = [str(script) for script in self._scripts if script.is_due]
            if assert_all_responses_were_requested and due:
                lines += section("recordings not played as often as scripted", due)
                lines += [f"  {TO_ALLOW_SCRIPTS}"]
        if lines:
            raise AssertionError("\n".join(["what came is not what was scripted", *lines]))

    def report(self) -> str:
        """What came, each request with what became of it, and what is scripted: for messages."""
        with self._lock:
            unanswered = {one.request: one.reasons for one in self._unmatched}
            left_s = {reply.request: reply.left_s for reply in self._replies}
            came = [
                Told(one, unanswered.get(one) or outcome(one, left_s.get(one, 0.0)))
                for one in self._requests
            ]
            lines = section("requests", told(came) or ["none"])
            lines += section("scripted", [str(script) for script in self._scripts] or ["nothing"])
        return "\n".join(lines)

    @contextmanager
    def serve(self) -> Iterator[str]:
        """A context with the base URL of the HTTP server, which ends in ``/v1``; closes it.

        Inside it ``NO_PROXY`` has the loopback interface, for the whole process.
        """
        try:
            with passed_by():
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
        """Stop the HTTP server, if it runs, and end the answers that wait or stall.

        Script and journal stay. Takes about a second at most, whatever the clients do.
        """
        with self._lock:
            server, self._server = self._server, None
            replies = list(self._replies)
            self._replies = WeakSet()
        if server is not None:
            server.close()
        for reply in replies:
            reply.close()

    def __call__(
        self, environ: Dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Answer as a WSGI application: yields each recorded chunk that has bytes.

        Where the recording was cut, iteration raises, which a server turns into a cut:
        ``ConnectionAbortedError`` for ``eof``, ``ConnectionResetError`` for ``reset``. Where it
        stalls, iteration blocks until ``close`` and then raises the former.
        """
        return respond(self.answer, environ, start_response)

    def as_response(self, url: Union[str, Pattern[str]]) -> "UpstreamResponse":
        """What ``responses.add`` takes, so that ``requests`` finds this upstream at ``url``.

        It answers every request there, with any method and query, as often as they come; a
        compiled pattern is matched against the whole URL. ``responses`` has to be installed.
        """
        from sse_middleware.testing._responses_front import UpstreamResponse

        return UpstreamResponse(self.answer, url)

    def transport(self) -> "Transport":
        """What ``httpx.Client(transport=...)`` takes, and that of httpx2: whatever the URL."""
        from sse_middleware.testing._httpx_front import Transport

        return Transport(self.answer)

    def async_transport(self) -> "AsyncTransport":
        """What ``httpx.AsyncClient(transport=...)`` takes, and that of httpx2: whatever the URL."""
        from sse_middleware.testing._httpx_front import AsyncTransport

        return AsyncTransport(self.answer)

    def _recording_for(self, request: ReceivedRequest) -> Recording:
        for script in self._scripts:
            if script.is_left and not script.match.differences(request):
                script.played += 1
                request.answered_by = script.title
                return script.recording
        unmatched = Told(request, reasons(self._scripts, request))
        self._unmatched.append(unmatched)
        return not_found(unmatched)
