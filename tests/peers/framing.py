"""What each library makes of the same texts: ``python framing.py`` prints the table.

An encoder takes data, event and id, and returns what its library would send. What a browser sees of
that is read by the parser of this package, which Chromium judges in ``tests/browser``.
"""

from importlib.metadata import version

from sse_middleware import EventParser

__all__ = ["COLUMNS", "ROWS", "column", "table", "title"]


def sse_middleware(data, event=None, id=None):
    """``encode``."""
    from sse_middleware import encode

    return encode({"data": data, "event": event, "id": id})


def sse_starlette(data, event=None, id=None):
    """What a yielded dict becomes."""
    from sse_starlette import ServerSentEvent

    return ServerSentEvent(data, event=event, id=id).encode()


def fastapi(data, event=None, id=None):
    """What ``fastapi.sse`` makes of text, and of an object."""
    from fastapi.sse import ServerSentEvent, format_sse_event

    if not isinstance(data, str):
        made = ServerSentEvent(data=data, event=event, id=id)
        return format_sse_event(data_str=made.model_dump_json(include={"data"}))
    ServerSentEvent(raw_data=data, event=event, id=id)
    return format_sse_event(data_str=data, event=event, id=id)


def litestar(data, event=None, id=None):
    """What a yielded ``ServerSentEventMessage`` becomes."""
    from litestar.response.sse import ServerSentEventMessage

    return ServerSentEventMessage(data=data, event=event, id=id).encode()


def django_eventstream(data, event=None, id=None):
    """What ``send_event`` becomes, without its option to encode JSON for text."""
    _configured()
    from django_eventstream.utils import sse_encode_event

    is_json = not isinstance(data, str)
    return sse_encode_event(event or "message", data, event_id=id, json_encode=is_json)


def flask_sse(data, event=None, id=None):
    """What ``publish`` becomes."""
    from flask_sse import Message

    return str(Message(data, type=event, id=id))


def baize(data, event=None, id=None):
    """What a yielded dict becomes."""
    from baize.wsgi import SendEventResponse

    fields = {"data": data, "event": event, "id": id}
    given = {name: value for name, value in fields.items() if value is not None}
    body = SendEventResponse(iter([given]))({"REQUEST_METHOD": "GET"}, lambda *told: None)
    return b"".join(body)


def django_flosse(data, event=None, id=None):
    """What a yielded event becomes."""
    _configured()
    from django_flosse import SSEEvent

    return SSEEvent(data=data, event=event, id=id).encode()


def _configured():
    from django.conf import settings

    if not settings.configured:
        settings.configure()


#: By the name on PyPI.
COLUMNS = {
    "sse-middleware": sse_middleware,
    "sse-starlette": sse_starlette,
    "fastapi": fastapi,
    "litestar": litestar,
    "django-eventstream": django_eventstream,
    "flask-sse": flask_sse,
    "baize": baize,
    "django-flosse": django_flosse,
}


def _seen(encode, *fields):
    """The events that a browser sees."""
    frame = encode(*fields)
    return EventParser().feed(frame.encode() if isinstance(frame, str) else frame)


def _kept(text):
    def cell(encode):
        seen = [event.data for event in _seen(encode, text)]
        return "kept" if seen == [text] else "**lost**" if text not in seen else "more"

    return cell


def _injected(*fields):
    def cell(encode):
        try:
            [event] = _seen(encode, *fields)
        except Exception:
            return "refused"
        return "removed" if event.data == "data" else "**gets in**"

    return cell


def _null(encode):
    try:
        [event] = _seen(encode, "data", None, "a\0b")
    except Exception:
        return "refused"
    return "removed" if event.id else "**sent**: the id is lost"


def _object(encode):
    try:
        [event] = _seen(encode, {"a": None})
    except Exception:
        return "an error"
    return "JSON" if "null" in event.data else "**Python**: `{'a': None}`"


ROWS = {
    "`a\\nb`": _kept("a\nb"),
    "a newline at the end": _kept("a\n"),
    "U+2028 in a text": _kept("a\u2028b"),
    "an empty text": _kept(""),
    "a space at the start": _kept(" a"),
    "a line break in `event`": _injected("data", "x\ndata: more"),
    "a line break in `id`": _injected("data", None, "1\ndata: more"),
    "NUL in `id`": _null,
    "an object as data": _object,
}


def column(name):
    """The cells of one library, from top to bottom."""
    return [cell(COLUMNS[name]) for cell in ROWS.values()]


def title(name):
    """The name, with the version that is installed; ours is the one that the page comes with."""
    return name if name == "sse-middleware" else f"{name} {version(name)}"


def table():
    """The table, in Markdown."""
    columns = [[title(name), *column(name)] for name in COLUMNS]
    rows = [["", *ROWS], *columns]
    lines = [f"| {' | '.join(cells)} |" for cells in zip(*rows)]
    return "\n".join([lines[0], "|---" * len(rows) + "|", *lines[1:]])


if __name__ == "__main__":
    print(table())
