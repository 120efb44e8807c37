"""`current_stream`: inert outside a request, and what the middleware tells through it."""

import logging

import pytest

from sse_middleware import current_stream
from sse_middleware.current import CurrentStream, showing
from sse_middleware.errors import OptionError


def test_outside_a_request_it_is_inert():
    called = []
    stream = current_stream()
    stream.on_disconnect(lambda: called.append(1))
    stream.disconnect()
    assert called == []
    assert current_stream().disconnected is False
    assert (current_stream().last_event_id, current_stream().frames_sent) == ("", 0)


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
    assert stream.disconnected


@pytest.mark.parametrize("stream", [CurrentStream(), current_stream()], ids=["own", "inert"])
def test_what_cannot_be_called_is_no_callback(stream):
    with pytest.raises(OptionError, match="callback is None: expected a callable"):
        stream.on_disconnect(None)


def test_a_callback_for_a_client_that_has_left_runs_at_once():
    called = []
    stream = CurrentStream()
    stream.disconnect()
    stream.on_disconnect(lambda: called.append(1))
    assert called == [1]


def test_a_callback_that_raises_is_logged_and_the_others_run(caplog):
    called = []
    stream = CurrentStream()
    stream.on_disconnect(lambda: 1 / 0)
    stream.on_disconnect(lambda: called.append(1))
    with caplog.at_level(logging.ERROR, "sse_middleware"):
        stream.disconnect()
    assert called == [1]
    assert "an on_disconnect callback failed" in caplog.text
    assert "ZeroDivisionError" in caplog.text
