"""Which response is a stream, and what of it leaves.

A response is a stream when the first item of its body came from an `event_stream` of this
request, when its Content-Type is ``text/event-stream``, or when its body is an iterator without
Content-Length whose first item is a mapping or an `Event`. Every other one leaves as it came.
"""

from typing import Any, Iterable, Iterator, Mapping

from sse_middleware.advice import Advice
from sse_middleware.current import CurrentStream
from sse_middleware.errors import ResponseError
from sse_middleware.event import Event
from sse_middleware.framing import Framing
from sse_middleware.headers import is_encoded, is_event_stream, stream_headers, without_content
from sse_middleware.response import Answer, Body
from sse_middleware.stream import EventStream

__all__ = ["Recogniser"]


class Recogniser:
    """Decides, for the responses of one middleware."""

    def __init__(self, framing: Framing, advice: Advice) -> None:
        self._framing = framing
        self._advice = advice

    def leave(
        self, method: str, answer: Answer, body: Body, stream: CurrentStream
    ) -> Iterable[Any]:
        """Forward the app's answer, and return the body that goes with it.

        It is an `EventStream`, with its first frame made, exactly where the response is a stream.
        """
        if not answer.status:
            body.peek()  # an app that is a generator function starts here
            if not answer.status:
                raise ResponseError("the app returned a body but never called start_response")
        if answer.has_written:
            return body.untouched()
        if answer.has_no_body or method == "HEAD":
            return _without_body(answer, body, stream)
        if not self._is_stream(answer, body, stream):
            answer.forward()
            return body.untouched()
        if not _is_first_frame(body, stream):  # others may have been made for other ends
            stream.ended, stream.first_frame = False, None
        answer.recognised()
        frames = EventStream(body, self._framing_of(body, stream))
        frames.prime()  # a failure until here is still the server's 500
        self._advice.on_headers(answer.headers)
        answer.forward(stream_headers(answer.headers))
        return frames

    def failure(self, error: Exception) -> EventStream:
        """The stream of an app that failed when the client had been sent something already."""
        return EventStream(_raising(error), self._framing)

    def _is_stream(self, answer: Answer, body: Body, stream: CurrentStream) -> bool:
        declared = is_event_stream(answer.headers)
        if body.is_whole and not declared:  # at once what most responses are
            return False
        if is_encoded(answer.headers):
            if declared:
                self._advice.on_encoding()
            return False
        if declared:
            return True
        if not body.is_lazy(answer.headers) and not stream.has_event_stream:
            return False
        return isinstance(body.peek(), (Mapping, Event)) or _is_first_frame(body, stream)

    def _framing_of(self, body: Body, stream: CurrentStream) -> Framing:
        """What is left to do: nothing but errors where an `event_stream` inside did the rest."""
        if _is_first_frame(body, stream):
            return self._framing._replace(items="event", retry=None)
        return self._framing


def _raising(error: Exception) -> Iterator[Any]:
    raise error
    yield  # a generator: it raises when it is asked


def _without_body(answer: Answer, body: Body, stream: CurrentStream) -> Iterable[Any]:
    """HEAD, 204, 304: what might be a stream is closed unrun, for it may cost money."""
    made = stream.has_event_stream and not body.is_whole
    is_stream = made or is_event_stream(answer.headers)
    if not is_stream and not body.is_lazy(answer.headers):
        answer.forward()
        return body.untouched()
    if body.has_started and isinstance(body.peek(), (Mapping, Event)):
        is_stream = True
    if not is_stream:
        answer.forward()
    elif answer.has_no_body:
        answer.forward(without_content(answer.headers))
    else:
        answer.forward(stream_headers(answer.headers))
    body.close()
    return []


def _is_first_frame(body: Body, stream: CurrentStream) -> bool:
    """Whether the body begins with what an `event_stream` of this request made."""
    if not stream.has_event_stream:
        return False
    first = body.peek()
    return isinstance(first, bytes) and first == stream.first_frame
