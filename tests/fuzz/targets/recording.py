"""`Recording.load` on any two files: a `RecordingError` of one line, or what can be replayed."""

import atexit
import os
import shutil
import tempfile
from functools import lru_cache
from pathlib import Path

from material import assert_one_line, bodies

from sse_middleware.errors import RecordingError
from sse_middleware.testing import Recording, rechunk

FILES_PATH = os.environ.get("SSE_FUZZ_FILES")
BETWEEN = b"\n--- the .json ---\n"
SETTINGS = (
    b'{"status": 200, "headers": {"a": "b"}, "request": {"path": "/v1"}, "end": "eof"}',
    b'{"chunks": [[0.5, 0], [1e9, 9]]}',
    b'{"chunks": [[NaN, 9]]}',
    b'{"status": 1e400, "end": null}',
    b'{"request": {"body": {"model": "m\\ud800"}}}',
)


@lru_cache(maxsize=None)
def folder():
    """Where the files are written. libFuzzer ends its process, so that ``run.py`` removes them."""
    if FILES_PATH:
        return Path(FILES_PATH)
    made = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return Path(made)


def seeds():
    """The body, then the settings."""
    pairs = [BETWEEN.join((b"data: 1\n\n", text)) for text in SETTINGS]
    for body in {body[:300] for body in bodies()}:
        half = len(body) // 2
        chunks = b'{"chunks": [[0.25, %d], [0, 0], [0.5, %d]]}' % (half, len(body) - half)
        pairs.append(body + BETWEEN + chunks)
    return sorted(pairs)


def check(data):
    """Load; save and load again; cut in every way."""
    body, found, settings = data.partition(BETWEEN)
    path = folder() / "r.sse"
    path.write_bytes(body)
    path.with_suffix(".json").write_bytes(settings if found else b"{}")
    try:
        recording = Recording.load(path)
    except RecordingError as error:
        assert_one_line(error)
        return
    check_recording(recording)


def check_recording(recording):
    """It is kept as it is, and each way to cut it keeps its bytes and its time."""
    path = folder() / "again.sse"
    recording.save(path)
    assert Recording.load(path) == recording
    assert b"".join(data for _, data in recording.pieces()) == recording.body
    duration_s = sum(chunk.delay_s for chunk in recording.chunks)
    assert repr(recording)
    for mode in rechunk.MODES:
        again = mode(recording)
        assert again.body == recording.body
        lasts_s = sum(chunk.delay_s for chunk in again.chunks)
        assert abs(lasts_s - duration_s) <= 1e-6 * max(1.0, duration_s), mode.__name__
