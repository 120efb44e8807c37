"""Folders of recordings: one is found by its name, or saved under one that no other has."""

import os
import re
import threading
from itertools import count
from pathlib import Path
from typing import Optional, Union

from sse_middleware.errors import OptionError, RecordingError, shown
from sse_middleware.testing.recording import Recording

__all__ = ["Shelf", "name_of", "recording_of"]

_NUMBERED = re.compile(r"(\d+)-")
_VERSION = re.compile(r"v\d+[a-z0-9]*")
_LONGEST_NAME = 60


def name_of(path: str) -> str:
    """What a recording of ``path`` is called, without its number.

    >>> name_of("/v1/chat/completions")
    'chat-completions'
    >>> name_of("/")
    'stream'
    """
    words = re.sub(r"[^a-z0-9/]+", "-", path.lower()).strip("/").split("/")
    if len(words) > 1 and _VERSION.fullmatch(words[0]):
        del words[0]
    named = filter(None, (word.strip("-") for word in words))
    return "-".join(named)[:_LONGEST_NAME].strip("-") or "stream"


class Shelf:
    """A folder of recordings. Their numbers go on behind the highest one that is there.

    Raises:
        OptionError: the folder cannot be made, read or written to.
    """

    def __init__(self, folder: Union[str, "os.PathLike[str]"]) -> None:
        self.folder = Path(folder)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            writable = os.access(self.folder, os.W_OK | os.X_OK)
            names = os.listdir(self.folder)
        except OSError:  # a file of that name, or a folder, or one above it, that is not ours
            writable, names = False, []
        if not writable:
            expected = "a folder to write to, or the name of a new one"
            raise OptionError("folder", shown(str(folder)), expected)
        found = [_NUMBERED.match(name) for name in names]
        self._numbers = count(max([0, *(int(number.group(1)) for number in found if number)]) + 1)
        self._lock = threading.Lock()

    def next_number(self) -> int:
        """A number that no recording of ours has."""
        with self._lock:
            return next(self._numbers)

    def save(self, number: int, name: str, recording: Recording) -> Path:
        """Write ``recording`` to files that are not there yet; its ``.sse`` file.

        Raises:
            OSError: the files cannot be written.
        """
        path = self._claimed(f"{number:03}-{name}")
        recording.save(path)
        return path

    def _claimed(self, stem: str) -> Path:
        """A file of our own: another recorder may write to the same folder."""
        self.folder.mkdir(parents=True, exist_ok=True)  # it may have been tidied away
        tried = stem
        for again in range(2, 10_000):
            path = self.folder / f"{tried}.sse"
            try:
                if not os.path.lexists(str(path.with_suffix(".json"))):  # nor a link to elsewhere
                    path.open("xb").close()
                    return path
            except FileExistsError:
                pass
            tried = f"{stem}-{again}"
        raise FileExistsError(f"{self.folder / stem}.sse and 9,998 like it are there already")


def recording_of(recording: Union[Recording, str], folder: Optional[Path]) -> Recording:
    """The recording itself, or the one of that name: from ``folder``, else one that ships.

    Raises:
        OptionError: it is neither.
        RecordingError: there is none of that name; the text lists those that are.
    """
    if isinstance(recording, Recording):
        return recording
    if not isinstance(recording, str):
        expected = "a Recording, or the name of one (Recording.load reads a file)"
        raise OptionError("recording", shown(recording), expected)
    own = sorted(folder.glob("*.sse")) if folder is not None else []
    for path in own:
        if path.stem == recording:
            return Recording.load(path)
    try:
        return Recording.named(recording)
    except RecordingError as error:
        names = "".join(f"{path.stem}, " for path in own)
        expected = error.expected.replace("one of ", f"one of {names}", 1)
        raise RecordingError(error.thing, error.measured, expected) from None
