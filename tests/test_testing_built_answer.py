"""sse_middleware.testing._built_answer: what a built recording says, and what it may be told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sse_middleware.errors import OptionError
from sse_middleware.testing import Recording
from sse_middleware.testing._built_answer import Answer

TEXT = st.text(st.characters(exclude_categories=["Cs"]))


def answer(text="", model="m", tool_calls=(), refusal=""):
    return Answer(text, model, tool_calls, refusal)


@pytest.mark.parametrize(
    ("text", "deltas"),
    [
        ("", []),
        ("Hello", ["Hello"]),
        ("Hello there, world!", ["Hello", " there", ",", " world", "!"]),
        ("  two  spaces ", [" ", " two", " ", " spaces", " "]),
        ("a\n\n b\r\n\tc", ["a", "\n\n", " b", "\r\n", "\t", "c"]),
        ("caf\u00e9 \U0001f44b\u2028", ["caf\u00e9", " \U0001f44b\u2028"]),
        ('{"city":"Paris"}', ['{"', "city", '":"', "Paris", '"}']),
        ("\0\x1b", ["\0", "\x1b"]),
        ("\u6771" * 20, ["\u6771" * 16, "\u6771" * 4]),
        ("a" * 20, ["a" * 16, "aaaa"]),
        ("-" * 6, ["----", "--"]),
    ],
)
def test_a_text_is_cut_about_as_a_model_would(text, deltas):
    assert answer(text).deltas == deltas
    assert answer(refusal=text).refusal == deltas


@given(TEXT)
def test_deltas_joined_are_the_text(text):
    deltas = answer(text).deltas
    assert "".join(deltas) == text
    assert all(1 <= len(delta) <= 17 or not delta.strip(" \r\n") for delta in deltas)


@pytest.mark.parametrize("make", [list, tuple, iter, lambda deltas: (d for d in deltas)])
def test_the_items_of_an_iterable_are_the_deltas(make):
    deltas = ["Hello there", "", "\n", " \U0001f44b"]
    assert answer(make(deltas)).deltas == deltas


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"city": "Paris", "days": [1, 2.5, None]}, '{"city":"Paris","days":[1,2.5,null]}'),
        ({"b": 1, "a": "\u00e9\n"}, '{"b":1,"a":"\u00e9\\n"}'),
        ({}, "{}"),
        ('{"cut": ', '{"cut": '),
        ("", ""),
    ],
)
def test_arguments_are_an_object_or_the_text_itself(arguments, text):
    [call] = answer(tool_calls=[{"name": "f", "arguments": arguments}]).calls
    assert "".join(call.deltas) == text


def test_a_call_without_arguments_has_an_empty_object():
    [call] = answer(tool_calls=[{"name": "f"}]).calls
    assert call.deltas == ["{}"]


def test_ids_are_given_or_made_and_never_alike():
    calls = [{"name": "f"}, {"name": "f"}, {"name": "f", "id": "mine"}]
    ids = [call.id for call in answer(tool_calls=calls).calls]
    assert ids[2] == "mine"
    assert len(set(ids)) == 3
    assert all(len(call_id) == 29 and call_id.startswith("call_") for call_id in ids[:2])


@pytest.mark.parametrize(
    "other",
    [
        answer("Hi!"),
        answer(["H", "i"]),
        answer("Hi", model="n"),
        answer("Hi", tool_calls=[{"name": "f"}]),
        answer(refusal="Hi"),
    ],
)
def test_answers_that_differ_have_other_ids(other):
    assert other.id("x", 20) != answer("Hi").id("x", 20) == answer("Hi").id("x", 20)


def test_tokens_are_counted_a_delta():
    assert answer("Hello there", tool_calls=[{"name": "f"}]).token_count == 3
    assert answer(refusal="No way").token_count == 2


@pytest.mark.parametrize(
    ("said", "name"),
    [
        (answer("Hello there"), "Hello there"),
        (answer("x" * 40), "x" * 40),
        (answer("x" * 41), "x" * 39 + "\u2026"),
        (answer(refusal="No"), "No"),
        (answer(tool_calls=[{"name": "f"}, {"name": "g"}]), "f, g"),
        (answer(), ""),
    ],
)
def test_its_name_is_what_is_said(said, name):
    assert said.name == name


A_STR = "a str, or an iterable of str"
A_CALL = 'a mapping like {"name": "get_weather", "arguments": {"city": "Paris"}}'
SURROGATE = "text without a lone surrogate"
WRONG = [
    ({"text": b"Hi"}, f"text is b'Hi': expected {A_STR}"),
    ({"text": None}, f"text is None: expected {A_STR}"),
    ({"text": {"a": 1}}, f"text is {{'a': 1}}: expected {A_STR}"),
    ({"text": ["a", 1]}, "text[1] is 1: expected a str"),
    ({"text": "\ud800"}, f"text is '\\ud800': expected {SURROGATE}"),
    ({"text": ["\udfff"]}, f"text[0] is '\\udfff': expected {SURROGATE}"),
    ({"refusal": 1}, f"refusal is 1: expected {A_STR}"),
    ({"model": ""}, "model is '': expected a str, not empty"),
    ({"model": None}, "model is None: expected a str, not empty"),
    (
        {"tool_calls": {"name": "f"}},
        "tool_calls is {'name': 'f'}: expected a list like [{\"name\": \"get_weather\"}]",
    ),
    ({"tool_calls": ["f"]}, f"tool_calls[0] is 'f': expected {A_CALL}"),
    ({"tool_calls": ["name"]}, f"tool_calls[0] is 'name': expected {A_CALL}"),
    ({"tool_calls": [{}]}, f"tool_calls[0] is {{}}: expected {A_CALL}"),
    (
        {"tool_calls": [{"name": "f", "args": {}}]},
        "tool_calls[0] key is 'args': expected one of name, arguments, id",
    ),
    (
        {"tool_calls": [{"name": "f"}, {"name": ""}]},
        "tool_calls[1]['name'] is '': expected a str, not empty",
    ),
    (
        {"tool_calls": [{"name": "f", "id": 1}]},
        "tool_calls[0]['id'] is 1: expected a str, not empty",
    ),
    (
        {"tool_calls": [{"name": "f", "arguments": ["a"]}]},
        "tool_calls[0]['arguments'] is ['a']: expected a mapping that JSON can hold, or a str",
    ),
    (
        {"tool_calls": [{"name": "f", "arguments": {"a": {1}}}]},
        "tool_calls[0]['arguments'] is {'a': {1}}: expected a mapping that JSON can hold, or a str",
    ),
    (
        {"tool_calls": [{"name": "f", "arguments": {"a": float("nan")}}]},
        "tool_calls[0]['arguments'] is {'a': nan}: expected a mapping that JSON can hold, or a str",
    ),
    (
        {"tool_calls": [{"name": "f", "arguments": {"a": "\ud800"}}]},
        "tool_calls[0]['arguments'] is {'a': '\\ud800'}: "
        "expected a mapping that JSON can hold, or a str",
    ),
    (
        {"text": "a", "refusal": "No"},
        "refusal is 'No': expected no text and no tool_calls beside it",
    ),
    (
        {"tool_calls": [{"name": "f"}], "refusal": ["No"]},
        "refusal is ['No']: expected no text and no tool_calls beside it",
    ),
    ({"interval_s": -1}, "interval_s is -1: expected seconds, from 0 to 1e6"),
    ({"interval_s": 1e6 + 1}, "interval_s is 1000001.0: expected seconds, from 0 to 1e6"),
    ({"interval_s": True}, "interval_s is True: expected seconds, from 0 to 1e6"),
    ({"interval_s": "1"}, "interval_s is '1': expected seconds, from 0 to 1e6"),
    ({"interval_s": float("nan")}, "interval_s is nan: expected seconds, from 0 to 1e6"),
    ({"interval_s": float("inf")}, "interval_s is inf: expected seconds, from 0 to 1e6"),
]


@pytest.mark.parametrize("build", [Recording.chat, Recording.response])
@pytest.mark.parametrize(("arguments", "message"), WRONG)
def test_an_argument_without_meaning_is_refused_in_one_line(build, arguments, message):
    with pytest.raises(OptionError) as caught:
        build(**arguments)
    assert str(caught.value) == message


@pytest.mark.parametrize("build", [Recording.chat, Recording.response])
def test_the_same_arguments_give_the_same_recording(build):
    arguments = {
        "text": "Hello \u00e9",
        "tool_calls": [{"name": "f", "arguments": {"b": 1, "a": 2}}],
        "obfuscation": True,
        "interval_s": 0.5,
    }
    assert build(**arguments) == build(**arguments)
    assert build(**arguments).body != build(**{**arguments, "text": "Hello"}).body


@pytest.mark.parametrize("build", [Recording.chat, Recording.response])
def test_the_interval_is_between_one_event_and_the_next(build):
    recording = build("Hello there", interval_s=0.25)
    plain = build("Hello there")
    assert [chunk.delay_s for chunk in recording.chunks] == [0.0] + [0.25] * (len(plain.chunks) - 1)
    assert [size for _, size in recording.chunks] == [size for _, size in plain.chunks]
    assert recording.body == plain.body
    assert plain == Recording(plain.body)


@pytest.mark.parametrize("build", [Recording.chat, Recording.response])
def test_what_was_built_is_saved_and_loads_equal(tmp_path, build):
    for recording in (build("a\n\nb"), build("a", interval_s=0.5)):
        recording.save(tmp_path / "r.sse")
        assert Recording.load(tmp_path / "r.sse") == recording


@pytest.mark.parametrize("build", [Recording.chat, Recording.response])
def test_a_subclass_builds_its_own(build):
    class Ours(Recording):
        """Somebody's own."""

    assert type(getattr(Ours, build.__name__)("Hi")) is Ours
