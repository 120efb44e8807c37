"""What goes wrong with an upstream, as it looks on the wire.

Each function returns a fault: a recording in, the same recording with the fault out.
``FakeUpstream.play(..., fault=faults.cut(after_events=2))`` takes one, or a function of yours of
the same shape. ``after_events=2`` means behind the second event that a client sees (comments are
none), ``after_bytes=100`` behind that byte of the body; without either, behind the first event.

``Outcome`` tells what users of a client see: an exception, or a clean end as if nothing were wrong.
HTTP clients hand over bytes: curl, httpx, httpx2, requests, Node's fetch. ``docs/faults.md`` has
all that was measured, with what came before it.

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
from typing import Any, Mapping, Optional, Union

from sse_middleware.errors import OptionError, shown
from sse_middleware.event import encode
from sse_middleware.framing import generic_error
from sse_middleware.testing._edits import remade
from sse_middleware.testing._fault import (
    Fault,
    Place,
    block,
    done,
    ended,
    inserted,
    replaced,
    shortened,
)
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

_STRING = re.compile(rb':\s*"')
_JSON = {"content-type": "application/json"}


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

    Outcome of 429: openai.RateLimitError (openai 3, 2, 1, openai 0.28); anthropic.RateLimitError
    (anthropic 2); RateLimitError (openai-node); status 429 (HTTP clients).
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

    Outcome: openai.APITimeoutError (openai 3); httpx.ReadTimeout (openai 2, 1, httpx);
    requests.ConnectionError (openai 0.28 sync, requests); asyncio.TimeoutError (openai 0.28 async);
    httpx2.ReadTimeout (anthropic 2, httpx2); waits on (openai-node, Node's fetch); curl: (28)
    (curl).
    """
    delay_s = _seconds("seconds", seconds)
    return Fault(
        f"slow_first_token({seconds})",
        lambda recording: remade(recording, [(delay_s, b""), *recording.pieces()]),
    )


def stall(*, after_events: Optional[int] = None, after_bytes: Optional[int] = None) -> Fault:
    """Nothing more, while the connection stays open.

    Outcome: openai.APITimeoutError (openai 3); httpx.ReadTimeout (openai 2, 1, httpx);
    requests.ConnectionError (openai 0.28 sync, requests); asyncio.TimeoutError (openai 0.28 async);
    httpx2.ReadTimeout (anthropic 2, httpx2); waits on (openai-node, Node's fetch); curl: (28)
    (curl).
    """
    return shortened("stall", "stall", Place(after_events, after_bytes))


def cut(
    *, after_events: Optional[int] = None, after_bytes: Optional[int] = None, reset: bool = False
) -> Fault:
    """The connection ends without the terminator of HTTP: by FIN, or by RST with ``reset``.

    Outcome: openai.APIConnectionError (openai 3); httpx.ReadError or httpx.RemoteProtocolError
    (openai 2, 1, httpx); requests.ChunkedEncodingError (openai 0.28 sync, requests);
    aiohttp.ClientPayloadError (openai 0.28 async); httpx2.ReadError or httpx2.RemoteProtocolError
    (anthropic 2, httpx2); TypeError (openai-node, Node's fetch); curl: (18) or curl: (56) (curl).
    """
    name = "cut(reset=True, " if reset else "cut("
    return shortened(name, "reset" if reset else "eof", Place(after_events, after_bytes))


def early_end(*, after_events: Optional[int] = None, after_bytes: Optional[int] = None) -> Fault:
    """The response ends there as if it were whole: for HTTP nothing is wrong.

    Outcome: clean end (openai 3, 2, 1, anthropic 2, openai-node, HTTP clients); clean end or
    openai.APIError (openai 0.28).
    """
    return shortened("early_end", "complete", Place(after_events, after_bytes))


def without_done() -> Fault:
    """No ``[DONE]``.

    Outcome: clean end (all).
    """
    return Fault("without_done()", lambda recording: replaced(recording, *done(recording), b""))


def duplicate_done() -> Fault:
    """``[DONE]`` twice.

    Outcome: clean end (all).
    """

    def change(recording: Recording) -> Recording:
        start, end = done(recording)
        return inserted(recording, end, recording.body[start:end])

    return Fault("duplicate_done()", change)


def truncated_json(*, after_events: Optional[int] = None) -> Fault:
    """One event whose JSON stops in its middle; what follows is as recorded.

    Outcome: json.JSONDecodeError (openai 3, 2, 1, anthropic 2); openai.APIError (openai 0.28);
    SyntaxError (openai-node); clean end (HTTP clients).
    """
    place = Place(after_events)

    def change(recording: Recording) -> Recording:
        start, end = place.next_data(recording)[-1]
        middle = (start + end) // 2
        while middle > start and 0x80 <= recording.body[middle] < 0xC0:  # inside a character
            middle -= 1
        return replaced(recording, middle, end, b"")

    return Fault(f"truncated_json({place})", change)


def invalid_utf8(*, after_events: Optional[int] = None) -> Fault:
    """One event with a byte that UTF-8 never has (0xff), inside its first JSON string if any.

    Outcome: UnicodeDecodeError (openai 3, 2, 1, openai 0.28, anthropic 2); clean end (openai-node,
    HTTP clients).
    """
    place = Place(after_events)

    def change(recording: Recording) -> Recording:
        start, end = place.next_data(recording)[0]
        value = _STRING.search(recording.body, start, end)
        return inserted(recording, value.end() if value else start, b"\xff")

    return Fault(f"invalid_utf8({place})", change)


def error_object(form: str = "openai", *, after_events: Optional[int] = None) -> Fault:
    """An error in the stream, in a vendor's form, and the end that this vendor puts behind it.

    Forms:

    - ``openai``: an object with ``error``, then ``[DONE]``.
    - ``responses``: an event ``error`` with an object ``error``, then ``response.failed``.
    - ``responses_flat``: the same, but the fields are those of the error itself, as OpenAI's types
      have it. Its SDKs raise nothing and hand it over like any other event.
    - ``groq``: an event ``error``.
    - ``openrouter``: a chunk with ``error`` in it, then ``[DONE]``.
    - ``anthropic``: an event ``error``.
    - ``text``: the ``error`` is a string.

    Outcome: clean end or openai.APIError (openai 3, 2, 1); AttributeError or clean end or
    openai.APIError (openai 0.28); anthropic.APIStatusError or clean end (anthropic 2); APIError or
    clean end (openai-node); clean end (HTTP clients).
    """
    if form not in FORMS:
        raise OptionError("form", shown(form), f"one of {', '.join(FORMS)}")
    place = Place(after_events)
    frames = FORMS[form](place.number)
    return Fault(f"error_object({form!r}, {place})", lambda was: ended(was, place, frames))


def error_event(
    error: Optional[Mapping[str, Any]] = None, *, after_events: Optional[int] = None
) -> Fault:
    """An ``event: error`` as this package's middleware sends it, then the end.

    ``error`` is the item to send instead, such as ``{"event": "error", "data": "out of order"}``.

    Outcome: openai.APIError (openai 3, 2, 1, openai 0.28); anthropic.APIStatusError (anthropic 2);
    APIError (openai-node); clean end (HTTP clients).
    """
    place = Place(after_events)
    frame = encode(generic_error("0" * 32) if error is None else error)
    return Fault(f"error_event({place})", lambda recording: ended(recording, place, frame))


def bom() -> Fault:
    """A byte order mark before the first event. The format allows it; some clients do not.

    Outcome: clean end, the first event lost (openai 3, 2, 1, openai 0.28, anthropic 2); clean end
    (openai-node, HTTP clients).
    """
    return Fault("bom()", lambda recording: inserted(recording, 0, b"\xef\xbb\xbf"))


def id_only(*, after_events: Optional[int] = None) -> Fault:
    """A block with nothing but an ``id``, which the format allows.

    Outcome: json.JSONDecodeError (openai 3, 2, 1); clean end (openai 0.28, anthropic 2,
    openai-node, HTTP clients).
    """
    return block("id_only", b"id: 1\n\n", after_events)


def retry_only(*, after_events: Optional[int] = None) -> Fault:
    """A block with nothing but a ``retry``, which the format allows.

    Outcome: json.JSONDecodeError (openai 3, 2, 1); clean end (openai 0.28, anthropic 2,
    openai-node, HTTP clients).
    """
    return block("retry_only", b"retry: 3000\n\n", after_events)


def event_only(*, after_events: Optional[int] = None) -> Fault:
    """A block with nothing but an ``event``, such as a ping, which the format allows.

    Outcome: json.JSONDecodeError (openai 3, 2, 1); clean end (openai 0.28, anthropic 2, HTTP
    clients); SyntaxError (openai-node).
    """
    return block("event_only", b"event: ping\n\n", after_events)


def content_type(value: str = "text/plain; charset=utf-8") -> Fault:
    """The stream under another Content-Type.

    Outcome: clean end (openai 3, 2, 1, anthropic 2, openai-node, HTTP clients); AssertionError
    (openai 0.28).
    """

    def change(recording: Recording) -> Recording:
        return remade(recording, recording.pieces(), headers=_with_content_type(recording, value))

    return Fault(f"content_type({value!r})", change)


def json_body(body: Optional[Mapping[str, Any]] = None) -> Fault:
    """A 200 with one JSON object, as if no stream had been asked for; ``body`` is that object.

    Outcome: clean end without an event (openai 3, 2, 1, anthropic 2, openai-node); AssertionError
    (openai 0.28); clean end (HTTP clients).
    """
    answer = {"object": "chat.completion", "choices": []} if body is None else body
    try:
        data = json.dumps(dict(answer))
    except (TypeError, ValueError):
        raise OptionError("body", shown(body), "a mapping that JSON can hold") from None

    def change(recording: Recording) -> Recording:
        headers = _with_content_type(recording, "application/json")
        pieces = [(0.0, data.encode("ascii"))]
        return remade(recording, pieces, headers=headers, end="complete")

    return Fault("json_body()", change)


def _with_content_type(recording: Recording, value: str) -> Mapping[str, str]:
    kept = {k: v for k, v in recording.headers.items() if k.lower() != "content-type"}
    return {**kept, "content-type": value}


def _seconds(name: str, value: Union[int, float]) -> float:
    ok = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not ok or not 0 <= value < math.inf:
        raise OptionError(name, shown(value), "seconds, from 0")
    return float(value)
