"""``Channel``: one topic that many clients follow, of many processes where they share a log.

The events have ids of the channel's own: a client that comes back with one gets what was published
since, from any subscription, so that nothing is kept for each client.
"""

from typing import Any, Iterator, Mapping, Optional, Union

from sse_middleware.current import current_stream
from sse_middleware.errors import EventError, OptionError, shown
from sse_middleware.event import Event, encode
from sse_middleware.fields import checked
from sse_middleware.parser import EventParser
from sse_middleware.resume.blocks import is_event, numbered
from sse_middleware.resume.log import EventLog, Subscription

__all__ = ["Channel"]


class Channel:
    """A topic by the name of ``name``, in ``log``.

    >>> from sse_middleware.resume import MemoryLog
    >>> news = Channel("news", MemoryLog(owner=None))
    >>> follow = news.subscribe()
    >>> news.publish({"data": "Hi"})
    >>> next(follow).data
    'Hi'

    Raises:
        OptionError: ``name`` is no text, or empty, or ``log`` is no log.
    """

    def __init__(self, name: str, log: EventLog) -> None:
        if not isinstance(name, str) or not name:
            raise OptionError("name", shown(name), "a str that names the channel")
        if not (hasattr(log, "publish") and hasattr(log, "subscribe")):
            raise OptionError("log", shown(log), "an EventLog such as MemoryLog(owner=...)")
        self._name = name
        self._log = log

    def publish(self, event: Union[Event, Mapping[str, Any]]) -> None:
        """Send an `Event`, or the event that a mapping describes, to all subscribers and the log.

        Raises:
            EventError: it is no event with data, or has an id: the channel numbers its events.
            Exception: what the log raises where it cannot be reached.
        """
        own_id = event.id if isinstance(event, Event) else checked(event).get("id")
        if own_id is not None:
            raise EventError("id", shown(own_id), "none: the channel numbers its events")
        frame = encode(event)
        if not is_event(frame):
            raise EventError("event", shown(event), "a mapping with data")
        self._log.publish(self._name, frame)

    def subscribe(self, last_event_id: Optional[str] = None) -> Iterator[Event]:
        """What is published from now on, each an `Event`, for a stream; it never ends by itself.

        ``last_event_id`` is where to continue: by default what the client of this request sent.
        What followed it and is still in the log comes first; from an id that is too old, all that
        is there; from an id that is not this channel's, nothing but what is new. The stream that
        these events leave in is not kept for its client: it needs nothing but these ids.

        Raises:
            OptionError: ``last_event_id`` is no text.
        """
        if not isinstance(last_event_id, (str, type(None))):
            expected = "a str, as a client sends it, or None"
            raise OptionError("last_event_id", shown(last_event_id), expected)
        stream = current_stream()
        after = stream.last_event_id if last_event_id is None else last_event_id
        stream.is_resumable = False
        subscription = self._log.subscribe(self._name, after)
        stream.on_disconnect(subscription.close)
        return _events(subscription)


def _events(subscription: Subscription) -> Iterator[Event]:
    try:
        for event_id, frame in subscription:
            yield from EventParser().feed(numbered(frame[:-1], event_id))
    finally:
        subscription.close()
