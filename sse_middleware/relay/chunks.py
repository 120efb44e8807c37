"""The shape "openai": the upstream's own events, for a client that knows the vendor's SDK."""

from typing import Any, Dict, Iterable, Iterator, Union

from sse_middleware.current import current_stream
from sse_middleware.errors import UpstreamError, shown
from sse_middleware.event import encode
from sse_middleware.relay.fields import json_text
from sse_middleware.relay.frames import Frame
from sse_middleware.relay.source import Record

__all__ = ["chunk_events"]

_DONE = {"data": "[DONE]"}


def chunk_events(records: Iterable[Record]) -> Iterator[Union[Dict[str, Any], bytes]]:
    """The events as they came, ``[DONE]`` last also where the vendor sends none.

    No event of the middleware's own follows: an SDK would take it for a chunk.
    """
    stream = current_stream()
    done: Union[Dict[str, Any], bytes] = _DONE
    for record in records:
        item = _from_object(record) if record.frame is None else _from_frame(record.frame)
        if record.is_done:
            done = item
        else:
            yield item
    yield done
    stream.ended = True


def _from_frame(frame: Frame) -> Union[Dict[str, Any], bytes]:
    """Fields where they make the very frame that came, else the bytes of the frame.

    The middleware knows an event stream by fields. Bytes that are no UTF-8 would end the reading
    of an SDK: they leave as the text that a browser reads.
    """
    fields = _fields(frame.event.event or "", frame.event.data or "")
    if encode(fields) == frame.raw:
        return fields
    try:
        frame.raw.decode()
    except UnicodeDecodeError:
        return fields
    return frame.raw


def _from_object(record: Record) -> Dict[str, Any]:
    """The event that the vendor sent, with its name, where it has one."""
    try:
        return _fields(record.name, json_text(record.chunk))
    except (TypeError, ValueError, RecursionError) as error:
        raise UpstreamError(f"chunk is {shown(record.chunk)}: expected JSON") from error


def _fields(name: str, data: str) -> Dict[str, Any]:
    return {"data": data} if name == "message" else {"event": name, "data": data}
