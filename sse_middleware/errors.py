"""Every exception that this package raises, as a tree.

::

    SSEError
    ├── EventError          an item that cannot become an event (the app's mistake)
    ├── EventTooLargeError  a stream whose event is past the parser's bound (the sender's)
    ├── OptionError         an argument with no meaning (the caller's)
    ├── ResponseError       an app that breaks the WSGI contract (the app's)
    ├── UpstreamError       an upstream that failed or said so (the upstream's)
    ├── StreamLostError     a kept stream whose rest will never come (its producer's)
    ├── RecordingError      a recording that is damaged or absent (the file's)
    ├── FramingError        a stream that broke rules of framing, in a test (the app's)
    ├── StuckClockError     a virtual clock that nobody moves (the test's)
    ├── StreamEndedError    a stream that ended before what a test read it for (the app's)
    │   └── StreamCutError  its connection was cut (the server's)
    └── StillRunningError   an app that goes on after its client left (the app's)

The ones that compare a value with a rule hold it as fields, and make their text from them:
``<thing> is <measured>: expected <expected>``.
"""

import reprlib
from typing import Dict, Optional, Sequence, Tuple

__all__ = [
    "EventError",
    "EventTooLargeError",
    "FramingError",
    "OptionError",
    "RecordingError",
    "ResponseError",
    "SSEError",
    "StillRunningError",
    "StreamCutError",
    "StreamEndedError",
    "StreamLostError",
    "StuckClockError",
    "UpstreamError",
    "printable",
    "shown",
    "shown_url",
]

_TOLD_OF_EACH = 3  # problems of one code that a message tells in full

_short = reprlib.Repr()
_short.maxstring = _short.maxother = 60


def shown(value: object) -> str:
    """The ``repr`` of ``value``, cut to a length that fits on a line of a log."""
    try:
        return _short.repr(value)
    except Exception:  # a broken __repr__ must not hide the mistake that is being told
        return f"<{type(value).__name__}>"


def shown_url(url: object) -> str:
    """`shown`, but for a URL that may hold a password or a key.

    >>> shown_url("redis://:hunter2@localhost:port"), shown_url("localhost")
    ('one with a user, a password or a query', "'localhost'")
    """
    is_private = isinstance(url, str) and ("@" in url or "?" in url)
    return "one with a user, a password or a query" if is_private else shown(url)


def printable(text: str) -> str:
    r"""``text`` with what a terminal or a log would obey, or not show, as escapes.

    >>> print(printable("a\x1b[2J\nb\u200b"))
    a\x1b[2J\nb\u200b
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class SSEError(Exception):
    """The root of the tree: ``except SSEError`` catches all of them."""


class _ValueMismatch(SSEError, ValueError):
    """``thing`` is ``measured``, where ``expected`` was wanted. The fields are the arguments."""

    def __init__(self, thing: str, measured: str, expected: str) -> None:
        super().__init__(thing, measured, expected)
        self.thing = thing
        self.measured = measured
        self.expected = expected

    def __str__(self) -> str:
        return f"{self.thing} is {self.measured}: expected {self.expected}"


class EventError(_ValueMismatch):
    """An item that is no event: refused before a byte of it is written."""


class OptionError(_ValueMismatch):
    """An option or argument whose value has no meaning."""


class RecordingError(_ValueMismatch):
    """A recording that is absent or damaged; the text names the file and what was expected."""


class EventTooLargeError(SSEError):
    """An event past ``limit_bytes``. ``events`` are those that the same read had completed."""

    def __init__(self, limit_bytes: int, events: Sequence[object] = ()) -> None:
        super().__init__(limit_bytes, events)
        self.limit_bytes = limit_bytes
        self.events: Tuple[object, ...] = tuple(events)

    def __str__(self) -> str:
        return (
            f"event is over {self.limit_bytes} bytes: "
            f"expected at most max_event_bytes={self.limit_bytes}"
        )


class ResponseError(SSEError):
    """A WSGI app that calls ``start_response`` never, twice, or too late."""


class UpstreamError(SSEError):
    """The upstream answered something that is no stream, or reported an error inside it.

    ``request_id`` is what its vendor knows the request by, if that is known.
    """

    request_id: Optional[str] = None


class StreamLostError(SSEError):
    """A stream that was resumed, and whose rest will never come; the text says why."""


class FramingError(SSEError, AssertionError):
    """A stream that broke rules of framing. ``problems`` tells which, where, and what to do."""

    def __init__(self, problems: Sequence[object]) -> None:
        super().__init__(problems)
        self.problems: Tuple[object, ...] = tuple(problems)

    def __str__(self) -> str:
        count = len(self.problems)
        told = [f"{count} problem{'s' * (count != 1)} in the framing of a stream"]
        counts: Dict[str, int] = {}
        for problem in self.problems:
            code = getattr(problem, "code", "")
            counts[code] = counts.get(code, 0) + 1
            if counts[code] <= _TOLD_OF_EACH:
                told.append(str(problem))
        more = [f"{code}: {n - _TOLD_OF_EACH} more" for code, n in counts.items()]
        told += [text for text, n in zip(more, counts.values()) if n > _TOLD_OF_EACH]
        return "\n\n".join(told)


class StuckClockError(SSEError):
    """A wait on a virtual clock that nobody moved for ``patience_s`` seconds of real time."""

    def __init__(self, patience_s: float) -> None:
        super().__init__(patience_s)
        self.patience_s = patience_s

    def __str__(self) -> str:
        return (
            f"the virtual clock stood still for {self.patience_s:g} s of real time while a delay "
            "was waited for on it: expected clock.advance(seconds), before the wait or from "
            "another thread; play(..., speed=math.inf) plays without delays"
        )


class StreamEndedError(SSEError, AssertionError):
    """A stream that ended before what a test waited for; the text says what came instead."""


class StreamCutError(StreamEndedError):
    """A stream whose connection was cut, so that it has no end."""


class StillRunningError(SSEError, AssertionError):
    """An app that had not ended its response some time after the client left it."""
