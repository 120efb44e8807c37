"""A client that loses its connection wherever a test says, and comes back with what it saw last."""

import http.client

from sse_middleware import EventParser

DEADLINE_S = 15


class Client:
    """Goes on where it was, over as many connections as it takes."""

    def __init__(self, path, user="ada"):
        self.path, self.user = path, user
        self.last_event_id, self.events = "", []
        self.status = None
        self.is_over = False

    def connect(self, port):
        """Open a connection to ``port``."""
        headers = {"Accept": "text/event-stream", "X-User": self.user}
        if self.last_event_id:
            headers["Last-Event-ID"] = self.last_event_id
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
        self.connection.request("GET", self.path, headers=headers)
        self._response = self.connection.getresponse()
        self._parser = EventParser(last_event_id=self.last_event_id)
        self.status = self._response.status
        return self

    def read(self, count_bytes):
        """Read that many bytes, or to the end; whether there was an end."""
        try:
            data = self._response.read(count_bytes)
            ended = len(data) < count_bytes
        except (http.client.IncompleteRead, ConnectionError) as error:
            data, ended = getattr(error, "partial", b""), True
        self._see(data)
        return ended

    def read_events(self, count):
        """Read until ``count`` events have been seen on all connections together."""
        while len(self.events) < count and not self.is_over:
            if self.read(1):
                break

    def rest(self):
        """Read to the end of the connection."""
        while not self.read(1):
            pass
        self.cut()

    def cut(self):
        """Lose the connection: what was not a whole event is lost."""
        self._response.close()
        self.connection.close()

    def _see(self, data):
        for event in self._parser.feed(data):
            self.events.append(event)
            self.is_over = self.is_over or event.event in ("close", "error")
        self.last_event_id = self._parser.last_event_id

    @property
    def numbers(self):
        """The numbers that were seen, of the one run they must all come from."""
        told = [event.data.split(":") for event in self.events if event.event == "message"]
        runs = {run for run, _ in told}
        assert len(runs) <= 1, f"the app was asked {len(runs)} times: {self.events}"
        return [int(number) for _, number in told]


def fetch(port, path):
    """The body of a plain answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
    connection.request("GET", path)
    body = connection.getresponse().read()
    connection.close()
    return body
