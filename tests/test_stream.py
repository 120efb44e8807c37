"""`event_stream`: items to frames, with the error and the end contract."""

import logging
from types import MappingProxyType

import pytest

from sse_middleware import Event, EventParser, event_stream
from sse_middleware.current import CurrentStream, showing
from sse_middleware.errors import EventError, OptionError
from sse_middleware.framing import END_ID, Framing
from sse_middleware.stream import EventStream, ends_in_blank_line

END = b"event: close\nid: sse:end\ndata: \n\n"


class Source:
    """An iterable of ``items`` that raises those which are exceptions, and counts its closings."""

    def __init__(self, *items):
        self.items = iter(items)
        self.closed = 0

    def __iter__(self):
        return self

    def __next__(self):
        item = next(self.items)
        if isinstance(item, BaseException):
            raise item
        return item

    def close(self):
        self.closed += 1


def frames(*items, **options):
    return list(event_stream(Source(*items), **options))


def events(*items, **options):
    return EventParser().feed(b"".join(frames(*items, **options)))


ITEMS = {
    "a mapping": ({"data": "x", "id": 1}, b"id: 1\ndata: x\n\n"),
    "an event": (Event("x", event="e"), b"event: e\ndata: x\n\n"),
    "a finished frame": (b"data: x\n\n", b"data: x\n\n"),
    "a finished frame with CRLF": (b"data: x\r\n\r\n", b"data: x\r\n\r\n"),
    "a finished frame with CR": (b"data: x\r\r", b"data: x\r\r"),
    "two frames in one": (b"data: x\n\ndata: y\n\n", b"data: x\n\ndata: y\n\n"),
    "a comment": ({"comment": ""}, b": \n\n"),
}


@pytest.mark.parametrize(("item", "frame"), ITEMS.values(), ids=ITEMS)
def test_an_item_leaves_as_one_frame(item, frame):
    assert frames(item, {"data": "z"}) == [frame, b"data: z\n\n"]


@pytest.mark.parametrize("item", [{}, {"data": None}, {"event": None, "id": None}, b""], ids=repr)
def test_what_says_nothing_writes_nothing(item):
    assert frames(item, {"data": "x"}, item) == [b"data: x\n\n"]


class Tagged(bytes):
    pass


def test_frames_are_exact_bytes_and_the_stream_has_no_length():
    stream = event_stream([Tagged(b"data: x\n\n"), {"data": "y"}])
    assert not hasattr(stream, "__len__")
    assert iter(stream) is stream
    assert [type(frame) for frame in stream] == [bytes, bytes]


ITEM = 'expected a mapping such as {"data": ...}, an Event, or bytes that are a finished frame'
REFUSED = {
    "text": ("x", 'item is \'x\': expected a mapping; write {"data": "..."} to send text'),
    "a number": (7, f"item is 7: {ITEM}"),
    "None": (None, f"item is None: {ITEM}"),
    "a list": ([{"data": "x"}], f"item is [{{'data': 'x'}}]: {ITEM}"),
    "a bytearray": (bytearray(b"x\n\n"), f"item is bytearray(b'x\\n\\n'): {ITEM}"),
    "an unknown key": (
        {"text": "x"},
        "key is 'text': expected one of event, data, id, retry, comment; to send the whole mapping"
        ' as data, write {"data": {...}} or use items="data"',
    ),
    "a bad id": (
        {"id": "a\n", "data": ""},
        "id is 'a\\n': expected an int, or a str without CR, LF or NUL",
    ),
}


@pytest.mark.parametrize(("item", "message"), REFUSED.values(), ids=REFUSED)
def test_a_first_item_that_is_no_event_is_raised(item, message):
    with pytest.raises(EventError) as caught:
        frames(item)
    assert str(caught.value) == message


@pytest.mark.parametrize(("item", "message"), REFUSED.values(), ids=REFUSED)
def test_a_later_item_that_is_no_event_is_logged_and_becomes_the_error_event(item, message, caplog):
    first, error = events({"data": "x"}, item, {"data": "never"})
    assert first == Event("x")
    assert_is_generic(error)
    assert message in caplog.text


def assert_is_generic(event):
    assert event.event == "error"
    told = event.json()["error"]
    assert told == {
        "message": "The stream failed.",
        "type": "stream_error",
        "code": told["code"],
    }
    assert len(told["code"]) == 32


def last_logged(caplog):
    """What was logged, and what the last exception says."""
    record = caplog.records[-1]
    return record.getMessage(), str(record.exc_info[1])


def test_bytes_after_a_mapping_must_be_a_finished_frame(caplog):
    assert len(events({"data": "x"}, b": whole\n\n", b"data: y\n\n")) == 2
    _, error = events({"data": "x"}, b"text that a framework encoded")
    assert_is_generic(error)
    assert last_logged(caplog) == (
        f"stream failed (error id {error.json()['error']['code']})",
        "item is b'text that a framework encoded': expected bytes that end in a blank line, as a "
        "finished frame does; a framework makes bytes of a yielded str, so write "
        '{"data": "..."}',
    )


def test_relayed_bytes_may_be_cut_anywhere():
    pieces = [b"\xef\xbb", b"\xbfda", b"ta: x\r", b"\n\r", b"\ndata: y\n", b"\n"]
    assert frames(*pieces, {"data": "z"}) == [*pieces, b"data: z\n\n"]


def test_a_mapping_inside_a_half_sent_event_cuts_the_stream():
    stream = event_stream(Source(b"data: x\n", {"data": "y"}))
    assert next(stream) == b"data: x\n"
    with pytest.raises(EventError) as caught:
        next(stream)
    assert str(caught.value) == (
        "item is {'data': 'y'}: expected the rest of the event that bytes had begun"
    )
    assert list(stream) == []


def test_a_caller_may_change_and_reuse_its_dict():
    def source():
        item = {"data": {"n": 0}}
        for n in range(3):
            item["data"]["n"] = n
            yield item
            assert item == {"data": {"n": n}}

    stream = event_stream(source(), end_event="close", retry=5)
    seen = EventParser().feed(b"".join(stream))
    assert [event.json() for event in seen[:-1]] == [{"n": 0}, {"n": 1}, {"n": 2}]


def test_every_object_is_the_data_of_an_event_when_items_is_data():
    items = ["text", b"bytes", {"event": "x"}, [1], 7, Event("e", id=1), None]
    assert events(*items, items="data") == [
        Event("text"),
        Event("bytes"),
        Event({"event": "x"}),
        Event([1]),
        Event("7"),
        Event("e", id=1),
    ]


def test_bytes_that_are_no_text_are_refused_when_items_is_data():
    with pytest.raises(EventError, match=r"^item is b'\\xff': expected UTF-8 text \('utf-8' codec"):
        frames(b"\xff", items="data")


RETRY = {
    "the first event": ([{"data": "x"}, {"data": "y"}], b"retry: 9\ndata: x\n\ndata: y\n\n"),
    "not a comment": ([{"comment": "c"}, {"data": "x"}], b": c\n\nretry: 9\ndata: x\n\n"),
    "its own stays": ([{"data": "x", "retry": 1}], b"retry: 1\ndata: x\n\n"),
    "an Event": ([Event("x")], b"retry: 9\ndata: x\n\n"),
    "relayed bytes": ([b"data: x\n\n"] * 2, b"retry: 9\ndata: x\n\ndata: x\n\n"),
    "relayed bytes with a BOM": (
        [b"\xef\xbb\xbfdata: x\n\n"],
        b"\xef\xbb\xbfretry: 9\ndata: x\n\n",
    ),
    "not a relayed comment": ([b": c\n\n", b"data: x\n\n"], b": c\n\nretry: 9\ndata: x\n\n"),
    "never inside": (
        [b": c\nda", b"ta: x\n\n", b"data: y\n\n"],
        b": c\ndata: x\n\nretry: 9\ndata: y\n\n",
    ),
}


@pytest.mark.parametrize(("items", "body"), RETRY.values(), ids=RETRY)
def test_retry_goes_into_the_frame_of_the_first_event(items, body):
    assert b"".join(frames(*items, retry=9)) == body


def test_the_end_event_is_sent_when_the_source_ends_by_itself():
    assert frames({"data": "x"}, end_event="close") == [b"data: x\n\n", END]
    assert frames(end_event="close") == [END]
    mapping = {"event": "bye", "data": {"n": 1}}
    assert frames(end_event=mapping) == [b'event: bye\nid: sse:end\ndata: {"n":1}\n\n']
    assert "id" not in mapping
    assert frames(end_event={"data": "[DONE]"}) == [b"id: sse:end\ndata: [DONE]\n\n"]


ENDS = [
    {"event": "close", "data": "bye"},
    {"event": "close", "data": "bye", "id": END_ID},
    Event("bye", event="close"),
]


@pytest.mark.parametrize("item", ENDS)
def test_an_event_of_the_ends_name_is_the_end_and_nothing_follows(item, caplog):
    sent = frames({"data": "x"}, item, {"data": "late"}, end_event="close")
    assert sent == [b"data: x\n\n", b"event: close\nid: sse:end\ndata: bye\n\n"]
    assert caplog.messages == ["dropped after the end of the stream: {'data': 'late'}"]


def test_an_event_with_the_ends_id_is_the_end_whatever_its_name():
    sent = frames({"data": "x", "id": END_ID}, {"data": "late"}, end_event="close")
    assert sent == [b"id: sse:end\ndata: x\n\n"]


def test_the_end_event_carries_no_other_id(caplog):
    _, error = events({"data": "x"}, {"event": "close", "data": "", "id": 7}, end_event="close")
    assert_is_generic(error)
    assert "id is 7: expected 'sse:end' on the event that ends a stream" in caplog.text
    with pytest.raises(OptionError, match="id is 7"):
        event_stream([], end_event={"event": "close", "data": "", "id": 7})


def test_code_after_the_apps_own_end_event_still_runs(caplog):
    ran = []

    def source():
        yield {"event": "close", "data": ""}
        ran.append("after")
        raise ValueError("too late to tell")

    assert list(event_stream(source(), end_event="close")) == [END]
    assert ran == ["after"]
    assert last_logged(caplog) == ("failed after the end of the stream", "too late to tell")


def test_no_end_event_is_written_into_a_half_sent_event(caplog):
    assert frames(b"data: x\n", end_event="close") == [b"data: x\n"]
    assert caplog.messages == ["no end event was sent: the relayed bytes stopped inside an event"]


def test_a_failure_before_the_first_frame_is_raised():
    stream = event_stream(Source({"data": None}, KeyError("secret")), end_event="close")
    with pytest.raises(KeyError):
        next(stream)
    assert list(stream) == []


def test_a_failure_after_the_first_frame_is_logged_and_told_without_its_text(caplog):
    with caplog.at_level(logging.ERROR, "sse_middleware"):
        sent = frames({"data": "x"}, KeyError("secret"), {"data": "never"})
    assert len(sent) == 2
    assert b"secret" not in sent[1]
    (event,) = EventParser().feed(sent[1])
    assert_is_generic(event)
    assert event.id is None
    assert event.json()["error"]["code"] in caplog.text
    assert "KeyError: 'secret'" in caplog.text


def test_error_events_of_a_stream_with_an_end_carry_its_id():
    _, error = events({"data": "x"}, KeyError(), end_event="close")
    assert (error.event, error.id) == ("error", END_ID)


def test_error_event_makes_the_event_from_the_exception_and_the_id(caplog):
    def told(error, error_id):
        return {"event": "oops", "data": f"{type(error).__name__} {len(error_id)}"}

    assert events({"data": "x"}, KeyError(), error_event=told)[1:] == [
        Event("KeyError 32", event="oops")
    ]
    assert "KeyError" in caplog.text
    assert events({"data": "x"}, KeyError(), error_event=lambda *_: None) == [Event("x")]


def test_error_event_may_make_an_event_and_one_that_says_nothing_is_none():
    options = {"error_event": lambda *_: Event("sorry", event="oops"), "end_event": "close"}
    _, told = events({"data": "x"}, KeyError(), **options)
    assert told == Event("sorry", event="oops", id=END_ID)
    options = {"error_event": lambda *_: {"data": None}, "end_event": "close"}
    assert frames({"data": "x"}, KeyError(), **options) == [b"data: x\n\n"]


@pytest.mark.parametrize(
    "told",
    [lambda *_: 1 / 0, lambda *_: {"foo": 1}, lambda *_: 7],
    ids=["raises", "an unknown key", "no mapping"],
)
def test_an_error_event_that_fails_is_logged_and_the_generic_one_sent(told, caplog):
    _, error = events({"data": "x"}, KeyError("first"), error_event=told)
    assert_is_generic(error)
    assert caplog.messages[-1] == "error_event failed; the generic event is sent instead"
    assert "KeyError: 'first'" in caplog.text


def test_inside_a_half_sent_event_the_error_is_raised():
    stream = event_stream(Source(b"data: x", KeyError("cut")))
    assert next(stream) == b"data: x"
    with pytest.raises(KeyError, match="cut"):
        next(stream)
    assert list(stream) == []


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_what_is_no_error_is_no_error_event(kind):
    stream = event_stream(Source({"data": "x"}, kind()))
    next(stream)
    with pytest.raises(kind):
        next(stream)


def test_close_reaches_the_source_once():
    source = Source({"data": "x"})
    stream = event_stream(source)
    next(stream)
    stream.close()
    stream.close()
    assert source.closed == 1


def test_close_reaches_an_iterable_and_its_iterator():
    closed = []

    class Iterable:
        def __iter__(self):
            try:
                yield {"data": "x"}
            finally:
                closed.append("iterator")

        def close(self):
            closed.append("iterable")

    stream = event_stream(Iterable())
    next(stream)
    stream.close()
    assert closed == ["iterator", "iterable"]


def test_a_source_that_fails_to_close_does_not_hide_why_it_was_closed(caplog):
    source = Source(KeyError("first"))
    source.close = lambda: 1 / 0
    with pytest.raises(KeyError, match="first"):
        next(event_stream(source))
    assert last_logged(caplog) == ("closing the source of a stream failed", "division by zero")


def test_a_stream_that_is_over_leaves_its_source_alone(caplog):
    source = Source({"data": "x"}, KeyError(), *[{"data": n} for n in range(9)])
    stream = event_stream(source)
    assert len(list(stream)) == 2
    assert list(stream) == []
    assert len(list(source.items)) == 9
    ended = Source({"event": "close", "data": ""}, *[{"data": n} for n in range(9)])
    stream = event_stream(ended, end_event="close")
    for _ in range(3):
        list(stream)
    assert len(list(ended.items)) == 8, "one item was looked for, so that code after the end runs"


def test_a_source_without_close_is_fine():
    event_stream([{"data": "x"}]).close()


BAD = {
    "an unknown option": ({"foo": 1}, "option is 'foo': expected one of items, dumps, retry"),
    "items": ({"items": "dict"}, "items is 'dict': expected 'event' or 'data'"),
    "dumps": ({"dumps": "json"}, "dumps is 'json': expected a callable or None"),
    "retry": ({"retry": -1}, "retry is -1: expected an int >= 0, in milliseconds"),
    "retry as text": ({"retry": "1"}, "retry is '1'"),
    "end_event": ({"end_event": 7}, "end_event is 7: expected a str, a mapping or None"),
    "an end_event with a line end": ({"end_event": "a\n"}, "event is 'a\\n'"),
    "an end_event with an unknown key": ({"end_event": {"foo": 1}}, "key is 'foo'"),
    "an end_event without data": ({"end_event": {"event": "e"}}, "data is None: expected data"),
    "an end_event of nothing": ({"end_event": {}}, "end_event is {}: expected a mapping with data"),
    "error_event": ({"error_event": {}}, "error_event is {}: expected a callable or None"),
}


@pytest.mark.parametrize(("options", "message"), BAD.values(), ids=BAD)
def test_an_option_without_meaning_is_refused_at_once(options, message):
    with pytest.raises(OptionError) as caught:
        event_stream([], **options)
    assert str(caught.value).startswith(message)


class Endless:
    def __repr__(self):
        return "Endless()"

    def __aiter__(self):
        raise NotImplementedError


GENERATOR = "an iterable of mappings, such as a generator"
NO_ITERABLE = "an iterable (WSGI has no async generators)"
NO_SOURCE = [
    ("text", GENERATOR),
    (b"bytes", GENERATOR),
    (Event("x"), GENERATOR),
    ({"data": "x"}, GENERATOR),
    (7, NO_ITERABLE),
    (Endless(), NO_ITERABLE),
]


@pytest.mark.parametrize(("source", "expected"), NO_SOURCE)
def test_a_source_that_is_no_iterable_of_items_is_refused(source, expected):
    with pytest.raises(OptionError) as caught:
        event_stream(source)
    assert str(caught.value) == f"source is {source!r}: expected {expected}"


def test_options_default_to_those_of_the_request():
    framing = Framing(end_event="close", items="data")
    with showing(CurrentStream(framing=framing)):
        inherited = event_stream(["x"])
        replaced = event_stream(["x"], end_event=None)
    assert list(inherited) == [b"data: x\n\n", END]
    assert list(replaced) == [b"data: x\n\n"]


IDS = {
    "no id": ({"data": "x"}, False),
    "an id": ({"data": "x", "id": 0}, True),
    "the id of the end": ({"data": "x", "id": END_ID}, True),
    "bytes with an id": (b"id: 1\ndata: x\n\n", True),
    "bytes without": (b"data: x\n\n", False),
}


@pytest.mark.parametrize("kind", [dict, MappingProxyType], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize(("item", "has_sent_id"), IDS.values(), ids=IDS)
def test_the_stream_knows_whether_an_id_was_sent(item, has_sent_id, kind):
    stream = CurrentStream()
    with showing(stream):
        assert len(frames(item if isinstance(item, bytes) else kind(item))) == 1
    assert stream.has_sent_id is has_sent_id


@pytest.mark.parametrize("kind", [dict, MappingProxyType], ids=lambda kind: kind.__name__)
def test_a_stream_that_is_numbered_for_the_app_refuses_ids_of_its_own(kind):
    stream = CurrentStream()
    stream.is_resumable = True
    with showing(stream):
        with pytest.raises(EventError) as caught:
            frames(kind({"data": "x", "id": 7}))
        assert str(caught.value) == (
            "id is 7: expected none: with resume= the middleware numbers the events, so leave the "
            "id out"
        )
        assert frames(kind({"data": "x", "id": END_ID})) == [b"id: sse:end\ndata: x\n\n"]


ERROR_IDS = {
    "an id": ({"id": 7}, False, b"id: 7\n"),
    "an id where the events are numbered": ({"id": 7}, True, None),
    "the id of the end where they are": ({"id": END_ID}, True, b"id: sse:end\n"),
    "none where they are": ({}, True, b""),
}


@pytest.mark.parametrize(("own", "numbered", "id"), ERROR_IDS.values(), ids=ERROR_IDS)
def test_error_event_may_give_an_id_where_nobody_numbers_the_events(own, numbered, id, caplog):
    stream = CurrentStream()
    stream.is_resumable = numbered
    with showing(stream):
        _, sent = frames({"data": "x"}, KeyError(), error_event=lambda *_: {**own, "data": "sorry"})
    if id is None:
        assert_is_generic(*EventParser().feed(sent))
        assert "expected none: with resume=" in str(caplog.records[-1].exc_info[1])
    else:
        assert sent == id + b"data: sorry\n\n"


@pytest.mark.parametrize("options", [{}, {"retry": 5, "end_event": "close"}], ids=repr)
def test_a_dict_leaves_as_any_other_mapping_does(options):
    items = [{"data": None}, {"data": "a\nb", "id": 1}, {"comment": "c"}, {"event": "e", "data": 1}]
    items.append({"event": "close", "data": ""})
    others = map(MappingProxyType, items)
    assert frames(*items, **options) == frames(*others, **options)


def test_a_usual_dict_goes_the_short_way(monkeypatch):
    monkeypatch.setattr(EventStream, "_frame", None)
    assert frames({"data": "x"}) == [b"data: x\n\n"]


def test_a_stream_tells_the_request_of_itself_and_whether_it_ended():
    request = CurrentStream()
    with showing(request):
        stream = event_stream([{"data": None}, {"data": "x"}, {"data": "y"}])
    assert request.has_event_stream is True
    assert (stream.ended, stream.half_sent, request.ended) == (False, False, False)
    assert next(stream) == request.first_frame == b"data: x\n\n"
    assert len(list(stream)) == 1
    assert request.first_frame == b"data: x\n\n"
    assert (stream.ended, request.ended) == (True, True)


def test_a_stream_is_primed_with_its_first_frame_and_then_goes_on():
    source = Source({"data": None}, {"data": "x"}, {"data": "y"})
    stream = event_stream(source)
    stream.prime()
    assert list(source.items) == [{"data": "y"}]
    assert list(stream) == [b"data: x\n\n"]
    stream = event_stream([])
    stream.prime()
    assert list(stream) == []


def test_a_client_that_left_is_not_waited_for_with_items_that_write_nothing():
    request = CurrentStream()
    request.disconnected = True
    source = Source({"data": None}, {"data": "late"})
    with showing(request):
        assert list(event_stream(source, end_event="close")) == []
    assert next(source) == {"data": "late"}


class Reviving:
    """An iterator that has an end and then goes on."""

    def __init__(self, *runs):
        self.runs = [iter(run) for run in runs]

    def __iter__(self):
        return self

    def __next__(self):
        for item in self.runs[0]:
            return item
        del self.runs[0]
        raise StopIteration


def test_a_source_that_came_to_its_end_is_not_asked_again(caplog):
    source = Reviving([{"data": "x"}], [{"data": "again"}])
    stream = event_stream(source)
    assert list(stream) == [b"data: x\n\n"]
    assert list(stream) == []
    assert next(source) == {"data": "again"}
    assert caplog.messages == []


def test_dumps_serialises_the_data_of_items_of_the_end_and_of_errors():
    options = {"dumps": lambda value: f"<{value}>", "items": "data", "end_event": {"data": {0}}}
    assert frames({1}, **options) == [b"data: <{1}>\n\n", b"id: sse:end\ndata: <{0}>\n\n"]
    options["error_event"] = lambda *_: {"data": {2}}
    assert frames({1}, KeyError(), **options)[1] == b"id: sse:end\ndata: <{2}>\n\n"


TAILS = {
    b"x\n\n": True,
    b"\n\n": True,
    b"\r\n\r\n": True,
    b"x\r\r": True,
    b"x\n\r": True,
    b"x\n\r\n": True,
    b"\nx\r\n": False,
    b"\n\nx\n": False,
    b"xxx\r": False,
    b"\n": False,
    b"": False,
}


@pytest.mark.parametrize(("tail", "between"), TAILS.items(), ids=map(repr, TAILS))
def test_what_ends_in_a_blank_line_ends_between_two_events(tail, between):
    assert ends_in_blank_line(tail) is between


def test_a_stream_around_one_that_ended_has_ended_too_and_says_no_second_end():
    request = CurrentStream()
    with showing(request):
        inner = event_stream([{"data": "x"}], end_event="close")
        outer = event_stream(inner, end_event="close")
    assert list(outer) == [b"data: x\n\n", END]
    assert (inner.ended, outer.ended) == (True, True)


@pytest.mark.parametrize("left", [False, True], ids=["there", "gone"])
def test_a_failure_is_an_error_of_the_stream_while_its_client_is_there(left, caplog):
    request = CurrentStream()
    with showing(request):
        stream = event_stream(Source({"data": "x"}, KeyError("late")))
    next(stream)
    request.disconnected = left
    with caplog.at_level(logging.DEBUG, "sse_middleware"):
        assert len(list(stream)) == (0 if left else 1)
    (record,) = caplog.records
    assert record.exc_info[0] is KeyError
    assert (record.levelname, request.failed) == (("DEBUG", False) if left else ("ERROR", True))
    assert not left or record.getMessage() == "stream failed after its client had left"
