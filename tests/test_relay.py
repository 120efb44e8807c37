"""`relay`, on plain dicts, raw bytes and recorded streams. SDK objects: test_relay_sdk.py."""

import csv
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from sse_middleware import Event, EventParser, encode
from sse_middleware.errors import OptionError, UpstreamError
from sse_middleware.relay import relay

SHARED = Path(__file__).parents[1].parent / "shared" / "recordings"
CLOSE = {"event": "close", "id": "sse:end", "data": ""}


def chunk(content, **fields):
    return {"choices": [{"index": 0, "delta": {"content": content}}], **fields}


def line(value):
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def texts(events):
    assert events[-1] == CLOSE
    assert [event["id"] for event in events[:-1]] == list(range(1, len(events)))
    assert {event["event"] for event in events[:-1]} <= {"message"}
    return [event["data"]["data"] for event in events[:-1]]


def test_text_becomes_numbered_events_and_the_close_event():
    assert list(relay([chunk("Hel"), chunk("lo\n")])) == [
        {"event": "message", "id": 1, "data": {"data": "Hel"}},
        {"event": "message", "id": 2, "data": {"data": "lo\n"}},
        CLOSE,
    ]


def test_key_renames_the_field_of_the_text():
    assert next(relay([chunk("Hi")], key="text"))["data"] == {"text": "Hi"}


WITHOUT_TEXT = {
    "the role": {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]},
    "no content": chunk(None),
    "an empty delta": {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
    "no delta": {"choices": [{"index": 0, "delta": None}]},
    "no choices": {"choices": [], "usage": {"total_tokens": 7}},
    "null choices": {"choices": None},
    "nothing": {},
    "azure's filter": {"choices": [], "prompt_filter_results": [{"prompt_index": 0}]},
    "another choice": {"choices": [{"index": 1, "delta": {"content": "other"}}]},
    "a null error": chunk(None, error=None),
    "thinking": chunk([{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]),
}


@pytest.mark.parametrize("item", WITHOUT_TEXT.values(), ids=WITHOUT_TEXT)
def test_a_chunk_without_text_makes_no_event(item):
    assert texts(list(relay([item, chunk("Hi"), item]))) == ["Hi"]
    assert texts(list(relay([line(item), line(chunk("Hi")), line(item)]))) == ["Hi"]


def test_text_among_content_parts_is_read():
    parts = [{"type": "text", "text": "a"}, {"type": "thinking"}, {"type": "text", "text": "b"}]
    assert texts(list(relay([chunk(parts)]))) == ["ab"]


def test_objects_are_read_by_attribute():
    delta = SimpleNamespace(content="Hi")
    item = SimpleNamespace(choices=[SimpleNamespace(index=0, delta=delta)])
    assert texts(list(relay([item]))) == ["Hi"]


BODY = b": hello\r\n\r\n" + line(chunk("a")).replace(b"\n", b"\r\n") + line(chunk("ü\n")) + line({})
BODY += b"data: [DONE]\n\n" + line(chunk("after"))


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_raw_bytes_are_read_however_they_are_cut_and_end_at_done(size):
    pieces = [BODY[start : start + size] for start in range(0, len(BODY), size)]
    assert texts(list(relay(pieces))) == ["a", "ü\n"]


def test_a_stream_without_done_ends_as_well():
    assert texts(list(relay([line(chunk("a"))]))) == ["a"]


FAILURES = {
    "an error object": ([{"error": {"message": "Rate limited"}}], "'Rate limited'"),
    "an error as text": ([{"error": "overloaded"}], "'overloaded'"),
    "an error beside choices": ([chunk("", error={"code": 400, "message": "limit"})], "'limit'"),
    "an error event": ([b'event: error\ndata: {"error": {"message": "x"}}\n\n'], "'x'"),
    "data that is no JSON": ([b"data: {\n\n"], "upstream sent '{': expected JSON"),
    "lines without their ends": ([b"data: {}", b"data: {}"], "rather than its iter_lines"),
    "a web page": ([b"<html></html>\n"], "ended before its first event"),
    "text": (
        ["data: {}\n\n"],
        "chunk is 'data: {}\\n\\n': expected an SDK object, a dict or bytes",
    ),
    "None": ([None], "chunk is None"),
}


@pytest.mark.parametrize(("items", "message"), FAILURES.values(), ids=FAILURES)
def test_what_the_upstream_got_wrong_is_said(items, message):
    events = relay([chunk("first"), *items, chunk("never")])
    assert next(events)["data"] == {"data": "first"}
    with pytest.raises(UpstreamError) as caught:
        list(events)
    assert message in str(caught.value)


class Closable(list):
    closed = 0

    def close(self):
        self.closed += 1


def test_the_upstream_is_closed_at_the_end():
    upstream = Closable([chunk("a")])
    list(relay(upstream))
    assert upstream.closed == 1


def test_the_upstream_is_closed_when_the_consumer_stops_early():
    upstream = Closable([chunk("a"), chunk("b")])
    events = relay(upstream)
    next(events)
    events.close()
    assert upstream.closed == 1


def test_the_upstream_is_closed_when_it_fails():
    upstream = Closable([{"error": "x"}])
    with pytest.raises(UpstreamError):
        list(relay(upstream))
    assert upstream.closed == 1


class Response:
    """What the streaming responses of requests and of httpx have in common."""

    def __init__(self, status_code=200, content_type="text/event-stream"):
        self.status_code = status_code
        self.headers = {"content-type": content_type}

    def iter_bytes(self):
        return iter([line(chunk("a"))])


def test_a_response_that_is_no_stream_is_refused():
    assert texts(list(relay(Response()))) == ["a"]
    with pytest.raises(UpstreamError, match="upstream answered 429: expected 200"):
        next(relay(Response(429)))
    with pytest.raises(
        UpstreamError, match="upstream sent 'application/json': expected text/event"
    ):
        next(relay(Response(content_type="application/json")))


@pytest.mark.parametrize(
    "upstream",
    ["text", b"bytes", {"choices": []}, None, 7, SimpleNamespace(choices=[], __iter__=iter)],
    ids=repr,
)
def test_what_is_no_stream_is_refused_when_relay_is_called(upstream):
    with pytest.raises(OptionError, match="stream=True"):
        relay(upstream)


def test_an_asynchronous_stream_is_named():
    class Asynchronous:
        def __aiter__(self):
            raise NotImplementedError

    with pytest.raises(OptionError, match="use the synchronous client"):
        relay(Asynchronous())


def test_a_raw_response_is_told_to_be_parsed():
    with pytest.raises(OptionError, match=r"of a raw response, pass .parse\(\)"):
        relay(SimpleNamespace(parse=lambda: []))


def test_a_response_without_a_byte_is_no_answer():
    response = Response()
    response.iter_bytes = lambda: iter([])
    with pytest.raises(UpstreamError, match="upstream ended before its first event"):
        list(relay(response))


def test_an_unknown_shape_is_refused():
    with pytest.raises(OptionError, match="shape is 'html': expected 'text'"):
        relay([], shape="html")


def chat_recordings():
    if not SHARED.is_dir():
        return []
    with open(SHARED / "INDEX.tsv", encoding="utf-8", newline="") as index:
        rows = list(csv.DictReader(index, delimiter="\t"))
    return [row for row in rows if row["api"] == "chat.completions"]


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared recordings are not beside the project")
def test_the_shared_recordings_are_all_found():
    rows = chat_recordings()
    assert rows
    assert all((SHARED / row["file"]).is_file() for row in rows)


def plain_text(body):
    """The text of the first choice, read without the project's own parser."""
    text = ""
    for raw in body.decode().replace("\r\n", "\n").split("\n"):
        if raw.startswith("data:") and raw[5:].strip() != "[DONE]":
            for choice in json.loads(raw[5:]).get("choices") or []:
                content = (choice.get("delta") or {}).get("content")
                if choice["index"] == 0 and isinstance(content, str):
                    text += content
                elif choice["index"] == 0 and content:
                    text += "".join(part.get("text", "") for part in content)
    return text


@pytest.mark.parametrize("row", chat_recordings(), ids=[row["file"] for row in chat_recordings()])
def test_a_recorded_stream_goes_through_as_its_text(row):
    body = (SHARED / row["file"]).read_bytes()
    pieces = [body[start : start + 7] for start in range(0, len(body), 7)]
    events = []
    if "error" in row["features"].split(","):
        with pytest.raises(UpstreamError, match="reported an error in mid-stream"):
            events.extend(relay(pieces))  # keeps what came before
        events.append(CLOSE)
    else:
        events.extend(relay(pieces))
    assert "".join(texts(events)) == plain_text(body)
    sent = EventParser().feed(b"".join(map(encode, events)))
    assert sent == [Event.from_mapping(event) for event in events]
