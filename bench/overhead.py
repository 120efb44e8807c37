"""What the middleware costs in one process, without a server: prints a JSON row a line.

``overhead.py [name ...]``. What is measured is the time of the processor, which others on the
machine disturb far less than that of the wall. At rest the two are the same here: at any moment
one thread works, and none waits for anything else.
"""

import argparse
import json
import logging
import sys
import threading
import time
from contextvars import copy_context
from typing import Any, Callable, Dict, Iterable, Iterator, List

from payloads import SMALL, frame_of
from sse_middleware import SSEMiddleware
from sse_middleware.worker import workers

logging.getLogger("sse_middleware").setLevel(logging.ERROR)  # that streams run inline

_BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"
_ENVIRON = {
    "REQUEST_METHOD": "GET",
    "SCRIPT_NAME": "",
    "PATH_INFO": "/articles/7",
    "QUERY_STRING": "",
    "SERVER_NAME": "127.0.0.1",
    "SERVER_PORT": "80",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "SERVER_SOFTWARE": "bench",
    "HTTP_HOST": "127.0.0.1",
    "HTTP_ACCEPT": _BROWSER,
    "HTTP_ACCEPT_ENCODING": "gzip, deflate",
    "HTTP_USER_AGENT": "bench",
    "wsgi.input": None,
    "wsgi.multithread": True,
    "wsgi.url_scheme": "http",
}
_PICKED = {**_ENVIRON, "HTTP_ACCEPT": "text/event-stream"}

Subject = Callable[[int], Any]


def _start_response(status: str, headers: Any, exc_info: Any = None) -> None:
    """A server that hears and does nothing."""


def _page(environ: Dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/html; charset=utf-8")])
    return [b"<p>Hello</p>"]


def _requests(app: Callable[..., Iterable[bytes]], environ: Dict[str, Any]) -> Subject:
    def repeat(count: int) -> None:
        for _ in range(count):
            body = app(dict(environ), _start_response)
            for _ in body:
                pass
            if hasattr(body, "close"):
                body.close()

    return repeat


def _lock_round_trips(count: int) -> None:
    """What any two threads pay that hand something over and back."""
    there, back = threading.Lock(), threading.Lock()
    there.acquire()
    back.acquire()

    def answer() -> None:
        for _ in range(count):
            there.acquire()
            back.release()

    thread = threading.Thread(target=answer)
    thread.start()
    for _ in range(count):
        there.release()
        back.acquire()
    thread.join()


def _jobs(count: int) -> None:
    """A job without a request: what it pays is the switch alone."""
    pool, context = workers(), copy_context()
    done = pool.signal()
    for _ in range(count):
        pool.submit(done.set, context.copy(), 512)
        done.wait(None)


_FRAMES = [frame_of(number, text) for number, text in enumerate(SMALL)]


def _events(environ: Dict[str, Any], start_response: Callable[..., Any]) -> Iterator[Any]:
    start_response("200 OK", [("Content-Type", "text/event-stream")])
    return ({"event": "token", "id": n, "data": text} for n, text in enumerate(SMALL))


def _streams(environ: Dict[str, Any]) -> Subject:
    app = SSEMiddleware(_events)

    def stream(count: int) -> None:
        body = app(dict(environ), _start_response)
        for _ in body:
            pass
        body.close()

    return stream


def _formatted(count: int) -> None:
    """The same events by the line that people write by hand."""

    def frames() -> Iterator[bytes]:
        for number, text in enumerate(SMALL):
            line = "id: {}\nevent: {}\ndata: {}\n\n".format(number, "token", text)
            yield line.encode()

    for _ in frames():
        pass


#: Task: (its subjects, how often each is repeated in a round, of how many operations).
TASKS: Dict[str, Any] = {
    "a response that is no stream": (
        {"bare": _requests(_page, _ENVIRON), "wrapped": _requests(SSEMiddleware(_page), _ENVIRON)},
        5000,
        5000,
    ),
    "a short request in a worker": (
        {
            "a lock's round trip": _lock_round_trips,
            "inline": _requests(SSEMiddleware(_page), _ENVIRON),
            "worker": _requests(SSEMiddleware(_page), _PICKED),
            "a job that does nothing": _jobs,
        },
        2000,
        2000,
    ),
    "30,000 small events without a server": (
        {"by hand": _formatted, "inline": _streams(_ENVIRON), "worker": _streams(_PICKED)},
        1,
        len(SMALL),
    ),
}


def main() -> int:
    """Print a row for each subject."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("names", nargs="*", metavar="task")
    options = parser.parse_args()
    clock = time.process_time
    for task in options.names or TASKS:
        subjects, repeats, operations = TASKS[task]
        taken: Dict[str, List[float]] = {name: [] for name in subjects}
        for number in range(options.rounds + 1):
            for name, subject in subjects.items():
                began_at = clock()
                subject(repeats)
                if number:  # the first warms up
                    taken[name].append((clock() - began_at) / operations)
        for name, rounds in taken.items():
            print(json.dumps({"task": task, "subject": name, "rounds": rounds}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
