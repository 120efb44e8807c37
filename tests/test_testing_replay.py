"""sse_middleware.testing.replay: which recording answers which request."""

import json
from math import inf

import pytest

from sse_middleware.errors import RecordingError
from sse_middleware.testing import Recording
from sse_middleware.testing.exchange import ReceivedRequest, RequestHeaders
from sse_middleware.testing.replay import MATCHED_KEYS, Replay

CHAT = "/v1/chat/completions"


def body_of(number):
    return b"data: %d\n\n" % number


@pytest.fixture
def folder(tmp_path):
    """Saves recordings in order: each a request, or None; its body tells its number."""

    def save(*requests):
        for number, request in enumerate(requests):
            recording = Recording(body_of(number), request=request, chunks=[(2.0, 9)])
            recording.save(tmp_path / f"{number:03}.sse")
        return tmp_path

    return save


def asked(body=None, path=CHAT, method="POST"):
    return {"method": method, "path": path, **({} if body is None else {"body": body})}


def answer(replay, body=b"", path=CHAT, method="POST"):
    """The number of the recording that is played; for a 404, its message."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = ReceivedRequest(method, path, "", RequestHeaders([]), data)
    reply = replay.answer(request)
    assert reply.request is request
    if reply.recording.status == 404:
        return json.loads(reply.recording.body)["error"]["message"]
    return int(reply.recording.body[6:])


def test_recordings_without_a_request_answer_every_post_in_turn(folder):
    replay = Replay(folder(None, None, None))
    paths = [CHAT, "/", "/v1/responses", CHAT, CHAT]
    assert [answer(replay, path=path) for path in paths] == [0, 1, 2, 0, 1]
    assert "GET" in answer(replay, method="GET")


def test_a_request_is_answered_by_its_own_recording_any_number_of_times(folder):
    bodies = [{"model": "a"}, {"model": "b"}]
    replay = Replay(folder(*map(asked, bodies), None))
    assert [answer(replay, body) for body in [*bodies, *bodies, bodies[0]]] == [0, 1, 0, 1, 0]
    assert [answer(replay, {"model": "c"}), answer(replay, b"no JSON")] == [2, 2]


def test_several_recordings_of_one_request_take_turns(folder):
    replay = Replay(folder(asked({"model": "a"}), asked({"model": "b"}), asked({"model": "a"})))
    assert [answer(replay, {"model": "a"}) for _ in range(4)] == [0, 2, 0, 2]


@pytest.mark.parametrize("key", MATCHED_KEYS)
def test_what_shapes_the_answer_must_be_as_recorded(key, folder):
    replay = Replay(folder(asked({key: [{"a": 1}]})))
    assert answer(replay, {key: [{"a": 1}], "temperature": 1}) == 0
    assert f"json['{key}']" in answer(replay, {key: [{"a": 2}]})
    assert f"json['{key}'] is absent" in answer(replay, {})


def test_what_does_not_shape_it_may_differ(folder):
    replay = Replay(folder(asked({"model": "a", "user": "***", "seed": 1, "temperature": 0})))
    assert answer(replay, {"model": "a", "user": "bob", "temperature": 1}) == 0


def test_a_prompt_that_was_masked_answers_the_prompt_itself(folder):
    masked = {"messages": [{"content": "use sk-proj-" + "*" * 16}]}
    replay = Replay(folder(asked(masked)))
    assert answer(replay, {"messages": [{"content": "use sk-proj-0123456789abcdef"}]}) == 0


PATHS = {
    "the same": ("/v1/chat/completions", "/v1/chat/completions", True),
    "without its start": ("/openai/v1/chat/completions", "/v1/chat/completions", True),
    "with a start": ("/chat/completions", "/v1/chat/completions", True),
    "another": ("/v1/chat/completions", "/v1/responses", False),
    "half a segment": ("/v1/chat/completions", "/mychat/completions", False),
    "the root": ("/v1/", "/", False),
    "a pattern": ("/v1/[a]*", "/v1/ab", False),
    "a pattern, literally": ("/v1/[a]*", "/v1/[a]*", True),
}


@pytest.mark.parametrize(("recorded", "path", "fits"), PATHS.values(), ids=PATHS)
def test_the_end_of_a_path_will_do(recorded, path, fits, folder):
    replay = Replay(folder(asked(path=recorded)))
    got = answer(replay, path=path)
    assert got == 0 if fits else "path is" in got


def test_the_method_must_be_the_recorded_one(folder):
    replay = Replay(folder(asked(method="GET")))
    assert answer(replay, method="GET") == 0
    assert "method is 'POST': expected 'GET'" in answer(replay)


def test_a_request_that_none_fits_is_told_the_nearest_and_the_way_out(folder):
    replay = Replay(folder(asked({"model": "a", "stream": True})))
    assert answer(replay, {"model": "b", "stream": True}) == (
        "no recording answers POST /v1/chat/completions (model 'b', stream True): "
        "nearest: '000' for method 'POST', path '/v1/chat/completions', "
        "json {'model': 'a', 'stream': True} (played 0 of 1 or more); "
        "json['model'] is 'b': expected 'a'; "
        'a recording answers every POST once the "request" in its .json is taken out'
    )


@pytest.mark.parametrize(("speed", "delay_s"), [(1.0, 2.0), (4.0, 0.5), (inf, 0.0)])
def test_the_speed_divides_the_recorded_delays(speed, delay_s, folder):
    request = ReceivedRequest("POST", "/", "", RequestHeaders([]), b"")
    reply = Replay(folder(None), speed=speed).answer(request)
    assert [chunk.delay_s for chunk in reply.recording.chunks] == [delay_s]


def test_recorded_time_is_the_default(folder):
    request = ReceivedRequest("POST", "/", "", RequestHeaders([]), b"")
    assert Replay(folder(None)).answer(request).recording.chunks[0].delay_s == 2.0


@pytest.mark.parametrize("name", ["", "absent"])
def test_a_folder_without_recordings_is_refused(name, tmp_path):
    with pytest.raises(RecordingError) as caught:
        Replay(tmp_path / name)
    expected = f"{tmp_path / name} is without recordings: expected a folder of .sse files"
    assert str(caught.value) == expected


def test_a_damaged_recording_is_refused(folder):
    where = folder(None)
    (where / "000.json").write_text("{")
    with pytest.raises(RecordingError, match="000.json line 1 is not JSON"):
        Replay(where)


@pytest.mark.parametrize("request_", [{}, {"body": 1}, {"method": 7}, {"path": None}, {"x": 1}])
def test_a_request_of_another_form_does_not_stop_the_folder(request_, folder):
    assert isinstance(answer(Replay(folder(request_))), (int, str))
