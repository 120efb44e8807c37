"""``relay``: the stream of a language model's vendor, to events for a client.

    from sse_middleware.relay import relay

    def answer():
        yield from relay(client.chat.completions.create(model=..., messages=..., stream=True))

The upstream may be what any openai SDK from 0.28 on returns, or anthropic's, plain dicts, the
streaming response of ``requests``, httpx or the standard library, or an iterable of its raw bytes.

Where things are:

- ``source`` makes records of whatever it is, by ``frames`` where it is bytes; ``failures`` finds
  the errors among them, ``leaving`` lets go of it. ``fields`` reads what may be anything.
- ``chunks`` and ``text`` are the two shapes. For the latter ``reader`` makes ``pieces`` of each
  record: of ``chat``, ``responses``, ``assistants``, ``messages`` (Anthropic) or other ``vendors``;
  ``calls`` puts tool calls together.
"""

from functools import partial
from typing import Any, Callable, Generator, Iterable, Iterator, Optional

from sse_middleware.current import current_stream
from sse_middleware.errors import OptionError, shown
from sse_middleware.relay import leaving
from sse_middleware.relay.chunks import chunk_events
from sse_middleware.relay.failures import find_answer_id, log_failure
from sse_middleware.relay.source import Record, checked, records
from sse_middleware.relay.text import text_events

__all__ = ["relay"]


def relay(upstream: Iterable[Any], *, shape: str = "text", key: str = "data") -> Iterator[Any]:
    """The events of an answer, whichever vendor sends it, as items for the middleware.

    ``shape="text"``: events for a browser. Each piece of text becomes
    ``{"event": "message", "id": 1, "data": {key: "<text>"}}``, numbered from 1; ``reasoning`` and
    ``refusal`` have the same form; ``tool_call`` comes when the call is whole, ``usage`` once at
    the end; the last is ``close``, with the id that tells an EventSource to stop. Choices other
    than the first have ``"choice": 1`` and so on in their data. Chunks without text make no event.

    ``shape="openai"``: the upstream's own events, unchanged, and ``[DONE]``, for a client that
    reads them with the vendor's SDK.

    ``upstream`` is closed at the end, and also when the consumer stops early; when the client
    leaves, a read of it that waits returns.

    >>> chunk = {"choices": [{"index": 0, "delta": {"content": "Hi"}}]}
    >>> [event["data"] for event in relay([chunk])]
    [{'data': 'Hi'}, '']
    >>> [event["data"] for event in relay([chunk], shape="openai")]
    ['{"choices":[{"index":0,"delta":{"content":"Hi"}}]}', '[DONE]']

    Raises:
        OptionError: an unknown ``shape``, a ``key`` that is no text, an upstream that is no stream.
        UpstreamError: on iteration; the upstream answered with an error, with something that is
            no event stream, or reported an error in mid-stream. What its client raises (a cut, a
            timeout) is raised as it is.
        EventTooLargeError: on iteration; an event of the upstream is past 16 MiB.
    """
    if shape not in ("text", "openai"):
        raise OptionError("shape", shown(shape), "'text' or 'openai'")
    if not isinstance(key, str) or key == "choice":
        raise OptionError("key", shown(key), "a str, other than 'choice'")
    return _Relayed(
        checked(upstream), partial(text_events, key=key) if shape == "text" else chunk_events
    )


class _Relayed:
    """The events of one upstream, which is closed even if none of them was asked for."""

    def __init__(self, upstream: Any, shaped: Callable[[Iterable[Record]], Iterator[Any]]) -> None:
        self._upstream = upstream
        self._shaped = shaped
        self._is_closed = False
        self._events = self._run()
        self._answer_id: Optional[str] = None

    def __iter__(self) -> "_Relayed":
        return self

    def __next__(self) -> Any:
        return next(self._events)

    def close(self) -> None:
        """Stop, and close the upstream."""
        self._events.close()
        self._let_go()

    def _let_go(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            leaving.close(self._upstream)

    def _run(self) -> Generator[Any, None, None]:
        stream = current_stream()
        stream.on_disconnect(partial(leaving.abort, self._upstream))
        try:
            yield from self._shaped(self._records())
        except Exception as error:
            if not stream.disconnected:  # else it is what abort brought about
                log_failure(error, self._upstream, self._answer_id)
            raise
        finally:
            self._let_go()

    def _records(self) -> Iterator[Record]:
        for record in records(self._upstream):
            self._answer_id = self._answer_id or find_answer_id(record.chunk)
            yield record
