"""The reader of requests that the fake upstream and the recorder share, against h11."""

import io
from urllib.parse import urlsplit

import h11

from sse_middleware.testing._request_reading import RequestReader

POST = b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\n"
LIMIT = 20  # requests a connection, so that an input of many short ones takes no time
LINES = 99  # of a head, in `http.client`; h11 has a limit of bytes


class Connection:
    """In place of a socket: what it will send is known, what it is sent is kept."""

    def __init__(self, data):
        self._data = data
        self.sent = bytearray()

    def makefile(self, mode, buffering):
        return io.BufferedReader(io.BytesIO(self._data))

    def sendall(self, data):
        self.sent += data

    def setsockopt(self, *option):
        pass


class Server:
    """What the reader asks of its server."""

    def __init__(self):
        self.requests = []

    def is_for_others(self, host):
        return False

    def rest(self, connection):
        return len(self.requests) < LIMIT

    def begin(self, connection):
        pass


class Reader(RequestReader):
    """Answers each request with 200."""

    def respond(self, request):
        self.server.requests.append(request)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()


def seeds():
    """Whole connections."""
    body = b'{"model": "m"}'
    whole = POST + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    chunked = POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1;a=b\r\n!\r\n0\r\n\r\n"
    return [
        whole,
        whole * 3,
        chunked,
        chunked + whole,
        chunked.replace(b"0\r\n\r\n", b"0\r\nTrailer: 1\r\n\r\n") + whole,
        b"GET / HTTP/1.0\r\n\r\n",
        b"GET http://a/b?c#d HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        b"\r\nPOST //[ HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n",
        b"PURGE * HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999\r\n\r\n",
        POST + b"Content-Length: +5\r\n\r\nhello",
        POST + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffff\r\nhello",
        POST + b"Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n",
        POST + b"Content-Length: 5, 5\r\n\r\nhello",
        POST + b"Content-Length: 00000000000000000005\r\n\r\nhello",
        POST + b"Transfer-Encoding: chunked\r\n\r\n00000000000000000005\r\nhello\r\n0\r\n\r\n",
        b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET http://[/a HTTP/1.1\r\nHost: a\r\n\r\n",
    ]


def judged(data):
    """The requests that h11 reads before something is wrong or may be refused."""
    judge = h11.Connection(h11.SERVER)
    judge.receive_data(data)
    requests = []
    try:
        while len(requests) < LIMIT:
            event = judge.next_event()
            if isinstance(event, h11.Request):
                if is_refused(event):
                    break
                current, body = event, b""
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                requests.append((current.method.decode(), current.target, body))
                judge.send(h11.Response(status_code=200, headers=[("Content-Length", "0")]))
                judge.send(h11.EndOfMessage())
                if judge.our_state is not h11.DONE:
                    break
                judge.start_next_cycle()
            else:
                break
    except h11.RemoteProtocolError:
        pass
    return requests


def is_refused(request):
    """What h11 takes, and a server of this package need not."""
    is_known = request.http_version in (b"1.0", b"1.1") and request.method != b"CONNECT"
    return not is_known or not is_url(request.target)


def is_url(target):
    """Whether the standard library takes it for one."""
    try:
        urlsplit(target.decode())
    except ValueError:
        return False
    return True


def check(data):
    """It never raises; what h11 takes it takes too, and reads the same in it."""
    data = b"\n".join(data.split(b"\n")[:LINES])
    server = Server()
    Reader(Connection(data), ("127.0.0.1", 1), server)
    requests = judged(data)
    seen = [(r.method, r.body) for r in server.requests]
    assert seen[: len(requests)] == [(method, body) for method, _, body in requests]
