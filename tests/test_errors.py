"""The tree of exceptions, and how they show values."""

import pickle

import pytest

from sse_middleware import errors
from sse_middleware.errors import (
    EventError,
    EventTooLargeError,
    FramingError,
    SSEError,
    StuckClockError,
    printable,
    shown,
    shown_url,
)


def test_every_error_is_an_sse_error():
    told = {"printable", "shown", "shown_url"}  # what their texts are made with
    public = [getattr(errors, name) for name in errors.__all__ if name not in told]
    assert all(issubclass(error, SSEError) for error in public)


@pytest.mark.parametrize("name", ["EventError", "OptionError", "RecordingError"])
def test_a_mismatch_says_thing_measured_and_expected(name):
    error = getattr(errors, name)("id", "7", "8")
    assert str(error) == "id is 7: expected 8"
    assert (error.thing, error.measured, error.expected) == ("id", "7", "8")
    assert isinstance(error, ValueError)


WITH_FIELDS = [
    (EventError, ("id", "7", "8")),
    (EventTooLargeError, (5, ["an event"])),
    (FramingError, (["a problem", "another"],)),
    (StuckClockError, (2.5,)),
]


@pytest.mark.parametrize(("kind", "args"), WITH_FIELDS)
def test_errors_survive_pickling(kind, args):
    error = kind(*args)
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error)
    assert again.args == error.args == args
    assert vars(again) == vars(error)


def test_an_event_past_the_bound_tells_it_and_holds_what_came_before():
    error = EventTooLargeError(5, ["one", "two"])
    assert (error.limit_bytes, error.events) == (5, ("one", "two"))
    assert EventTooLargeError(5).events == ()


class Problem:
    def __init__(self, text, code):
        self.text = text
        self.code = code

    def __str__(self):
        return self.text


TOLD = {
    "nothing": ([], "0 problems in the framing of a stream"),
    "one": (["a"], "1 problem in the framing of a stream\n\na"),
    "those of two codes": (
        [Problem(f"a{n}", "A") for n in range(5)] + [Problem(f"b{n}", "B") for n in range(3)],
        "8 problems in the framing of a stream\n\na0\n\na1\n\na2\n\nb0\n\nb1\n\nb2\n\nA: 2 more",
    ),
    "those without code": (
        ["a", "b", "c", "d", Problem("e", "")],
        "5 problems in the framing of a stream\n\na\n\nb\n\nc\n\n: 2 more",
    ),
}


@pytest.mark.parametrize(("problems", "text"), TOLD.values(), ids=TOLD)
def test_of_the_problems_of_a_stream_the_first_of_each_code_are_told(problems, text):
    error = FramingError(iter(problems))
    assert str(error) == text
    assert error.problems == tuple(problems)


def test_a_clock_that_stood_still_says_how_it_is_moved():
    error = StuckClockError(2.0)
    assert error.patience_s == 2.0
    assert str(error) == (
        "the virtual clock stood still for 2 s of real time while a delay was waited for on it: "
        "expected clock.advance(seconds), before the wait or from another thread; "
        "play(..., speed=math.inf) plays without delays"
    )


class Broken:
    def __repr__(self):
        raise RuntimeError


def test_a_value_is_shown_in_short_whatever_its_repr_does():
    assert shown("a\n") == "'a\\n'"
    assert len(shown("x" * 1000)) < 80
    assert len(shown(dict.fromkeys(range(100), "x" * 100))) < 500
    assert "Broken" in shown(Broken())
    named_int = type("int", (), {"__repr__": Broken.__repr__, "__module__": "builtins"})
    assert shown(named_int()) == "<int>"


def test_what_a_terminal_obeys_is_printed_as_an_escape():
    told = printable("a\x1b[2J\x07\r\n\x9b\u202e\u2028\udc80 \u00e9")
    assert told == r"a\x1b[2J\x07\r\n\x9b\u202e\u2028\udc80 " + "\u00e9"
    assert printable(told) == told


@pytest.mark.parametrize("url", ["redis://:hunter2@host", "htp://h/?key=hunter2", "me:hunter2@h"])
def test_a_url_that_may_hold_a_secret_is_not_shown(url):
    assert shown_url(url) == "one with a user, a password or a query"


@pytest.mark.parametrize("value", ["localhost:80", None, b"@"])
def test_what_holds_no_secret_is_shown(value):
    assert shown_url(value) == shown(value)
