"""``Resumption``: which requests get a keeper, and which get the rest of an earlier stream.

The rest is served by a small WSGI app, in a worker as any other stream: it has heartbeats, an age,
and a client that may leave.
"""

import json
import logging
from typing import Any, Callable, Dict, Iterator, Optional

from sse_middleware.clock import Signal
from sse_middleware.current import CurrentStream, current_stream
from sse_middleware.errors import OptionError, StreamLostError, shown
from sse_middleware.resume.address import find_address, parted
from sse_middleware.resume.blocks import numbered
from sse_middleware.resume.guard import Guard
from sse_middleware.resume.keeping import Head, Keeper, Unkept
from sse_middleware.resume.log import EventLog, Reader

__all__ = ["Follower", "Resumption"]

_log = logging.getLogger("sse_middleware")


class Resumption:
    """What the middleware's option ``resume`` does, for all its requests.

    Raises:
        OptionError: ``log`` is no `EventLog`.
    """

    def __init__(self, log: EventLog) -> None:
        if not all(hasattr(log, name) for name in ("owner", "linger_s", "open", "find")):
            raise OptionError("resume", shown(log), "an EventLog such as MemoryLog(owner=...)")
        self._guard = Guard(log)

    def keeper(
        self, environ: Dict[str, Any], stream: CurrentStream, over: Signal, head: Head
    ) -> Unkept:
        """Who keeps the stream of this request; ``over`` is set when there is no more to keep."""
        address = find_address(environ, self._guard.owner)
        if address is None:
            return Unkept()
        return Keeper(self._guard, address, stream, over, head)

    def find(self, environ: Dict[str, Any], last_event_id: str) -> Optional["Follower"]:
        """The rest of the stream that the client lost; None where the app is to answer."""
        address = find_address(environ, self._guard.owner) if last_event_id else None
        if address is None:
            return None
        stream_id, number = parted(last_event_id)
        reader = self._guard.find(address.name(stream_id), number)
        return None if reader is None else Follower(reader, stream_id)


class Follower(Unkept):
    """The rest of one stream, as a WSGI app; and the keeper of its last frame, if nobody else is.

    A stream whose producer is gone ends with an error event. That is written to the log, with a
    number of its own: a client that comes back with it has seen the end, and is told to stop.
    """

    def __init__(self, reader: Reader, stream_id: str) -> None:
        self._reader = reader
        self._stream_id = stream_id
        self._stream: Optional[CurrentStream] = None

    @property
    def nothing_follows(self) -> bool:
        """Whether the client has seen all of a stream that is finished."""
        return self._reader.nothing_follows

    def app(self, environ: Dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
        """The WSGI app."""
        status, headers = json.loads(self._reader.head)
        start_response(status, [(name, value) for name, value in headers])
        self._stream = current_stream()
        self._stream.is_open = lambda: True  # it was: what fails now is no 500, but the error event
        self._stream.on_disconnect(self._reader.close)
        return self._frames(self._stream)

    def keep(self, data: bytes) -> bytes:
        """``data``, which has its numbers; the error event of an orphaned stream gets one here."""
        if self._stream is None or not self._stream.failed or not self._reader.is_orphaned:
            return data
        frame = numbered(data[:-1], f"{self._stream_id}-{self._reader.number + 1}")
        try:
            self._reader.conclude(frame)
        except Exception as error:
            _log.debug("the end of a stream was not kept: %r", error)
        return frame

    def _frames(self, stream: CurrentStream) -> Iterator[bytes]:
        try:
            yield from self._reader
        except StreamLostError:
            raise
        except Exception as error:  # a clean end, so that the client asks again
            _log.error("the rest of a stream cannot be read: %r", error)
        finally:
            self._reader.close()
        stream.ended = True  # its end event, if it has one, was in the log
