"""The tree of exceptions, and how they show values."""

import pickle

import pytest

from sse_middleware import errors
from sse_middleware.errors import (
    EventError,
    EventTooLargeError,
    SSEError,
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


@pytest.mark.parametrize("error", [EventError("id", "7", "8"), EventTooLargeError(5)], ids=repr)
def test_errors_survive_pickling(error):
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


class Broken:
    def __repr__(self):
        raise RuntimeError


def test_a_value_is_shown_in_short_whatever_its_repr_does():
    assert shown("a\n") == "'a\\n'"
    assert len(shown("x" * 1000)) < 80
    assert len(shown(dict.fromkeys(range(100), "x" * 100))) < 500
    assert "Broken" in shown(Broken())


def test_what_a_terminal_obeys_is_printed_as_an_escape():
    told = printable("a\x1b[2J\x07\r\n\x9b\u202e\u2028\udc80 \u00e9")
    assert told == r"a\x1b[2J\x07\r\n\x9b\u202e\u2028\udc80 " + "\u00e9"
    assert printable(told) == told


@pytest.mark.parametrize("url", ["redis://:hunter2@host", "htp://h/?key=hunter2", "me:hunter2@h"])
def test_a_url_that_may_hold_a_secret_is_not_shown(url):
    assert "hunter2" not in shown_url(url)


@pytest.mark.parametrize("value", ["localhost:80", None, b"@"])
def test_what_holds_no_secret_is_shown(value):
    assert shown_url(value) == shown(value)
