"""``check_framing``, ``assert_framing``: what is wrong with a stream, in codes and in words.

The rules are in ``_framing_rules.py``, and in ``docs/framing.md``. Here a stream is taken from
whatever holds it: bytes, a recording, or the response that a test client returned.
"""

from typing import Any, Iterable, List, Optional

from sse_middleware.errors import FramingError, OptionError, shown
from sse_middleware.headers import Headers, is_encoded
from sse_middleware.testing._framing_headers import header_problems
from sse_middleware.testing._framing_problem import Problem
from sse_middleware.testing._framing_stream import StreamCheck
from sse_middleware.testing.recording import Recording

__all__ = ["Problem", "assert_framing", "check_framing"]

_BYTES = (bytes, bytearray, memoryview)
_NO_CONTENT = (204, 205, 304)


def check_framing(stream: Any, profile: str = "whatwg") -> List[Problem]:
    r"""The faults of a stream, in the order in which they come; empty if there are none.

    ``stream`` is bytes, an iterable of bytes (read to its end), a `Recording`, a stream of
    `StreamClient`, or a response of WebTest, Werkzeug, requests or httpx. Of a response the
    headers are checked too; a recording holds too few of them. Of a stream of `StreamClient` what
    has come is checked, and its end if it has ended by itself; one of which nothing has come is
    read to its end. How a body was cut into items is what `FramingLint` checks.

    Args:
        stream: what to check.
        profile: ``"whatwg"``: what a browser loses, and what the standard forbids. ``"openai"``:
            also what breaks the SDKs of OpenAI.

    >>> [problem.code for problem in check_framing(b"data: a\n\ndata: b")]
    ['SSE105']
    >>> check_framing(b"id: 1\n\n"), check_framing(b"id: 1\n\n", "openai")[0].code
    ([], 'SSE201')

    Raises:
        OptionError: an unknown profile, or a ``stream`` that holds no bytes.
        TimeoutError: a stream of `StreamClient` had no end.

    Source: WHATWG HTML 9.2; for ``openai`` measurements with its SDKs.
    """
    check = StreamCheck(profile)
    headers = _find_headers(stream)
    problems = []
    if headers is not None:
        if getattr(stream, "status_code", 200) in _NO_CONTENT:
            return []
        problems = header_problems(headers)
        if is_encoded(headers):
            return problems
    for chunk in _chunks(stream):
        problems += check.feed(chunk)
    return problems + (check.finish() if getattr(stream, "ended", True) else [])


def assert_framing(stream: Any, profile: str = "whatwg") -> None:
    r"""Fail with all the faults of a stream; see `check_framing` for the arguments.

    >>> assert_framing(b"data: Hello\n\n")

    Raises:
        FramingError: an AssertionError that says of each fault where it is, what was there, and
            how to mend it.
        OptionError: an unknown profile, or a ``stream`` that holds no bytes.
    """
    problems = check_framing(stream, profile)
    if problems:
        raise FramingError(problems)


def _find_headers(stream: Any) -> Optional[Headers]:
    headers = getattr(stream, "headers", None)
    if headers is None or isinstance(stream, Recording):
        return None
    pairs = [(str(name), str(value)) for name, value in headers.items()]
    if hasattr(stream, "app_iter"):  # WebOb adds the length of what it has read
        return [(name, value) for name, value in pairs if name.lower() != "content-length"]
    return pairs


def _chunks(stream: Any) -> Iterable[bytes]:
    if isinstance(stream, _BYTES):
        return [bytes(stream)]
    if isinstance(stream, Recording):
        return [stream.body]
    if hasattr(stream, "chunks"):
        if not stream.chunks:
            stream.read()
        return [chunk.data for chunk in stream.chunks]
    for name in ("content", "body", "data"):
        body = getattr(stream, name, None)
        if isinstance(body, bytes):
            return [body]
    if isinstance(stream, str) or not hasattr(stream, "__iter__"):
        raise OptionError("stream", shown(stream), "bytes, an iterable of bytes, or a response")
    return map(_checked, stream)


def _checked(chunk: Any) -> bytes:
    if not isinstance(chunk, _BYTES):
        raise OptionError("chunk", shown(chunk), "bytes")
    return bytes(chunk)
