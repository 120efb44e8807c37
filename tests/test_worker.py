"""Threads that are used again and end when idle; greenlets under gevent; forks."""

import contextvars
import subprocess
import sys
import threading

import pytest

from sse_middleware import worker
from sse_middleware.signals import ThreadSignal
from sse_middleware.worker import workers

DEADLINE_S = 30


def ran(pool, call=lambda: None, limit=10_000):
    """Run ``call`` in ``pool`` and wait for it; what it returned."""
    done, results = threading.Event(), []

    def job():
        results.append(call())
        done.set()

    assert pool.submit(job, contextvars.copy_context(), limit)
    assert done.wait(DEADLINE_S), "the job did not run"
    return results[0]


def until(condition, what):
    pause = threading.Event()
    for _ in range(int(DEADLINE_S / 0.001)):
        if condition():
            return
        pause.wait(0.001)
    raise AssertionError(f"waited in vain: {what}")


@pytest.fixture
def pool(monkeypatch):
    monkeypatch.setattr(worker, "_threads", None)
    return workers()


def test_nothing_is_made_before_the_first_request():
    code = (
        "import threading, sse_middleware.middleware as m; from sse_middleware import worker;"
        "m.SSEMiddleware(lambda environ, start_response: []);"
        "assert threading.active_count() == 1 and worker._threads is None"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_an_idle_pool_stays_the_pool_of_the_process(pool):
    ran(pool)
    until(lambda: len(pool) == 0, "the job to end")
    assert workers() is pool


def test_an_idle_thread_is_used_again(pool):
    first = ran(pool, threading.current_thread)
    until(lambda: pool._idle, "the thread to be idle")
    assert ran(pool, threading.current_thread) is first
    assert (first.name, first.daemon) == ("sse_middleware worker", True)


def test_jobs_that_run_at_once_have_a_thread_each(pool):
    both = threading.Barrier(2, timeout=DEADLINE_S)
    for _ in range(2):
        assert pool.submit(both.wait, contextvars.copy_context(), 2)
    until(lambda: len(pool) == 0, "the two jobs to meet")


def test_an_idle_thread_ends_after_a_while(pool, monkeypatch):
    monkeypatch.setattr(worker, "_IDLE_S", 0.01)
    thread = ran(pool, threading.current_thread)
    thread.join(DEADLINE_S)
    assert not thread.is_alive()
    assert pool._idle == []
    assert ran(pool, threading.current_thread) is not thread


def test_jobs_never_get_lost_while_threads_end(pool, monkeypatch):
    monkeypatch.setattr(worker, "_IDLE_S", 0.0005)
    pause = threading.Event()
    for _ in range(300):
        ran(pool)
        pause.wait(0.0005)


class Wake(ThreadSignal):
    """Notes how long it is waited for; the first wait ends just when the thread is chosen."""

    def __init__(self, choose):
        super().__init__()
        self.waits, self._choose = [], choose

    def wait(self, timeout_s):
        self.waits.append(timeout_s)
        if len(self.waits) == 1:
            self._choose()
        return timeout_s is None and super().wait(DEADLINE_S)


def test_a_thread_that_is_chosen_as_it_gives_up_waiting_runs_its_job(pool):
    ran_jobs = []
    first = worker.Job(lambda: ran_jobs.append("first"), contextvars.copy_context())
    thread = worker._Thread(pool, first)
    second = lambda: ran_jobs.append("second")  # noqa: E731
    thread.wake = Wake(lambda: pool.submit(second, contextvars.copy_context(), 1))
    thread.run()  # in this thread
    assert ran_jobs == ["first", "second"]
    assert thread.wake.waits == [10.0, None, 10.0]
    assert (pool._idle, thread.next_job, len(pool)) == ([], None, 0)


def test_a_job_over_the_limit_is_refused_until_one_is_done(pool):
    gate = threading.Event()
    context = contextvars.copy_context()
    assert pool.submit(lambda: gate.wait(DEADLINE_S), context, 1)
    assert pool.submit(lambda: None, context, 1) is None
    gate.set()
    until(lambda: len(pool) == 0, "the job to end")
    assert pool.submit(lambda: None, contextvars.copy_context(), 1)


def test_what_runs_beside_the_requests_takes_none_of_their_places(pool):
    gate = threading.Event()
    pool.beside(lambda: gate.wait(DEADLINE_S))
    assert pool.submit(lambda: gate.wait(DEADLINE_S), contextvars.copy_context(), 1)
    assert pool.submit(lambda: None, contextvars.copy_context(), 1) is None
    assert len(pool) == 2
    gate.set()
    until(lambda: len(pool) == 0, "the jobs to end")


def test_what_ran_beside_the_requests_gives_no_place_away(pool):
    for _ in range(2):
        pool.beside(lambda: None)
    until(lambda: len(pool) == 0, "the jobs to end")
    gate = threading.Event()
    assert pool.submit(lambda: gate.wait(DEADLINE_S), contextvars.copy_context(), 1)
    assert pool.submit(lambda: None, contextvars.copy_context(), 1) is None
    gate.set()
    until(lambda: len(pool) == 0, "the job to end")


def test_each_of_those_beside_the_requests_counts_as_one(pool):
    gate = threading.Event()
    for _ in range(3):
        pool.beside(lambda: gate.wait(DEADLINE_S))
    assert pool.submit(lambda: gate.wait(DEADLINE_S), contextvars.copy_context(), 1)
    gate.set()
    until(lambda: len(pool) == 0, "the jobs to end")


def test_what_runs_beside_has_a_context_of_its_own(pool):
    variable = contextvars.ContextVar("variable", default="outside")
    variable.set("inside")
    seen, done = [], threading.Event()
    assert pool.beside(lambda: (seen.append(variable.get()), done.set())) is True
    assert done.wait(DEADLINE_S)
    assert seen == ["outside"]


def test_the_jobs_of_threads_and_of_greenlets_run_in_one_process(pool, monkeypatch):
    assert worker.running() == 0
    gate = threading.Event()
    assert pool.submit(lambda: gate.wait(DEADLINE_S), contextvars.copy_context(), 1)
    assert worker.running() == 1
    monkeypatch.setattr(worker, "_greenlets", ["one", "another"])
    assert worker.running() == 3
    gate.set()
    until(lambda: len(pool) == 0, "the job to end")
    assert worker.running() == 2


def test_a_thread_that_cannot_start_takes_no_place(pool, monkeypatch):
    def refused(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(worker._Thread, "start", refused)
    with pytest.raises(RuntimeError):
        pool.submit(lambda: None, contextvars.copy_context(), 1)
    called = []
    assert pool.beside(lambda: called.append(True)) is False
    assert called == []
    assert len(pool) == 0


def test_a_job_runs_in_the_context_of_whoever_submitted_it(pool):
    variable = contextvars.ContextVar("variable", default="outside")
    variable.set("inside")
    assert ran(pool, variable.get) == "inside"


FORKED = """
import os, threading
from contextvars import copy_context
from sse_middleware.worker import workers

def run():
    done = threading.Event()
    workers().submit(done.set, copy_context(), 100)
    assert done.wait(10)

run()
pool = workers()
pid = os.fork()
if pid:
    assert workers() is pool, "the parent keeps its own"
    assert os.waitpid(pid, 0)[1] == 0
else:
    run()
"""


def test_a_forked_process_makes_workers_of_its_own(pool):
    worker._forget_threads()
    assert worker.running() == 0
    assert isinstance(workers(), worker.Workers)
    assert workers() is not pool


def test_a_forked_process_starts_with_no_threads_of_its_parent():
    subprocess.run([sys.executable, "-W", "ignore", "-c", FORKED], check=True, timeout=60)


BLOCKED = """
import threading
from contextvars import copy_context
from sse_middleware.worker import workers
started = threading.Event()
workers().submit(lambda: (started.set(), threading.Event().wait(600)), copy_context(), 1)
assert started.wait(10)
"""


def test_the_interpreter_exits_though_a_worker_is_blocked():
    subprocess.run([sys.executable, "-c", BLOCKED], check=True, timeout=60)


GREENLETS = """
from gevent import monkey
monkey.patch_all()
import gevent
from contextvars import ContextVar, copy_context
from gevent.event import Event
from sse_middleware.worker import workers

variable = ContextVar("variable", default="outside")
seen = []

def request():
    variable.set("inside")
    pool = workers()
    assert type(pool).__name__ == "_Greenlets" and not pool.are_counted
    signal = pool.signal()
    started = Event()

    def blocked():
        seen.append(variable.get())
        started.set()
        try:
            Event().wait(600)
        except gevent.GreenletExit:
            seen.append("killed")
            signal.set()

    job = pool.submit(blocked, copy_context(), 1)
    assert pool.submit(lambda: None, copy_context(), 1), "greenlets are not limited"
    assert started.wait(10)
    job.kill()
    assert signal.wait(10)
    assert not signal.wait(0)
    gevent.sleep(0)
    assert len(pool) == 0
    unstarted = pool.submit(blocked, copy_context(), 1)
    unstarted.kill()
    gevent.sleep(0.01)
    assert len(pool) == 0

gevent.spawn(request).get(timeout=30)
assert seen == ["inside", "killed"], seen
assert type(workers()).__name__ == "_Threads", "outside a greenlet of a server"
"""


def in_a_greenlet(call):
    """What ``call`` returns in a greenlet of a thread of its own, which has its own hub."""
    gevent = pytest.importorskip("gevent")
    results = []

    def run():
        results.append(gevent.spawn(call).get(timeout=DEADLINE_S))
        gevent.get_hub().destroy()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(DEADLINE_S)
    assert results, "the greenlet failed, or did not end"
    return results[0]


def test_a_greenlet_is_told_to_end_and_not_waited_for():
    gevent = pytest.importorskip("gevent")
    seen = []

    def blocked():
        seen.append("begun")
        try:
            gevent.sleep(DEADLINE_S)
        finally:
            seen.append("ended")

    def request():
        pool = worker._Greenlets()
        job = pool.submit(blocked, contextvars.copy_context(), 0)
        gevent.sleep(0)
        seen.append(len(pool))
        job.kill()
        seen.append("told")
        job._greenlet.join(DEADLINE_S)
        unstarted = pool.submit(blocked, contextvars.copy_context(), 0)
        unstarted.kill()
        unstarted._greenlet.join(DEADLINE_S)
        gevent.sleep(0)
        return [*seen, len(pool)]

    assert in_a_greenlet(request) == ["begun", 1, "told", "ended", 0]


def test_the_greenlets_of_a_process_are_in_one_place(monkeypatch):
    monkeypatch.setattr(worker, "_greenlets", None)
    found, again = in_a_greenlet(lambda: [workers(), workers()])
    assert isinstance(found, worker._Greenlets)
    assert again is found


def test_a_job_of_a_thread_cannot_be_killed(pool):
    gate = threading.Event()
    job = pool.submit(lambda: gate.wait(DEADLINE_S), contextvars.copy_context(), 1)
    job.kill()
    assert len(pool) == 1
    gate.set()
    until(lambda: len(pool) == 0, "the job to end")


def test_under_gevent_workers_are_greenlets_that_can_be_killed():
    pytest.importorskip("gevent")
    subprocess.run([sys.executable, "-c", GREENLETS], check=True, timeout=60)
