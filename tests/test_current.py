"""`current_stream`: inert outside a request, and what the middleware tells through it."""

import logging

import pytest

from sse_middleware import current_stream
from sse_middleware.current import CurrentStream, showing
from sse_middleware.errors import OptionError
from sse_middleware.framing import Framing

FLAGS = [
    "disconnected",
    "ended",
    "failed",
    "has_callbacks",
    "has_event_stream",
    "has_sent_id",
    "is_final",
    "is_resumable",
]


def test_outside_a_request_it_is_inert():
    called = []
    stream = current_stream()
    stream.on_disconnect(lambda: called.append(1))
    stream.disconnect()
    assert called == []
    assert current_stream().disconnected is False
    assert (current_stream().last_event_id, current_stream().frames_sent) == ("", 0)


def test_at_first_nothing_was_sent_and_nothing_happened():
    stream = CurrentStream()
    seen = (stream.last_event_id, stream.frames_sent, stream.bytes_sent, stream.framing)
    assert seen == ("", 0, 0, None)
    assert (stream.first_frame, stream.is_open()) == (None, False)
    assert [name for name in FLAGS if getattr(stream, name) is not False] == []


def test_what_the_middleware_knows_of_the_request_is_kept():
    framing = Framing(retry=7)
    stream = CurrentStream("12", framing)
    assert (stream.last_event_id, stream.framing) == ("12", framing)


def test_it_is_shown_inside_the_with_and_no_longer():
    outer, inner = CurrentStream("1"), CurrentStream("2")
    with showing(outer):
        with showing(inner):
            assert current_stream() is inner
        assert current_stream() is outer
    assert current_stream() not in (outer, inner)


def test_callbacks_run_once_in_order_when_the_client_leaves():
    called = []
    stream = CurrentStream()
    stream.on_disconnect(lambda: called.append("first"))
    stream.on_disconnect(lambda: called.append("second"))
    assert called == []
    stream.disconnect()
    stream.disconnect()
    assert called == ["first", "second"]
    assert stream.disconnected is True


def test_it_is_known_whether_somebody_waits_for_the_clients_leaving():
    stream = CurrentStream()
    stream.on_disconnect(lambda: None)
    assert stream.has_callbacks is True
    stream.disconnect()
    assert stream.has_callbacks is False


@pytest.mark.parametrize("stream", [CurrentStream(), current_stream()], ids=["own", "inert"])
def test_what_cannot_be_called_is_no_callback(stream):
    with pytest.raises(OptionError) as caught:
        stream.on_disconnect(7)
    assert str(caught.value) == "callback is 7: expected a callable, such as response.close"


def test_a_callback_for_a_client_that_has_left_runs_at_once():
    called = []
    stream = CurrentStream()
    stream.disconnect()
    stream.on_disconnect(lambda: called.append(1))
    assert called == [1]


def test_a_callback_that_raises_is_logged_and_the_others_run(caplog):
    def fail():
        raise ZeroDivisionError

    called = []
    stream = CurrentStream()
    stream.on_disconnect(fail)
    stream.on_disconnect(lambda: called.append(1))
    with caplog.at_level(logging.ERROR, "sse_middleware"):
        stream.disconnect()
    assert called == [1]
    (record,) = caplog.records
    assert record.getMessage() == "an on_disconnect callback failed"
    assert record.exc_info[0] is ZeroDivisionError
