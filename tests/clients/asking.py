"""What every client here is asked, and what is kept of its answer."""

import re
from typing import (
    Any,
    AsyncIterable,
    Awaitable,
    Callable,
    FrozenSet,
    Iterable,
    List,
    NamedTuple,
    Optional,
    Sequence,
    Union,
)

from sse_middleware import EventParser

DEADLINE_S = 20.0

#: Which path belongs to a call of an API. A client that knows no API takes any of them.
PATHS = {
    "chat.completions": "/chat/completions",
    "completions": "/completions",
    "responses": "/responses",
    "assistants": "/threads/t/runs",
    "audio.transcriptions": "/audio/transcriptions",
    "anthropic.messages": "/v1/messages",
    "other": "/other",
}


class Job(NamedTuple):
    """One question: a call of ``api`` at ``base_url``."""

    api: str
    base_url: str
    #: How long the upstream may be silent.
    patience_s: float = DEADLINE_S
    #: Whether the client may ask again, as often as it does by default.
    retries: bool = False


class Outcome(NamedTuple):
    """What came: the SDK's objects, or the bytes of a client that makes none; and how it ended."""

    came: Union[List[Any], bytes]
    error: Optional[str] = None

    @property
    def count(self) -> int:
        """How many objects came, or how many events the bytes hold."""
        if isinstance(self.came, bytes):
            return len(EventParser(max_event_bytes=len(self.came) + 1).feed(self.came))
        return len(self.came)


class Client(NamedTuple):
    """A client as its users make it, but for the deadline, and without certificates."""

    name: str
    apis: FrozenSet[str]
    ask: Callable[[Sequence[Job]], List[Outcome]]


def collected(call: Callable[[], Iterable[Any]]) -> Outcome:
    """What comes of the stream that ``call`` returns."""
    came: List[Any] = []
    try:
        for one in call():
            came.append(one)
    except Exception as error:
        return Outcome(came, told(error))
    return Outcome(came)


async def collected_async(call: Callable[[], Awaitable[AsyncIterable[Any]]]) -> Outcome:
    """What comes of the asynchronous stream that ``call`` returns."""
    came: List[Any] = []
    try:
        async for one in await call():
            came.append(one)
    except Exception as error:
        return Outcome(came, told(error))
    return Outcome(came)


def told(error: BaseException) -> str:
    """The exception as a user reads it: its package, its name, and the first line of its text."""
    package = type(error).__module__.split(".")[0]
    name = type(error).__name__ if package == "builtins" else f"{package}.{type(error).__name__}"
    return shortened(f"{name}: {error}")


def shortened(text: str) -> str:
    """The first line, without the port, which differs from run to run."""
    return re.sub(r"port=\d+", "port=N", text.strip().split("\n")[0]).rstrip(": ")
