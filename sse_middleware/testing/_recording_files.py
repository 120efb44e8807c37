"""A recording's files on disk: read with errors that name them, written all or not at all.

A test run that is interrupted while it saves must not leave a body beside the timing of another.
"""

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any, Mapping, Optional, Tuple, Union
from uuid import uuid4

from sse_middleware.errors import RecordingError, shown

__all__ = ["AnyPath", "dumped", "find_bytes", "pair_at", "read", "write"]

AnyPath = Union[str, "os.PathLike[str]"]


def pair_at(path: AnyPath) -> Tuple[Path, Path]:
    """The ``.sse`` and the ``.json`` file of the recording at ``path``."""
    sse = Path(path)
    if sse.suffix != ".sse":
        raise RecordingError(str(sse), f"named {shown(sse.suffix)}", "a name that ends in .sse")
    return sse, sse.with_suffix(".json")


def read(path: Path) -> bytes:
    """What the file holds.

    Raises:
        RecordingError: there is no such file, or it cannot be read.
    """
    content = find_bytes(path)
    if content is None:
        raise RecordingError(str(path), "absent", "a recording")
    return content


def find_bytes(path: Path) -> Optional[bytes]:
    """What the file holds; None if there is no such file."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RecordingError(str(path), f"unreadable ({error.strerror})", "a file") from None
    except ValueError as error:  # a NUL in the path
        raise RecordingError(shown(str(path)), f"unreadable ({error})", "a file") from None


def write(files: Mapping[Path, Optional[bytes]]) -> None:
    """Each file gets its content, or goes away for None; after an error all are as they were.

    Raises:
        OSError: a file cannot be written.
    """
    before = {path: path.read_bytes() if path.exists() else None for path in files}
    try:
        for path, content in files.items():
            _put(path, content)
    except BaseException:
        for path, content in before.items():
            with suppress(OSError):
                _put(path, content)
        raise


def _put(path: Path, content: Optional[bytes]) -> None:
    """Readers see the old content or the new, never a part: it is written beside and moved."""
    if content is None:
        with suppress(FileNotFoundError):
            path.unlink()
        return
    target = Path(os.path.realpath(str(path)))
    part = target.with_name(f".{uuid4().hex}.part")
    try:
        part.write_bytes(content)
        os.replace(str(part), str(target))
    except OSError as error:
        if error.filename is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from None  # not that of the part
    finally:
        with suppress(FileNotFoundError):
            part.unlink()


def dumped(settings: Mapping[str, Any]) -> bytes:
    """JSON with a line for each key and for each chunk, so that a diff shows what changed."""
    lines = [f"  {json.dumps(key)}: {_dumped_value(value)}" for key, value in settings.items()]
    return ("{\n" + ",\n".join(lines) + "\n}\n").encode("ascii")


def _dumped_value(value: Any) -> str:
    if isinstance(value, tuple):
        return "[\n" + ",\n".join(f"    {json.dumps(chunk)}" for chunk in value) + "\n  ]"
    return json.dumps(value, default=dict)
