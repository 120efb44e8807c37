"""What follows a Last-Event-ID: streams that survive a lost connection, and channels.

    from sse_middleware.resume import MemoryLog

    app = SSEMiddleware(app, resume=MemoryLog(owner=lambda environ: environ.get("REMOTE_USER")))

`MemoryLog` serves one process, `RedisLog` all that share a Redis (the client ``redis`` is installed
with the extra of that name). `Channel` is one topic that many clients follow, on either log.

Where things are:

- ``log``: what every log can do. ``memory`` is one, with ``frames``; ``redis`` is the other, with
  ``tail`` for those who read, ``pulse`` and ``commands``. ``channel`` needs nothing but a log.
- ``keeping`` and ``following`` are what the middleware asks: who keeps a stream, and who gets its
  rest; by way of ``guard``, so that a log that fails breaks no request. ``address`` makes the ids,
  ``blocks`` numbers the events.
"""

from sse_middleware.resume.channel import Channel
from sse_middleware.resume.log import EventLog
from sse_middleware.resume.memory import MemoryLog
from sse_middleware.resume.redis import RedisLog

__all__ = ["Channel", "EventLog", "MemoryLog", "RedisLog"]
