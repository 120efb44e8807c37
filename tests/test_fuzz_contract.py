"""Apps that break the contract of WSGI in any way: with the middleware it is as bad as without.

What a server makes of a wrong status, header, body, ``exc_info`` or ``write()`` is its own matter:
it gets the same as from the bare app, or an exception sooner. What is held here is that nothing
hangs, that nothing is left open, and that the next request is answered.
"""

import logging
import os
import sys
import threading
import time
from pathlib import Path
from typing import NamedTuple
from wsgiref.util import setup_testing_defaults

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sse_middleware import SSEMiddleware, worker

sys.path.insert(0, str(Path(__file__).parent))

from watched_machine import TALLY

DEADLINE_S = 10
#: A long run is asked for with SSE_FUZZ_EXAMPLES=10000.
EXAMPLES = int(os.environ.get("SSE_FUZZ_EXAMPLES", "150"))
HTML, STREAM = ("Content-Type", "text/html"), ("Content-Type", "text/event-stream")
LOOSE = ("Content-Type", "text/event-stream\n")
FAILURE = LookupError, LookupError("planned"), None

STATUSES = [None, 200, b"200 OK", "", "2", "204 No Content", "304", "\n", object()]
HEADERS = [
    lambda: [],
    lambda: None,
    lambda: 7,
    lambda: "text",
    lambda: {},
    lambda: (HTML,),
    lambda: iter([HTML]),
    lambda: [("A",)],
    lambda: [("A", 1)],
    lambda: [(b"Content-Type", b"text/event-stream")],
    lambda: [(None, None)],
    lambda: [7],
    lambda: [STREAM, ("Content-Length", "x")],
    lambda: [STREAM, ("Connection", None)],
    lambda: [LOOSE],
    lambda: [HTML, ("Content-Length", "-1")],
]
CALLS = ["never", "twice", "one", "four", "named", "late", "thread", "in close"]
EXC_INFOS = [FAILURE, True, 7, (), (None, None, None), FAILURE[1], (1, 2, 3, 4)]
BODIES = ["none", "text", "bytes", "number", "mapping", "async"]
IN_CLOSE = ["close raises", "close is no function"]
WRONGS = ["next raises"] * 3 + ["next raises later"] * 2 + IN_CLOSE
WRONGS += ["iter raises", "iter is none", "has a length"]
ITEMS = [
    b"data: 1\n\n",
    b"",
    "text",
    None,
    7,
    {"data": 1},
    {},
    {"data": object()},
    [b"x"],
    b"x" * 99,
]


class Body:
    """An iterator that does wrong in one way, and counts how often it is closed."""

    def __init__(self, plan, items):
        self._plan, self._items, self.closed = plan, iter(items), 0
        if plan.wrong == "close is no function":
            self.close = 7
        if plan.wrong == "has a length":
            self.__len__ = lambda: -1

    def __iter__(self):
        if self._plan.wrong == "iter raises":
            raise LookupError("planned")
        return 7 if self._plan.wrong == "iter is none" else self

    def __next__(self):
        if self._plan.wrong == "next raises":
            raise self._plan.error("planned")
        if self._plan.wrong == "next raises later" and not self.closed:
            return next(self._items, None) or self._fail()
        return next(self._items)

    def _fail(self):
        raise self._plan.error("planned")

    def close(self):
        self.closed += 1
        if self._plan.wrong == "close raises":
            raise LookupError("planned")


class Plan(NamedTuple):
    """One app."""

    status: object
    headers: object
    call: str
    exc_info: object
    body: str
    items: list
    wrong: str
    error: type
    writes: list


#: What is right in each part of an app, and what is not.
PARTS = {
    "status": (["200 OK"], STATUSES),
    "headers": ([lambda: [HTML], lambda: [STREAM]], HEADERS),
    "call": (["once"], CALLS),
    "exc_info": ([None], EXC_INFOS),
    "body": (["body", "body", "list", "generator"], BODIES),
    "wrong": (["nothing"], WRONGS),
    "error": ([LookupError, GeneratorExit, SystemExit], [StopAsyncIteration]),
}


@st.composite
def plans(draw):
    """An app with a few parts that are not right."""
    wrong = draw(st.sets(st.sampled_from([*PARTS, "items", "writes"]), min_size=1, max_size=3))
    made = {name: draw(st.sampled_from(PARTS[name][name in wrong])) for name in PARTS}
    right_items, wrong_items = st.sampled_from(ITEMS[:2]), st.sampled_from(ITEMS)
    items = st.lists(wrong_items if "items" in wrong else right_items, max_size=4)
    writes = st.lists(st.sampled_from([b"w", "text", None, 7]), max_size=int("writes" in wrong))
    return Plan(items=draw(items), writes=draw(writes), **made)


async def asynchronous():
    yield b"x"


def app_of(plan, bodies):
    """The app, which notes each body that it returns."""

    def start(start_response):
        status, headers = plan.status, plan.headers()
        calls = {
            "once": lambda: start_response(status, headers),
            "twice": lambda: start_response(status, headers) and start_response(status, headers),
            "one": lambda: start_response(status),
            "four": lambda: start_response(status, headers, None, None),
            "named": lambda: start_response(status=status, headers=headers),
            "thread": lambda: elsewhere(lambda: start_response(status, headers)),
        }
        write = calls.get(plan.call, lambda: None)()
        if plan.exc_info is not None and plan.call == "once":
            write = start_response(status, headers, plan.exc_info)
        for data in plan.writes if write else ():
            write(data)

    def items(start_response):
        yield from plan.items[:1]
        start_response(plan.status, plan.headers(), plan.exc_info)
        yield from plan.items[1:]

    def app(environ, start_response):
        start(start_response)
        source = items(start_response) if plan.call == "late" else plan.items
        made = {
            "list": lambda: list(source),
            "generator": lambda: (item for item in source),
            "body": lambda: Body(plan, source),
            "text": lambda: "data: 1\n\n",
            "bytes": lambda: b"data: 1\n\n",
            "number": lambda: 7,
            "mapping": lambda: {"data": "1"},
            "async": asynchronous,
        }.get(plan.body, lambda: None)()
        if plan.call == "in close" and isinstance(made, Body):
            made.close = lambda: start_response(plan.status, plan.headers())
        bodies.append(made)
        return made

    return app


def elsewhere(call):
    """Do that in another thread; nothing is returned."""
    thread = threading.Thread(target=lambda: swallowed(call), daemon=True)
    thread.start()
    thread.join(DEADLINE_S)


def swallowed(call):
    try:
        call()
    except Exception:
        pass


class Outcome(NamedTuple):
    """What a server saw."""

    answers: list
    sent: list
    raised: list
    bodies: list


def served(app, bodies, accept):
    """Ask as servers do: iterate, close; in a thread that has to come to an end."""
    TALLY["steps"] += 1
    answers, sent, raised = [], [], []

    def start_response(status, headers, exc_info=None):
        if exc_info and sent:
            raise exc_info[1]
        assert exc_info or not answers, "called twice"
        answers.append(status)
        return sent.append

    def serve():
        environ = {"HTTP_ACCEPT": accept}
        setup_testing_defaults(environ)
        body = None
        try:
            body = app(environ, start_response)
            for item in body:
                sent.append(item)
        except BaseException as error:
            raised.append(error)
        try:
            getattr(body, "close", tuple)()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    thread.join(DEADLINE_S)
    assert not thread.is_alive(), "the server's thread hangs"
    return Outcome(answers, sent, raised, bodies)


@pytest.fixture(autouse=True)
def _quiet():
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


#: What is rarely drawn: a worker that an exception of that kind ends.
EXITS = Plan(
    status="200 OK",
    headers=PARTS["headers"][0][0],
    call="once",
    exc_info=None,
    body="body",
    items=[],
    wrong="next raises",
    error=GeneratorExit,
    writes=[],
)


@settings(max_examples=EXAMPLES, deadline=None)
@example(EXITS, "text/event-stream")
@example(EXITS._replace(error=SystemExit), "text/event-stream")
@given(plan=plans(), accept=st.sampled_from(["*/*", "text/event-stream"]))
def test_an_app_that_breaks_the_contract_breaks_nothing_else(plan, accept):
    TALLY["examples"] += 1
    earlier = worker.running()
    current = {}
    middleware = SSEMiddleware(lambda *asked: current["app"](*asked), max_streams=earlier + 1)
    bodies = []
    current["app"] = app_of(plan, bodies)
    outcome = served(middleware, bodies, accept)
    bare_bodies = []
    bare = served(app_of(plan, bare_bodies), bare_bodies, accept)
    wait_for_workers(earlier)  # which close what the app returned
    check(plan, outcome, bare)
    current["app"] = fine
    assert served(middleware, [], accept)[:3] == (["200 OK"], [b"fine"], [])
    wait_for_workers(earlier)


def check(plan, outcome, bare):
    """A stream is bytes; all else is the same as without the middleware, or an exception sooner."""
    for mine, its in zip(outcome.bodies, bare.bodies):
        if isinstance(mine, Body):
            assert mine.closed == its.closed == int("close" not in vars(mine))
    assert outcome.raised == [] or not is_right(plan), outcome.raised
    if is_stream(plan):
        assert plan.writes or all(type(item) is bytes for item in outcome.sent)
    elif outcome.raised:
        assert outcome.sent == bare.sent[: len(outcome.sent)] or bare.raised
    else:
        has_written = plan.writes and plan.call in ("once", "named")
        has_no_body = outcome.answers[-1:] in (["204 No Content"], ["304"]) and not has_written
        assert outcome.answers[-1:] == bare.answers[-1:]
        assert outcome.sent == ([] if has_no_body and is_lazy(plan) else bare.sent)
        # Of a worker it is logged; and what has no body is not asked for one.
        assert bare.raised == [] or plan.wrong in IN_CLOSE or has_no_body


def is_stream(plan):
    """Whether the middleware frames what comes."""
    headers = plan.headers()
    is_declared = isinstance(headers, list) and headers[:1] in ([STREAM], [LOOSE])
    return is_declared or (is_lazy(plan) and any(isinstance(one, dict) for one in plan.items[:1]))


def is_lazy(plan):
    """Whether nobody knows the length of the body."""
    has_length = "Content-Length" in repr(plan.headers())
    return plan.body in ("body", "generator") and not has_length


def is_right(plan):
    """Whether all of it is as the contract says."""
    return (
        plan.status in ("200 OK", "204 No Content")
        and plan.headers() in ([HTML], [STREAM])
        and plan.call == "once"
        and plan.exc_info in (None, FAILURE)
        and plan.body in ("body", "list", "generator")
        and all(type(item) is bytes for item in [*plan.items, *plan.writes])
        and plan.wrong in ("nothing", "has a length")
    )


def fine(environ, start_response):
    start_response("200 OK", [HTML])
    return [b"fine"]


def wait_for_workers(earlier):
    gives_up_at = time.monotonic() + DEADLINE_S
    while worker.running() > earlier:
        assert time.monotonic() < gives_up_at, "a worker hangs"
        time.sleep(0.0005)
