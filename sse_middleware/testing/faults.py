"""What goes wrong with an upstream, as it looks on the wire.

Each function returns a fault: a recording in, the same recording with the fault out.
``FakeUpstream.play(..., fault=faults.cut(after_events=2))`` takes one, or a function of yours of
the same shape. ``after_events=2`` means behind the second event that a client sees (comments are
none), ``after_bytes=100`` behind that byte of the body; without either, behind the first event.

>>> from sse_middleware.testing import Recording, faults
>>> fault = faults.cut(after_events=1)
>>> fault
faults.cut(after_events=1)
>>> fault(Recording(b"data: 1\\n\\ndata: 2\\n\\n"))
<Recording '': 200, 9 bytes in 1 chunks, eof>
"""

import json
import math
import re
from typing import Any, Callable, List, Mapping, Optional, Tuple, Union

from sse_middleware.errors import OptionError, shown
from sse_middleware.event import encode
from sse_middleware.framing import generic_error
from sse_middleware.testing._edits import event_ends, remade, split
from sse_middleware.testing._vendor_errors import FORMS, http_error_body
from sse_middleware.testing.recording import Recording

__all__ = [
    "Fault",
    "bom",
    "content_type",
    "cut",
    "duplicate_done",
    "early_end",
    "error_event",
    "error_object",
    "event_only",
    "http_error",
    "id_only",
    "invalid_utf8",
    "json_body",
    "retry_only",
    "slow_first_token",
    "stall",
    "truncated_json",
    "without_done",
]

_DONE = re.compile(rb"^data: ?\[DONE\](?:\r\n|\n|\r)(?:\r\n|\n|\r)", re.MULTILINE)
_DATA = re.compile(rb"^data(?:: ?|$)", re.MULTILINE)
_JSON = {"content-type": "application/json"}


class Fault:
    """A change of a recording, with the text that tests and messages show of it.

    Args:
        repeats: whether requests without number meet it, because SDKs try again.
    """

    def __init__(
        self, text: str, change: Callable[[Recording], Recording], *, repeats: bool = False
    ) -> None:
        self.repeats = repeats
        self._text = text
        self._change = change

    def __call__(self, recording: Recording) -> Recording:
        """``recording`` with this fault.

        Raises:
            OptionError: the recording has no place for it.
        """
        return self._change(recording)

    def __repr__(self) -> str:
        return f"faults.{self._text}"


class _Place:
    """Where in the body a fault is."""

    def __init__(self, after_events: Optional[int], after_bytes: Optional[int] = None) -> None:
        if after_events is not None and after_bytes is not None:
            both = f"after_events={shown(after_events)} and after_bytes={shown(after_bytes)}"
            raise OptionError("the fault's place", both, "one of the two")
        self._in_bytes = after_bytes is not None
        self._name = "after_bytes" if self._in_bytes else "after_events"
        number = after_bytes if self._in_bytes else after_events
        self._number = 1 if number is None else number
        if not isinstance(self._number, int) or isinstance(self._number, bool) or self._number < 0:
            raise OptionError(self._name, shown(number), "an int >= 0")

    def __str__(self) -> str:
        return f"{self._name}={self._number}"

    def at(self, recording: Recording) -> int:
        """The byte of the body, counted from 0, before which the fault is."""
        places = range(len(recording.body) + 1) if self._in_bytes else [0, *event_ends(recording)]
        if self._number >= len(places):
            unit = "bytes" if self._in_bytes else "events"
            has = f"at most the {len(places) - 1} {unit} of {_named(recording)}"
            raise OptionError(self._name, str(self._number), has)
        return places[self._number]

    def next_event(self, recording: Recording) -> Tuple[int, int]:
        """The bytes from here to the end of the event that follows."""
        at = self.at(recording)
        ends = [end for end in event_ends(recording) if end > at]
        if not ends:
            has = f"fewer than the {len(event_ends(recording))} events of {_named(recording)}"
            raise OptionError(self._name, str(self._number), has)
        return at, ends[0]


def http_error(
    status: int,
    *,
    retry_after: Optional[float] = None,
    message: Optional[str] = None,
    code: Optional[str] = None,
) -> Fault:
    """An answer of ``status`` with OpenAI's error object instead of a stream.

    SDKs ask again after most of them (``max_retries=0`` stops that), so without ``times`` every
    request that comes meets it. ``retry_after`` is in seconds; ``message`` and ``code`` are by
    default such as OpenAI sends with that status.
    """
    if not isinstance(status, int) or isinstance(status, bool) or not 400 <= status <= 599:
        raise OptionError("status", shown(status), "an int of 400 to 599")
    headers = dict(_JSON)
    text = f"http_error({status}"
    if retry_after is not None:
        headers["retry-after"] = f"{_seconds('retry_after', retry_after):g}"
        text += f", retry_after={retry_after}"
    body = http_error_body(status, message, code)

    def change(recording: Recording) -> Recording:
        pieces = [(0.0, body)]
        return remade(recording, pieces, status=status, headers=headers, end="complete")

    return Fault(text + ")", change, repeats=True)


def slow_first_token(seconds: float) -> Fault:
    """``seconds`` of silence behind the response's head, on the upstream's clock or in real time.

    The recorded delays come on top where they are played.
    """
    delay_s = _seconds("seconds", seconds)
    return Fault(
        f"slow_first_token({seconds})",
        lambda recording: remade(recording, [(delay_s, b""), *recording.pieces()]),
    )


def stall(*, after_events: Optional[int] = None, after_bytes: Optional[int] = None) -> Fault:
    """Nothing more, while the connection stays open."""
    return _shortened("stall", "stall", _Place(after_events, after_bytes))


def cut(
    *, after_events: Optional[int] = None, after_bytes: Optional[int] = None, reset: bool = False
) -> Fault:
    """The connection ends without the terminator of HTTP: by FIN, or by RST with ``reset``."""
    name = "cut(reset=True, " if reset else "cut("
    return _shortened(name, "reset" if reset else "eof", _Place(after_events, after_bytes))


def early_end(*, after_events: Optional[int] = None, after_bytes: Optional[int] = None) -> Fault:
    """The response ends there as if it were whole: for HTTP nothing is wrong."""
    return _shortened("early_end", "complete", _Place(after_events, after_bytes))


def without_done() -> Fault:
    """No ``[DONE]``."""
    return Fault("without_done()", lambda recording: _replaced(recording, *_done(recording), b""))


def duplicate_done() -> Fault:
    """``[DONE]`` twice."""

    def change(recording: Recording) -> Recording:
        start, end = _done(recording)
        return _inserted(recording, end, recording.body[start:end])

    return Fault("duplicate_done()", change)


def truncated_json(*, after_events: Optional[int] = None) -> Fault:
    """One event whose JSON stops in its middle; what follows is as recorded."""
    place = _Place(after_events)

    def change(recording: Recording) -> Recording:
        start, end = place.next_event(recording)
        text = recording.body[start:end].rstrip(b"\r\n")
        *_, field = _DATA.finditer(text)
        middle = (field.end() + len(text)) // 2
        return _replaced(recording, start + middle, start + len(text), b"")

    return Fault(f"truncated_json({place})", change)


def invalid_utf8(*, after_events: Optional[int] = None) -> Fault:
    """One event with a byte that UTF-8 never has (0xff), inside its first JSON string if any."""
    place = _Place(after_events)

    def change(recording: Recording) -> Recording:
        start, end = place.next_event(recording)
        block = recording.body[start:end]
        value = re.search(rb':\s*"', block) or _DATA.search(block)
        return _inserted(recording, start + (value.end() if value else 0), b"\xff")

    return Fault(f"invalid_utf8({place})", change)


def error_object(form: str = "openai", *, after_events: Optional[int] = None) -> Fault:
    """An error in the stream, in a vendor's form, and the end that this vendor puts behind it.

    Forms: ``openai`` (an object with ``error``, then ``[DONE]``), ``responses`` (an event
    ``error``, then ``response.failed``), ``groq`` (an event ``error``), ``openrouter`` (a chunk
    with ``error`` in it, then ``[DONE]``), ``anthropic`` (an event ``error``), ``text`` (the
    ``error`` is a string).
    """
    if form not in FORMS:
        raise OptionError("form", shown(form), f"one of {', '.join(FORMS)}")
    place = _Place(after_events)
    return Fault(f"error_object({form!r}, {place})", lambda was: _ended(was, place, FORMS[form]))


def error_event(
    error: Optional[Mapping[str, Any]] = None, *, after_events: Optional[int] = None
) -> Fault:
    """An ``event: error`` as this package's middleware sends it, then the end.

    ``error`` is the item to send instead, such as ``{"event": "error", "data": "out of order"}``.
    """
    place = _Place(after_events)
    frame = encode(generic_error(RuntimeError(), "0" * 32) if error is None else error)
    return Fault(f"error_event({place})", lambda recording: _ended(recording, place, frame))


def bom() -> Fault:
    """A byte order mark before the first event. The format allows it; some clients do not."""
    return Fault("bom()", lambda recording: _inserted(recording, 0, b"\xef\xbb\xbf"))


def id_only(*, after_events: Optional[int] = None) -> Fault:
    """A block with nothing but an ``id``, which the format allows."""
    return _block("id_only", b"id: 1\n\n", after_events)


def retry_only(*, after_events: Optional[int] = None) -> Fault:
    """A block with nothing but a ``retry``, which the format allows."""
    return _block("retry_only", b"retry: 3000\n\n", after_events)


def event_only(*, after_events: Optional[int] = None) -> Fault:
    """A block with nothing but an ``event``, such as a ping, which the format allows."""
    return _block("event_only", b"event: ping\n\n", after_events)


def content_type(value: str = "text/plain; charset=utf-8") -> Fault:
    """The stream under another Content-Type."""

    def change(recording: Recording) -> Recording:
        return remade(recording, recording.pieces(), headers=_with_content_type(recording, value))

    return Fault(f"content_type({value!r})", change)


def json_body(body: Optional[Mapping[str, Any]] = None) -> Fault:
    """A 200 with one JSON object, as if no stream had been asked for; ``body`` is that object."""
    data = json.dumps({"object": "chat.completion", "choices": []} if body is None else dict(body))

    def change(recording: Recording) -> Recording:
        headers = _with_content_type(recording, "application/json")
        pieces = [(0.0, data.encode("ascii"))]
        return remade(recording, pieces, headers=headers, end="complete")

    return Fault("json_body()", change)


def _shortened(name: str, end: str, place: _Place) -> Fault:
    def change(recording: Recording) -> Recording:
        before, _ = split(recording, place.at(recording))
        return remade(recording, before, end=end)

    return Fault(f"{name if '(' in name else name + '('}{place})", change)


def _block(name: str, block: bytes, after_events: Optional[int]) -> Fault:
    place = _Place(after_events)
    return Fault(f"{name}({place})", lambda was: _inserted(was, place.at(was), block))


def _ended(recording: Recording, place: _Place, frames: bytes) -> Recording:
    """The recording up to ``place``, then ``frames``, then a clean end."""
    before, _ = split(recording, place.at(recording))
    return remade(recording, [*before, (0.0, frames)], end="complete")


def _inserted(recording: Recording, at: int, data: bytes) -> Recording:
    return _replaced(recording, at, at, data)


def _replaced(recording: Recording, start: int, end: int, data: bytes) -> Recording:
    """Other bytes in the place of those from ``start`` to ``end``, sent with what is before."""
    before, _ = split(recording, start)
    _, after = split(recording, end)
    return remade(recording, [*before, *([(0.0, data)] if data else []), *after])


def _done(recording: Recording) -> Tuple[int, int]:
    found: List[re.Match[bytes]] = list(_DONE.finditer(recording.body))
    if not found:
        raise OptionError("the fault's place", "absent", f"[DONE] in {_named(recording)}")
    return found[-1].span()


def _with_content_type(recording: Recording, value: str) -> Mapping[str, str]:
    kept = {k: v for k, v in recording.headers.items() if k.lower() != "content-type"}
    return {**kept, "content-type": value}


def _named(recording: Recording) -> str:
    return "the recording" if recording.name is None else repr(recording.name)


def _seconds(name: str, value: Union[int, float]) -> float:
    ok = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not ok or not 0 <= value < math.inf:
        raise OptionError(name, shown(value), "seconds, from 0")
    return float(value)
