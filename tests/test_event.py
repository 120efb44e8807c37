"""`Event` and `encode`, against the table of round trips and the rules of the format."""

import copy
import dataclasses
import enum
import json
import pickle
import weakref
from pathlib import Path
from types import MappingProxyType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sse_middleware import Event, EventParser, encode
from sse_middleware.errors import EventError

TABLE = Path(__file__).parents[1] / "fixtures" / "conformance" / "encode-roundtrip.jsonl"
ROWS = [json.loads(line) for line in TABLE.read_text("ascii").splitlines()]


def parsed(frame):
    parser = EventParser()
    return parser.feed(frame), parser


@pytest.mark.parametrize("row", ROWS, ids=[row["name"] for row in ROWS])
def test_a_row_of_the_table_holds_for_a_mapping_and_for_an_event(row):
    expect = row["expect"]
    if expect.get("error"):
        with pytest.raises(EventError):
            encode(row["input"])
        with pytest.raises(EventError):
            Event(**row["input"])
        return
    frame = encode(row["input"])
    assert encode(Event(**row["input"])) == frame
    events, parser = parsed(frame)
    seen = [{"event": e.event, "data": e.data, "id": e.last_event_id} for e in events]
    assert seen == expect["events"]
    assert parser.retry_ms == expect.get("retry", parser.retry_ms)
    assert parser.last_event_id == expect.get("last_event_id", parser.last_event_id)
    if expect.get("wire_has_id_field"):
        assert b"\nid: " in b"\n" + frame


FRAMES = [
    ({"data": "Hi"}, b"data: Hi\n\n"),
    ({"data": ""}, b"data: \n\n"),
    ({"data": "a\nb"}, b"data: a\ndata: b\n\n"),
    ({"data": "a\r\nb\rc\n"}, b"data: a\ndata: b\ndata: c\ndata: \n\n"),
    ({"data": " x"}, b"data:  x\n\n"),
    ({"data": {"a": None, "b": "ü"}}, 'data: {"a":null,"b":"ü"}\n\n'.encode()),
    ({"data": [1, True, None]}, b"data: [1,true,null]\n\n"),
    ({"data": 0}, b"data: 0\n\n"),
    ({"data": False}, b"data: false\n\n"),
    ({"comment": ""}, b": \n\n"),
    ({"comment": "a\nb"}, b": a\n: b\n\n"),
    ({"id": 0}, b"id: 0\n\n"),
    ({"id": ""}, b"id: \n\n"),
    ({"retry": 0}, b"retry: 0\n\n"),
    ({"event": "", "data": "x"}, b"event: \ndata: x\n\n"),
    ({}, b""),
    ({"data": None, "event": None, "id": None, "retry": None, "comment": None}, b""),
    (
        {"data": "d", "retry": 5, "id": "i", "event": "e", "comment": "c"},
        b": c\nevent: e\nid: i\nretry: 5\ndata: d\n\n",
    ),
]


@pytest.mark.parametrize(("fields", "frame"), FRAMES, ids=[str(f) for f, _ in FRAMES])
def test_fields_become_this_frame(fields, frame):
    assert encode(fields) == frame
    assert encode(MappingProxyType(fields)) == frame
    assert encode(Event(**fields)) == frame
    assert encode(Event.from_mapping(fields)) == frame


def test_only_the_three_line_ends_of_the_format_split_data():
    others = "a\x0bb\x0cc\x1cd\x1de\x1ef\x85g\u2028h\u2029i"
    assert encode({"data": others}) == f"data: {others}\n\n".encode()


REFUSED = [
    (
        {"foo": 1},
        "key is 'foo': expected one of event, data, id, retry, comment; to send the whole"
        ' mapping as data, write {"data": {...}} or use items="data"',
    ),
    ({"Data": "x"}, "key is 'Data'"),
    ({7: "x"}, "key is 7"),
    (
        {"event": "x"},
        'data is None: expected data beside event=\'x\' (browsers drop it; write "data": "")',
    ),
    ({"event": "x", "data": None}, "data is None"),
    ({"event": "a\rb", "data": ""}, "event is 'a\\rb': expected a str without CR or LF"),
    ({"event": "a\nb", "data": ""}, "event is 'a\\nb': expected a str without CR or LF"),
    ({"event": "a\nb", "data": "", "id": 1}, "event is 'a\\nb'"),
    ({"event": 7, "data": ""}, "event is 7"),
    ({"event": 7, "data": "", "id": 1}, "event is 7"),
    ({"id": "a\0b"}, "id is 'a\\x00b': expected an int, or a str without CR, LF or NUL"),
    ({"id": "a\nb"}, "id is"),
    ({"id": True}, "id is True"),
    ({"id": 1.5}, "id is 1.5"),
    ({"id": b"7"}, "id is b'7'"),
    ({"retry": True}, "retry is True: expected an int >= 0, in milliseconds"),
    ({"retry": -1}, "retry is -1"),
    ({"retry": "5"}, "retry is '5'"),
    ({"retry": 5.0}, "retry is 5.0"),
    ({"comment": 7}, "comment is 7: expected a str"),
    ({"data": "\ud800"}, "data is '\\ud800': expected text without lone surrogates"),
    ({"data": {"a": "\udfff"}}, "data is"),
    ({"data": "x", "event": "\ud800"}, "event is '\\ud800"),
    ({"data": "x", "id": "\ud800"}, "id is '\\ud800"),
    ({"comment": "\ud800"}, "comment is '\\ud800"),
    (
        {"data": b"x"},
        "data is b'x': expected a str, or a value that dumps can serialise (TypeError",
    ),
    ({"data": {1, 2}}, "data is {1, 2}"),
    ({"data": float("nan")}, "data is nan"),
    ({"data": {"a": [None, float("inf")]}}, "data is {'a': [None, inf]}"),
]


@pytest.mark.parametrize(("fields", "message"), REFUSED, ids=[repr(f) for f, _ in REFUSED])
def test_what_cannot_be_sent_is_refused_with_the_value_and_the_fix(fields, message):
    before = dict(fields)
    with pytest.raises(EventError) as caught:
        encode(fields)
    assert str(caught.value).startswith(message)
    assert isinstance(caught.value, ValueError)
    assert fields == before
    with pytest.raises((EventError, TypeError)):
        Event(**fields)
    with pytest.raises(EventError):
        Event.from_mapping(fields)


SURROGATES = [
    ({"comment": "one\ntwo \ud800\nthree"}, "comment is 'two \\ud800'"),
    ({"data": "x", "event": "a\ud800b"}, "event is 'a\\ud800b'"),
    ({"data": "x", "event": "e", "id": "\ud800"}, "id is '\\ud800'"),
    ({"id": "i", "data": "one\ntwo \udfff: x\nthree"}, "data is 'two \\udfff: x'"),
    ({"data": "\ud800"}, "data is '\\ud800'"),
]


@pytest.mark.parametrize(("fields", "told"), SURROGATES, ids=[told for _, told in SURROGATES])
def test_a_lone_surrogate_is_told_with_its_field_and_its_line(fields, told):
    for make in (encode, Event.from_mapping, lambda fields: Event(**fields)):
        with pytest.raises(EventError) as caught:
            make(fields)
        assert str(caught.value) == (
            f"{told}: expected text without lone surrogates (UTF-8 has no form)"
        )


@pytest.mark.parametrize("item", ["text", b"bytes", None, 7, [("data", "x")]], ids=repr)
def test_what_is_no_mapping_is_refused(item):
    with pytest.raises(EventError, match="expected an Event or a mapping"):
        encode(item)


def test_a_long_value_is_told_in_short():
    with pytest.raises(EventError) as caught:
        encode({"id": "x" * 10_000 + "\n"})
    assert len(str(caught.value)) < 200


class Shout(str):
    """A str whose own methods mislead, as markupsafe.Markup's do."""

    def replace(self, *args):
        return "REPLACED"

    def __str__(self):
        return "STR"

    def __format__(self, spec):
        return "FORMAT"


class Name(str, enum.Enum):
    TICK = "tick"


class Number(enum.IntEnum):
    SEVEN = 7


class Sly(str):
    """A str that hides what it holds."""

    def __contains__(self, text):
        return False


class SlyNumber(int):
    def __lt__(self, other):
        return False


@pytest.mark.parametrize(
    "fields",
    [
        {"event": Sly("e\nretry: 1"), "data": ""},
        {"id": Sly("1\n\ndata: x")},
        {"retry": SlyNumber(-3)},
        {"id": 10**5000},
        {"retry": 10**5000},
    ],
    ids=["event", "id", "retry", "a huge id", "a huge retry"],
)
def test_no_subclass_and_no_size_gets_around_the_rules(fields):
    with pytest.raises(EventError, match="expected"):
        encode(fields)


class Unspeakable(Exception):
    def __str__(self):
        raise RuntimeError


def test_what_cannot_even_be_told_is_still_an_event_error():
    def dumps(value):
        raise Unspeakable

    with pytest.raises(EventError, match="Unspeakable"):
        encode({"data": 1}, dumps=dumps)
    with pytest.raises(EventError, match="expected JSON text"):
        Event("[" * 200_000).json()


def test_subclasses_of_str_and_int_are_sent_as_their_value():
    fields = {"event": Name.TICK, "id": Shout("<1>"), "data": Shout("a\nb"), "comment": Shout("c")}
    assert encode(fields) == b": c\nevent: tick\nid: <1>\ndata: a\ndata: b\n\n"
    assert encode({"id": Number.SEVEN, "retry": Number.SEVEN}) == b"id: 7\nretry: 7\n\n"


def test_dumps_serialises_what_is_no_str_and_its_line_ends_split():
    assert encode({"data": {"a": 1}}, dumps=lambda value: "x\ny") == b"data: x\ndata: y\n\n"
    assert encode({"data": {"a": 1}}, dumps=lambda value: b"raw") == b"data: raw\n\n"
    assert encode(MappingProxyType({"data": {1}}), dumps=str) == b"data: {1}\n\n"
    assert encode({"data": "text"}, dumps=lambda value: 1 / 0) == b"data: text\n\n"
    assert Event.from_mapping({"data": 1}, dumps=lambda value: "one").data == "one"


def test_what_dumps_raises_becomes_one_line_that_names_the_value():
    with pytest.raises(EventError, match=r"data is \[1\]: expected .*\(ZeroDivisionError"):
        encode({"data": [1]}, dumps=lambda value: 1 / 0)
    with pytest.raises(EventError, match=r"data is \[1\]"):
        encode({"data": [1]}, dumps=lambda value: None)


@pytest.mark.parametrize("value", [2**80, {1: "a"}, {"a": (1, 2)}, -0.5, "", {}, []], ids=repr)
def test_json_data_reads_back_as_json_has_it(value):
    (event,), _ = parsed(encode({"data": value}))
    assert (
        event.data == value
        if isinstance(value, str)
        else event.json() == json.loads(json.dumps(value))
    )


def test_an_event_is_frozen_and_keeps_no_hold_on_the_callers_dict():
    data = {"a": [1]}
    event = Event(data)
    data["a"].append(2)
    assert event.json() == {"a": [1]}
    with pytest.raises(dataclasses.FrozenInstanceError):
        event.data = "x"
    with pytest.raises(dataclasses.FrozenInstanceError):
        del event.data


EQUAL = [
    (Event("x"), Event("x", event="message")),
    (Event("x", event=""), Event("x", event="message")),
    (Event("x", id=7), Event("x", id="7")),
    (Event("a\r\nb\rc"), Event("a\nb\nc")),
    (Event({"a": 1}), Event('{"a":1}')),
    (Event("x", comment="one"), Event("x", comment="two")),
    (Event(comment="ping"), Event()),
]
DIFFERENT = [
    (Event("x"), Event("y")),
    (Event("x"), Event("x", event="Message")),
    (Event("x", id=""), Event("x")),
    (Event("x", retry=0), Event("x")),
    (Event(""), Event()),
    (Event(id="1"), Event()),
    (Event(retry=1), Event()),
    (Event("x"), "x"),
    (Event("x"), {"data": "x"}),
]


@pytest.mark.parametrize(("one", "other"), EQUAL)
def test_what_a_browser_cannot_tell_apart_is_equal(one, other):
    assert one == other
    assert hash(one) == hash(other)


def test_events_that_differ_are_found_apart_in_a_set():
    several = [Event(str(number)) for number in range(9)]
    assert len({hash(event) for event in several}) > 1
    assert len({*several, *several}) == 9


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_what_a_browser_can_tell_apart_differs(one, other):
    assert one != other


def test_the_repr_shows_what_is_set_and_makes_the_event_again():
    event = Event("a\n", event="e", id=1, retry=2, comment="c")
    assert repr(event) == "Event('a\\n', event='e', id='1', retry=2, comment='c')"
    assert eval(repr(event)) == event
    assert repr(Event()) == "Event()"
    assert event.last_event_id == ""


def test_events_can_be_copied_pickled_and_replaced():
    event = Event("x", event="e", id=1)
    assert copy.deepcopy(event) == copy.copy(event) == pickle.loads(pickle.dumps(event)) == event
    (parsed_event,), _ = parsed(b"id: 7\n\ndata: x\n\n")
    again = pickle.loads(pickle.dumps(parsed_event))
    assert dataclasses.asdict(again) == dataclasses.asdict(parsed_event)
    assert again.last_event_id == "7"
    assert dataclasses.replace(event, data="y") == Event("y", event="e", id=1)


class Tagged(Event):
    tag = None


def test_a_kind_of_event_of_ones_own_has_attributes_and_is_copied():
    event = Tagged("x", id=1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        event.data = "y"
    assert type(copy.copy(event)) is Tagged
    assert copy.copy(event) == Event("x", id=1)
    assert encode(event) == b"id: 1\ndata: x\n\n"


def test_an_event_can_be_referred_to_weakly_and_takes_little():
    event = Event("x")
    assert weakref.ref(event)() is event
    assert not hasattr(event, "__dict__")


@pytest.mark.parametrize("event", [Event(), Event(""), Event("no json"), Event("{")])
def test_json_of_what_is_no_json_names_it(event):
    with pytest.raises(EventError, match="data is .*: expected JSON text") as caught:
        event.json()
    assert caught.value.measured == repr(event.data)


texts = st.text(st.characters(blacklist_categories=["Cs"]))
names = texts.map(lambda text: text.replace("\r", "").replace("\n", ""))
events = st.builds(
    Event,
    texts,
    event=st.none() | names,
    id=st.none() | names.map(lambda text: text.replace("\0", "")) | st.integers(),
    retry=st.none() | st.integers(0, 2**70),
    comment=st.none() | texts,
)


@given(st.lists(events))
def test_frames_concatenate_and_parse_back_to_the_same_events(several):
    assert parsed(b"".join(map(encode, several)))[0] == several


@given(st.text(), st.text(), st.text())
def test_whatever_is_given_is_sent_exactly_or_refused(data, event, id):
    try:
        frame = encode({"data": data, "event": event, "id": id})
    except EventError:
        return
    (seen,), _ = parsed(frame)
    assert (seen.event, seen.id) == (event or "message", id)
    assert seen.data == data.replace("\r\n", "\n").replace("\r", "\n")


class Key(str):
    """A key that is another object, and equal."""


odd = st.text(st.sampled_from("ab :\r\n\0\ud800\u2028ü"), max_size=4)
any_text = odd | odd.map(Shout) | st.text(max_size=4)
small = st.integers(-3, 3) | st.sampled_from([2**30 - 2, 2**30 - 1, 2**30, 2**64, 10**700])
any_number = small | st.booleans() | st.floats() | small.map(SlyNumber)
any_fields = st.fixed_dictionaries(
    {},
    optional={
        "data": any_text | st.none() | st.lists(odd, max_size=2),
        "event": any_text | st.none() | small,
        Key("id"): any_text | st.none() | any_number,
        "retry": st.none() | any_number,
        "comment": any_text | st.none(),
        "text": odd,
    },
)


def outcome(item, dumps):
    try:
        return encode(item, dumps=dumps)
    except EventError as error:
        return str(error)


@pytest.mark.parametrize(
    "dumps", [None, "\n".join, lambda data: b"a\r"], ids=["default", "text", "bytes"]
)
@settings(max_examples=300)
@given(fields=any_fields)
def test_a_dict_becomes_what_any_other_mapping_becomes(dumps, fields):
    before = dict(fields)
    assert outcome(fields, dumps) == outcome(MappingProxyType(fields), dumps)
    assert fields == before


USUAL = [
    {"data": "x"},
    {"data": "x\ny"},
    {"data": {"a": 1}},
    {"data": "x", "event": "e"},
    {"data": "x", "id": 0},
    {"data": "x", "id": 2**30 - 2},
    {"data": "x", "id": ""},
    {"data": "x", "id": 7, "event": "e"},
    {"data": "x", "id": "a", "event": ""},
]


@pytest.mark.parametrize("fields", USUAL, ids=repr)
def test_a_usual_dict_goes_the_short_way(fields, monkeypatch):
    plain = encode(MappingProxyType(fields))
    monkeypatch.setattr("sse_middleware.event._checked_frame", None)
    if isinstance(fields["data"], str):
        monkeypatch.setattr("sse_middleware.event.data_text", None)
    assert encode(fields) == plain


def test_dumps_is_called_once_for_an_event():
    for fields in ({}, {"id": 2**40}, {"event": "a\n"}, {"retry": 1}, {"text": 1}):
        calls = []
        outcome({"data": [1], **fields}, lambda data, calls=calls: calls.append(data) or "a\nb\r")
        assert calls in ([[1]], [])


class Sparse(dict):
    """A dict that answers otherwise than it holds, as werkzeug's MultiDict does."""

    def get(self, key, default=None):
        return super().get(key, [default])[0]

    def __getitem__(self, key):
        raise NotImplementedError


def test_another_kind_of_dict_is_asked_by_its_own_get():
    fields = Sparse(data=["x", "y"], id=["1"], event=["e"])
    assert encode(fields) == b"event: e\nid: 1\ndata: x\n\n"
