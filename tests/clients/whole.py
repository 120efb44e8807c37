"""A server that has nothing in common with the fake upstream: the whole body, in one write.

What a client makes of that is what it makes of the raw bytes.
"""

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

__all__ = ["whole"]


@contextmanager
def whole(recordings):
    """A context with the base URL, to which ``/<name>`` of one of ``recordings`` is added."""
    server = Server(("127.0.0.1", 0), Handler)
    server.recordings = recordings
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    recordings = None


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        recording = self.server.recordings[self.path.split("/")[1]]
        self.send_response(recording.status)
        self.send_header("Content-Type", recording.headers["content-type"])
        self.send_header("Content-Length", str(len(recording.body)))
        self.end_headers()
        self.wfile.write(recording.body)

    def log_message(self, format, *args):
        pass
