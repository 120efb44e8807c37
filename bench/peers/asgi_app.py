"""The same events on uvicorn: finished bytes, sse-starlette, FastAPI."""

import asyncio
import time

from fastapi import FastAPI
from fastapi.sse import EventSourceResponse as FastAPIEvents
from fastapi.sse import ServerSentEvent
from sse_starlette import EventSourceResponse
from starlette.responses import StreamingResponse

from payloads import LARGE, SMALL, frame_of, stamped

_TEXTS = {"small": SMALL, "large": LARGE, "one": SMALL[:1]}
_RAW = {name: [frame_of(*pair) for pair in enumerate(texts)] for name, texts in _TEXTS.items()}

application = FastAPI()


async def _numbered(kind, count, every):
    if kind == "paced":
        due_at = time.monotonic()
        for number in range(count):
            due_at += every
            await asyncio.sleep(max(0.0, due_at - time.monotonic()))
            yield number, stamped(time.monotonic_ns())
    else:
        for pair in enumerate(_TEXTS[kind]):
            yield pair


@application.get("/raw/{kind}")
async def raw(kind: str, count: int = 0, every: float = 0.0):
    """Bytes that were framed before."""

    async def frames():
        if kind == "paced":
            async for number, text in _numbered(kind, count, every):
                yield frame_of(number, text)
        else:
            for frame in _RAW[kind]:
                yield frame

    return StreamingResponse(frames(), media_type="text/event-stream")


@application.get("/sse-starlette/{kind}")
async def sse_starlette(kind: str, count: int = 0, every: float = 0.0):
    """What sse-starlette's users yield."""

    async def events():
        async for number, text in _numbered(kind, count, every):
            yield {"event": "token", "id": str(number), "data": text}

    return EventSourceResponse(events(), ping=15)


@application.get("/fastapi/{kind}", response_class=FastAPIEvents)
async def fastapi(kind: str, count: int = 0, every: float = 0.0):
    """What FastAPI's users yield; the data is text already."""
    async for number, text in _numbered(kind, count, every):
        yield ServerSentEvent(raw_data=text, event="token", id=str(number))
