"""``Framing``: the options that say how items become frames, and how a stream ends and fails."""

from typing import Any, Callable, Mapping, NamedTuple, Optional, Union

from sse_middleware.errors import EventError, OptionError, shown
from sse_middleware.event import Dumps, Event, encode

__all__ = ["END_ID", "ErrorEvent", "Framing", "generic_error", "with_end_id"]

#: The id of every last frame: an EventSource that comes back with it is told to stop.
END_ID = "sse:end"

#: From an exception and the id under which it was logged, the event to send, or None.
ErrorEvent = Callable[[Exception, str], Optional[Mapping[str, Any]]]


class Framing(NamedTuple):
    """The options that say how items become frames; see `event_stream`."""

    items: str = "event"
    dumps: Optional[Dumps] = None
    retry: Optional[int] = None
    end_event: Union[str, Mapping[str, Any], None] = None
    error_event: Optional[ErrorEvent] = None

    def checked(self, options: Mapping[str, Any]) -> "Framing":
        """This, with ``options`` put in.

        Raises:
            OptionError: an unknown option, or a value without meaning.
        """
        for name in options:
            if name not in self._fields:
                raise OptionError("option", shown(name), "one of " + ", ".join(self._fields))
        framing = self._replace(**options)
        if framing.items not in ("event", "data"):
            raise OptionError("items", shown(framing.items), "'event' or 'data'")
        for name in ("dumps", "error_event"):
            value = getattr(framing, name)
            if value is not None and not callable(value):
                raise OptionError(name, shown(value), "a callable or None")
        try:
            end = framing.end_fields()
            encode(end or {}, dumps=framing.dumps)
            Event(retry=framing.retry)
        except EventError as error:
            raise OptionError(error.thing, error.measured, error.expected) from None
        if end is not None and end.get("data") is None:
            raise OptionError("end_event", shown(framing.end_event), "a mapping with data")
        return framing

    def end_fields(self) -> Optional[Mapping[str, Any]]:
        """The fields of the end event, or None where there is none."""
        if self.end_event is None:
            return None
        if self.end_event in ("", "message"):
            raise OptionError("end_event", shown(self.end_event), "a name that tells it apart")
        if isinstance(self.end_event, str):
            return {"event": self.end_event, "data": "", "id": END_ID}
        if not isinstance(self.end_event, Mapping):
            raise OptionError("end_event", shown(self.end_event), "a str, a mapping or None")
        return with_end_id(self.end_event)


def with_end_id(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """``fields`` with the id that ends a stream.

    Raises:
        EventError: they carry another id.
    """
    if fields.get("id") not in (None, END_ID):
        raise EventError("id", shown(fields["id"]), f"{END_ID!r} on the event that ends a stream")
    return {**fields, "id": END_ID}


def generic_error(error_id: str) -> Mapping[str, Any]:
    """What a client may know of a failure: where it was logged, in the form that OpenAI uses."""
    told = {"message": "The stream failed.", "type": "stream_error", "code": error_id}
    return {"event": "error", "data": {"error": told}}
