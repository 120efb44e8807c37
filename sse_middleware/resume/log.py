"""``EventLog``: what the middleware asks of a log, and the options that every log has.

A log keeps the frames of a stream in order, under a name that only the right request can compute.
One `Writer` numbers them from 1; any number of `Reader`s follow, each at its own pace. A log that
fails raises, and soon: whoever calls it goes on without.
"""

from typing import Any, Callable, Dict, Iterator, NamedTuple, Optional, Protocol, Tuple, Union

from sse_middleware.errors import OptionError, shown

__all__ = ["Bounds", "EventLog", "Owner", "Reader", "Subscription", "Writer", "checked_owner"]

#: Who a request is from: what this says of a request's environ. None and "" are nobody.
Owner = Optional[Callable[[Dict[str, Any]], Union[str, int, None]]]


class Writer(Protocol):
    """The one who writes a stream. Each call may raise: then nothing more is written."""

    def append(self, frame: bytes) -> None:
        """Keep the next frame; the first is number 1."""

    def finish(self) -> None:
        """No frame will follow; what is kept stays for those who come back."""

    def discard(self) -> None:
        """Forget the stream: its id is unknown from now on, and its readers have lost it."""

    def followed_s(self) -> float:
        """Seconds for which the stream is wanted still, counted from its last follower; or 0."""


class Reader(Protocol):
    """The frames after a number, and then the live ones, until the stream is finished.

    Iterating waits; it raises `StreamLostError` when no more can come though there was no end.
    """

    #: What was given to `EventLog.open`.
    head: str
    #: The number of the frame that was read last.
    number: int

    @property
    def nothing_follows(self) -> bool:
        """Whether the stream is finished, and nothing is left to be read."""

    @property
    def is_orphaned(self) -> bool:
        """Whether the stream was lost because nobody writes it any more."""

    def __iter__(self) -> Iterator[bytes]:
        """Itself."""

    def __next__(self) -> bytes:
        """The next frame, waited for."""

    def close(self) -> None:
        """Stop, also a wait in another thread."""

    def conclude(self, frame: bytes) -> None:
        """Write the last frame of an orphaned stream, unless somebody else has."""


class Subscription(Protocol):
    """The id and the frame of each event of a channel, as they are published; it never ends."""

    def __iter__(self) -> Iterator[Tuple[str, bytes]]:
        """Itself."""

    def __next__(self) -> Tuple[str, bytes]:
        """The next event, waited for."""

    def close(self) -> None:
        """Stop, also a wait in another thread."""


class EventLog(Protocol):
    """Where streams are kept. `MemoryLog` and `RedisLog` are two."""

    owner: Owner
    linger_s: float

    def open(self, name: str, head: str) -> Writer:
        """Begin the stream ``name``; ``head`` is kept with it."""

    def find(self, name: str, after: int) -> Optional[Reader]:
        """What followed frame number ``after``; None unless all of that is there."""

    def publish(self, channel: str, frame: bytes) -> None:
        """Hand an event, without an id, to whoever follows ``channel``."""

    def subscribe(self, channel: str, after: str) -> Subscription:
        """What follows the id ``after`` and is still there; from now on, where it is none."""


class Bounds(NamedTuple):
    """How much a log keeps. The first two hold for each stream and each channel."""

    max_events: int
    max_bytes: int
    max_streams: int
    max_age: float

    def checked(self) -> "Bounds":
        """This, if each bound is one.

        Raises:
            OptionError: a bound that is no number above 0.
        """
        for name, value in self._asdict().items():
            if not _is_number(value) or not 0 < value < float("inf"):
                raise OptionError(name, shown(value), "a number > 0")
        return self


def checked_owner(owner: Owner, linger: float) -> Tuple[Owner, float]:
    """Both, if they have a meaning.

    Raises:
        OptionError: ``owner`` is neither a callable nor None, or ``linger`` is no time.
    """
    if owner is not None and not callable(owner):
        raise OptionError("owner", shown(owner), "a callable on environ, or None: ids are enough")
    if not _is_number(linger) or not 0 <= linger < float("inf"):
        raise OptionError("linger", shown(linger), "seconds, a number >= 0")
    return owner, linger


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
