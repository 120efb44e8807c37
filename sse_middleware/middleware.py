"""``SSEMiddleware``: wraps a WSGI app, so that generators of dicts leave as an event stream.

    app.wsgi_app = SSEMiddleware(app.wsgi_app)     # Flask
    app = SSEMiddleware(app)                       # Bottle, Pyramid, Falcon, any WSGI app

A request runs in one of two ways. Those that ask for an event stream, or whose path is named with
``worker=``, run in a worker, and the thread of the server sends heartbeats and sees a client
leave. All others run inline, as if nothing were there until their first item turns out to be an
event. Either way the server is told before ``__call__`` returns: Granian reads the status there,
and an app that fails until then still has its own honest 500.
"""

from contextvars import copy_context
from functools import partial
from math import inf
from typing import Any, Iterable, Mapping, Optional, Union

from sse_middleware.advice import Advice
from sse_middleware.clock import Clock, SystemClock, checked_clock
from sse_middleware.current import CurrentStream, current_stream, hide, show
from sse_middleware.disconnect import find_probe
from sse_middleware.errors import OptionError, shown
from sse_middleware.event import Dumps
from sse_middleware.framing import END_ID, ErrorEvent, Framing
from sse_middleware.handover import Handover
from sse_middleware.headers import stream_headers
from sse_middleware.inline import Inline
from sse_middleware.integrations.bottle import adapt
from sse_middleware.integrations.uwsgi import release
from sse_middleware.picking import Worker, is_event_source, last_event_id, picker
from sse_middleware.recognise import Recogniser
from sse_middleware.registry import Registry
from sse_middleware.remote import RemoteAnswer, run_request
from sse_middleware.response import Answer, Body, Environ, StartResponse, WSGIApp
from sse_middleware.resume.following import Follower, Resumption
from sse_middleware.resume.keeping import Unkept
from sse_middleware.resume.log import EventLog
from sse_middleware.serving import Pace, Serving
from sse_middleware.stream import EventStream
from sse_middleware.worker import Workers, workers

__all__ = ["SSEMiddleware"]

_RETRY_AFTER_S = 5
_UNKEPT = Unkept()


class SSEMiddleware:
    """A WSGI app around ``app``; where ``app`` streams events, they leave framed and at once.

    Keyword Args:
        items: ``"event"``: a yielded mapping holds the fields of an event. ``"data"``: every
            yielded object is the data of one event.
        dumps: serialises data that is not ``str``; default: orjson where it is installed, else
            ``json``, both compact and UTF-8.
        heartbeat: seconds of silence before a comment is sent; None: never. Needs a worker.
        worker: which requests run in a worker. By default those whose Accept names
            ``text/event-stream``, as EventSource sends it. Path patterns such as ``"/chat/*"``
            add to that rule; a predicate on ``environ`` replaces it. From these requests
            Accept-Encoding is removed, so that no compressor inside holds the stream back.
        retry: milliseconds that a browser waits before it reconnects; in the first event.
        end_event: name or mapping of the last event, sent when the app's generator ends by
            itself, with the id ``sse:end``; a GET that comes back with that id is answered 204,
            which stops EventSource for good.
        error_event: ``callable(exc, error_id)`` to the mapping that is sent when the app fails
            after its first event, or to None. By default a generic one: the exception is logged
            with the id, and none of it is sent.
        max_age: seconds after which a stream ends cleanly, a tenth less at the most, so that its
            client reconnects; for subscriptions.
        max_streams: how many requests may hold a worker thread; one counts until its thread is
            free, also after its client left. Greenlets are not counted.
        resume: an `EventLog`, such as `MemoryLog` or `RedisLog`: the events of streams that run in
            a worker are numbered and kept there, the app goes on for a while after its client has
            left, and a client that comes back with a Last-Event-ID gets the rest.
        observer: an object of which those of ``opened(stream)``, ``closed(stream, reason)`` and
            ``heartbeat(stream)`` are called that it has. Reasons: end, error, disconnect,
            max_age, drain.
        clock: the time; ``environ["sse_middleware.clock"]`` overrides it.

    Raises:
        OptionError: ``app`` is not callable, or an option has no meaning.

    >>> def app(environ, start_response):
    ...     start_response("200 OK", [("Content-Type", "text/html")])
    ...     return iter([{"data": "Hello"}])
    >>> b"".join(SSEMiddleware(app)({"REQUEST_METHOD": "GET"}, lambda *answer: None))
    b'data: Hello\\n\\n'
    """

    def __init__(
        self,
        app: WSGIApp,
        *,
        items: str = "event",
        dumps: Optional[Dumps] = None,
        heartbeat: Optional[float] = 15.0,
        worker: Optional[Worker] = None,
        retry: Optional[int] = None,
        end_event: Union[str, Mapping[str, Any], None] = None,
        error_event: Optional[ErrorEvent] = None,
        max_age: Optional[float] = None,
        max_streams: int = 512,
        resume: Optional[EventLog] = None,
        observer: object = None,
        clock: Optional[Clock] = None,
    ) -> None:
        if not callable(app):
            raise OptionError("app", shown(app), "a WSGI app, called with environ, start_response")
        self.app = app
        self._framing = Framing().checked(
            {
                "items": items,
                "dumps": dumps,
                "retry": retry,
                "end_event": end_event,
                "error_event": error_event,
            }
        )
        self._advice = Advice()
        self._recogniser = Recogniser(self._framing, self._advice)
        rest = self._framing._replace(items="event", retry=None)  # it was framed already
        self._recogniser_of_rests = Recogniser(rest, self._advice)
        self._is_picked = picker(worker)
        self._own_pace = Pace(
            checked_clock(clock) or SystemClock(),
            _checked_seconds("heartbeat", heartbeat),
            _checked_seconds("max_age", max_age),
        )
        if not isinstance(max_streams, int) or max_streams < 1:
            raise OptionError("max_streams", shown(max_streams), "an int >= 1")
        self._max_streams = max_streams
        self._resumption = None if resume is None else Resumption(resume)
        self._registry = Registry(observer)
        adapt(app)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """The app's response: a stream with its frames, any other one as it came."""
        came_back_with = last_event_id(environ)
        if came_back_with == END_ID and is_event_source(environ):
            start_response("204 No Content", [("Cache-Control", "no-store")])
            return []
        outer = environ.get("sse_middleware.stream")
        if outer is not None and outer is current_stream():
            return self._nested(environ, start_response, outer)
        follower = None
        if self._resumption is not None:
            follower = self._resumption.find(environ, came_back_with)
            if follower is not None and follower.nothing_follows:
                start_response("204 No Content", [("Cache-Control", "no-store")])
                return []
        stream = environ["sse_middleware.stream"] = CurrentStream(came_back_with, self._framing)
        if follower is None and not self._is_picked(environ):
            return self._inline(environ, start_response, stream)
        if self._registry.is_draining:
            return _too_many(environ, start_response)
        return self._in_worker(environ, start_response, stream, follower)

    def drain(self, timeout: float) -> bool:
        """End every stream between two events, and begin no other; for shutdown hooks.

        Waits ``timeout`` seconds at most, also for generators that are being closed. Whether all
        streams had ended, and all workers of the process were free, by then.
        """
        return self._registry.drain(timeout)

    def _inline(
        self, environ: Environ, start_response: StartResponse, stream: CurrentStream
    ) -> Iterable[bytes]:
        """Run the request in the thread of the server."""
        token = show(stream)  # `showing` in halves: every request pays for it
        try:
            left = self._answered(environ, start_response, stream)
        finally:
            hide(token)
        if not isinstance(left, EventStream):
            return left
        self._advice.on_server(environ)
        self._advice.on_inline(environ)
        if self._resumption is not None:
            self._advice.on_unresumable(environ)
        return Inline(left, stream, self._pace(environ), self._registry)

    def _nested(
        self, environ: Environ, start_response: StartResponse, outer: CurrentStream
    ) -> Iterable[bytes]:
        """Inside another middleware, which does the rest: frame with the options of this one."""
        outer.framing = self._framing
        return self._answered(environ, start_response, outer)

    def _answered(
        self, environ: Environ, start_response: StartResponse, stream: CurrentStream
    ) -> Iterable[Any]:
        answer = Answer(start_response)
        body = Body(self.app(environ, answer.start_response), environ)
        try:
            method = environ.get("REQUEST_METHOD", "")
            return self._recogniser.leave(method, answer, body, stream)
        except BaseException:
            body.close()
            raise

    def _in_worker(
        self,
        environ: Environ,
        start_response: StartResponse,
        stream: CurrentStream,
        follower: Optional[Follower],
    ) -> Iterable[bytes]:
        """Run the request in a worker; this thread waits for what it makes."""
        environ.pop("HTTP_ACCEPT_ENCODING", None)
        environ = release(environ)
        self._advice.on_server(environ)
        pool, pace = workers(), self._pace(environ)
        on_demand = environ.get("sse_middleware.read_ahead") == 0
        hand = Handover(pool.signal(), pool.signal(), on_demand=on_demand)
        answer = RemoteAnswer(hand, pace.clock, environ.get("REQUEST_METHOD") != "HEAD")
        stream.is_open = answer.is_open
        keeper = follower or self._keeper(environ, stream, pool, answer)
        probe = find_probe(environ, hand.wake_taker, is_greenlet=not pool.are_counted)
        serving = Serving(hand, answer, stream, pace, probe, self._registry, pool.beside, keeper)
        app, recogniser = self.app, self._recogniser
        if follower is not None:
            app, recogniser = follower.app, self._recogniser_of_rests
        call = partial(run_request, app, environ, hand, answer, stream, recogniser, keeper)
        serving.job = pool.submit(call, copy_context(), self._max_streams)
        if serving.job is None:
            serving.close()
            return _too_many(environ, start_response)
        return serving.begin(start_response)

    def _keeper(
        self, environ: Environ, stream: CurrentStream, pool: Workers, answer: RemoteAnswer
    ) -> Unkept:
        if self._resumption is None:
            return _UNKEPT
        return self._resumption.keeper(environ, stream, pool.signal(), answer.told)

    def _pace(self, environ: Environ) -> Pace:
        clock = environ.get("sse_middleware.clock")
        return self._own_pace._replace(clock=clock) if clock else self._own_pace


def _too_many(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """An EventSource would never come back after a 503; it is sent away for a while instead."""
    if is_event_source(environ):
        start_response("200 OK", stream_headers([]))
        return iter([b"retry: %d\n\n" % (_RETRY_AFTER_S * 1000)])
    headers = [("Content-Type", "text/plain; charset=utf-8"), ("Retry-After", str(_RETRY_AFTER_S))]
    start_response("503 Service Unavailable", headers)
    return [b"Too many streams are open. Try again in a moment.\n"]


def _checked_seconds(name: str, value: Optional[float]) -> Optional[float]:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if value is None or (is_number and 0 < value < inf):
        return value
    raise OptionError(name, shown(value), "seconds, a number > 0, or None")
