"""A chat that streams, and a ticker: ``sse-middleware serve flask_app``."""

import itertools
import threading

from flask import Flask, Response, request
from openai import OpenAI

from sse_middleware import SSEMiddleware, current_stream
from sse_middleware.relay import relay

app = Flask(__name__)


@app.route("/chat", methods=["POST"])
def chat():
    messages = request.get_json()["messages"]
    upstream = OpenAI().chat.completions.create(model="gpt-4o-mini", messages=messages, stream=True)
    return Response(relay(upstream))


@app.route("/ticks")
def ticks():
    return Response(seconds(first=int(current_stream().last_event_id or 0) + 1))


def seconds(first):
    left = threading.Event()
    current_stream().on_disconnect(left.set)
    for n in itertools.count(first):
        yield {"event": "tick", "id": n, "data": {"seconds": n}}
        if left.wait(1):
            return


app.wsgi_app = SSEMiddleware(app.wsgi_app, worker=["/chat", "/ticks"])
