"""A chat that streams, and a ticker, in one file: ``sse-middleware serve django_app``."""

import itertools
import json
import threading

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import StreamingHttpResponse
from django.urls import path
from openai import OpenAI

from sse_middleware import SSEMiddleware, current_stream, event_stream
from sse_middleware.relay import relay


def chat(request):
    messages = json.loads(request.body)["messages"]
    upstream = OpenAI().chat.completions.create(model="gpt-4o-mini", messages=messages, stream=True)
    return StreamingHttpResponse(event_stream(relay(upstream)))


def ticks(request):
    return StreamingHttpResponse(event_stream(seconds(current_stream())))


def seconds(stream):
    left = threading.Event()
    stream.on_disconnect(left.set)
    for n in itertools.count(int(stream.last_event_id or 0) + 1):
        yield {"event": "tick", "id": n, "data": {"seconds": n}}
        if left.wait(1):
            return


urlpatterns = [path("chat", chat), path("ticks", ticks)]
settings.configure(ROOT_URLCONF=__name__, SECRET_KEY="for development", ALLOWED_HOSTS=["127.0.0.1"])
application = SSEMiddleware(get_wsgi_application(), worker=["/chat", "/ticks"])
