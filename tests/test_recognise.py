"""What the middleware makes of an answer, where only the outcome tells."""

import pytest

from sse_middleware import event_stream
from sse_middleware.advice import Advice
from sse_middleware.current import CurrentStream, showing
from sse_middleware.errors import ResponseError
from sse_middleware.framing import Framing
from sse_middleware.recognise import Recogniser
from sse_middleware.response import Answer, Body

HTML = [("Content-Type", "text/html")]
STREAM = [
    ("Content-Type", "text/event-stream; charset=utf-8"),
    ("Cache-Control", "no-cache, no-transform"),
    ("X-Accel-Buffering", "no"),
]
FRAMES = [b"data: a\n\n", b"data: b\n\n"]


class Carrier:
    """An iterable that is no iterator, around a stream."""

    def __init__(self, frames):
        self.frames = frames
        self.closed = 0

    def __iter__(self):
        return iter(self.frames)

    def close(self):
        self.closed += 1


def left(make, *, method="GET", framing=None):
    """The body that the app has, the one that leaves, and the headers that go with it."""
    told = []
    answer = Answer(lambda status, headers: told.append(headers))
    answer.start_response("200 OK", HTML)
    stream = CurrentStream(framing=framing or Framing())
    with showing(stream):
        made = make()
        recogniser = Recogniser(stream.framing, Advice())
        leaving = recogniser.leave(method, answer, Body(made, {}), stream)
    return made, leaving, *told


def test_head_on_a_stream_that_something_carries_does_not_run_it():
    ran = []
    source = (ran.append(n) for n in range(2))
    made, leaving, headers = left(lambda: Carrier(event_stream(source)), method="HEAD")
    assert (leaving, headers) == ([], STREAM)
    assert (ran, made.closed) == ([], 1)


def test_head_on_a_list_leaves_as_it_came_also_when_a_stream_was_read_for_it():
    made, leaving, headers = left(lambda: list(event_stream([{"data": "a"}])), method="HEAD")
    assert leaving is made
    assert headers is HTML


def test_what_an_event_stream_made_is_not_made_an_item_again():
    framing = Framing(items="data", retry=7)
    _, leaving, headers = left(lambda: Carrier(event_stream(["a", "b"])), framing=framing)
    assert headers == STREAM
    assert list(leaving) == [b"retry: 7\n" + FRAMES[0], FRAMES[1]]


def test_an_app_that_never_calls_start_response_is_told_so():
    recogniser = Recogniser(Framing(), Advice())
    with pytest.raises(ResponseError) as caught:
        recogniser.leave("GET", Answer(lambda *told: None), Body([], {}), CurrentStream())
    assert str(caught.value) == "the app returned a body but never called start_response"


def test_a_failure_becomes_the_stream_that_the_options_make_of_it():
    def told(error, error_id):
        return {"event": "oops", "data": repr(error)}

    stream = CurrentStream()
    stream.is_open = lambda: True
    with showing(stream):
        frames = Recogniser(Framing(error_event=told), Advice()).failure(KeyError("lost"))
    assert list(frames) == [b"event: oops\ndata: KeyError('lost')\n\n"]
