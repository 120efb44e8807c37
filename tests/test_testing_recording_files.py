"""sse_middleware.testing._recording_files: what is written is whole, or as it was."""

import os
from pathlib import Path

import pytest

from sse_middleware.errors import RecordingError
from sse_middleware.testing import Recording
from sse_middleware.testing._recording_files import write

OLD = Recording(b"data: old\n\n", end="eof")
NEW = Recording(b"data: newer\n\n", end="reset")


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("number", [1, 2])
def test_a_save_that_fails_leaves_the_old_recording(tmp_path, monkeypatch, number):
    OLD.save(tmp_path / "r.sse")
    real, calls = os.replace, []

    def failing(source, target):
        calls.append(target)
        if len(calls) == number:
            raise OSError(28, "No space left on device")
        real(source, target)

    monkeypatch.setattr(os, "replace", failing)
    with pytest.raises(OSError, match="No space left"):
        NEW.save(tmp_path / "r.sse")
    assert Recording.load(tmp_path / "r.sse") == OLD
    assert names(tmp_path) == ["r.json", "r.sse"]


def test_a_save_that_fails_names_the_file_that_was_asked_for(tmp_path):
    path = tmp_path / "absent" / "r.sse"
    with pytest.raises(FileNotFoundError) as caught:
        Recording(b"").save(path)
    assert caught.value.filename == str(path)


def test_a_save_that_is_interrupted_leaves_the_old_recording(tmp_path, monkeypatch):
    OLD.save(tmp_path / "r.sse")
    real, calls = Path.write_bytes, []

    def interrupted(path, content):
        calls.append(path)
        if len(calls) == 2:
            real(path, content[:3])
            raise KeyboardInterrupt
        return real(path, content)

    monkeypatch.setattr(Path, "write_bytes", interrupted)
    with pytest.raises(KeyboardInterrupt):
        NEW.save(tmp_path / "r.sse")
    assert Recording.load(tmp_path / "r.sse") == OLD
    assert names(tmp_path) == ["r.json", "r.sse"]


def test_a_first_save_that_fails_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "replace", lambda *paths: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        NEW.save(tmp_path / "r.sse")
    assert names(tmp_path) == []


def test_a_folder_in_the_way_of_the_json_leaves_the_old_body(tmp_path):
    Recording(b"data: old\n\n").save(tmp_path / "r.sse")
    (tmp_path / "r.json").mkdir()
    with pytest.raises(OSError, match="r.json"):
        NEW.save(tmp_path / "r.sse")
    assert (tmp_path / "r.sse").read_bytes() == b"data: old\n\n"


def test_a_folder_that_is_absent_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        NEW.save(tmp_path / "no" / "r.sse")


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "real.sse").write_bytes(b"old")
    (tmp_path / "r.sse").symlink_to("real.sse")
    Recording(b"data: 1\n\n").save(tmp_path / "r.sse")
    assert (tmp_path / "r.sse").is_symlink()
    assert (tmp_path / "real.sse").read_bytes() == b"data: 1\n\n"


@pytest.mark.skipif(os.name == "nt", reason="modes are another thing there")
def test_files_are_as_readable_as_others(tmp_path):
    (tmp_path / "other").write_bytes(b"")
    NEW.save(tmp_path / "r.sse")
    modes = {path.stat().st_mode for path in tmp_path.iterdir()}
    assert len(modes) == 1


def test_none_removes_a_file_and_its_absence_is_no_error(tmp_path):
    (tmp_path / "a").write_bytes(b"1")
    write({tmp_path / "a": None, tmp_path / "b": None})
    assert names(tmp_path) == []


def test_a_path_with_a_nul_is_a_recording_error():
    with pytest.raises(RecordingError) as caught:
        Recording.load("a\0b.sse")
    assert str(caught.value) == "'a\\x00b.sse' is unreadable (embedded null byte): expected a file"
