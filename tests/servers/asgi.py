"""``apps.application`` as an ASGI app, for uvicorn."""

from a2wsgi import WSGIMiddleware
from apps import application as wsgi_application

application = WSGIMiddleware(wsgi_application, workers=24)
