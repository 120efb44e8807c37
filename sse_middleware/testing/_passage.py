"""One connection to the recorder: each request goes to the upstream, its answer comes back.

A chunk is noted before it is passed on. What a client does changes nothing of what is noted, but
for its leaving: then the upstream is left too, and what came until then is the recording.
"""

import http.client
import time
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Optional
from urllib.parse import unquote, urlsplit

from sse_middleware.errors import shown
from sse_middleware.headers import Headers, find_header, is_encoded, is_event_stream
from sse_middleware.testing._lookout import Lookout
from sse_middleware.testing._request_reading import RequestReader
from sse_middleware.testing._take import Take
from sse_middleware.testing._transport import TransportBody, end_to_end_headers
from sse_middleware.testing._vendor_errors import http_error_body
from sse_middleware.testing.exchange import ReceivedRequest
from sse_middleware.testing.wire import LAST_CHUNK, chunk

if TYPE_CHECKING:
    from sse_middleware.testing.recorder import ProxyServer

__all__ = ["Passage"]


class Passage(RequestReader):
    """Passes the requests of one connection on, each over a connection of its own."""

    server: "ProxyServer"

    def respond(self, request: ReceivedRequest) -> None:
        """Send what the upstream sends, as it comes; 502 if it sends nothing."""
        upstream = self.server.recorder.upstream
        target = upstream.target(urlsplit(self.path).path)
        try:
            connection = upstream.connect()
        except OSError as error:
            self._refuse(error)
            return
        sent_to = target + (f"?{request.query}" if request.query else "")
        with closing(connection), self._lookout(connection) as lookout:
            try:
                headers = self.headers.items()
                upstream.send(connection, request.method, sent_to, headers, request.body)
                started_s = time.monotonic()
                response = connection.getresponse()
            except (OSError, http.client.HTTPException, ValueError) as error:
                self._refuse(None if lookout.alarmed else error)
                return
            with closing(response), self.server.recorder.until_saved():
                take = self._find_take(request, unquote(target), response, started_s)
                self._pass_on(response, take, lookout)

    def _lookout(self, connection: http.client.HTTPConnection) -> Lookout:
        return Lookout(self.connection, self.server.stop, connection.sock)

    def _find_take(
        self,
        request: ReceivedRequest,
        path: str,
        response: http.client.HTTPResponse,
        started_s: float,
    ) -> Optional[Take]:
        """What records this answer; None for one that only passes."""
        recorder, headers = self.server.recorder, response.getheaders()
        is_error = request.method == "POST" and response.status >= 400
        if request.method == "HEAD" or not (is_event_stream(headers) or is_error):
            return None
        if is_encoded(headers):
            encoding = find_header(headers, "content-encoding")
            recorder.failed(f"{path} is not recorded: it is compressed ({encoding}) unasked")
            return None
        return Take(recorder, request, path, started_s)

    def _pass_on(
        self, response: http.client.HTTPResponse, take: Optional[Take], lookout: Lookout
    ) -> None:
        headers = end_to_end_headers(response)
        body = TransportBody(response, self.command)
        try:
            self._send_head(response, headers, body)
            for data in body:
                if take is not None:
                    take.add(data)
                self._send(chunk(data) if self._is_chunked else data)
        finally:
            end = "eof" if lookout.alarmed else body.end or "eof"
            if take is not None:
                take.save(response.status, headers, end)
        self._send_end(end)

    def _send_head(
        self, response: http.client.HTTPResponse, headers: Headers, body: TransportBody
    ) -> None:
        self._is_chunked = not body.is_delimited and self.request_version == "HTTP/1.1"
        if not body.is_delimited and not self._is_chunked:
            self.close_connection = True
        self.send_response_only(response.status, response.reason)
        for name, value in headers:
            self.send_header(name, value)
        if self._is_chunked:
            self.send_header("Transfer-Encoding", "chunked")
        with suppress(ConnectionError):
            self.end_headers()

    def _send(self, data: bytes) -> None:
        """To a client that may be gone: the lookout sees that, and ends the upstream."""
        with suppress(ConnectionError):
            self.wfile.write(data)

    def _send_end(self, end: str) -> None:
        """End the response as the upstream ended it."""
        if end == "complete":
            if self._is_chunked:
                self._send(LAST_CHUNK)
            return
        self.close_connection = True
        if end == "reset":
            self.server.reset_at_close(self.connection)

    def _refuse(self, error: Optional[Exception]) -> None:
        """Tell of an upstream that did not answer; no error: it is our side that ended."""
        if error is None:
            self.close_connection = True
            return
        told = f"upstream {self.server.recorder.upstream.url} cannot be reached: {_reason(error)}"
        self.server.recorder.failed(told)
        body = http_error_body(502, told, "bad_gateway")
        self.send_response_only(502)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _reason(error: Exception) -> str:
    """Why, in a few words: a server's are quoted, and a client's are not told, as of its key."""
    if isinstance(error, OSError):
        return getattr(error, "strerror", None) or str(error) or type(error).__name__
    if isinstance(error, (http.client.InvalidURL, ValueError)):
        return "the request holds a character that HTTP forbids"
    return f"what came is no HTTP ({shown(str(error))})"
