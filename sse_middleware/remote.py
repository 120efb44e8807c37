"""The worker's half of a request: the app runs here, and what it answers is handed over.

The server may only be told by its own thread, so ``start_response`` keeps what it is given until
that thread asks. Which of the two says what the response is, the app with its first event or the
server's thread that opens a silent stream, is decided by who claims it first.
"""

import errno
import logging
from typing import Any, Iterable, Iterator, List, Optional, Tuple

from sse_middleware.clock import Clock
from sse_middleware.current import CurrentStream, showing
from sse_middleware.errors import ResponseError
from sse_middleware.handover import Handover
from sse_middleware.headers import Headers, is_encoded, is_event_stream, stream_headers
from sse_middleware.recognise import Recogniser
from sse_middleware.response import Answer, Body, Environ, StartResponse, WSGIApp
from sse_middleware.resume.keeping import Unkept
from sse_middleware.stream import EventStream

__all__ = ["RemoteAnswer", "run_request"]

_log = logging.getLogger("sse_middleware")


class RemoteAnswer(Answer):
    """The app's answer, given in a worker and told to the server by the server's own thread."""

    #: Set when the body may be taken: the app's own object, or None for items that come.
    is_ready = False
    whole: Optional[Iterable[Any]] = None
    is_stream = False
    #: When the app declared a stream, in seconds on the clock.
    declared_at: Optional[float] = None
    sent_headers: Headers = []  # noqa: RUF012 replaced as a whole, and never changed

    def __init__(self, hand: Handover, clock: Clock, may_open: bool) -> None:
        # Not Answer's own: there is no server that a worker could tell.
        self._hand = hand
        self._clock = clock
        self._may_open = may_open
        self._claims: List[str] = []

    def start_response(self, status: str, headers: Headers, exc_info: Any = None) -> Any:
        """What the app calls, in the worker."""
        if self._is_forwarded:
            raise (exc_info or (None, ResponseError("start_response came after the body")))[1]
        write = super().start_response(status, headers, exc_info)
        streams = is_event_stream(headers) and not is_encoded(headers) and not self.has_no_body
        self.declared_at = self._clock.monotonic() if self._may_open and streams else None
        self._hand.tell_taker()
        return write

    def recognised(self) -> None:
        """From here on the stream may be opened though the app is silent."""
        if self._may_open and self.declared_at is None:
            self.declared_at = self._clock.monotonic()
            self._hand.tell_taker()

    def forward(self, headers: Optional[Headers] = None) -> None:
        """Keep what is to be told; the server's thread tells it when it is ready."""
        self._is_forwarded = True
        self.sent_headers = self.headers if headers is None else headers
        self._claim("app")

    def ready(self, *, whole: Optional[Iterable[Any]] = None, is_stream: bool = False) -> None:
        """The body may be taken."""
        self.whole, self.is_stream, self.is_ready = whole, is_stream, True
        self._hand.tell_taker()

    def open_early(self) -> bool:
        """For the server's thread: open a declared stream before its first event came."""
        if not self._claim("server"):
            return False
        self._is_forwarded = self.is_stream = self.is_ready = True
        self.sent_headers = stream_headers(self.headers)
        return True

    def is_open(self) -> bool:
        """For the worker that failed: whether the client was sent something; else never is."""
        return not self._claim("app")

    def told(self) -> Tuple[str, Headers]:
        """The status and headers of what was recognised."""
        return self.status, self.sent_headers

    def tell(self, start_response: StartResponse) -> None:
        """For the server's thread: tell the server."""
        exc_info, self._exc_info = self._exc_info, None
        if exc_info:
            start_response(self.status, self.sent_headers, exc_info)
        else:
            start_response(self.status, self.sent_headers)

    def _claim(self, side: str) -> bool:
        """Whether this side was the first: who tells the server what the response is."""
        self._claims.append(side)
        return self._claims[0] == side

    def _write(self, data: bytes) -> None:
        if not self._is_forwarded:
            self.forward()
        self.has_written = True
        self.ready(is_stream=self.is_stream)
        if not self._hand.put(data):
            raise BrokenPipeError(errno.EPIPE, "the client left")  # as a server's own write does


def run_request(
    app: WSGIApp,
    environ: Environ,
    hand: Handover,
    answer: RemoteAnswer,
    stream: CurrentStream,
    recogniser: Recogniser,
    keeper: Unkept,
) -> None:
    """Run a request as a whole, in this worker; whatever it raises goes to the taker."""
    with showing(stream):
        body: Optional[Body] = None
        try:
            body = Body(app(environ, answer.start_response), environ)
            left = recogniser.leave(environ.get("REQUEST_METHOD", ""), answer, body, stream)
            is_whole = body.is_whole or isinstance(left, list)  # a list also where none may leave
            if is_whole and not answer.has_written and not isinstance(left, EventStream):
                answer.ready(whole=left)
                body = None  # the server closes it
            else:
                _hand_over(left, hand, answer, keeper)
        except Exception as error:
            _hand_over_failure(error, hand, answer, recogniser, keeper)
        except BaseException as error:
            keeper.discard()
            hand.finish(error)
        else:
            keeper.finish()
            hand.finish()
        _close(body)


def _hand_over_failure(
    error: Exception,
    hand: Handover,
    answer: RemoteAnswer,
    recogniser: Recogniser,
    keeper: Unkept,
) -> None:
    """As the error event, where the client was sent a comment already; else as it is."""
    try:
        if answer.is_open():
            _hand_over(recogniser.failure(error), hand, answer, keeper)
            keeper.finish()
            hand.finish()
        else:
            keeper.discard()
            hand.finish(error)
    except Exception as failed:  # the error event cannot be written either
        keeper.discard()
        hand.finish(failed)


def _hand_over(left: Iterable[Any], hand: Handover, answer: RemoteAnswer, keeper: Unkept) -> None:
    is_stream = isinstance(left, EventStream)
    answer.ready(is_stream=answer.is_stream or is_stream)
    if not isinstance(left, EventStream):
        _hand_over_items(iter(left), hand)
    elif _hand_over_frames(left, hand, keeper):
        keeper.finish()
        hand.finish()  # nobody waits for what the app does after its last event
        next(left, None)


def _hand_over_items(items: Iterator[Any], hand: Handover) -> None:
    while hand.wait_for_demand():
        try:
            item = next(items)
        except StopIteration:
            return
        if not hand.put(item):
            return


def _hand_over_frames(frames: EventStream, hand: Handover, keeper: Unkept) -> bool:
    """Whether the last of them was handed over, though the source may have more to do."""
    if type(keeper) is Unkept and not hand.is_on_demand:
        return hand.put_all(frames)
    items = _kept(frames, keeper)
    while hand.wait_for_demand() or keeper.goes_on:
        try:
            item = next(items)
        except StopIteration:
            return False
        if not hand.put(item, keeper.patience_s) and not keeper.goes_on:
            return False
        if frames.ended:
            return True
    return False


def _kept(frames: EventStream, keeper: Unkept) -> Iterator[bytes]:
    """What of ``frames`` is to be sent."""
    for frame in frames:
        sent = keeper.keep(frame)
        if sent:
            yield sent


def _close(body: Optional[Body]) -> None:
    try:
        if body is not None:
            body.close()
    except Exception:
        _log.exception("closing the response of the app failed")
