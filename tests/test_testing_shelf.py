"""sse_middleware.testing._shelf: names of recordings, and that none is written twice."""

import os

import pytest

from sse_middleware.errors import OptionError
from sse_middleware.testing import Recording
from sse_middleware.testing._shelf import Shelf, name_of

NAMES = {
    "/v1/chat/completions": "chat-completions",
    "/chat/completions": "chat-completions",
    "/v1beta/models/gemini-2.0:streamGenerateContent": "models-gemini-2-0-streamgeneratecontent",
    "/v1/responses/": "responses",
    "/v1": "v1",
    "": "stream",
    "/": "stream",
    "/../../etc/passwd": "etc-passwd",
    "/a//b": "a-b",
    "/caf\u00e9": "caf",
    "/bot/AKIA****************/x": "bot-akia-x",
    "/" + "a" * 300: "a" * 60,
}


@pytest.mark.parametrize(("path", "name"), NAMES.items(), ids=[repr(path[:40]) for path in NAMES])
def test_a_path_is_called(path, name):
    assert name_of(path) == name


def test_numbers_go_on_behind_the_highest_that_is_there(tmp_path):
    for name in ("002-a.sse", "0010-b.json", "99.sse", "x-500-y.sse"):
        (tmp_path / name).write_bytes(b"")
    shelf = Shelf(tmp_path)
    assert [shelf.next_number(), shelf.next_number()] == [11, 12]


def test_a_file_that_is_there_is_never_written_to(tmp_path):
    shelf, other = Shelf(tmp_path / "new" / "folder"), Shelf(tmp_path / "new" / "folder")
    recording = Recording(b"data: 1\n\n", status=201)
    (shelf.folder / "001-b.json").write_text("mine")
    saved = [one.save(one.next_number(), "a", recording).name for one in (shelf, other)]
    assert saved == ["001-a.sse", "001-a-2.sse"]
    assert Shelf.save(shelf, 1, "b", recording).name == "001-b-2.sse"
    assert (shelf.folder / "001-b.json").read_text() == "mine"
    assert Recording.load(shelf.folder / "001-a-2.sse") == recording


def test_a_folder_that_was_tidied_away_is_made_again(tmp_path):
    shelf = Shelf(tmp_path / "out")
    (tmp_path / "out").rmdir()
    assert shelf.save(1, "a", Recording(b"")).exists()


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read any folder")
def test_a_folder_that_may_be_written_but_not_read_is_an_error(tmp_path):
    (tmp_path / "box").mkdir(0o300)
    with pytest.raises(OptionError, match="expected a folder to write to"):
        Shelf(tmp_path / "box")


@pytest.mark.skipif(os.name != "posix", reason="links are of POSIX")
@pytest.mark.parametrize("suffix", [".sse", ".json"])
def test_a_link_to_nowhere_is_not_followed(suffix, tmp_path):
    shelf = Shelf(tmp_path / "out")
    (shelf.folder / f"001-a{suffix}").symlink_to(tmp_path / "elsewhere")
    saved = shelf.save(1, "a", Recording(b"data: 1\n\n", status=201))
    assert saved.name == "001-a-2.sse"
    assert not (tmp_path / "elsewhere").exists()
