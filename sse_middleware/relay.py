"""``relay``: the stream of an OpenAI client, or of a compatible one, to event dicts.

    from sse_middleware.relay import relay

    def answer():
        yield from relay(client.chat.completions.create(model=..., messages=..., stream=True))

The upstream may be what any openai SDK from 0.28 on returns, plain dicts, the streaming response
of ``requests``, httpx or the standard library, or an iterable of its raw bytes.
"""

import json
import socket
from functools import partial
from http.client import HTTPResponse
from typing import Any, Dict, Iterable, Iterator, List, Mapping, Optional

from sse_middleware.current import current_stream
from sse_middleware.errors import OptionError, UpstreamError, shown
from sse_middleware.event import Event
from sse_middleware.framing import END_ID
from sse_middleware.headers import EVENT_STREAM
from sse_middleware.parser import EventParser

__all__ = ["relay"]

_DONE = "[DONE]"
_READ_BYTES = 65536


def relay(
    upstream: Iterable[Any], *, shape: str = "text", key: str = "data"
) -> Iterator[Dict[str, Any]]:
    """The text of a Chat Completions stream, as event dicts.

    Each piece of text of the first choice becomes
    ``{"event": "message", "id": 1, "data": {key: "<text>"}}``, numbered from 1; the last dict is
    the ``close`` event, with the id that tells an EventSource to stop. Chunks without text (the
    role, usage, Azure's filter results) make no event. ``upstream`` is closed at the end, and
    also when the consumer stops early; when the client leaves, a read of it that waits returns.

    >>> chunk = {"choices": [{"index": 0, "delta": {"content": "Hi"}}]}
    >>> [event["data"] for event in relay([chunk])]
    [{'data': 'Hi'}, '']

    Raises:
        OptionError: an unknown ``shape`` (there is ``"text"``).
        UpstreamError: on iteration; the upstream answered with an error, with something that is
            no event stream, or reported an error in mid-stream.
    """
    if shape != "text":
        raise OptionError("shape", shown(shape), "'text'")
    if not _is_stream(upstream):
        raise OptionError("upstream", shown(upstream), "a stream of chunks" + _hint(upstream))
    return _events(upstream, key)


def _hint(upstream: Any) -> str:
    """What was most likely forgotten."""
    if hasattr(upstream, "__aiter__"):
        return " (asynchronous ones cannot be read under WSGI: use the synchronous client)"
    if hasattr(upstream, "parse"):
        return " (of a raw response, pass .parse())"
    return " (was the call made with stream=True?)"


def _is_stream(upstream: Any) -> bool:
    if isinstance(upstream, (str, bytes, Mapping)) or hasattr(upstream, "choices"):
        return False
    return hasattr(upstream, "__iter__") or hasattr(upstream, "iter_bytes")


def _events(upstream: Any, key: str) -> Iterator[Dict[str, Any]]:
    number = 0
    current_stream().on_disconnect(partial(_abort, upstream))
    try:
        for chunk in _chunks(upstream):
            text = _text(chunk)
            if text:
                number += 1
                yield {"event": "message", "id": number, "data": {key: text}}
        yield {"event": "close", "id": END_ID, "data": ""}
    finally:
        close = getattr(upstream, "close", None)
        if close is not None:
            close()


def _abort(upstream: Any) -> None:
    """Let a read of ``upstream`` return that waits in another thread: closing alone does not."""
    response = getattr(upstream, "response", upstream)  # of the SDK's stream
    for find in (_httpx_socket, _urllib3_socket, _http_client_socket):
        try:
            find(response).shutdown(socket.SHUT_RDWR)
            return
        except (AttributeError, KeyError, OSError):
            continue  # another client's, or gone already


def _httpx_socket(response: Any) -> Any:
    return response.extensions["network_stream"].get_extra_info("socket")


def _urllib3_socket(response: Any) -> Any:
    return getattr(response, "raw", response)._fp.fp.raw._sock


def _http_client_socket(response: Any) -> Any:
    return response.fp.raw._sock


def _chunks(upstream: Any) -> Iterator[Any]:
    """The chunks of the stream, as objects or as dicts; an error among them is raised."""
    parser = EventParser()
    items = _items(upstream)
    are_bytes, has_event = items is not upstream, False
    for item in items:
        if not isinstance(item, (bytes, bytearray)):
            yield _sound(item)
            continue
        are_bytes = True
        for event in parser.feed(item):
            has_event = True
            if event.data == _DONE:
                return
            yield _sound(_parsed(event))
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


def _parsed(event: Event) -> Any:
    try:
        return json.loads(event.data or "")
    except ValueError as error:
        raise UpstreamError(f"upstream sent {shown(event.data)}: expected JSON") from error


def _sound(chunk: Any) -> Any:
    """``chunk``, unless it is none or tells of an error."""
    if isinstance(chunk, (str, tuple)) or chunk is None:
        raise UpstreamError(f"chunk is {shown(chunk)}: expected an SDK object, a dict or bytes")
    error = _get(chunk, "error")
    if error:
        message = _get(error, "message") or error
        raise UpstreamError(f"upstream reported an error in mid-stream: {shown(message)}")
    return chunk


def _text(chunk: Any) -> str:
    """The text that ``chunk`` adds to the first choice, or ""."""
    for choice in _get(chunk, "choices") or ():
        if not _get(choice, "index"):
            content = _get(_get(choice, "delta"), "content")
            return content if isinstance(content, str) else "".join(_text_parts(content))
    return ""


def _text_parts(content: Optional[List[Any]]) -> Iterator[str]:
    """The text among content parts, the form of Mistral's reasoning models."""
    for part in content or ():
        if _get(part, "type") == "text":
            yield _get(part, "text") or ""


def _get(thing: Any, name: str) -> Any:
    """A field of a dict or an object; None where it is absent."""
    if isinstance(thing, Mapping):
        return thing.get(name)
    return getattr(thing, name, None)
