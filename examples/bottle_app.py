"""A chat that streams, and a ticker: ``sse-middleware serve bottle_app``."""

import itertools
import threading

from bottle import Bottle, request
from openai import OpenAI

from sse_middleware import SSEMiddleware, current_stream
from sse_middleware.relay import relay

bottle = Bottle()


@bottle.post("/chat")
def chat():
    return relay(
        OpenAI().chat.completions.create(
            model="gpt-4o-mini", messages=request.json["messages"], stream=True
        )
    )


@bottle.get("/ticks")
def ticks():
    left = threading.Event()
    current_stream().on_disconnect(left.set)
    for n in itertools.count(int(current_stream().last_event_id or 0) + 1):
        yield {"event": "tick", "id": n, "data": {"seconds": n}}
        if left.wait(1):
            return


app = SSEMiddleware(bottle, worker=["/chat", "/ticks"])
