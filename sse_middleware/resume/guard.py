"""``Guard``: a log that fails breaks no request, and is waited for by few.

What fails is told once in the log of the process, and for a moment nobody asks again: with a log
that answers nobody, each request would otherwise wait for as long as the log's own patience.
"""

import logging
import time
from typing import Callable, Optional, TypeVar

from sse_middleware.errors import StreamLostError
from sse_middleware.resume.log import EventLog, Owner, Reader, Writer

__all__ = ["Guard"]

_T = TypeVar("_T")
_REST_S = 1.0

_log = logging.getLogger("sse_middleware")


class Guard:
    """Asks an `EventLog`; where that fails, nothing is found, and nothing is kept."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._rests_until = 0.0
        self._is_down = False

    @property
    def owner(self) -> Owner:
        """The log's."""
        return self._log.owner

    @property
    def linger_s(self) -> float:
        """The log's."""
        return self._log.linger_s

    def find(self, name: str, after: int) -> Optional[Reader]:
        """What followed frame number ``after``, or None."""
        return self._asked(lambda: self._log.find(name, after))

    def open(self, name: str, head: str) -> Optional[Writer]:
        """The writer of a new stream, or None."""
        return self._asked(lambda: self._log.open(name, head))

    def wrote(self, write: Callable[[], object]) -> bool:
        """Whether ``write()`` succeeded."""
        try:
            write()
        except StreamLostError as error:  # this stream alone, such as one dropped for room
            _log.debug("a stream is kept no more: %r", error)
            return False
        except Exception as error:
            self._failed(error)
            return False
        return True

    def _asked(self, ask: Callable[[], Optional[_T]]) -> Optional[_T]:
        if time.monotonic() < self._rests_until:
            return None
        try:
            answer = ask()
        except Exception as error:
            self._failed(error)
            return None
        if self._is_down:
            self._is_down = False
            _log.warning("streams are kept again")
        return answer

    def _failed(self, error: Exception) -> None:
        self._rests_until = time.monotonic() + _REST_S
        if not self._is_down:
            self._is_down = True
            _log.error("streams are not kept, and cannot be resumed: %r", error)
