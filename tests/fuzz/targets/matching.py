"""Any request to the fake upstream: who answers it, against a second reading; and what is told."""

import json

from material import assert_one_line

from sse_middleware.testing import FakeUpstream, Recording
from sse_middleware.testing.exchange import ReceivedRequest

WANTED = {"model": "m", "stream": True, "messages": [{"role": "user"}], "n": 1}
BODY = b'{"model": "m", "stream": true, "messages": [{"role": "user", "content": "x"}], "n": 1}'


def seeds():
    """The target, a header, and the body, each but the last in a line."""
    heads = [b"/v1/chat/completions\nX-Stainless-Retry-Count: 0\n", b"/v1/%0a%1b\nA: b\n"]
    return [
        *(head + BODY for head in heads),
        heads[0] + BODY.replace(b"true", b"1").replace(b'n": 1', b'n": true'),
        heads[0] + BODY.replace(b'"m"', b'"m\\ud800\\n"').replace(b"[{", b"[{}, {"),
        b"/v1/responses?a=b\nX-Stainless-Retry-Count: 2\n{}",
        b"http://a/v1/chat/completions\nAccept: x\n" + b"[" * 500,
        heads[0] + b'{"model": NaN, "model": 1e999}',
    ]


def check(data):
    """The script that fits, or 404; the messages say so, in lines without control characters."""
    target, header, body = [*data.split(b"\n", 2), b"", b""][:3]
    name, _, value = header.decode("latin-1").partition(":")
    try:
        request = ReceivedRequest.from_target(
            "POST", target.decode("latin-1"), [(name, value)], body
        )
    except ValueError:  # answered with 400
        return
    upstream = FakeUpstream()
    answers = [Recording(b"data: %d\n\n" % number, name=str(number)) for number in range(3)]
    upstream.play(answers[0], when={"path": "*/chat/completions", "json": WANTED}, times=None)
    upstream.play(answers[1], when={"headers": {"X-A": "b"}}, times=None)
    upstream.play(answers[2], when={"json": {"model": "x"}})
    reply = upstream.answer(request)
    number = expected(request, name, value, body)
    if number is None:
        assert reply.recording.status == 404
        assert request.answered_by is None
        told = json.loads(reply.recording.body)
        assert isinstance(told["error"]["message"], str)
    else:
        assert reply.recording.body == answers[number].body
    check_messages(upstream)
    assert_one_line(request)


def check_messages(upstream):
    """What a failed test prints."""
    try:
        upstream.verify()
    except AssertionError as error:
        messages = [str(error), upstream.report()]
    else:
        messages = [upstream.report()]
    for line in "\n".join(messages).split("\n"):
        assert line.isprintable(), f"a line that a terminal obeys: {line!r}"


def expected(request, name, value, body):
    """The number of the script."""
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):
        asked = None
    is_chat = request.path.endswith("/chat/completions")
    if is_chat and isinstance(asked, dict) and is_wanted(asked):
        return 0
    if name.lower() == "x-a" and value == "b":
        return 1
    if isinstance(asked, dict) and asked.get("model") == "x":
        return 2
    return None


def is_wanted(asked):
    """Whether the body has all of `WANTED`, where True is not 1."""
    messages = asked.get("messages")
    is_one = isinstance(messages, list) and len(messages) == 1 and isinstance(messages[0], dict)
    n = asked.get("n")
    return (
        asked.get("model") == "m"
        and asked.get("stream") is True
        and is_one
        and messages[0].get("role") == "user"
        and not isinstance(n, bool)
        and n == 1
    )
