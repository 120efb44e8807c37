"""``Registry``: the streams of one middleware that are open now, and who is told of them."""

import logging
import time
import weakref
from typing import Any, Callable, Dict

from sse_middleware.current import CurrentStream
from sse_middleware.errors import OptionError, shown
from sse_middleware.worker import running

__all__ = ["Registry"]

_TOLD = ("opened", "closed", "heartbeat")

_log = logging.getLogger("sse_middleware")


class Registry:
    """Calls those of ``opened``, ``closed`` and ``heartbeat`` that ``observer`` has.

    What it raises is logged: an observer never changes what it observes.

    Raises:
        OptionError: ``observer`` is a function, which would never be called.
    """

    def __init__(self, observer: object) -> None:
        if callable(observer) and not any(hasattr(observer, name) for name in _TOLD):
            methods = ", ".join(_TOLD)
            raise OptionError("observer", shown(observer), f"an object with any of {methods}")
        self.is_draining = False
        self._observer = observer
        # By id and weakly, so that a response that its server drops unclosed can end.
        self._open: Dict[int, weakref.ref[Any]] = {}

    def opened(self, response: Any, stream: CurrentStream) -> None:
        """The server was told that a stream begins. ``response.wake()`` makes it look again."""
        self._open[id(response)] = weakref.ref(response)
        self._tell("opened", stream)

    def closed(self, response: Any, stream: CurrentStream, reason: str) -> None:
        """A stream is over: end, error, disconnect, max_age or drain."""
        if self._open.pop(id(response), None) is not None:
            self._tell("closed", stream, reason)

    def heartbeat(self, stream: CurrentStream) -> None:
        """A comment is sent, because the app was silent."""
        self._tell("heartbeat", stream)

    def drain(self, timeout_s: float) -> bool:
        """Ask every stream to end, and wait; whether all had ended in time.

        Raises:
            OptionError: ``timeout_s`` is no number.
        """
        if not isinstance(timeout_s, (int, float)):
            raise OptionError("timeout", shown(timeout_s), "seconds, a number >= 0")
        self.is_draining = True
        for found in list(self._open.values()):
            response = found()
            if response is not None:
                response.wake()
        gives_up_at = time.monotonic() + timeout_s
        while self._is_busy() and time.monotonic() < gives_up_at:
            time.sleep(0.02)  # a lock would be unsafe in a signal handler, where this may run
        return not self._is_busy()

    def _is_busy(self) -> bool:
        return bool(self._open) or running() > 0  # a generator may still be on its way out

    def _tell(self, name: str, *told: Any) -> None:
        try:
            listener: Callable[..., object] = getattr(self._observer, name, _nobody)
            listener(*told)
        except Exception:
            _log.exception("observer.%s failed", name)


def _nobody(*told: Any) -> None:
    return None
