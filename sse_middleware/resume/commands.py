"""What is said to Redis: a client that never waits for long, and the entries of a stream."""

from typing import Any, List

from sse_middleware.errors import OptionError, StreamLostError, shown_url

__all__ = [
    "END",
    "FRAME",
    "TIMEOUT_S",
    "add_entry",
    "connect",
    "key_of",
    "keys_of",
    "milliseconds",
    "number_of",
    "replies_of",
]

#: How long Redis may take for one answer, in seconds.
TIMEOUT_S = 1.0
#: Every reader that waits holds a connection; by default the newest client allows 100.
_MAX_CONNECTIONS = 2**31

#: The one field of an entry: a frame, or the end of the stream.
FRAME, END = b"f", b"e"


def add_entry(client: Any, name: str, number: int, length: int, field: bytes, value: bytes) -> None:
    """Write entry ``number`` of a stream, and keep ``length`` entries (0: all).

    Raises:
        StreamLostError: the stream is no longer there.
        redis.ResponseError: somebody has written that entry.
    """
    bound = ["MAXLEN", length] if length else []
    create = ["NOMKSTREAM"] if number > 1 else []
    key = key_of("events", name)
    if client.execute_command("XADD", key, *create, *bound, f"{number}-0", field, value) is None:
        raise StreamLostError("Redis has lost the stream")


def connect(url: str, timeout_s: float) -> Any:
    """A client whose commands take ``timeout_s`` seconds at most, and are not tried again.

    Nothing is sent yet.

    Raises:
        OptionError: ``url`` is none of Redis.
        ImportError: the client is not installed.
    """
    try:
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        from redis import Redis
    except ImportError:
        raise ImportError(
            "RedisLog needs the redis client: pip install 'sse-middleware[redis]'"
        ) from None
    try:
        client = Redis.from_url(
            url,
            socket_timeout=timeout_s,
            socket_connect_timeout=TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
            max_connections=_MAX_CONNECTIONS,
        )
    except (ValueError, AttributeError, TypeError):
        raise OptionError("url", shown_url(url), 'such as "redis://localhost:6379/0"') from None
    for command in ("XREAD", "XRANGE", "XREVRANGE"):
        client.set_response_callback(command, _as_it_came)  # it differs by version
    return client


def _as_it_came(reply: Any, **options: Any) -> Any:
    return reply


def replies_of(pipe: Any) -> List[Any]:
    """What Redis answers to the commands of a pipeline.

    Raises:
        redis.RedisError: of one that failed, in Redis's own words. The client would put the whole
            command before them, which holds headers or an event, and errors are logged.
    """
    replies: List[Any] = pipe.execute(raise_on_error=False)
    for reply in replies:
        if isinstance(reply, Exception):
            raise reply
    return replies


def number_of(entry: Any) -> int:
    """The number of an entry of a stream."""
    return int(entry[0].split(b"-")[0])


def key_of(kind: str, name: str) -> str:
    """The key in Redis of what belongs to a stream, a process or a channel.

    >>> key_of("lease", "7")
    'sse:{7}:lease'
    """
    return f"sse:{{{name}}}:{kind}"


def keys_of(name: str) -> List[str]:
    """The keys of a stream."""
    return [key_of("events", name), key_of("about", name)]


def milliseconds(seconds: float) -> int:
    """``seconds`` as Redis counts them; never 0, which it refuses."""
    return max(1, round(seconds * 1000))
