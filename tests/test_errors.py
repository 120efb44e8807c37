"""The tree of exceptions, and how they show values."""

import pickle

import pytest

from sse_middleware import errors
from sse_middleware.errors import EventError, EventTooLargeError, SSEError, shown


def test_every_error_is_an_sse_error():
    public = [getattr(errors, name) for name in errors.__all__ if name != "shown"]
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
