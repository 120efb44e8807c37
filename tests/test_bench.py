"""The bench's own logic: ratios round by round, verdicts, what is written. It times nothing."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parents[1] / "bench"


def load(name):
    """A module of the bench, which is no package: its scripts find each other by their folder."""
    found = sys.modules.get(f"bench_{name}")
    if found is None:
        spec = importlib.util.spec_from_file_location(f"bench_{name}", BENCH / f"{name}.py")
        found = sys.modules[f"bench_{name}"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(found)
    return found


report = load("report")
Goal, Row = report.Goal, report.Row

ROWS = [
    Row("pipe", "ours", [2.0, 4.0, 3.0]),
    Row("pipe", "raw", [1.0, 4.0, 6.0]),
    Row("pipe", "slow", [8.0, 2.0, 9.0]),
    Row("memory", "ours", [3072.0], "B"),
    Row("memory", "bare", [1024.0], "B"),
]


@pytest.mark.parametrize(
    ("kind", "others", "expected"),
    [
        ("speed", ("raw",), (1.0, 0.5, 2.0)),
        ("speed", ("raw", "slow"), (0.5, 0.5, 2.0)),
        ("speed", ("raw", "not there"), (1.0, 0.5, 2.0)),
        ("cost", ("raw",), (1.0, 0.5, 2.0)),
        ("more", ("raw",), (0.0, -3.0, 1.0)),
        ("value", (), (3.0, 2.0, 4.0)),
    ],
)
def test_a_figure_is_the_median_of_what_each_round_says(kind, others, expected):
    figure = report.figure_of(ROWS, Goal("", "", kind, "pipe", "ours", others, 0))
    assert figure[:3] == expected


@pytest.mark.parametrize(("ours", "others"), [("gone", ("raw",)), ("ours", ("gone",))])
def test_without_one_of_its_subjects_a_goal_has_no_figure(ours, others):
    assert report.figure_of(ROWS, Goal("", "", "speed", "pipe", ours, others, 0)) is None


def test_nothing_is_infinitely_cheaper_than_nothing():
    rows = [Row("cpu", "ours", [1.0, 0.0]), Row("cpu", "bare", [0.0, 0.0])]
    figure = report.figure_of(rows, Goal("", "", "cost", "cpu", "ours", ("bare",), 1))
    assert figure is None


@pytest.mark.parametrize(
    ("kind", "middle", "holds"),
    [
        ("speed", 0.9, True),
        ("speed", 0.89, False),
        ("cost", 0.9, True),
        ("cost", 0.91, False),
        ("more", 0.91, False),
        ("value", 0.8, True),
    ],
)
def test_a_speed_has_to_reach_its_limit_and_a_cost_to_stay_below(kind, middle, holds):
    goal = Goal("", "", kind, "", "", (), 0.9)
    assert report.Figure(middle, 0, 9).meets(goal) is holds


def test_every_goal_has_its_line_with_limit_and_verdict():
    goals = [
        Goal("a", "as fast as raw", "speed", "pipe", "ours", ("raw",), 0.9),
        Goal("b", "as cheap as the bare one", "more", "memory", "ours", ("bare",), 1024.0),
        Goal("c", "what nobody measured", "speed", "pipe", "ours", ("gone",), 2.0),
    ]
    assert report.goal_lines(goals, ROWS)[2:] == [
        "| as fast as raw | >= 0.9 | 1 (0.5 to 2) | ok |",
        "| as cheap as the bare one | <= 1 KiB | 2 KiB (2 KiB to 2 KiB) | **missed** (b) |",
        "| what nobody measured | >= 2 | not measured | |",
    ]


def test_each_task_has_a_table_of_medians_against_its_first_subject():
    assert report.task_lines(ROWS[3:]) == [
        "#### memory",
        "",
        "| | median | times ours |",
        "|---|---|---|",
        "| ours | 3 KiB | 1 |",
        "| bare | 1 KiB | 0.333 (0.333 to 0.333) |",
        "",
    ]


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1.234567, "s", "1.23 s"),
        (0.0123, "s", "12.3 ms"),
        (-0.0001, "s", "-100 us"),
        (3.3e-7, "s", "330 ns"),
        (0.0, "s", "0 ns"),
        (24 * 1024, "B", "24 KiB"),
        (1234.5, "", "1234"),
        (0.98765, "", "0.988"),
    ],
)
def test_a_figure_has_three_digits_and_the_unit_that_suits(value, unit, text):
    assert report.shown(value, unit) == text


def test_only_what_stands_between_the_markers_is_rewritten():
    text = "before\n<!-- goals -->\nold\n<!-- end of goals -->\nby hand\n"
    written = report.with_part(text, "goals", ["new", "lines", ""])
    expected = "before\n<!-- goals -->\nnew\nlines\n<!-- end of goals -->\nby hand\n"
    assert written == expected
    assert report.with_part(written, "goals", ["new", "lines"]) == written


@pytest.mark.parametrize("text", ["", "<!-- goals -->\n", "<!-- end of goals -->\n"])
def test_without_its_markers_nothing_is_written(text):
    with pytest.raises(ValueError, match="no markers of 'goals'"):
        report.with_part(text, "goals", [])


def test_the_best_round_of_each_is_compared_because_noise_only_adds():
    goal = Goal("", "", "speed", "pipe", "ours", ("raw", "slow"), 0)
    assert report.best_speed(ROWS, goal) == 0.5
    assert report.best_speed(ROWS, goal._replace(others=("gone",))) is None


@pytest.mark.parametrize(
    ("measured", "slower"),
    [
        ({"a": 1.0, "b": 2.0}, []),
        ({"a": 0.81, "b": 9.0, "c": 0.1}, []),
        ({"a": 0.79, "b": 2.0}, ["a"]),
        ({"a": 1.0}, ["b"]),
    ],
    ids=["as recorded", "a bit slower, and one not recorded", "too slow", "gone"],
)
def test_a_speed_may_fall_by_the_tolerance_and_no_further(measured, slower):
    assert report.slower_than_recorded(measured, {"a": 1.0, "b": 2.0}, 0.2) == slower


@pytest.fixture
def goals(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCH))
    monkeypatch.setitem(sys.modules, "report", report)
    return load("goals")


def test_every_goal_has_a_key_of_its_own(goals):
    keys = [goal.key for goal in [*goals.GOALS, *goals.QUICK]]
    assert len(set(keys)) == len(keys)


def test_what_the_quick_run_measures_is_recorded(goals):
    recorded = json.loads((BENCH / "ratios.json").read_text(encoding="utf-8"))
    for version, speeds in recorded.items():
        if version != "goals":
            assert set(speeds) == {goal.key for goal in goals.QUICK}, version


def test_the_readme_has_the_markers_and_explains_each_goal_that_was_missed(goals):
    text = (BENCH / "README.md").read_text(encoding="utf-8")
    for name in ("goals", "tasks", "machine"):
        report.with_part(text, name, [])
    by_hand = text.split("## Goals that were missed\n")[1]
    for goal in goals.GOALS:
        if f"**missed** ({goal.key})" in text:
            assert f"**{goal.key}**" in by_hand
