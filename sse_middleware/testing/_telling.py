"""What has come of a response so far, as the errors of a read tell it."""

import re
from typing import Iterator, Optional, Sequence

from sse_middleware.errors import shown
from sse_middleware.event import Event
from sse_middleware.headers import find_header, is_encoded, is_event_stream
from sse_middleware.testing._steps import Answer, Chunk

__all__ = ["so_far"]

_SHOWN_EVENTS = 5
_SHOWN_BYTES = 200


def so_far(
    request: str,
    answer: Optional[Answer],
    events: Sequence[Event],
    comments: Sequence[str],
    chunks: Sequence[Chunk],
) -> str:
    """The request and its answer on the first line, what came on those that follow."""
    lines = [f"{request}, {_answered(answer)}", _counted(events)]
    if comments:
        lines.append(f"comments so far: {len(comments)} ({shown(comments)})")
    lines += _remainder(b"".join(chunk.data for chunk in chunks), is_stream=bool(events))
    return "\n  ".join(lines)


def _counted(events: Sequence[Event]) -> str:
    last = ", ".join(map(repr, events[-_SHOWN_EVENTS:]))
    more = "..., " if len(events) > _SHOWN_EVENTS else ""
    return f"events so far: {len(events)}" + (f" ({more}{last})" if last else "")


def _remainder(body: bytes, *, is_stream: bool) -> Iterator[str]:
    """What follows the last blank line."""
    half = re.split(rb"\r\n\r\n|\n\n|\r\r", body)[-1]
    if half and is_stream:
        yield f"an event is unfinished: {half[:_SHOWN_BYTES]!r}"
    elif half:
        yield f"the body begins with {body[:_SHOWN_BYTES]!r}"


def _answered(answer: Optional[Answer]) -> str:
    if answer is None:
        return "which was not answered"
    told = [answer.status, find_header(answer.headers, "content-type") or "no Content-Type"]
    if is_encoded(answer.headers):
        told.append(f"Content-Encoding {find_header(answer.headers, 'content-encoding')}")
    if not is_event_stream(answer.headers):
        told.append("not an event stream")
    return ", ".join(told)
