"""``Recording``: one answer of an upstream, byte for byte and chunk for chunk.

On disk, ``<name>.sse`` holds the body as it was received. ``<name>.json`` may stand beside it::

    {
      "status": 200,
      "headers": {"content-type": "text/event-stream; charset=utf-8"},
      "request": {"method": "POST", "path": "/v1/chat/completions"},
      "chunks": [
        [0.31, 120],
        [0.02, 250]
      ],
      "end": "complete"
    }

Each key may be left out. A chunk is ``[seconds since the previous chunk, byte count]``; a count
of 0 is a delay alone. ``end`` tells what followed the last chunk:

- ``complete``: the terminator of HTTP.
- ``eof``: the connection was closed without it (FIN).
- ``reset``: the connection was reset (RST).
- ``stall``: nothing; the connection stayed open and silent.

Without the ``.json``: status 200, one chunk an event, no delay, complete. What a recording holds
is checked once, where it is made; the rules are in ``_rules.py``.
"""

import copy
import json
import os
import pkgutil
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Type, TypeVar, Union

from sse_middleware.errors import RecordingError, shown
from sse_middleware.testing import _rules as rules
from sse_middleware.testing._rules import Chunk

__all__ = ["Chunk", "Recording"]

_Path = Union[str, "os.PathLike[str]"]
_R = TypeVar("_R", bound="Recording")
_SHIPPED = "sse_middleware.testing.recordings"


@dataclass(frozen=True, init=False, repr=False)
class Recording:
    r"""One recorded answer; it never changes. Two are equal when they replay alike.

    Args:
        body: the bytes as they came.
        chunks: ``(seconds since the previous chunk, byte count)`` of each; one an event by
            default, that is a cut after each blank line, without delay.
        end: ``complete``, ``eof``, ``reset`` or ``stall``; the module says what each means.
        name: what messages call it; neither saved nor compared.

    Raises:
        RecordingError: an argument that no recording can hold.

    >>> Recording(b"data: Hi\n\ndata: [DONE]\n\n").chunks
    (Chunk(delay_s=0.0, size_bytes=10), Chunk(delay_s=0.0, size_bytes=14))
    """

    body: bytes
    status: int
    #: Read-only, names as they were recorded.
    headers: Mapping[str, str] = field(hash=False)
    chunks: Tuple[Chunk, ...]
    end: str
    name: Optional[str] = field(compare=False)
    _request: Optional[Mapping[str, Any]] = field(hash=False)

    def __init__(
        self,
        body: bytes,
        *,
        status: int = 200,
        headers: Optional[Mapping[str, str]] = None,
        request: Optional[Mapping[str, Any]] = None,
        chunks: Optional[Sequence[Tuple[float, int]]] = None,
        end: str = "complete",
        name: Optional[str] = None,
    ) -> None:
        values = {
            "body": rules.body(body),
            "status": rules.status(status),
            "headers": rules.headers(rules.EVENT_STREAM if headers is None else headers),
            "_request": None if request is None else rules.request(request),
            "chunks": rules.chunk_an_event(body) if chunks is None else rules.chunks(chunks, body),
            "end": rules.end(end),
            "name": name,
        }
        for key, value in values.items():
            object.__setattr__(self, key, value)

    def __repr__(self) -> str:
        size = f"{len(self.body)} bytes in {len(self.chunks)} chunks"
        return f"<Recording {self.name or ''!r}: {self.status}, {size}, {self.end}>"

    @property
    def request(self) -> Optional[Dict[str, Any]]:
        """What was asked, as far as it was recorded: a copy of the ``request`` object."""
        return None if self._request is None else dict(copy.deepcopy(self._request))

    def pieces(self) -> List[Tuple[float, bytes]]:
        """The body in its chunks: ``(seconds since the previous one, bytes)`` of each."""
        pieces = []
        start = 0
        for delay_s, size_bytes in self.chunks:
            pieces.append((delay_s, self.body[start : start + size_bytes]))
            start += size_bytes
        return pieces

    @classmethod
    def load(cls: Type[_R], path: _Path) -> _R:
        """The recording in the ``.sse`` file at ``path``, with the ``.json`` beside it, if any.

        Raises:
            RecordingError: the file is absent or damaged; the text names it, and the line.
        """
        sse, settings = _files_of(path)
        body = _find_bytes(sse)
        if body is None:
            raise RecordingError(str(sse), "absent", "a recording")
        return cls._made(sse.stem, body, _find_bytes(settings), str(settings))

    @classmethod
    def named(cls: Type[_R], name: str) -> _R:
        """The recording of that name that ships with the package, such as ``"chat-text"``.

        Raises:
            RecordingError: none of that name ships; the text lists those that do.
        """
        files = _shipped_files()
        if f"{name}.sse" not in files:
            known = ", ".join(file[: -len(".sse")] for file in files if file.endswith(".sse"))
            raise RecordingError(f"recording {shown(name)}", "unknown", f"one of {known}")
        body = pkgutil.get_data(_SHIPPED, f"{name}.sse") or b""
        settings = f"{name}.json"
        text = pkgutil.get_data(_SHIPPED, settings) if settings in files else None
        return cls._made(name, body, text, settings)

    def save(self, path: _Path) -> None:
        """Write the ``.sse`` file at ``path``, and the ``.json`` beside it where it is needed.

        A ``.json`` that stands there and is not needed goes away.

        Raises:
            RecordingError: the name does not end in ``.sse``.
            OSError: the files cannot be written.
        """
        sse, settings = _files_of(path)
        changed = self._settings()
        sse.write_bytes(self.body)
        if changed:
            settings.write_bytes(_dumped(changed))
        elif settings.exists():
            settings.unlink()

    @classmethod
    def _made(cls: Type[_R], name: str, body: bytes, text: Optional[bytes], source: str) -> _R:
        """From what the two files hold; ``source`` is the ``.json`` file, for the errors."""
        settings = {} if text is None else rules.parsed(text, source)
        try:
            return cls(body, name=name, **settings)
        except RecordingError as error:
            thing = f"{source}: {error.thing}"
            raise RecordingError(thing, error.measured, error.expected) from None

    def _settings(self) -> Dict[str, Any]:
        """What the ``.json`` must hold: all that differs from a recording of the body alone."""
        plain = Recording(self.body)
        held = [(key, getattr(self, key), getattr(plain, key)) for key in rules.KEYS]
        return {key: value for key, value, default in held if value != default}


def _files_of(path: _Path) -> Tuple[Path, Path]:
    """The ``.sse`` and the ``.json`` file of the recording at ``path``."""
    sse = Path(path)
    if sse.suffix != ".sse":
        raise RecordingError(str(sse), f"named {shown(sse.suffix)}", "a name that ends in .sse")
    return sse, sse.with_suffix(".json")


def _find_bytes(path: Path) -> Optional[bytes]:
    """What the file holds; None if there is no such file."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RecordingError(str(path), f"unreadable ({error.strerror})", "a file") from None


def _shipped_files() -> List[str]:
    folders = import_module(_SHIPPED).__path__
    return sorted(file.name for folder in folders for file in Path(folder).iterdir())


def _dumped(settings: Mapping[str, Any]) -> bytes:
    """JSON with a line for each key and for each chunk, so that a diff shows what changed."""
    lines = [f"  {json.dumps(key)}: {_dumped_value(value)}" for key, value in settings.items()]
    return ("{\n" + ",\n".join(lines) + "\n}\n").encode("ascii")


def _dumped_value(value: Any) -> str:
    if isinstance(value, tuple):
        return "[\n" + ",\n".join(f"    {json.dumps(chunk)}" for chunk in value) + "\n  ]"
    return json.dumps(value, default=dict)
