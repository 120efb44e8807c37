"""``Pulse``: says in Redis that this process lives, as long as it has streams to write.

One lease stands for the whole process: one thread renews it, however many streams there are and
however long their apps are silent or their clients take nothing. A process that was killed stops
renewing, and those who follow its streams see the lease run out.
"""

import os
import threading
import time
import uuid
from typing import Any, Dict, Iterable, Set

from sse_middleware.resume.commands import key_of, milliseconds, replies_of

__all__ = ["Pulse"]


class Pulse:
    """The lease of this process, and the age of the streams that it writes."""

    def __init__(self, client: Any, lease_s: float, max_age_s: float) -> None:
        self._client = client
        self._lease_s = lease_s
        self._max_age_s = max_age_s
        self._start_anew()

    def _start_anew(self) -> None:
        self._pid = os.getpid()
        self._lease = uuid.uuid4().hex
        self._lock = threading.RLock()  # the garbage collector may end a stream in here
        self._is_beating = False
        #: The streams that are written, and when their keys were last told to stay.
        self._live: Dict[str, float] = {}
        self._forgotten: Set[str] = set()

    def begin(self, name: str) -> str:
        """This process writes the stream ``name``; the lease to watch, which holds from now."""
        if self._pid != os.getpid():  # it was forked: the threads and streams stayed behind
            self._start_anew()
        self._renew()
        self._live[name] = time.monotonic()
        try:
            self._keep_beating()
        except BaseException:  # no thread can be started now
            self.end(name)
            raise
        return self._lease

    def end(self, name: str) -> None:
        """The stream is written no more."""
        self._live.pop(name, None)

    def forget(self, name: str) -> None:
        """The stream is to be deleted, as soon as that can be done."""
        self._live.pop(name, None)
        self._forgotten.add(name)
        self._keep_beating()

    def refresh(self, names: Iterable[str]) -> None:
        """The keys of these streams stay for another age."""
        max_age_ms = milliseconds(self._max_age_s)
        with self._client.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.pexpire(key_of("events", name), max_age_ms)
                pipe.pexpire(key_of("about", name), max_age_ms)
                pipe.zadd("sse:streams", {name: time.time()}, xx=True)
            replies_of(pipe)

    def tidy(self) -> None:
        """Delete what is to be forgotten."""
        names = list(self._forgotten)
        if names:
            with self._client.pipeline(transaction=False) as pipe:
                for name in names:
                    pipe.delete(key_of("events", name), key_of("about", name))
                    pipe.zrem("sse:streams", name)
                replies_of(pipe)
            self._forgotten.difference_update(names)

    def _renew(self) -> None:
        self._client.set(key_of("lease", self._lease), 1, px=milliseconds(self._lease_s))

    def _keep_beating(self) -> None:
        with self._lock:
            if not self._is_beating:
                beating = threading.Thread(target=self._beat, name="sse_middleware", daemon=True)
                self._is_beating = True
                try:
                    beating.start()
                except BaseException:
                    self._is_beating = False  # the next stream tries again
                    raise

    def _beat(self) -> None:
        pause_s = self._lease_s / 3
        while self._goes_on():
            time.sleep(pause_s)
            try:
                self._renew()
                self.tidy()
                self._refresh_due()
            except Exception:  # nosec B112
                continue  # who writes or reads meanwhile finds out, and says so

    def _goes_on(self) -> bool:
        with self._lock:
            self._is_beating = bool(self._live or self._forgotten)
            return self._is_beating

    def _refresh_due(self) -> None:
        now_s = time.monotonic()
        due = [
            name for name, at_s in list(self._live.items()) if now_s - at_s > self._max_age_s / 4
        ]
        self.refresh(due)
        for name in due:
            if name in self._live:
                self._live[name] = now_s
