"""What makes text of data that is not ``str``, against the plain form of the same."""

import json
import math
import sys
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sse_middleware import dumps as module
from sse_middleware.errors import EventError

PLAIN = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode

numbers = st.floats() | st.integers(-(2**70), 2**70)
leaves = st.none() | st.booleans() | numbers | st.text(max_size=5)
keys = st.text(max_size=3) | st.integers() | st.none() | st.booleans() | st.floats()
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(keys, inner, max_size=3)
    ),
    max_leaves=12,
)


def outcome(dumps, value):
    try:
        return dumps(value)
    except (ValueError, TypeError, RecursionError) as error:
        return type(error)


@given(values)
def test_the_c_encoder_by_itself_gives_what_json_gives(value):
    assert outcome(module._standard_dumps(), value) == outcome(PLAIN, value)


ODD = {
    "an object": object(),
    "bytes": b"x",
    "a set": {1},
    "a key that is no key": {(1, 2): 1},
    "not a number, as a key": {math.nan: 1},
    "a line end": ["a\r\nb\x00\x7f\u2028"],
    "a lone surrogate": ["\ud800"],
    "a large int": [2**80],
    "deep": json.loads("[" * 900 + "]" * 900),
}


@pytest.mark.parametrize("value", ODD.values(), ids=ODD)
def test_the_c_encoder_refuses_what_json_refuses(value):
    assert outcome(module._standard_dumps(), value) == outcome(PLAIN, value)


@pytest.mark.parametrize("dumps", [None, module._standard_dumps()], ids=["default", "standard"])
def test_a_value_inside_itself_is_refused_and_forgotten(dumps):
    inside = {"a": []}
    inside["a"].append(inside)
    with pytest.raises(EventError, match="Circular reference detected"):
        module.data_text(inside, dumps)
    inside["a"].clear()
    assert module.data_text(inside, dumps) == '{"a":[]}'


def another_encoder(*args):
    return lambda value, level: ("something", " else")


@pytest.mark.parametrize(
    "absent",
    [None, lambda: None, another_encoder, ...],
    ids=["None", "with other arguments", "with other results", "absent"],
)
def test_without_the_c_encoder_json_does_it(monkeypatch, absent):
    assert not hasattr(module._standard_dumps(), "__func__")
    if absent is ...:
        monkeypatch.delattr(json.encoder, "c_make_encoder")
    else:
        monkeypatch.setattr(json.encoder, "c_make_encoder", absent)
    dumps = module._standard_dumps()
    assert dumps.__func__ is json.JSONEncoder.encode
    assert vars(dumps.__self__) == vars(PLAIN.__self__)
    monkeypatch.undo()
    for value in ([{"ü": 0.5, "b": [1, "\n"]}], [math.nan], {1: object()}):
        assert outcome(dumps, value) == outcome(PLAIN, value)


def test_the_c_encoder_is_called_as_json_calls_it(monkeypatch):
    calls = []

    def make(markers, default, *settings):
        def encode(value, level):
            calls.append((dict(markers), default.__func__, settings, level))
            return tuple('[{"":0.5}]')

        return encode

    monkeypatch.setattr(json.encoder, "c_make_encoder", make)
    dumps = module._standard_dumps()
    assert not hasattr(dumps, "__func__")
    assert PLAIN([{"": 0.5}]) == dumps([{"": 0.5}]) == '[{"":0.5}]'
    assert calls[0] == calls[1] == calls[2]


@given(values)
def test_the_default_gives_the_json_of_the_value_or_refuses_it(value):
    text = outcome(module._default_dumps(), value)
    plain = outcome(PLAIN, value)
    if isinstance(plain, str):
        assert json.loads(text) == json.loads(plain)
    else:
        assert text is plain


class Ratio(float):
    pass


NESTED = {
    "alone": lambda value: value,
    "in a list": lambda value: [1, value],
    "in a tuple": lambda value: [None, (value,)],
    "in a dict": lambda value: {"a": "null", "b": {"c": value}},
}


@pytest.mark.parametrize("nested", NESTED.values(), ids=NESTED)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, Ratio("nan")], ids=repr)
def test_what_json_has_no_number_for_is_refused_wherever_it_is(nested, value):
    with pytest.raises(EventError, match="Out of range float values"):
        module.data_text(nested(value), None)
    assert module.data_text(nested(0.5), None) == PLAIN(nested(0.5))
    assert module.data_text(nested(None), None) in (None, PLAIN(nested(None)))


def test_text_is_itself_and_nothing_is_nothing():
    assert module.data_text("a\n", None) == "a\n"
    assert module.data_text(None, None) is None


def test_without_orjson_json_does_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "orjson", None)
    dumps = module._default_dumps.__wrapped__()
    assert dumps({"a": ["ü", 2**80]}) == '{"a":["ü",1208925819614629174706176]}'


class Named(str):
    """A str whose own methods mislead."""

    def __str__(self):
        return "STR"


@pytest.mark.parametrize("made", ["ü", "ü".encode(), Named("ü")], ids=repr)
def test_what_dumps_makes_is_plain_text(made):
    text = module.data_text([1], lambda value: made)
    assert (text, type(text)) == ("ü", str)
    assert type(module.plain_text(Named("ü"))) is str
    assert module.plain_text("ü") == "ü"


class Unspeakable(Exception):
    def __str__(self):
        raise RuntimeError


TOLD = [
    (ValueError("odd"), "ValueError: odd"),
    (Unspeakable(), "Unspeakable"),
    (KeyError("k"), "KeyError: 'k'"),
]


@pytest.mark.parametrize(("error", "told"), TOLD, ids=[told for _, told in TOLD])
def test_what_dumps_raises_is_told_with_the_value(error, told):
    def dumps(value):
        raise error

    with pytest.raises(EventError) as caught:
        module.data_text([1], dumps)
    assert str(caught.value) == (
        f"data is [1]: expected a str, or a value that dumps can serialise ({told})"
    )
    assert caught.value.__cause__ is error


def test_orjson_is_used_where_it_is_installed(monkeypatch):
    orjson = pytest.importorskip("orjson")
    given_to_it = []
    monkeypatch.setattr(orjson, "dumps", lambda value: given_to_it.append(value) or b"[7]")
    assert module.data_text([1], None) == "[7]"
    assert given_to_it == [[1]]


def test_what_orjson_alone_serialises_is_sent_also_beside_null():
    pytest.importorskip("orjson")
    number = uuid.UUID(int=7)
    text = module.data_text([None, {"id": number}], None)
    assert text == '[null,{"id":"00000000-0000-0000-0000-000000000007"}]'
