"""An app, its middleware and its upstream on one clock, which the test moves; nothing sleeps.

The apps are wrapped when this module is imported, and are told of no clock then.
"""

import json
import os
import time

import pytest

from sse_middleware import SSEMiddleware
from sse_middleware.errors import StuckClockError
from sse_middleware.relay import relay
from sse_middleware.testing import FakeUpstream, Recording, VirtualClock, faults
from sse_middleware.testing import clock as clock_module

bottle = pytest.importorskip("bottle")
flask = pytest.importorskip("flask")
requests = pytest.importorskip("requests")
try:  # here, as it takes long
    import openai
except ImportError:
    openai = None

BODY = {"model": "m", "messages": [], "stream": True}
DEADLINE_S = 20


def by_requests():
    url = os.environ["OPENAI_BASE_URL"] + "/chat/completions"
    return requests.post(url, json=BODY, stream=True, timeout=DEADLINE_S)


def by_openai():
    return openai.OpenAI(max_retries=0).chat.completions.create(**BODY)


CALLS = {"requests": by_requests}
if hasattr(openai, "OpenAI"):  # absent, or of before openai 1
    CALLS["openai"] = by_openai

flask_app = flask.Flask("app")
bottle_app = bottle.Bottle()


@flask_app.route("/<call>", methods=["POST"])
def flask_answer(call):
    return flask.Response(relay(CALLS[call]()))


@bottle_app.post("/<call>")
def bottle_answer(call):
    yield from relay(CALLS[call]())


APPS = {
    "flask": SSEMiddleware(flask_app.wsgi_app),
    "bottle": SSEMiddleware(bottle_app),
}


def chat(*steps, end="complete"):
    """A recording of ``(seconds of silence, text)`` steps."""
    frames = [
        b"data: %s\n\n"
        % json.dumps({"choices": [{"index": 0, "delta": {"content": text}}]}).encode()
        for _, text in steps
    ]
    chunks = [(delay_s, len(frame)) for (delay_s, _), frame in zip(steps, frames)]
    done = b"data: [DONE]\n\n"
    return Recording(
        b"".join(frames) + done, chunks=[*chunks, (0, len(done))], end=end, name="stalled"
    )


@pytest.fixture(params=APPS)
def app(request):
    return APPS[request.param]


@pytest.mark.parametrize("call", CALLS)
def test_heartbeats_during_a_stall_of_the_upstream_come_at_their_seconds(
    app, call, fake_upstream, sse_clock, stream_client
):
    fake_upstream.play(chat((0, "Hel"), (40, "lo")))
    with stream_client(app).post(f"/{call}", timeout=DEADLINE_S) as stream:
        assert stream.event().json() == {"data": "Hel"}
        came = []
        for _ in range(2):
            sse_clock.advance(14.5)
            with pytest.raises(TimeoutError):
                stream.comment(timeout=0)
            sse_clock.advance(0.5)
            came.append((sse_clock.monotonic(), stream.comment()))
        sse_clock.advance(10)
        assert stream.event().json() == {"data": "lo"}
        assert stream.event().event == "close"
        assert list(stream) == []
        assert came == [(15.0, ""), (30.0, "")]
        assert len(stream.comments) == 2
        assert {chunk.at_s for chunk in stream.chunks} == {0.0, 15.0, 30.0, 40.0}


@pytest.mark.parametrize("call", CALLS)
def test_an_advance_past_several_heartbeats_brings_what_is_due(
    app, call, fake_upstream, sse_clock, stream_client
):
    fake_upstream.play(chat((0, "Hel"), (40, "lo")))
    with stream_client(app).post(f"/{call}", timeout=DEADLINE_S) as stream:
        assert stream.event().json() == {"data": "Hel"}
        sse_clock.advance(40)
        assert stream.event().json() == {"data": "lo"}
        assert sse_clock.monotonic() == 40


@pytest.mark.parametrize("call", CALLS)
def test_an_upstream_that_stalls_for_ever_is_left_when_the_client_leaves(
    app, call, fake_upstream, sse_clock, stream_client
):
    fake_upstream.play(chat((0, "Hel"), (1, "lo")), fault=faults.stall(after_events=1))
    with stream_client(app).post(f"/{call}", timeout=DEADLINE_S) as stream:
        assert stream.event().json() == {"data": "Hel"}
        for _ in range(10):
            sse_clock.advance(15)
            assert stream.comment() == ""
        until = time.monotonic() + DEADLINE_S  # the server's thread may still be on its way there
        while "not ended: silent for ever, on its clock" not in fake_upstream.report():
            assert time.monotonic() < until, f"waited {DEADLINE_S} s for the stall to be told"


def test_a_request_that_waits_for_a_clock_that_nobody_moves_ends_and_is_told(monkeypatch):
    monkeypatch.setattr(clock_module, "PATIENCE_S", 0.05)
    upstream = FakeUpstream(VirtualClock())
    upstream.play(chat((3, "Hel")))
    told = "the virtual clock stood still for 0.05 s of real time"
    with upstream.serve() as base_url, requests.Session() as session:
        session.trust_env = False
        url = base_url + "/chat/completions"
        with pytest.raises(requests.RequestException):
            session.post(url, json=BODY, timeout=DEADLINE_S)
    with pytest.raises(AssertionError, match=told):
        upstream.verify()
    assert f"broke off: {told}" in upstream.report()


def test_a_sleep_on_a_clock_that_nobody_moves_ends_and_is_told(monkeypatch):
    monkeypatch.setattr(clock_module, "PATIENCE_S", 0.05)
    with pytest.raises(StuckClockError, match="stood still for 0.05 s"):
        VirtualClock().sleep(1)


def test_the_report_tells_how_long_an_answer_is_silent(
    app, sse_clock, stream_client, fake_upstream
):
    fake_upstream.play(chat((0, "Hel"), (40, "lo")))
    with stream_client(app).post("/requests", timeout=DEADLINE_S) as stream:
        stream.event()
        sse_clock.advance(2.5)
        with pytest.raises(TimeoutError):
            stream.event(timeout=0.01)
        assert fake_upstream.report() == (
            "requests:\n"
            "  POST /v1/chat/completions (model 'm', stream True)\n"
            "    answered by 'stalled'\n"
            "    not ended: silent for 37.5 s more, on its clock\n"
            "scripted:\n"
            "  'stalled' (played 1 of 1)"
        )
