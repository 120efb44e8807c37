"""Streams that are left and resumed in any order, by the middleware and any log, against a list.

Loaded by the tests of each log, which say how one is made.
"""

import threading
import time
from queue import Queue
from wsgiref.util import setup_testing_defaults

from hypothesis import strategies as st
from hypothesis.stateful import rule

from sse_middleware import EventParser, SSEMiddleware, worker
from watched_machine import WatchedMachine

DEADLINE_S = 10
#: For the app, which waits for the test: a busy machine may keep that from its next step for long.
IDLE_S = 60
INDEX = st.integers(0, 2)
HALF, REST = b"data: half", b" of %d\n\n"
PLAIN = {"data": "%d"}, b"data: %d\n\n"
#: Of each item the form in which an app makes it, and the one in which another relays it.
ITEMS = st.sampled_from(
    [
        *[PLAIN] * 5,
        ({"data": "%d", "event": "x", "comment": "c"}, b": c\r\n\r\ndata: %d\r\nid: 7\r\n\r\n"),
        ({"comment": "nothing"}, b"id: theirs\n\n"),
        ({"data": None}, HALF),
    ]
)
RELAYS = "ben"


class Answer:
    """One run of the app: its items come when the test says so."""

    def __init__(self, environ):
        self.user = environ["REMOTE_USER"]
        self.form = int(self.user == RELAYS)
        self.items, self.told, self.count = Queue(), [], 0
        self.is_finished = self.is_half = False
        self.was_closed = threading.Event()

    def __iter__(self):
        try:
            yield from iter(lambda: self.items.get(timeout=IDLE_S), None)
        finally:
            self.was_closed.set()

    def put(self, item):
        """The next item; the model notes the text of the event that it completes."""
        if self.is_finished:
            return
        made = REST if self.is_half else item[self.form]
        number, was_half, self.is_half = self.count, self.is_half, made == HALF
        if isinstance(made, bytes):
            tells = b"%d" in made
            made = made.replace(b"%d", b"%d" % number)
        else:
            tells = made.get("data") is not None
            made = {**made, "data": str(number)} if tells else made
        if tells:
            self.told.append(f"half of {number}" if was_half else str(number))
        self.count += 1
        self.items.put(made)

    def finish(self):
        """The end; half an event is completed first."""
        if not self.is_finished:
            if self.is_half:
                self.put(None)
            self.is_finished = True
            self.items.put(None)


class Client:
    """What comes to one user's EventSource over all of its connections."""

    def __init__(self, user):
        self.user, self.seen, self.last_event_id = user, [], ""
        self.body = self.items = self.parser = None
        self.status = ""

    def connect(self, middleware):
        """A new connection, with the id of the last event."""
        environ = {"REMOTE_USER": self.user, "HTTP_ACCEPT": "text/event-stream"}
        if self.last_event_id:
            environ["HTTP_LAST_EVENT_ID"] = self.last_event_id
        setup_testing_defaults(environ)
        self.body = middleware(environ, self._start_response)
        self.items, self.parser = iter(self.body), EventParser()

    def _start_response(self, status, headers, exc_info=None):
        self.status = status

    def read(self):
        """What one ``next()`` brings; False at the end."""
        data = next(self.items, None)
        for event in self.parser.feed(data or b""):
            self.last_event_id = event.last_event_id
            self.seen.append((event.event, event.data))
        return data is not None

    def leave(self):
        """Close the connection."""
        if self.body is not None:
            getattr(self.body, "close", tuple)()
        self.body = self.items = None


class ResumingMachine(WatchedMachine):
    """Clients of two processes that share a log. A subclass says how a log is made."""

    def __init__(self):
        super().__init__()
        self.answers = []
        self.earlier = worker.running()  # of other tests of this process
        self.logs = [self.make_log(), self.make_log()]
        self.middlewares = [
            SSEMiddleware(self.app, resume=log, end_event="close", heartbeat=None)
            for log in self.logs
        ]
        self.clients = [Client("ann"), Client(RELAYS), Client("cas")]
        self.followed = {}

    def make_log(self):
        raise NotImplementedError

    def app(self, environ, start_response):
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        answer = Answer(environ)
        answer.put(PLAIN)
        self.answers.append(answer)
        return iter(answer)

    def answer_of(self, client):
        return self.followed.get(client)

    @rule(index=INDEX, process=st.integers(0, 1))
    def connect(self, index, process):
        client = self.clients[index]
        if client.body is None:
            before = len(self.answers)
            self.make_news(client)
            client.connect(self.middlewares[process])
            if len(self.answers) > before:
                self.begin_model(client)
            self.check_answer(client)

    def make_news(self, client):
        """Without a heartbeat a stream is opened by its first event alone."""
        answer = self.answer_of(client)
        if answer is not None and len(client.seen) == len(answer.told):
            answer.put(PLAIN)

    def begin_model(self, client):
        """The app was asked: rightly only by who had nothing to come back for."""
        assert not client.last_event_id, "the app was asked again, though the stream was kept"
        self.followed[client] = self.answers[-1]
        assert self.answers[-1].user == client.user

    def check_answer(self, client):
        answer = self.answer_of(client)
        has_all = answer.is_finished and client.last_event_id == "sse:end"
        assert client.status[:3] == ("204" if has_all else "200")

    @rule(index=INDEX, item=ITEMS)
    def put(self, index, item):
        answer = self.answer_of(self.clients[index])
        if answer is not None:
            answer.put(item)

    @rule(index=INDEX)
    def finish(self, index):
        answer = self.answer_of(self.clients[index])
        if answer is not None:
            answer.finish()

    @rule(index=INDEX, count=st.integers(1, 4))
    def read(self, index, count):
        client = self.clients[index]
        answer = self.answer_of(client)
        if client.body is None or client.status[:3] != "200":
            return
        goal = min(len(client.seen) + count, len(answer.told))
        while len(client.seen) < goal:
            assert client.read(), f"the end after {client.seen}, of {answer.told}"
        self.check_seen(client)

    def check_seen(self, client):
        """Each event once, in the order of the app, and the end last."""
        answer = self.answer_of(client)
        texts = [data for event, data in client.seen if event != "close"]
        assert texts == answer.told[: len(texts)]
        assert "close" not in [event for event, _ in client.seen[:-1]]

    @rule(index=INDEX)
    def leave(self, index):
        client = self.clients[index]
        if client.seen or client.body is None:  # before, nobody has an id to come back with
            client.leave()

    @rule(index=INDEX, thief=INDEX, process=st.integers(0, 1))
    def steal(self, index, thief, process):
        """Another user's id is as good as none: the app is asked."""
        victim = self.clients[index]
        if index == thief or not victim.last_event_id or victim.last_event_id == "sse:end":
            return
        other = Client(self.clients[thief].user)
        other.last_event_id = victim.last_event_id
        before = len(self.answers)
        other.connect(self.middlewares[process])
        assert len(self.answers) == before + 1
        self.answers[-1].finish()
        other.leave()

    def teardown(self):
        for client in self.clients:
            answer = self.answer_of(client)
            if answer is not None:
                answer.finish()
                if client.body is None:
                    client.connect(self.middlewares[0])
                while client.status[:3] == "200" and client.read():
                    pass
                self.check_seen(client)
                assert client.seen[-1][0] == "close"
                assert len(client.seen) == len(answer.told) + 1
                client.leave()
        for answer in self.answers:
            answer.finish()
            assert answer.was_closed.wait(DEADLINE_S), "the app was not closed"
        gives_up_at = time.monotonic() + DEADLINE_S
        while worker.running() > self.earlier:
            assert time.monotonic() < gives_up_at, "a worker hangs"
            time.sleep(0.0005)
        super().teardown()
