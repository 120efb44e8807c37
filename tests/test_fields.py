"""The fields of an event: what each may hold, and what is told of what it may not."""

import pytest

from sse_middleware import fields
from sse_middleware.errors import EventError


class Sly(str):
    """A str that hides what it holds."""

    def __contains__(self, text):
        return False


class SlyNumber(int):
    def __lt__(self, other):
        return False

    def __str__(self):
        return "7\n"


HELD = [
    (fields.comment_text, ("a\nb",), "a\nb"),
    (fields.event_name, ("tick", ""), "tick"),
    (fields.comment_text, (None,), None),
    (fields.event_name, ("XY", ""), "XY"),
    (fields.event_name, ("", ""), ""),
    (fields.event_name, (None, None), None),
    (fields.id_text, (7,), "7"),
    (fields.id_text, (SlyNumber(-7),), "-7"),
    (fields.id_text, ("",), ""),
    (fields.id_text, ("XY",), "XY"),
    (fields.id_text, (2**2048 - 1,), str(2**2048 - 1)),
    (fields.retry_ms, (0,), 0),
    (fields.retry_ms, (None,), None),
]


@pytest.mark.parametrize(("field", "given", "held"), HELD)
def test_a_field_holds_this(field, given, held):
    assert field(*given) == held
    assert type(field(*given)) is type(held)


REFUSED = [
    (fields.comment_text, (b"x",), "comment is b'x': expected a str"),
    (fields.event_name, (7, ""), "event is 7: expected a str without CR or LF"),
    (fields.event_name, (Sly("e\r"), ""), "event is 'e\\r': expected a str without CR or LF"),
    (
        fields.event_name,
        ("tick", None),
        'data is None: expected data beside event=\'tick\' (browsers drop it; write "data": "")',
    ),
    (fields.id_text, (True,), "id is True: expected an int, or a str without CR, LF or NUL"),
    (
        fields.id_text,
        (Sly("1\0"),),
        "id is '1\\x00': expected an int, or a str without CR, LF or NUL",
    ),
    (fields.id_text, (2**2048,), "id is of 2049 bits: expected 2048 bits at most"),
    (fields.retry_ms, (False,), "retry is False: expected an int >= 0, in milliseconds"),
    (fields.retry_ms, (SlyNumber(-1),), "retry is -1: expected an int >= 0, in milliseconds"),
    (fields.retry_ms, (2**2048,), "retry is of 2049 bits: expected 2048 bits at most"),
    (
        fields.checked,
        (["data"],),
        "item is ['data']: expected an Event or a mapping such as {\"data\": ...}",
    ),
    (
        fields.checked,
        ({"data": 1, "Event": 2},),
        "key is 'Event': expected one of event, data, id, retry, comment; to send the whole mapping"
        ' as data, write {"data": {...}} or use items="data"',
    ),
]


@pytest.mark.parametrize(("field", "given", "message"), REFUSED)
def test_a_field_refuses_this(field, given, message):
    with pytest.raises(EventError) as caught:
        field(*given)
    assert str(caught.value) == message
    assert {type(part) for part in caught.value.args} == {str}


def test_a_mapping_of_fields_is_given_back_as_it_is():
    mapping = {"data": 1, "comment": None}
    assert fields.checked(mapping) is mapping
