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
is checked once, where it is made; the rules are in ``_recording_rules.py``.
"""

import pkgutil
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Type, TypeVar

from sse_middleware.errors import RecordingError, shown
from sse_middleware.testing import _recording_files as files
from sse_middleware.testing import _recording_rules as rules
from sse_middleware.testing._recording_files import AnyPath
from sse_middleware.testing._recording_rules import Chunk
from sse_middleware.testing._recording_sources import Sources, in_file

__all__ = ["Chunk", "Recording"]

_R = TypeVar("_R", bound="Recording")
_SHIPPED = "sse_middleware.testing.recordings"


@dataclass(frozen=True, init=False, repr=False)
class Recording(Sources):
    r"""One recorded answer; it never changes. Two are equal when they replay alike.

    Args:
        body: the bytes as they came.
        chunks: ``(seconds since the previous chunk, byte count)`` of each; one an event by
            default, that is a cut after each blank line, without delay.
        end: ``complete``; ``eof``, closed before its end; ``reset``; or ``stall``, silent but open.
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
        return None if self._request is None else dict(rules.request(self._request))

    def pieces(self) -> List[Tuple[float, bytes]]:
        """The body in its chunks: ``(seconds since the previous one, bytes)`` of each."""
        pieces = []
        start = 0
        for delay_s, size_bytes in self.chunks:
            pieces.append((delay_s, self.body[start : start + size_bytes]))
            start += size_bytes
        return pieces

    @classmethod
    def load(cls: Type[_R], path: AnyPath) -> _R:
        """The recording in the ``.sse`` file at ``path``, with the ``.json`` beside it, if any.

        Raises:
            RecordingError: the file is absent or damaged; the text names it, and the line.
        """
        sse, settings = files.pair_at(path)
        return cls._made(sse.stem, files.read(sse), files.find_bytes(settings), str(settings))

    @classmethod
    def named(cls: Type[_R], name: str) -> _R:
        """The recording of that name that ships with the package, such as ``"chat-text"``.

        Raises:
            RecordingError: none of that name ships; the text lists those that do.
        """
        shipped = _shipped_files()
        if f"{name}.sse" not in shipped:
            known = ", ".join(file[: -len(".sse")] for file in shipped if file.endswith(".sse"))
            raise RecordingError(f"recording {shown(name)}", "unknown", f"one of {known}")
        body = pkgutil.get_data(_SHIPPED, f"{name}.sse") or b""
        settings = f"{name}.json"
        text = pkgutil.get_data(_SHIPPED, settings) if settings in shipped else None
        return cls._made(name, body, text, settings)

    def save(self, path: AnyPath) -> None:
        """Write the ``.sse`` file at ``path``, and the ``.json`` beside it where it is needed.

        A ``.json`` that stands there and is not needed goes away. After an error the files are as
        they were.

        Raises:
            RecordingError: the name does not end in ``.sse``.
            OSError: the files cannot be written.
        """
        sse, settings = files.pair_at(path)
        changed = self._settings()
        files.write({settings: files.dumped(changed) if changed else None, sse: self.body})

    @classmethod
    def _made(cls: Type[_R], name: str, body: bytes, text: Optional[bytes], source: str) -> _R:
        """From what the two files hold; ``source`` is the ``.json`` file, for the errors."""
        settings = {} if text is None else rules.parsed(text, source)
        try:
            return cls(body, name=name, **settings)
        except RecordingError as error:
            raise in_file(source, error) from None

    def _settings(self) -> Dict[str, Any]:
        """What the ``.json`` must hold: all that differs from a recording of the body alone."""
        plain = Recording(self.body)
        held = [(key, getattr(self, key), getattr(plain, key)) for key in rules.KEYS]
        return {key: value for key, value, default in held if value != default}


def _shipped_files() -> List[str]:
    folders = import_module(_SHIPPED).__path__
    return sorted(file.name for folder in folders for file in Path(folder).iterdir())
