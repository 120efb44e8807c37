"""What follows a Last-Event-ID: streams that survive a lost connection, and channels.

    from sse_middleware.resume import MemoryLog

    app = SSEMiddleware(app, resume=MemoryLog(owner=lambda environ: environ.get("REMOTE_USER")))

`MemoryLog` serves one process, `RedisLog` all that share a Redis (the client ``redis`` is installed
with the extra of that name). `Channel` is one topic that many clients follow, on either log.
"""

from sse_middleware.resume.channel import Channel
from sse_middleware.resume.log import EventLog
from sse_middleware.resume.memory import MemoryLog
from sse_middleware.resume.redis import RedisLog

__all__ = ["Channel", "EventLog", "MemoryLog", "RedisLog"]
