"""sse_middleware.testing.recording: what a recording holds, and what a damaged one says."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sse_middleware.errors import RecordingError
from sse_middleware.testing import Recording
from sse_middleware.testing.recording import Chunk

SHIPPED = Path(__file__).parents[1] / "fixtures" / "recordings"
NAMES = sorted(path.stem for path in SHIPPED.glob("*.sse"))
KEYS = "status, headers, request, chunks, end"
BODY = b"data: 1\n\ndata: 2\n\n"


def write(folder, settings, body=BODY):
    """A recording of ``body`` in ``folder``, its .json as given; the path of its .sse."""
    path = folder / "r.sse"
    path.write_bytes(body)
    if settings is not None:
        text = settings if isinstance(settings, bytes) else json.dumps(settings).encode()
        (folder / "r.json").write_bytes(text)
    return path


def test_a_lone_body_is_status_200_with_a_chunk_an_event_and_complete(tmp_path):
    recording = Recording.load(write(tmp_path, None))
    assert recording.body == BODY
    assert recording.status == 200
    assert dict(recording.headers) == {"content-type": "text/event-stream; charset=utf-8"}
    assert recording.request is None
    assert recording.chunks == ((0.0, 9), (0.0, 9))
    assert recording.end == "complete"
    assert recording.name == "r"


@pytest.mark.parametrize(
    ("body", "sizes"),
    [
        pytest.param(b"", [], id="empty"),
        pytest.param(b"data: 1\n\ndata: 2\n\n", [9, 9], id="LF"),
        pytest.param(b"data: 1\r\n\r\ndata: 2\r\n\r\n", [11, 11], id="CRLF"),
        pytest.param(b"data: 1\r\rdata: 2\r\r", [9, 9], id="CR"),
        pytest.param(b"data: 1\r\n\ndata: 2\n\r\n", [10, 10], id="mixed"),
        pytest.param(b"data: 1\n\r\rdata: 2\n\n", [9, 1, 9], id="CR after LF"),
        pytest.param(b"data: 1\r\ndata: 2\r\n\r\n", [20], id="two lines are one event"),
        pytest.param(b"data: 1\n\ndata: 2\n", [9, 8], id="a tail with its line end"),
        pytest.param(b"data: 1\n\ndat", [9, 3], id="a tail inside a line"),
        pytest.param(b"data: 1\n\n\ndata: 2\n\n", [9, 1, 9], id="a blank line more"),
        pytest.param(b"\n: c\n\n", [1, 5], id="a blank line first"),
        pytest.param("data: \u2028\x85\x0b\n\n".encode(), [14], id="no other line ends"),
        pytest.param(b"no line end at all", [18], id="no line"),
    ],
)
def test_without_chunks_a_cut_follows_each_blank_line(body, sizes):
    assert [chunk.size_bytes for chunk in Recording(body).chunks] == sizes


def test_pieces_are_the_body_cut_into_its_chunks():
    recording = Recording(BODY, chunks=[(0.5, 4), (0, 0), (1, 14)])
    assert recording.pieces() == [(0.5, b"data"), (0.0, b""), (1.0, b": 1\n\ndata: 2\n\n")]


FULL = {
    "status": 500,
    "headers": {"Content-Type": "text/plain", "x-request-id": "req_1"},
    "request": {"method": "POST", "body": {"messages": [{"content": "\u00e9\U0001f44b"}]}},
    "chunks": [[0.25, 10], [3, 0], [1e-7, 8]],
    "end": "stall",
}


def test_every_key_of_the_json_is_read(tmp_path):
    recording = Recording.load(write(tmp_path, FULL))
    assert recording.status == 500
    assert recording.headers == FULL["headers"]
    assert recording.request == FULL["request"]
    assert recording.chunks == (Chunk(0.25, 10), Chunk(3.0, 0), Chunk(1e-7, 8))
    assert recording.end == "stall"


@pytest.mark.parametrize("settings", [None, {}, FULL, {"end": "eof"}, {"chunks": [[0, 18]]}])
def test_what_was_loaded_is_saved_with_the_same_bytes_and_loads_equal(tmp_path, settings):
    loaded = Recording.load(write(tmp_path, settings))
    loaded.save(tmp_path / "copy.sse")
    assert (tmp_path / "copy.sse").read_bytes() == BODY
    assert Recording.load(tmp_path / "copy.sse") == loaded
    loaded.save(tmp_path / "r.sse")
    assert Recording.load(tmp_path / "r.sse") == loaded


def test_a_json_that_is_not_needed_is_not_written_and_an_old_one_goes(tmp_path):
    path = write(tmp_path, {"end": "reset"})
    Recording(BODY).save(path)
    assert [file.name for file in tmp_path.iterdir()] == ["r.sse"]


def test_the_saved_json_has_a_line_for_each_key_and_chunk(tmp_path):
    Recording(BODY, end="eof", chunks=[(0.5, 9), (0, 9)]).save(tmp_path / "r.sse")
    assert (tmp_path / "r.json").read_text() == (
        '{\n  "chunks": [\n    [0.5, 9],\n    [0.0, 9]\n  ],\n  "end": "eof"\n}\n'
    )


def test_a_dot_in_the_name_stays(tmp_path):
    Recording(BODY, end="eof").save(tmp_path / "gpt-3.5.sse")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["gpt-3.5.json", "gpt-3.5.sse"]
    assert Recording.load(tmp_path / "gpt-3.5.sse").end == "eof"


def test_a_path_may_be_a_str(tmp_path):
    Recording(BODY).save(str(tmp_path / "r.sse"))
    assert Recording.load(str(tmp_path / "r.sse")).body == BODY


AN_OBJECT = f"expected an object with keys of {KEYS}"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (b"", f" line 1 is not JSON (Expecting value): {AN_OBJECT}"),
        (
            b'{\n  "status": 200,\n  "end" "eof"\n}',
            f" line 3 is not JSON (Expecting ':' delimiter): {AN_OBJECT}",
        ),
        (b'{\n"end": "\xff"}', f" line 2 is not UTF-8: {AN_OBJECT}"),
        (["eof"], f" is ['eof']: {AN_OBJECT}"),
        ({"ending": "eof"}, f": key 'ending' is unknown: expected one of {KEYS}"),
        ({"chunks": None}, ": chunks is null: expected a value, or no such key"),
        ({"status": "200"}, ": status is '200': expected an int of 200 to 599, not 204 or 304"),
        ({"status": True}, ": status is True: expected an int of 200 to 599, not 204 or 304"),
        ({"status": 204}, ": status is 204: expected an int of 200 to 599, not 204 or 304"),
        ({"status": 99}, ": status is 99: expected an int of 200 to 599, not 204 or 304"),
        ({"headers": []}, ": headers is []: expected an object of names and values"),
        (
            {"headers": {"a b": "1"}},
            ": headers is {'a b': '1'}: expected names made of token characters",
        ),
        ({"headers": {"a": 1}}, ": headers['a'] is 1: expected one line of latin-1 text"),
        (
            {"headers": {"a": "1\r\nb: 2"}},
            ": headers['a'] is '1\\r\\nb: 2': expected one line of latin-1 text",
        ),
        ({"request": "POST"}, ": request is 'POST': expected an object that JSON can hold"),
        ({"chunks": {}}, ": chunks is {}: expected a list of [seconds, byte count]"),
        ({"chunks": [9, 9]}, ": chunks[0] is 9: expected [seconds, byte count]"),
        ({"chunks": [[0, 9], [0]]}, ": chunks[1] is [0]: expected [seconds, byte count]"),
        ({"chunks": [[-1, 18]]}, ": chunks[0][0] is -1: expected seconds, from 0 to 1e9"),
        ({"chunks": [["0", 18]]}, ": chunks[0][0] is '0': expected seconds, from 0 to 1e9"),
        ({"chunks": [[True, 18]]}, ": chunks[0][0] is True: expected seconds, from 0 to 1e9"),
        (b'{"chunks": [[NaN, 18]]}', ": chunks[0][0] is nan: expected seconds, from 0 to 1e9"),
        (b'{"chunks": [[1e999, 18]]}', ": chunks[0][0] is inf: expected seconds, from 0 to 1e9"),
        ({"chunks": [[0, 18.0]]}, ": chunks[0][1] is 18.0: expected a byte count, from 0"),
        ({"chunks": [[0, True]]}, ": chunks[0][1] is True: expected a byte count, from 0"),
        ({"chunks": [[0, 19], [0, -1]]}, ": chunks[1][1] is -1: expected a byte count, from 0"),
        ({"chunks": [[0, 9]]}, ": chunks is 9 bytes in all: expected the 18 of the body"),
        ({"chunks": [[0, 19]]}, ": chunks is 19 bytes in all: expected the 18 of the body"),
        (
            {"chunks": [[1e9, 9], [1, 9]]},
            ": chunks is 1000000001.0 s in all: expected 1e9 or less",
        ),
        ({"chunks": []}, ": chunks is 0 bytes in all: expected the 18 of the body"),
        ({"end": "fin"}, ": end is 'fin': expected one of complete, eof, reset, stall"),
        ({"end": ["eof"]}, ": end is ['eof']: expected one of complete, eof, reset, stall"),
    ],
)
def test_a_damaged_json_is_told_in_one_line(tmp_path, settings, message):
    path = write(tmp_path, settings)
    with pytest.raises(RecordingError) as caught:
        Recording.load(path)
    assert str(caught.value) == str(path.with_suffix(".json")) + message


@pytest.mark.parametrize("text", [b"[" * 100_000, b'{"status": ' + b"9" * 9_000 + b"}"])
def test_json_that_python_gives_up_on_is_a_recording_error(tmp_path, text):
    with pytest.raises(RecordingError, match=r"r\.json"):
        Recording.load(write(tmp_path, text))


def test_an_absent_file_is_told(tmp_path):
    with pytest.raises(RecordingError) as caught:
        Recording.load(tmp_path / "no.sse")
    assert str(caught.value) == f"{tmp_path / 'no.sse'} is absent: expected a recording"


def test_a_folder_is_no_recording(tmp_path):
    (tmp_path / "r.sse").mkdir()
    with pytest.raises(RecordingError) as caught:
        Recording.load(tmp_path / "r.sse")
    assert str(caught.value) == (
        f"{tmp_path / 'r.sse'} is unreadable (Is a directory): expected a file"
    )


@pytest.mark.parametrize("name", ["r.json", "r", "r.txt"])
def test_a_name_that_does_not_end_in_sse_is_refused(tmp_path, name):
    suffix = Path(name).suffix
    message = f"{tmp_path / name} is named {suffix!r}: expected a name that ends in .sse"
    for call in (Recording.load, Recording(BODY).save):
        with pytest.raises(RecordingError) as caught:
            call(tmp_path / name)
        assert str(caught.value) == message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"body": "data: 1\n\n"}, "body is 'data: 1\\n\\n': expected bytes"),
        ({"end": "fin"}, "end is 'fin': expected one of complete, eof, reset, stall"),
        (
            {"request": {"at": {1, 2}}},
            "request is {'at': {1, 2}}: expected an object that JSON can hold",
        ),
        (
            {"request": {"at": float("nan")}},
            "request is {'at': nan}: expected an object that JSON can hold",
        ),
    ],
)
def test_a_recording_is_checked_where_it_is_made(arguments, message):
    with pytest.raises(RecordingError) as caught:
        Recording(**{"body": BODY, **arguments})
    assert str(caught.value) == message


def test_a_request_that_is_nested_deep_comes_back_as_it_was():
    deep = 1
    for _ in range(600):
        deep = {"a": deep}
    assert json.dumps(Recording(BODY, request=deep).request) == json.dumps(deep)


def test_a_recording_never_changes():
    headers, request = {"a": "1"}, {"body": {"n": 1}}
    recording = Recording(BODY, headers=headers, request=request)
    headers["a"] = "2"
    request["body"]["n"] = 2
    recording.request["body"]["n"] = 3
    assert recording == Recording(BODY, headers={"a": "1"}, request={"body": {"n": 1}})
    with pytest.raises(AttributeError):
        recording.body = b""
    with pytest.raises(TypeError):
        recording.headers["a"] = "2"
    assert len({recording, Recording(BODY, headers={"a": "1"}, request={"body": {"n": 1}})}) == 1


@pytest.mark.parametrize(
    "other",
    [
        Recording(BODY + b"\n"),
        Recording(BODY, status=201),
        Recording(BODY, headers={}),
        Recording(BODY, request={}),
        Recording(BODY, chunks=[(0, 18)]),
        Recording(BODY, end="eof"),
    ],
    ids=repr,
)
def test_recordings_that_differ_are_not_equal(other):
    assert other != Recording(BODY)


def test_the_name_is_not_compared():
    assert Recording(BODY, name="a") == Recording(BODY)


def test_the_repr_tells_what_it_is():
    assert repr(Recording(BODY, name="a", end="eof")) == (
        "<Recording 'a': 200, 18 bytes in 2 chunks, eof>"
    )


@pytest.mark.parametrize("name", NAMES)
def test_each_recording_that_ships_is_found_by_name(name):
    recording = Recording.named(name)
    assert recording == Recording.load(SHIPPED / f"{name}.sse")
    assert recording.name == name


@pytest.mark.parametrize("name", ["chat-tekst", "", "../recordings/chat-text", "chat-text.sse"])
def test_an_unknown_name_lists_those_that_ship(name):
    with pytest.raises(RecordingError) as caught:
        Recording.named(name)
    assert str(caught.value) == f"recording {name!r} is unknown: expected one of {', '.join(NAMES)}"


def test_importing_the_testing_half_loads_nothing_until_a_name_is_used():
    code = (
        "import sys\n"
        "before = set(sys.modules)\n"
        "import sse_middleware.testing as t\n"
        "heavy = {'http.server', 'socketserver', 'json', 'sse_middleware.testing.upstream'}\n"
        "assert not heavy & (set(sys.modules) - before)\n"
        "assert 'FakeUpstream' in t.__all__ and set(t.__all__) <= set(dir(t))\n"
        "t.FakeUpstream()\n"
        "assert not {'http.server', 'socketserver'} & set(sys.modules)\n"
        "assert not hasattr(t, 'Nonsense')\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
