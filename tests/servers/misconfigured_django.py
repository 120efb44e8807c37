"""Django with GZipMiddleware; ``SSE_LINES`` holds the lines of a fix."""

import os

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import StreamingHttpResponse
from django.urls import path
from misconfigured_stream import HEADERS, frames

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1"],
    MIDDLEWARE=["django.middleware.gzip.GZipMiddleware"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="none",
)
django.setup()


def stream(request):
    response = StreamingHttpResponse(
        frames(), content_type="text/event-stream; charset=utf-8", headers=HEADERS
    )
    exec(os.environ["SSE_LINES"], {"response": response})
    return response


urlpatterns = [path("stream", stream)]
application = get_wsgi_application()
