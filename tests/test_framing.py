"""`Framing`: which options have a meaning, and what an end and an error are made of."""

import pytest

from sse_middleware.errors import EventError, OptionError
from sse_middleware.framing import END_ID, Framing, generic_error, with_end_id

OPTIONS = "items, dumps, retry, end_event, error_event"

REFUSED = {
    "an unknown option": ({"foo": 1}, f"option is 'foo': expected one of {OPTIONS}"),
    "items": ({"items": "DATA"}, "items is 'DATA': expected 'event' or 'data'"),
    "dumps": ({"dumps": "json"}, "dumps is 'json': expected a callable or None"),
    "error_event": ({"error_event": {}}, "error_event is {}: expected a callable or None"),
    "retry": ({"retry": -1}, "retry is -1: expected an int >= 0, in milliseconds"),
    "end_event": ({"end_event": 7}, "end_event is 7: expected a str, a mapping or None"),
    "no name": ({"end_event": ""}, "end_event is '': expected a name that tells it apart"),
    "the name of all": (
        {"end_event": "message"},
        "end_event is 'message': expected a name that tells it apart",
    ),
    "a name of two lines": (
        {"end_event": "a\n"},
        "event is 'a\\n': expected a str without CR or LF",
    ),
    "no data": (
        {"end_event": {"data": None}},
        "end_event is {'data': None}: expected a mapping with data",
    ),
    "data that dumps cannot serialise": (
        {"end_event": {"data": [7]}, "dumps": lambda value: 1 / 0},
        "data is [7]: expected a str, or a value that dumps can serialise "
        "(ZeroDivisionError: division by zero)",
    ),
    "another id": (
        {"end_event": {"id": 7, "data": ""}},
        "id is 7: expected 'sse:end' on the event that ends a stream",
    ),
}


@pytest.mark.parametrize(("options", "message"), REFUSED.values(), ids=REFUSED)
def test_an_option_without_meaning_is_refused(options, message):
    with pytest.raises(OptionError) as caught:
        Framing().checked(options)
    assert str(caught.value) == message


def test_options_are_put_in_and_the_others_stay():
    assert Framing() == ("event", None, None, None, None)
    framing = Framing(retry=5).checked({"items": "data", "dumps": repr, "error_event": print})
    assert framing == ("data", repr, 5, None, print)
    assert framing.checked({"items": "event"}) == ("event", repr, 5, None, print)


END_FIELDS = {
    "none": (None, None),
    "a name": ("close", {"event": "close", "data": "", "id": END_ID}),
    "a mapping": ({"data": "bye"}, {"data": "bye", "id": END_ID}),
    "a mapping with the id": ({"data": "", "id": END_ID}, {"data": "", "id": END_ID}),
    "data that is empty": ({"data": []}, {"data": [], "id": END_ID}),
}


@pytest.mark.parametrize(("end_event", "fields"), END_FIELDS.values(), ids=END_FIELDS)
def test_an_end_event_has_these_fields(end_event, fields):
    assert Framing().checked({"end_event": end_event}).end_fields() == fields


def test_the_end_of_a_stream_has_the_id_of_the_end_or_none_of_its_own():
    assert with_end_id({"data": "x", "id": None}) == {"data": "x", "id": "sse:end"}
    with pytest.raises(EventError, match="^id is '7': expected 'sse:end' on the event that ends"):
        with_end_id({"data": "x", "id": "7"})


def test_the_error_that_a_client_is_told_has_the_form_of_openais():
    told = {"message": "The stream failed.", "type": "stream_error", "code": "c0de"}
    assert generic_error("c0de") == {"event": "error", "data": {"error": told}}
