"""``ask_again``: what an EventSource gets that comes back when the stream has ended.

It is asked only where an EventSource would: of a GET that was a stream. A POST is asked once, as
each may be paid for.
"""

from typing import NamedTuple, Tuple

from sse_middleware.doctor.probe import Heard, probe
from sse_middleware.doctor.stream import Stream, stream_of
from sse_middleware.errors import SSEError

__all__ = ["UNASKED", "Again", "ask_again"]


class Again(NamedTuple):
    """``kind`` is "unasked", "stopped" (204), "refused", "restarts", "goes on" or "empty"."""

    kind: str
    told: str


UNASKED = Again("unasked", "no")


def ask_again(heard: Heard, stream: Stream, timeout_s: float) -> Again:
    """Ask as an EventSource does that has seen ``stream``, until its first event comes."""
    if heard.asked.method != "GET" or heard.status != 200 or not stream.events:
        return UNASKED
    asked, last_event_id = heard.asked, stream.last_event_id
    if last_event_id:
        as_sent = last_event_id.encode("utf-8").decode("latin-1")
        asked = asked.with_header("Last-Event-ID", as_sent)
    named = f"with Last-Event-ID {last_event_id!r}" if last_event_id else "without a last event ID"
    try:
        second = probe(asked, timeout_s, enough=lambda now: bool(stream_of(now).events))
    except SSEError:  # what the first answer told is worth a report
        return Again("refused", f"{named}: no answer")
    kind, told = _outcome(second, stream_of(second), stream)
    return Again(kind, f"{named}: {told}")


def _outcome(second: Heard, again: Stream, first: Stream) -> Tuple[str, str]:
    if second.status == 204:
        return "stopped", "204, so an EventSource stops"
    if second.status != 200:
        status = second.status or "nothing in time"
        return "refused", f"{status}, so an EventSource gives up"
    if not again.events:
        return "empty", "200 and no event that was not seen"
    one, two = first.events[0].event, again.events[0].event
    if (one and one.data, one and one.id) == (two and two.data, two and two.id):
        return "restarts", "200 and the same events from the start"
    if not first.last_event_id:
        return "restarts", "200 and a stream from the start, as no id says where to go on"
    return "goes on", "200 and other events"
