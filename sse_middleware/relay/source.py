"""The sources: whatever a client returned, as records of one kind.

A record is one event of the upstream: its name, its content (a dict or an SDK's object) and,
where the upstream is bytes, the frame as it was sent.
"""

import json
import re
from functools import partial
from http.client import HTTPResponse
from typing import Any, Iterable, Iterator, Mapping, NamedTuple, Optional

from sse_middleware.errors import OptionError, UpstreamError, shown
from sse_middleware.headers import EVENT_STREAM
from sse_middleware.relay.failures import find_failure
from sse_middleware.relay.fields import as_text, get
from sse_middleware.relay.frames import Frame, Frames

__all__ = ["Record", "checked", "records"]

_DONE = "[DONE]"
_READ_BYTES = 65536
_NAME = re.compile(r"[\w.]+\Z", re.ASCII)  # what may stand on the wire as the name of an event
#: How the names begin of the events that hold JSON, whatever has become of it on the way.
_JSON_EVENTS = ("message", "content", "completion", "response.", "thread.", "tool-", "transcript.")
#: What anthropic's and openai's stream helpers yield beside the events of the wire.
_DERIVED = ("text", "thinking", "citation", "signature", "input_json")
_DERIVED_PREFIXES = ("content.", "refusal.", "tool_calls.", "logprobs.")


class Record(NamedTuple):
    """One event. ``name`` is "message" where the upstream gave none; ``is_done``: ``[DONE]``."""

    name: str
    chunk: Any
    frame: Optional[Frame] = None
    is_done: bool = False


def checked(upstream: Any) -> Any:
    """``upstream``, or the response inside an SDK's raw response.

    Raises:
        OptionError: it is no stream.
    """
    inner = getattr(upstream, "http_response", None)
    if hasattr(inner, "iter_bytes") and not hasattr(upstream, "iter_bytes"):
        return inner
    is_answer = isinstance(upstream, (str, bytes, Mapping)) or hasattr(upstream, "model_dump")
    is_stream = hasattr(upstream, "__iter__") or hasattr(upstream, "iter_bytes")
    if is_answer or hasattr(upstream, "choices") or not is_stream:
        raise OptionError("upstream", shown(upstream), "a stream of chunks" + _hint(upstream))
    return upstream


def _hint(upstream: Any) -> str:
    """What was most likely forgotten."""
    if hasattr(upstream, "__aiter__"):
        return " (asynchronous ones cannot be read under WSGI: use the synchronous client)"
    if hasattr(upstream, "parse"):
        return " (of a raw response, pass .parse())"
    if hasattr(upstream, "__enter__"):
        return " (enter it: with ... as stream)"
    return " (was the call made with stream=True?)"


def records(upstream: Any) -> Iterator[Record]:
    """The events of ``upstream``, the last of them ``[DONE]`` where it says so.

    Raises:
        UpstreamError: it answered with an error, with no event stream, or told of an error.
    """
    frames = Frames()
    items = _items(upstream)
    are_bytes, has_event = items is not upstream, False
    for item in items:
        if not isinstance(item, (bytes, bytearray, memoryview)):
            if not _is_derived(item):
                yield _sound(_from_object(item))
            continue
        are_bytes = True
        for frame in frames.feed(item):
            has_event = True
            record = _from_frame(frame)
            if record is not None:
                yield _sound(record)
                if record.is_done:
                    return
    if are_bytes and not has_event:
        raise UpstreamError(
            "upstream ended before its first event: expected the bytes of an event stream as they "
            "came (pass the response itself rather than its iter_lines())"
        )


def _items(upstream: Any) -> Iterable[Any]:
    """What to iterate: the pieces of a response's body as they come, else ``upstream`` itself."""
    if hasattr(upstream, "iter_bytes"):  # httpx
        _refuse_other_answers(upstream, upstream.status_code)
        return upstream.iter_bytes()  # type: ignore[no-any-return]
    if hasattr(upstream, "iter_content"):  # requests
        _refuse_other_answers(upstream, upstream.status_code)
        is_chunked = "chunked" in upstream.headers.get("transfer-encoding", "").lower()
        # requests reads a body that is not chunked in full unless it is told how much to wait for
        return upstream.iter_content(None if is_chunked else 1)  # type: ignore[no-any-return]
    if isinstance(upstream, HTTPResponse):  # urllib.request, http.client
        _refuse_other_answers(upstream, upstream.status)
        # iterating it takes a connection that was cut for the end of the body; read1 raises
        return iter(partial(upstream.read1, _READ_BYTES), b"")
    if isinstance(getattr(upstream, "status", None), int):  # urllib3
        _refuse_other_answers(upstream, upstream.status)
    return upstream  # type: ignore[no-any-return]


def _refuse_other_answers(response: Any, status: int) -> None:
    if status != 200:
        raise UpstreamError(f"upstream answered {status}: expected 200")
    media_type = response.headers.get("content-type", "")
    if not media_type.lower().startswith(EVENT_STREAM):
        raise UpstreamError(f"upstream sent {shown(media_type)}: expected {EVENT_STREAM}")


def _from_frame(frame: Frame) -> Optional[Record]:
    """What a frame says; None for one without content, which some vendors keep alive with."""
    name, data = frame.event.event or "message", frame.event.data or ""
    if data.startswith(_DONE):
        return Record(name, None, frame, is_done=True)
    if not data.strip() and name not in ("output", "error"):
        return None
    if name == "output":  # Replicate: the text itself
        return Record(name, data, frame)
    try:
        return Record(name, json.loads(data), frame)
    except (ValueError, RecursionError) as error:
        if data.startswith(("{", "[")) or name.startswith(_JSON_EVENTS):
            raise UpstreamError(f"upstream sent {shown(data)}: expected JSON") from error
        return Record(name, data, frame)  # an event that nobody here knows


def _from_object(item: Any) -> Record:
    """What an SDK's object says; those of Assistants and of stream helpers hold a second one."""
    if isinstance(item, (str, int, float, tuple, list)) or item is None:
        raise UpstreamError(f"chunk is {shown(item)}: expected an SDK object, a dict or bytes")
    name, data = as_text(get(item, "event")), get(item, "data")
    if name.startswith("thread.") and data is not None:
        return Record(name, data)
    if get(item, "choices") is None and get(data, "choices") is not None:  # Mistral's SDK
        return Record("message", data)
    if get(item, "type") == "chunk" and get(item, "chunk") is not None:
        return Record("message", get(item, "chunk"))
    kind = as_text(get(item, "type"))
    return Record(kind if _NAME.match(kind) else "message", item)


def _is_derived(item: Any) -> bool:
    """Whether an SDK's ``.stream()`` made it from a chunk that it yields as well."""
    kind = "" if isinstance(item, Mapping) else as_text(get(item, "type"))
    return kind in _DERIVED or kind.startswith(_DERIVED_PREFIXES)


def _sound(record: Record) -> Record:
    """``record``, unless it tells of an error."""
    failure = None if record.is_done else find_failure(record.name, record.chunk)
    if failure is not None:
        raise failure
    return record
