"""What a failed comparison of events prints, and the tools that keep events as snapshots."""

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sse_middleware import Event, EventParser
from sse_middleware.testing._explain import explain

A, B, C = Event("a"), Event("b"), Event("c", id=3)
EXPLAINED = {
    "one field": (
        [A, Event("Hello wor1d")],
        [A, Event("Hello world")],
        [
            "2 events == 2 events",
            "[1].data: 'Hello wor1d' != 'Hello world'",
            "    at character 9: '1' (U+0031 DIGIT ONE) != 'l' (U+006C LATIN SMALL LETTER L)",
        ],
    ),
    "several fields": (
        [Event("a", event="x", id=1, retry=2)],
        [Event("a", event="y", retry=3)],
        [
            "1 event == 1 event",
            "[0].event: 'x' != 'y'",
            "    at character 0: 'x' (U+0078 LATIN SMALL LETTER X) "
            "!= 'y' (U+0079 LATIN SMALL LETTER Y)",
            "[0].id: '1' != None",
            "[0].retry: 2 != 3",
        ],
    ),
    "more on the right": (
        [A],
        [A, B],
        ["1 event == 2 events", "[1] only on the right: Event('b')"],
    ),
    "one left out": (
        [A, B, C],
        [A, C],
        ["3 events == 2 events", "[1] only on the left: Event('b')"],
    ),
    "moved by one": (
        [A, B, Event("x"), Event("c", id=4)],
        [B, Event("x"), C],
        [
            "4 events == 3 events",
            "[0] only on the left: Event('a')",
            "[3] and [2].id: '4' != '3'",
            "    at character 0: '4' (U+0034 DIGIT FOUR) != '3' (U+0033 DIGIT THREE)",
        ],
    ),
    "no name": (
        [Event("a", event="close")],
        [A],
        [
            "1 event == 1 event",
            "[0].event: 'close' != 'message'",
            "    at character 0: 'c' (U+0063 LATIN SMALL LETTER C) "
            "!= 'm' (U+006D LATIN SMALL LETTER M)",
        ],
    ),
    "a dict": (
        [A, B],
        [A, {"data": "b"}],
        [
            "2 events == 2 events",
            "[1]: Event('b') != {'data': 'b'}",
            "    an Event is never equal to a dict: write Event(...)",
        ],
    ),
    "strings": (
        ["a", "b"],
        [A],
        [
            "2 events == 1 event",
            "[0]: 'a' != Event('a')",
            "    an Event is never equal to a str: write Event(...)",
            "[1] only on the left: 'b'",
        ],
    ),
    "a tuple": ([A], (A,), ["1 event == 1 event", "the events are equal: a list is no tuple"]),
    "two events": (
        Event("a\r\nb"),
        Event("a\nb\n"),
        [
            "two events that are not equal",
            "data: 'a\\nb' != 'a\\nb\\n'",
            "    at character 3: the end != '\\n' (U+000A)",
        ],
    ),
    "no data": (Event(id=1), A, ["two events that are not equal", "data: None != 'a'"]),
}


@pytest.mark.parametrize("case", EXPLAINED)
def test_the_explanation_names_the_event_the_field_and_the_place(case):
    left, right, expected = EXPLAINED[case]
    assert explain(left, right)[: len(expected)] == expected


def test_in_a_long_list_of_like_events_one_that_is_missing_is_found():
    likes = [A, B] * 200
    assert explain([C, *likes], likes)[1:] == [f"[0] only on the left: {C!r}"]


@pytest.mark.parametrize(
    ("left", "right", "shown"),
    [
        ("a\u200b", "a", "'a\\u200b' != 'a'"),
        ("a\u00a0b", "a b", "'a\\xa0b' != 'a b'"),
        ("a ", "a", "'a ' != 'a'"),
        ("\ufeffa", "a", "'\\ufeffa' != 'a'"),
        ("e\u0301", "é", "'e' (U+0065 LATIN SMALL LETTER E) != 'é' (U+00E9 LATIN SMALL"),
        ("\t", " ", "'\\t' (U+0009) != ' ' (U+0020 SPACE)"),
    ],
    ids=["zero width", "no-break space", "trailing space", "BOM", "combining", "tab"],
)
def test_what_cannot_be_seen_is_shown(left, right, shown):
    assert shown in "\n".join(explain([Event(left)], [Event(right)]))


def test_of_long_data_the_place_of_the_difference_is_shown():
    [_, line, place] = explain([Event("x" * 1000 + "1" + "y" * 1000)], [Event("x" * 1000)])
    assert line == f"[0].data: ...'{'x' * 30}1{'y' * 29}'... != ...'{'x' * 30}'"
    assert place.startswith("    at character 1000: '1'")


@pytest.mark.parametrize(
    ("left", "right"),
    [([], []), ([1], [2]), ("a", "b"), (A, {"data": "a"}), ({"a": A}, {"a": B}), ([A], None)],
    ids=str,
)
def test_what_is_not_about_events_is_left_to_pytest(left, right):
    assert explain(left, right) is None


fields = st.text(st.sampled_from("ab\n\u200bé"), max_size=3)
events = st.builds(
    Event, fields, id=st.none() | st.sampled_from("12"), retry=st.none() | st.just(1)
)


@given(st.lists(events, max_size=4), st.lists(events, max_size=4))
def test_a_difference_is_explained_and_nothing_else(left, right):
    lines = explain(left, right)
    if not left and not right:
        assert lines is None
    else:
        assert (len(lines) == 1) == (left == right)


STREAM = b'id: 7\nretry: 5\ndata: {"a": 1}\ndata: x\n\nevent: close\nid: sse:end\ndata:\n\n'
KEPT = """
from sse_middleware import Event, EventParser

EVENTS = EventParser().feed({stream!r})

def test_kept({argument}):
    assert EVENTS == {kept}
    assert EVENTS[1] == {kept}
    assert Event("a", comment="c", id=1) == {kept}
"""


def run(folder, plugin, *options):
    command = [sys.executable, "-m", "pytest", "-q", "-p", plugin, "-p", "no:cacheprovider"]
    # Nothing of the outer run's, such as xdist's: it is no part of this one. And no bytecode: a
    # file that is changed within a second, and keeps its size, would not be compiled again.
    outer = {name: text for name, text in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        [*command, *options, "test_kept.py"],
        cwd=folder,
        env={**outer, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        timeout=120,
    )
    return done.returncode, done.stdout.decode()


def test_inline_snapshot_writes_events_that_hold(tmp_path):
    pytest.importorskip("inline_snapshot")
    file = tmp_path / "test_kept.py"
    text = KEPT.format(stream=STREAM, argument="", kept="snapshot()")
    file.write_text("from inline_snapshot import snapshot\n" + text)
    run(tmp_path, "inline_snapshot.pytest_plugin", "--inline-snapshot=create")
    assert "snapshot()" not in file.read_text()
    assert "last_event_id" not in file.read_text()
    code, printed = run(tmp_path, "inline_snapshot.pytest_plugin")
    assert code == 0, printed
    file.write_text(file.read_text().replace('{"a": 1}', '{"a": 2}', 1))
    code, printed = run(tmp_path, "inline_snapshot.pytest_plugin")
    assert code == 1, printed


def test_syrupy_keeps_events_that_hold(tmp_path):
    pytest.importorskip("syrupy")
    file = tmp_path / "test_kept.py"
    file.write_text(KEPT.format(stream=STREAM, argument="snapshot", kept="snapshot"))
    code, printed = run(tmp_path, "syrupy", "--snapshot-update")
    assert code == 0, printed
    code, printed = run(tmp_path, "syrupy")
    assert code == 0, printed
    file.write_text(file.read_text().replace('{"a": 1}', '{"a": 2}', 1))
    code, printed = run(tmp_path, "syrupy")
    assert code == 1, printed


def test_the_repr_of_an_event_makes_it_again():
    for event in [*EventParser().feed(STREAM), Event("é\n'\"", event="x", comment="c"), Event()]:
        again = eval(repr(event), {"Event": Event})
        assert again == event
        assert repr(again) == repr(event)
