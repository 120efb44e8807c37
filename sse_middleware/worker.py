"""Workers: what runs a request beside the thread of the server.

A worker takes one request as a whole, app call, iteration and close, so that what an app keeps by
thread (Flask's contexts, a sqlite3 connection) stays in one. On threads the workers are reused,
and daemons, so that a blocked one holds up neither exit nor reload. Under gevent each is a
greenlet, which can be killed. Nothing is made before the first request: a server may fork until
then, and gevent may patch.
"""

import os
import threading
from contextvars import Context
from typing import Any, Callable, List, Optional, Set

from sse_middleware.clock import Signal
from sse_middleware.signals import GreenletSignal, ThreadSignal, is_greenlet

__all__ = ["Job", "Workers", "running", "workers"]

_IDLE_S = 10.0


class Job:
    """One call in one worker."""

    def __init__(self, call: Callable[[], None], context: Context) -> None:
        self._call = call
        self._context = context
        self._greenlet: Any = None

    def run(self) -> None:
        """For the worker: make the call, in the context of whoever submitted it."""
        self._context.run(self._call)

    def kill(self) -> None:
        """End it where it stands, if its worker is a greenlet; a thread cannot be ended."""
        if self._greenlet is not None:
            self._greenlet.kill(block=False)


class Workers:
    """Where jobs run."""

    #: Whether each holds a thread, so that their number is to be limited.
    are_counted = True

    def __init__(self) -> None:
        self._running: Set[Job] = set()
        #: Those of them that are no requests.
        self._beside: Set[Job] = set()

    def __len__(self) -> int:
        return len(self._running)

    def signal(self) -> Signal:
        """A signal of the kind that these workers and their takers can wait for."""
        raise NotImplementedError

    def submit(self, call: Callable[[], None], context: Context, limit: int) -> Optional[Job]:
        """Run ``call`` beside this thread; None if ``limit`` calls were running already."""
        job = Job(call, context)
        self._running.add(job)
        if self.are_counted and len(self._running) - len(self._beside) > limit:
            self._running.discard(job)
            return None
        self._begin(job)
        return job

    def beside(self, call: Callable[[], None]) -> bool:
        """Run ``call`` beside this thread, whatever the limit, in a context of its own.

        False, and it is not run, where the process can start no other thread.
        """
        try:
            job = Job(call, Context())
            self._running.add(job)
            self._beside.add(job)
            self._begin(job)
        except RuntimeError:
            return False
        return True

    def _begin(self, job: Job) -> None:
        try:
            self._start(job)
        except BaseException:
            self._done(job)
            raise

    def _start(self, job: Job) -> None:
        raise NotImplementedError

    def _run(self, job: Job) -> None:
        try:
            job.run()
        finally:
            self._done(job)

    def _done(self, job: Job) -> None:
        self._running.discard(job)
        self._beside.discard(job)


class _Threads(Workers):
    """Threads, which wait a while for the next job before they end."""

    def __init__(self) -> None:
        super().__init__()
        self._idle: List[_Thread] = []

    def signal(self) -> Signal:
        return ThreadSignal()

    def _start(self, job: Job) -> None:
        try:
            thread = self._idle.pop()
        except IndexError:
            _Thread(self, job).start()
        else:
            thread.next_job = job
            thread.wake.set()

    def serve(self, thread: "_Thread") -> None:
        """What a thread does: job after job."""
        while thread.next_job is not None:
            job, thread.next_job = thread.next_job, None
            self._run(job)
            del job
            self._idle.append(thread)
            if not thread.wake.wait(_IDLE_S) and not self._took_back(thread):
                thread.wake.wait(None)  # it was chosen in the same moment

    def _took_back(self, thread: "_Thread") -> bool:
        try:
            self._idle.remove(thread)
        except ValueError:
            return False
        return True


class _Thread(threading.Thread):
    def __init__(self, workers: _Threads, job: Job) -> None:
        super().__init__(name="sse_middleware worker", daemon=True)
        self.wake = ThreadSignal()
        self.next_job: Optional[Job] = job
        self._workers = workers

    def run(self) -> None:
        self._workers.serve(self)


class _Greenlets(Workers):
    """A greenlet for each job."""

    are_counted = False

    def signal(self) -> Signal:
        return GreenletSignal()

    def _start(self, job: Job) -> None:
        import gevent

        job._greenlet = gevent.spawn(self._run, job)
        job._greenlet.link(lambda greenlet: self._done(job))  # also if it was killed unstarted


_threads: Optional[_Threads] = None
_greenlets: Optional[_Greenlets] = None


def workers() -> Workers:
    """The workers of this process, of the kind that the calling thread of the server is."""
    global _threads, _greenlets
    if is_greenlet():
        if _greenlets is None:
            _greenlets = _Greenlets()
        return _greenlets
    if _threads is None:
        _threads = _Threads()
    return _threads


def running() -> int:
    """How many jobs are running in this process."""
    return sum(len(pool) for pool in (_threads, _greenlets) if pool is not None)


def _forget_threads() -> None:
    """A forked process has none of its parent's threads."""
    global _threads
    _threads = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)
