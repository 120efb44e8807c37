"""The flags that one side waits for and another sets: for threads, and for greenlets.

A thread that waits blocks nobody else; a greenlet must wait by gevent's means, or all the others of
its thread stand still. Nothing is made before it is used: a server may fork until then, and gevent
may patch.
"""

import sys
import threading
from typing import Optional

from sse_middleware.clock import Signal

__all__ = ["GreenletSignal", "ThreadSignal", "is_greenlet", "signal_here"]


class ThreadSignal:
    """A flag that one thread waits for and others set; setting it twice is setting it once."""

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def wait(self, timeout_s: Optional[float]) -> bool:
        """Whether it was set, within ``timeout_s`` seconds (None: however long); takes it back."""
        if timeout_s is None:
            return self._lock.acquire()
        return self._lock.acquire(timeout=min(max(timeout_s, 0), threading.TIMEOUT_MAX))

    def set(self) -> None:
        """Let whoever waits go on, or the next who comes."""
        try:
            self._lock.release()
        except RuntimeError:  # it was set already
            pass


class GreenletSignal:
    """A `ThreadSignal` for greenlets."""

    def __init__(self) -> None:
        from gevent.event import Event

        self._event = Event()

    def wait(self, timeout_s: Optional[float]) -> bool:
        """Whether it was set, within ``timeout_s`` seconds (None: however long); takes it back."""
        was_set = bool(self._event.wait(timeout_s))
        self._event.clear()
        return was_set

    def set(self) -> None:
        """Let whoever waits go on, or the next who comes."""
        self._event.set()


def is_greenlet() -> bool:
    """Whether the caller runs in a greenlet of gevent's, and not in a thread of its own."""
    gevent = sys.modules.get("gevent")
    return gevent is not None and isinstance(gevent.getcurrent(), gevent.Greenlet)


def signal_here() -> Signal:
    """A signal of the kind that the caller can wait for."""
    return GreenletSignal() if is_greenlet() else ThreadSignal()
