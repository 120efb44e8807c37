"""Who comes back, with any Last-Event-ID: the rest of their own stream, or what the app answers."""

from functools import lru_cache
from wsgiref.util import setup_testing_defaults

from sse_middleware import SSEMiddleware
from sse_middleware.resume import MemoryLog
from sse_middleware.testing import VirtualClock

USERS = {b"a": "ann", b"b": "ben", b"n": ""}
METHODS = {b"G": "GET", b"P": "POST", b"H": "HEAD"}
QUERIES = {b"q": "", b"r": "b=1"}
ACCEPTS = (
    b"text/event-stream",
    b"*/*",
    b"text/html, Text/Event-Stream ;q=0.5",
    b"text/event-streams",
)
OURS = b"aGq"  # who began, with which method and query


@lru_cache(maxsize=None)
def begun():
    """A middleware whose log keeps two finished streams; of each the id and its frames."""
    log = MemoryLog(owner=lambda environ: environ["REMOTE_USER"], clock=VirtualClock())
    middleware = SSEMiddleware(app, resume=log, end_event="close", heartbeat=None)
    return middleware, *(streamed(middleware, user) for user in ("ann", "ben"))


def app(environ, start_response):
    """Two events for who begins; nothing for who comes back in vain."""
    if environ.get("HTTP_LAST_EVENT_ID") is not None:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"app"]
    start_response("200 OK", [("Content-Type", "text/event-stream")])
    return iter([{"data": "1"}, {"data": "2"}])


def asked(middleware, **environ):
    """The status and the pieces of an answer."""
    setup_testing_defaults(environ)
    answers = []
    body = middleware(environ, lambda status, headers, exc_info=None: answers.append(status))
    pieces = list(body)
    getattr(body, "close", tuple)()
    [status] = answers
    return status[:3], b"".join(pieces)


def streamed(middleware, user):
    """The id of a new stream, and its frames."""
    accept = "text/event-stream"
    _, sent = asked(middleware, REMOTE_USER=user, HTTP_ACCEPT=accept, REQUEST_METHOD="GET")
    frames = [part + b"\n\n" for part in sent.split(b"\n\n")[:-1]]
    return sent.partition(b"id: ")[2].partition(b"-")[0], frames


def seeds():
    """User, method, query, a line for Accept, and the id, where A and B stand for the streams'."""
    ids = [
        b"A-1",
        b"A-2",
        b"A-3",
        b"B-1",
        b"A-0",
        b"A-01",
        b"A-\xb2",
        b"sse:end",
        b"A-1\xc2\xa0",
        b"A",
    ]
    users = [OURS, b"bGq", b"nGq", b"aPq", b"aHq", b"aGr"]
    return [
        who + accept + b"\n" + one
        for number, one in enumerate(ids)
        for who in users
        for accept in ACCEPTS[number % 4 : number % 4 + 1]
    ]


def check(data):
    """What follows the id, to who began that stream in the same way; else the app is asked."""
    who, (accept, _, sent) = data[:3], data[3:].partition(b"\n")
    user, method, query = (
        names.get(who[at : at + 1], "") for at, names in enumerate((USERS, METHODS, QUERIES))
    )
    middleware, ann, ben = begun()
    sent = sent.replace(b"A", ann[0]).replace(b"B", ben[0])
    answer = asked(
        middleware,
        REMOTE_USER=user,
        REQUEST_METHOD=method or "GET",
        QUERY_STRING=query,
        HTTP_ACCEPT=accept.decode("latin-1"),
        HTTP_LAST_EVENT_ID=sent.decode("latin-1"),
    )
    assert answer == expected(user, method or "GET", query, accept, sent)


def expected(user, method, query, accept, sent):
    """By comparing with every id that there is."""
    ranges = accept.decode("latin-1").split(",")  # no server lets control characters in
    named = [part.partition(";")[0].strip().lower() for part in ranges]
    if method == "GET" and sent == b"sse:end" and "text/event-stream" in named:
        return "204", b""
    for name, (stream_id, frames) in zip(("ann", "ben"), begun()[1:]):
        numbers = [b"%b-%d" % (stream_id, number) for number in range(1, len(frames) + 1)]
        if (user, method, query) == (name, "GET", "") and sent in numbers:
            rest = b"".join(frames[numbers.index(sent) + 1 :])
            return ("200", rest) if rest else ("204", b"")
    return "200", b"app"
