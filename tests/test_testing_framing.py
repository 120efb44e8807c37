"""check_framing: what is a fault and what is not, in bytes and in headers."""

import itertools
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest

from sse_middleware import encode
from sse_middleware.errors import FramingError, OptionError
from sse_middleware.headers import stream_headers
from sse_middleware.testing import Recording, assert_framing, check_framing
from sse_middleware.testing._framing_rules import RULES

SHARED = Path(__file__).parents[1].parent / "shared" / "recordings"
SHIPPED = Path(__file__).parents[1] / "fixtures" / "recordings"
CHUNK = b'data: {"choices": [{"delta": {"content": "Hi"}}]}\n\n'
DONE = b"data: [DONE]\n\n"
OPENAI = [code for code in RULES if code.startswith("SSE2")]


def codes(stream, profile="whatwg"):
    return [problem.code for problem in check_framing(stream, profile)]


FAULTS = [
    pytest.param(b"\xef\xbb\xbfdata: a\n\n", ["SSE101"], id="BOM"),
    pytest.param(b"\xef\xbb\xbf", ["SSE101"], id="BOM alone"),
    pytest.param(b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\n", ["SSE101", "SSE104"], id="two BOMs"),
    pytest.param(b"data: a\n\n\xef\xbb\xbfdata: b\n\n", ["SSE104"], id="BOM inside"),
    pytest.param(b"data: \xff\n\n", ["SSE102"], id="no UTF-8"),
    pytest.param(b"data: \xed\xa0\x80\n\n", ["SSE102"], id="a surrogate"),
    pytest.param(b"data: \xc3\n\xa9: b\n\n", ["SSE102", "SSE102", "SSE104"], id="a cut character"),
    pytest.param(b": \xff\n\n", ["SSE102"], id="no UTF-8 in a comment"),
    pytest.param(b"data: a\n\r\n", ["SSE103"], id="LF and CRLF"),
    pytest.param(b"data: a\r\n\r\ndata: b\n\ndata: c\r\r", ["SSE103"], id="all three, told once"),
    pytest.param(b"data: a\n\r\r", ["SSE103"], id="LF and CR at the end"),
    pytest.param(b"data: a\n\r", ["SSE103"], id="LF, then CR at the very end"),
    pytest.param(b"data: a\rb\n\n", ["SSE104", "SSE103"], id="CR in a text"),
    pytest.param(b"DATA: a\n\n", ["SSE104"], id="upper case"),
    pytest.param(b" data: a\n\n", ["SSE104"], id="indented"),
    pytest.param(b"data : a\n\n", ["SSE104"], id="space before the colon"),
    pytest.param(b"datum: a\n\n", ["SSE104"], id="another name"),
    pytest.param(b"data: a\nb\n\n", ["SSE104"], id="a line of text"),
    pytest.param(b"event: a\nData: b\n\n", ["SSE104"], id="what explains why there is no data"),
    pytest.param(b"data\x00: a\n\n", ["SSE104"], id="NUL in a name"),
    pytest.param(b"data: a", ["SSE105"], id="cut in a line"),
    pytest.param(b"data: a\n", ["SSE105"], id="no blank line"),
    pytest.param(b"data: a\r\n", ["SSE105"], id="no blank line, CRLF"),
    pytest.param(b"data: a\r", ["SSE105"], id="no blank line, CR"),
    pytest.param(b"data: a\n\nretry: 1\n", ["SSE105"], id="half a block without data"),
    pytest.param(b": a\ndata: b\n", ["SSE105"], id="a comment, then half an event"),
    pytest.param(b"data: a\n: b", ["SSE105"], id="half an event, then a comment"),
    pytest.param(b"event: a\n\n", ["SSE106"], id="a name alone"),
    pytest.param(b"event: a\nid: 1\nretry: 1\n\n", ["SSE106"], id="all but data"),
    pytest.param(b"id: \x00\ndata: a\n\n", ["SSE107"], id="NUL"),
    pytest.param(b"id: a\ndata: 1\n\nid: a\ndata: 2\n\n", ["SSE108"], id="id twice"),
    pytest.param(b"id: 7\ndata: 1\n\nid: 7\ndata: 2\n\n", ["SSE108"], id="number twice"),
    pytest.param(
        b"id: a\ndata: 1\n\nid: b\ndata: 2\n\nid: a\ndata: 3\n\n", ["SSE108"], id="id again, later"
    ),
    pytest.param(b"id: 10\ndata: 1\n\nid: 9\ndata: 2\n\n", ["SSE109"], id="number down"),
    pytest.param(b"id: s-10\ndata: 1\n\nid: s-9\ndata: 2\n\n", ["SSE109"], id="behind a prefix"),
    pytest.param(b"id: evt10\ndata: 1\n\nid: evt9\ndata: 2\n\n", ["SSE109"], id="after letters"),
    pytest.param(b"retry: 1.5\ndata: a\n\n", ["SSE110"], id="a fraction"),
    pytest.param(b"retry:\ndata: a\n\n", ["SSE110"], id="no time"),
    pytest.param("retry: ٣\ndata: a\n\n".encode(), ["SSE110"], id="digits that are not ASCII"),
    pytest.param(b"id: 1\ndata: a\nid: 2\ndata: b\n\n", ["SSE111"], id="two ids"),
    pytest.param(b"data:a\n\ndata: b\n\ndata:c\n\n", ["SSE112"], id="space lost, told once"),
    pytest.param(b"data: a\n\ndata:b\n\n", ["SSE112"], id="space first, then none"),
    pytest.param(b"data:a\ndata: b\n\n", ["SSE112"], id="space lost in one event"),
    pytest.param(b'{"error": "no"}', ["SSE105"], id="JSON instead of a stream"),
    pytest.param(b"<html>\n</html>\n", ["SSE104", "SSE104", "SSE105"], id="HTML instead"),
]
OPENAI_FAULTS = [
    pytest.param(b"id: 1\n\n" + CHUNK + DONE, ["SSE201"], id="id alone"),
    pytest.param(b"retry: 1\n\n" + DONE, ["SSE202"], id="retry alone"),
    pytest.param(b"id: 1\nretry: 1\n\n" + DONE, ["SSE201"], id="id and retry"),
    pytest.param(b"id: 1\n" + CHUNK + b"\n" + DONE, ["SSE203"], id="blank line after an id"),
    pytest.param(b"id: 1\n" + CHUNK + CHUNK + b": p\n\n" + DONE, ["SSE203"], id="id remembered"),
    pytest.param(CHUNK, ["SSE204"], id="no [DONE]"),
    pytest.param(b"event: a\n" + CHUNK, ["SSE204"], id="no [DONE], named events of a chat"),
    pytest.param(b"data: {}\n\n", ["SSE204"], id="no [DONE], whatever the data"),
    pytest.param(b'data: {"error": 1}\n\n' + CHUNK, ["SSE204"], id="an error does not end it"),
    pytest.param(CHUNK + b"data: [DONE]\n", ["SSE105"], id="half of [DONE]"),
    pytest.param(DONE + DONE, ["SSE205"], id="[DONE] twice"),
    pytest.param(DONE + CHUNK + DONE, ["SSE206", "SSE205"], id="[DONE] in the middle"),
    pytest.param(DONE + b"data: bye\n\n", ["SSE206"], id="text after [DONE]"),
    pytest.param(b"data:\n\n" + DONE, ["SSE207"], id="no data"),
    pytest.param(b"data: [done]\n\n" + DONE, ["SSE207"], id="lower case"),
    pytest.param(b"data: {'a': 1}\n\n" + DONE, ["SSE207"], id="a repr"),
    pytest.param(b"data: NaN\n\n" + DONE, ["SSE207"], id="NaN"),
    pytest.param(CHUNK + b"event: error\ndata: no\n\n", ["SSE207"], id="an error in words"),
    pytest.param(CHUNK + b"event: a\ndata: no\n\n", ["SSE207", "SSE204"], id="words, no error"),
    pytest.param(b"data: {}\ndata: {}\n\n" + DONE, ["SSE207"], id="two events in one"),
    pytest.param(b"data: " + b"[" * 100000 + b"\n\n" + DONE, ["SSE207"], id="too deep"),
]


@pytest.mark.parametrize(("body", "expected"), FAULTS)
def test_a_fault_is_found(body, expected):
    assert codes(body) == expected


@pytest.mark.parametrize(("body", "expected"), OPENAI_FAULTS)
def test_what_breaks_an_sdk_is_found_in_its_profile_alone(body, expected):
    assert codes(body, "openai") == expected
    assert not set(codes(body)) & set(OPENAI)


@pytest.mark.parametrize("body", [fault.values[0] for fault in FAULTS + OPENAI_FAULTS])
@pytest.mark.parametrize("profile", ["whatwg", "openai"])
def test_the_cut_of_the_bytes_changes_nothing(body, profile):
    pieces = (body[at : at + 1] for at in range(min(len(body), 200)))
    assert check_framing(pieces, profile) == check_framing(body[:200], profile)


def test_any_cut_of_any_bytes_gives_the_same_problems():
    hypothesis = pytest.importorskip("hypothesis")
    from hypothesis import strategies as st

    words = ["data", "event", "id", "retry", ":", " ", "\n", "\r", "\r\n", "a", "1", "[DONE]", "{}"]
    pieces = [word.encode() for word in words] + [b"\xef\xbb\xbf", b"\xff", b"\0", b"\n\n", CHUNK]

    @hypothesis.given(st.lists(st.sampled_from(pieces)), st.sampled_from(["whatwg", "openai"]))
    def check(parts, profile):
        assert check_framing(parts, profile) == check_framing(b"".join(parts), profile)

    check()


def test_what_encode_makes_is_right():
    hypothesis = pytest.importorskip("hypothesis")
    from hypothesis import strategies as st

    line = st.text(st.characters(blacklist_characters="\r\n\0", blacklist_categories=["Cs"]))
    data = st.text(st.characters(blacklist_categories=["Cs"]))
    event = st.fixed_dictionaries(
        {"data": data, "event": line, "retry": st.none() | st.integers(0), "comment": data}
    )

    @hypothesis.given(st.lists(event))
    def check(events):
        frames = [encode({**fields, "id": number}) for number, fields in enumerate(events)]
        assert codes(frames) == []

    check()


def test_openai_python_fails_where_the_profile_says_so_and_nowhere_else():
    hypothesis = pytest.importorskip("hypothesis")
    decoder_type = pytest.importorskip("openai._streaming").SSEDecoder
    from hypothesis import strategies as st

    lines = ["", ": c", "id: 1", "id", "id: a\0", "retry: 1", "retry: x", "event: a", "event"]
    lines += ["data: {}", "data: x", "data"]
    told = {"SSE106", "SSE201", "SSE202", "SSE203", "SSE207"}

    @hypothesis.given(st.lists(st.sampled_from(lines)))
    def check(parts):
        decoder = decoder_type()
        events = [event for event in map(decoder.decode, [*parts, ""]) if event]
        fails = any(event.data.strip() != "{}" for event in events)
        body = "".join(part + "\n" for part in [*parts, ""]).encode()
        assert fails == bool(told & set(codes(body, "openai"))), body

    check()


def test_an_event_past_16_mib_is_told_once_and_not_kept():
    pieces = [b"data: "] + [b"x" * (1 << 20)] * 40 + [b"\n\ndata: a\n\n"]
    assert codes(iter(pieces), "openai") == ["SSE113", "SSE207", "SSE204"]
    lines = [b"data: " + b"x" * (1 << 20) + b"\n"] * 20 + [b"\n"]
    assert codes(iter(lines)) == ["SSE113"]
    assert codes([b": "] + [b"x" * (1 << 20)] * 40 + [b"\n\n"]) == []


def test_the_last_4096_ids_are_compared():
    def ids(count):
        names = [b"id: x%da\ndata\n\n" % number for number in range(count)]
        return [*names, names[0]]

    assert codes(ids(4096)) == ["SSE108"]
    assert codes(ids(4097)) == []


def test_a_problem_says_where_what_and_how_to_mend_it():
    [problem] = check_framing(b"data: a\n\nid: 7\x00\xff\xe2\x80\x8b\ndata: \xc3\xa9\n\n")[1:]
    assert (problem.code, problem.where) == ("SSE107", "at byte 9 (event 2)")
    assert str(problem) == (
        "SSE107 id-with-nul at byte 9 (event 2): the id holds a NUL\n"
        r"  seen: 'id: 7\x00\xff\u200b'" + "\n"
        "  fix:  send an id without NUL"
    )


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"data: 1\n\nevent: b\ndata: c", "SSE105 at byte 9 (event 2) 'event: b'"),
        (b"data: 1\n\nda", "SSE105 at byte 9 (event 2) 'da'"),
        (b"\n\nevent: x\n\n", "SSE106 at byte 2 (event 1) 'event: x'"),
        (b": c\n\n: d\ndata: {}\nFoo: 1\n\n" + DONE, "SSE104 at byte 18 (event 1) 'Foo: 1'"),
        (b"data: {}\n\ndata: a\ndata: b\n\n" + DONE, r"SSE207 at byte 10 (event 2) 'data: a\nb'"),
        (b"id: 1\ndata: {}\n\n: p\n\n" + DONE, r"SSE203 at byte 20 (event 2) '\n'"),
        (b"retry: 1\n\n" + DONE, "SSE202 at byte 0 (event 1) 'retry: 1'"),
        (b"data: {}\n\ndata: []\n\n", "SSE204 at byte 20 (event 3) '[]'"),
        (b"id: 2\ndata: 1\n\nid: 1\ndata: 2\n\n" + DONE, "SSE109 at byte 15 (event 2) 'id: 1'"),
        (b"event: a\nevent: b\ndata: 1\n\n" + DONE, "SSE111 at byte 9 (event 1) 'event: b'"),
        (b'data: "a"\r\n\ndata: 1\n\n' + DONE, r"SSE103 at byte 11 (event 1) '\n'"),
        (b"\xef\xbb\xbfFoo: 1\ndata: 1\n\n" + DONE, r"SSE101 at byte 0 (event 1) '\ufeffFoo: 1'"),
        (b": \xff\n" + DONE, r"SSE102 at byte 2 (event 1) ': \xff'"),
    ],
)
def test_a_problem_says_at_which_byte_of_which_event(body, told):
    problem = check_framing(body, "openai")[0]
    assert f"{problem.code} {problem.where} {problem.seen}" == told


@pytest.mark.parametrize(
    ("body", "fix"),
    [
        (b"data: a\nb\n\n", "a line break in a text begins a new line: send each line with its"),
        (b"Data: a\n\n", "write 'data', in lower case and with nothing before or after it"),
        (b"foo: a\n\n", "give each line of a text a data: of its own, or send JSON; as names use"),
        (b"data: a\r\n\r\ndata: b\n\n", r"end it in '\r\n' too"),
    ],
)
def test_the_fix_fits_the_fault(body, fix):
    [problem] = check_framing(body)
    assert problem.fix.startswith(fix)


def test_where_counts_bytes_across_chunks_and_line_ends():
    problem = check_framing([b"data: 1\r", b"\n\r\n: c\r\n", b"\r\nevent: ", b"x\r\n\r\n"])[0]
    assert (problem.code, problem.where) == ("SSE106", "at byte 18 (event 2)")


def test_a_long_line_is_shown_around_its_fault():
    [problem] = check_framing(b"data: " + b"a" * 1000 + b"\xff" + b"b" * 1000 + b"\n\n")
    assert problem.where == "at byte 1006 (event 1)"
    assert problem.seen == "'..." + "a" * 36 + r"\xff" + "b" * 32 + "...'"


def test_assert_framing_tells_all_problems():
    assert_framing(b"data: a\n\n")
    with pytest.raises(AssertionError) as caught:
        assert_framing(b"Data: a\n\ndata: b", "openai")
    assert isinstance(caught.value, FramingError)
    assert [problem.code for problem in caught.value.problems] == ["SSE104", "SSE105"]
    lines = str(caught.value).split("\n")
    assert lines[0] == "2 problems in the framing of a stream"
    assert [line[:6] for line in lines if line.startswith("SSE")] == ["SSE104", "SSE105"]


def test_assert_framing_tells_three_problems_of_a_code_and_counts_the_rest():
    with pytest.raises(FramingError) as caught:
        assert_framing(b"a: 1\n\n" * 5 + b"event: a\n\n" * 4 + b"data: half")
    text = str(caught.value)
    assert [text.count(f"{code} ") for code in ("SSE104", "SSE106", "SSE105")] == [3, 3, 1]
    assert text.startswith("10 problems in the framing of a stream\n\nSSE104 unknown-field at")
    assert text.endswith("\n\nSSE104: 2 more\n\nSSE106: 1 more")
    assert len(caught.value.problems) == 10


RIGHT = dict(stream_headers([]))


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, []),
        ({"Content-Type": "TEXT/Event-Stream; foo=1;Charset=UTF-8 "}, []),
        ({"Content-Type": 'text/event-stream; charset="utf-8"'}, []),
        ({"Content-Type": "text/event-stream;charset=utf8"}, []),
        ({"Content-Type": "text/event-stream"}, ["SSE302"]),
        ({"Content-Type": "text/event-stream; charset=latin-1"}, ["SSE302"]),
        ({"Content-Type": "text/event-stream; charset=utf-8-sig"}, ["SSE302"]),
        ({"Content-Type": "text/event-streams"}, ["SSE301"]),
        ({"Content-Type": None}, ["SSE301"]),
        ({"Content-Length": "9"}, ["SSE303"]),
        ({"Content-Encoding": "gzip"}, ["SSE304"]),
        ({"content-encoding": "identity"}, []),
        ({"Connection": "keep-alive"}, ["SSE305"]),
        ({"Connection": "close", "Transfer-Encoding": "chunked"}, ["SSE305", "SSE305"]),
        ({"Connection": "close", "Date": "Sun, 22 Nov 2026 17:00:00 GMT"}, []),
        ({"Cache-Control": None}, ["SSE306"]),
        ({"Cache-Control": "public, max-age=60"}, ["SSE306"]),
        ({"Cache-Control": "private"}, ["SSE306"]),
        ({"Cache-Control": "No-Store"}, []),
        ({"Cache-Control": "max-age=0, must-revalidate"}, []),
        ({"ETag": '"1"'}, ["SSE306"]),
        ({"X-Accel-Buffering": None}, ["SSE307"]),
        ({"X-Accel-Buffering": "yes"}, ["SSE307"]),
        ({"X-Accel-Buffering": " No "}, []),
    ],
    ids=str,
)
def test_the_headers_of_a_response_are_checked_too(changed, expected):
    headers = {k: v for k, v in {**RIGHT, **changed}.items() if v is not None}
    response = SimpleNamespace(status_code=200, headers=headers, content=b"data: a\n\n")
    assert codes(response) == expected
    response.headers = {name.upper(): value for name, value in headers.items()}
    assert codes(response) == expected


def test_a_problem_of_the_headers_shows_the_header_or_that_it_is_not_there():
    headers = {"Content-Type": "text/event-stream", "content-length": "9", "ETag": "1"}
    problems = check_framing(SimpleNamespace(headers=headers, content=b""))
    assert {problem.where for problem in problems} == {"in the headers"}
    assert [problem.seen for problem in problems] == [
        "Content-Type: text/event-stream",
        "Content-Length: 9",
        "ETag: 1",
        "no X-Accel-Buffering",
    ]
    del headers["ETag"]
    problems = check_framing(SimpleNamespace(headers=headers, content=b""))
    assert problems[2].seen == "no Cache-Control"


def test_a_compressed_body_is_not_read_as_text():
    headers = {**RIGHT, "Content-Encoding": "gzip"}
    assert codes(SimpleNamespace(headers=headers, content=b"\x1f\x8b\xff")) == ["SSE304"]


def test_a_response_without_content_is_no_stream():
    assert codes(SimpleNamespace(status_code=204, headers={}, content=b"")) == []


class Stream:
    """As StreamClient gives it: the chunks that have come so far."""

    headers = RIGHT
    status_code = 200

    def __init__(self, *chunks, ended):
        self.ended = ended
        self.chunks = [SimpleNamespace(data=data, at_s=0.0) for data in chunks]

    def read(self):
        self.ended = True
        self.chunks = [SimpleNamespace(data=CHUNK, at_s=0.0)]


def test_the_end_of_a_stream_that_goes_on_is_not_judged():
    assert codes(Stream(CHUNK, b"da", ended=False), "openai") == []
    assert codes(Stream(CHUNK, b"da", ended=True), "openai") == ["SSE105"]


def test_a_stream_of_which_nothing_has_come_is_read_to_its_end():
    assert codes(Stream(ended=False), "openai") == ["SSE204"]


def of(frames):
    """An app that streams ``frames``."""

    def app(environ, start_response):
        start_response("200 OK", stream_headers([]))
        return (frame for frame in frames)

    return app


def test_a_stream_of_stream_client_is_checked_as_far_as_it_was_read():
    client = pytest.importorskip("sse_middleware.testing.client")
    with client.StreamClient(of([b"data: 1\n\n", b"data: 2"])).get("/") as stream:
        assert codes(stream) == ["SSE105"]
    with client.StreamClient(of(itertools.repeat(CHUNK))).get("/") as stream:
        stream.events(2)
        assert codes(stream, "openai") == []
    assert codes(stream, "openai") == []


def test_a_recording_is_its_body():
    assert codes(Recording(CHUNK, headers={}, end="eof"), "openai") == ["SSE204"]
    assert codes(Recording.named("chat-text"), "openai") == []


@pytest.mark.parametrize("made", [bytes, bytearray, memoryview, lambda body: [body]])
def test_bytes_come_in_any_form(made):
    assert codes(made(b"data: a")) == ["SSE105"]


def test_responses_of_test_clients_are_taken():
    webtest = pytest.importorskip("webtest")
    werkzeug = pytest.importorskip("werkzeug.test")

    app = of([b"data: a\n\n", b"Data: b\n\n"])
    assert codes(webtest.TestApp(app).get("/")) == ["SSE104"]
    assert codes(werkzeug.Client(app).get("/")) == ["SSE104"]
    httpx = pytest.importorskip("httpx")
    client = httpx.Client(transport=httpx.WSGITransport(app=app))
    assert codes(client.get("http://test/")) == ["SSE104"]


@pytest.mark.parametrize("value", ["data: a\n\n", None, 7, [b"data: a\n\n", "data"]], ids=repr)
def test_what_holds_no_bytes_is_refused(value):
    with pytest.raises(OptionError, match="bytes"):
        check_framing(value)


def test_an_unknown_profile_is_refused():
    with pytest.raises(OptionError, match="profile is 'w3c': expected one of whatwg, openai"):
        check_framing(b"", "w3c")


@pytest.mark.parametrize("profile", ["whatwg", "openai"])
@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.sse")), ids=lambda path: path.stem)
def test_the_recordings_that_ship_are_right_but_for_the_one_that_is_cut(path, profile):
    assert codes(Recording.load(path), profile) == ["SSE105"] * (path.stem == "chat-cut")


# What the real recordings hold: all else in them is right, under both profiles. INDEX.tsv says of
# each of these UNTERMINATED_TAIL, DATA_NOT_JSON or no_DONE. In the text of replicate a comment
# with its blank line follows events with ids, and its 24 texts are not JSON.
RECORDED = {
    ("whatwg", "anthropic-unterminated-last-event"): {"SSE105": 1},
    ("openai", "anthropic-unterminated-last-event"): {"SSE105": 1},
    ("openai", "cerebras-chat-chunked"): {"SSE204": 1},
    ("openai", "gemini-native-crlf"): {"SSE204": 1},
    ("openai", "minimax-reasoning-details"): {"SSE204": 1},
    ("openai", "perplexity-citations-crlf"): {"SSE204": 1},
    ("openai", "replicate-plain-text-events"): {"SSE203": 1, "SSE207": 24},
}


@pytest.mark.skipif(not SHARED.is_dir(), reason="the collection of real recordings is not here")
def test_the_real_recordings_are_right_but_for_what_their_index_flags():
    found = {
        (profile, path.stem): dict(Counter(codes(path.read_bytes(), profile)))
        for path in sorted(SHARED.glob("*.sse"))
        for profile in ("whatwg", "openai")
    }
    assert len(found) == 160
    assert {key: told for key, told in found.items() if told} == RECORDED
