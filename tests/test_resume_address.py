"""The name of a stream in the log: another for every difference in what an id is bound to."""

import itertools

import pytest

from sse_middleware.errors import OptionError
from sse_middleware.resume.address import find_address, new_stream_id, parted

REQUEST = {
    "REQUEST_METHOD": "GET",
    "SCRIPT_NAME": "/a",
    "PATH_INFO": "/b",
    "QUERY_STRING": "c=d",
    "user": "ada",
}
OTHERS = [
    {},
    {"REQUEST_METHOD": "POST"},
    {"PATH_INFO": "/B"},
    {"PATH_INFO": "/bc=d", "QUERY_STRING": ""},
    {"QUERY_STRING": ""},
    {"QUERY_STRING": "c=da", "user": "da"},
    {"PATH_INFO": '/b", "c', "QUERY_STRING": "d"},
    {"PATH_INFO": "/b", "QUERY_STRING": 'c", "d'},
    {"PATH_INFO": "/b|c", "QUERY_STRING": "d"},
    {"PATH_INFO": "/b", "QUERY_STRING": "c|d"},
    {"user": "Ada"},
    {"user": 7},
    {"user": "7"},
    {"user": "bearer"},
]


def owner(environ):
    return environ["user"]


def test_every_difference_makes_another_name():
    names = {find_address({**REQUEST, **other}, owner).name("id") for other in OTHERS}
    names.add(find_address(REQUEST, None).name("id"))
    names.add(find_address(REQUEST, owner).name("other id"))
    assert len(names) == len(OTHERS) + 2


def test_the_name_tells_neither_the_stream_nor_the_owner():
    name = find_address(REQUEST, owner).name("0123456789abcdef")
    assert len(bytes.fromhex(name)) == 32
    assert "0123456789abcdef" not in name


@pytest.mark.parametrize("whose", [None, ""], ids=repr)
def test_who_is_nobody_has_no_address(whose):
    assert find_address({**REQUEST, "user": whose}, owner) is None


@pytest.mark.parametrize("whose", [0, -1, "0"], ids=repr)
def test_a_number_and_a_text_are_somebody(whose):
    assert find_address({**REQUEST, "user": whose}, owner) is not None


@pytest.mark.parametrize("whose", [1.5, b"ada", True, ["ada"]], ids=repr)
def test_other_kinds_of_owners_are_refused(whose):
    with pytest.raises(OptionError, match=r"owner\(environ\)") as caught:
        find_address({**REQUEST, "user": whose}, owner)
    assert "ada" not in str(caught.value)  # a session, perhaps


def test_stream_ids_are_of_one_length_and_differ():
    ids = {new_stream_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert {len(bytes.fromhex(stream_id)) for stream_id in ids} == {16}
    assert all(a != b for a, b in itertools.combinations(list(ids)[:10], 2))


def test_an_id_is_parted_and_anything_else_names_nothing():
    stream_id = new_stream_id()
    assert parted(f"{stream_id}-12") == (stream_id, 12)
    others = ["", stream_id, f"{stream_id}-0", f"{stream_id}-1\n", f"x{stream_id}-1"]
    others += [f"{stream_id}-{digit}" for digit in "\u0661\uff11\u00b2"]  # digits of other scripts
    others += [f"{stream_id[:-1]}\u0430-1", f"{stream_id[:-1]}%61-1", f"{stream_id.upper()}x-1"]
    others += [f"{stream_id}-1\0", f" {stream_id}-1", f"{stream_id}-{'9' * 16}", "a" * 10_000_000]
    for other in others:
        assert parted(other) == ("", 0)
