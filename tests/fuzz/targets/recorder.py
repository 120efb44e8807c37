"""What the recorder hears of an upstream, against h11; what it keeps of that can be replayed."""

import io
import time
from http.client import HTTPException, HTTPResponse
from itertools import chain
from pathlib import Path
from types import SimpleNamespace

from answers import answer_of
from material import assert_one_line, bodies

from sse_middleware.testing import Recording
from sse_middleware.testing._shelf import Shelf
from sse_middleware.testing._take import Take
from sse_middleware.testing._transport import TransportBody, end_to_end_headers
from sse_middleware.testing.exchange import ReceivedRequest
from targets.doctor import CHUNKED, HEAD, NEXT, chunked
from targets.recording import check_recording, folder

KEY = "sk-proj-" + "aB3dE5gH7jK9" * 4
ASKED = b"/v1/chat/completions?alt=sse&key=KEY\n" + b'{"model": "m", "user": "KEY"}'


def seeds():
    """What was asked, and the answer."""
    answers = [
        *(CHUNKED + b"\r\n" + chunked(body) for body in bodies()[::4]),
        HEAD + b"\r\ndata: 1\n\n",
        HEAD + b"Content-Length: 5\r\n\r\ndata: 1\n\n",
        HEAD + b"Content-Length: 10\r\n\r\ndata: 1\n\n",
        CHUNKED + b"Connection: x-a\r\nX-A: 1\r\n\r\n3;x=y\r\nabc\r\n0\r\nT: 1\r\n\r\n",
        CHUNKED + b"Content-Length: 3\r\n\r\n5\r\nab",
        HEAD + b"Retry-After:\r\n folded\r\nOpenAI-Model: \xe9 KEY\r\n\r\n\xff\xfe",
        b"HTTP/1.1 429 Slow down\r\nContent-Type: application/json\r\n\r\n{}",
        b"HTTP/1.1 304 Same\r\n\r\n",
    ]
    asked = [
        ASKED,
        b"/v1//..%2f\n",
        b'/v1/a\n{"messages": [{"content": "use KEY"}], "n": 1e999}',
        b"/v1/%ff?%ff=%zz&stream=KEY\n[[",
    ]
    return [one + NEXT + answer for one in asked[:1] for answer in answers] + [
        one + NEXT + answers[0] for one in asked
    ]


def check(data):
    """The body as h11 reads it; saved without the key; loaded as it was."""
    asked, _, answer = data.partition(NEXT)
    response = HTTPResponse(
        SimpleNamespace(makefile=lambda mode: io.BufferedReader(io.BytesIO(answer))), method="POST"
    )
    try:
        response.begin()
    except (HTTPException, OSError, ValueError):  # for which the recorder answers 502
        return
    body = TransportBody(response, "POST")
    pieces = list(body)
    check_pieces(answer, pieces, body.end, response)
    if is_kept(response):
        check_kept(asked, response, pieces, body.end)


def is_kept(response):
    """Whether a recording can hold its status and its headers: of others the user is told."""
    text = "".join(chain.from_iterable(end_to_end_headers(response)))
    is_clean = all(char == "\t" or " " <= char != "\x7f" for char in text)
    return is_clean and 200 <= response.status <= 599 and response.status not in (204, 304)


def check_pieces(answer, pieces, end, response):
    """The chunks, and whether they ended well, where h11 takes the answer."""
    assert end in ("complete", "eof")
    judged = answer_of(answer, "POST")
    if judged is None or judged[0] != response.status:
        return
    _, expected, is_whole = judged
    if not response.chunked:
        pieces, expected = [b"".join(pieces)], [b"".join(expected)]
    assert pieces == expected
    assert (end == "complete") == is_whole


def check_kept(asked, response, pieces, end):
    """Nothing refuses what came; the key of the request is not in what was written."""
    target, _, body = asked.replace(b"KEY", KEY.encode()).partition(b"\n")
    headers = [("Authorization", f"Bearer {KEY}"), ("Accept", KEY), ("Content-Type", "a/b")]
    try:
        request = ReceivedRequest.from_target("POST", target.decode("latin-1"), headers, body)
    except ValueError:
        return
    failures, saved = [], []
    recorder = SimpleNamespace(
        shelf=Shelf(folder() / "kept"),
        upstream=SimpleNamespace(path=""),
        failed=failures.append,
        saved=lambda path, recording: saved.append((path, recording)),
    )
    take = Take(recorder, request, request.path, time.monotonic())
    for piece in pieces:
        take.add(piece)
    take.save(response.status, end_to_end_headers(response), end)
    if failures:
        assert_one_line(failures[0])
    assert failures == [], failures
    [(path, recording)] = saved
    check_saved(path, recording, b"KEY" in asked)


def check_saved(path, recording, has_key):
    """The files hold it; then they go."""
    try:
        assert Recording.load(path) == recording
        settings = Path(path).with_suffix(".json")
        assert KEY not in settings.read_text() if settings.exists() else True
        check_recording(recording)
    finally:
        for file in (folder() / "kept").iterdir():
            file.unlink()
