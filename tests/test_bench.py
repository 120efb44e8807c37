"""The bench's own logic: ratios round by round, verdicts, what is written. It times nothing."""

import csv
import importlib.util
import json
import sys
from pathlib import Path
from xml.etree import ElementTree

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
    for name in ("goals", "tasks", "machine", "soak"):
        report.with_part(text, name, [])
    by_hand = text.split("## Goals that were missed\n")[1]
    for goal in goals.GOALS:
        if f"**missed** ({goal.key})" in text:
            assert f"**{goal.key}**" in by_hand


soak = load("soak_report")
AT_REST = soak.Sample(
    0.0, "run", 30 << 20, 40 << 20, 97, 10, 0, 0, 2, 40_000, 90_000, 20 << 20, 70, 0, 1 << 20, 0, 0
)


def outcome(*, grown=None, drained=AT_REST, **changes):
    """An hour of one server, a sample a minute; ``grown``: a field's value at a minute."""
    samples = []
    for minute in range(61):
        sample = AT_REST._replace(at_s=minute * 60.0, generators=25, cpu_s=minute * 6.0)
        samples.append(sample._replace(clients=minute * 600, **(grown(minute) if grown else {})))
    samples.append(drained._replace(at_s=3700.0, phase="drain"))
    counts = {f"{kind} {what}": 9 for kind in ("generators", "callbacks") for what in BOTH}
    found = soak.Outcome(
        "gthread", samples, AT_REST, samples[-1], counts, {"Serving": 0}, {}, {"ends": 8}, {}, False
    )
    return found._replace(**changes)


BOTH = ("begun", "ended")


@pytest.mark.parametrize(
    ("points", "grew"),
    [
        ([(0, 5)], 0.0),
        ([(0, 5), (10, 5), (20, 5)], 0.0),
        ([(0, 0), (1, 2), (2, 4), (3, 6)], 6.0),
        ([(0, 6), (1, 4), (2, 2), (3, 0)], -6.0),
        ([(0, 1), (1, 1), (2, 1), (3, 1), (4, 1000)], 0.0),
        ([(0, 1), (0, 3), (2, 5)], 3.0),
    ],
    ids=["one", "flat", "a line", "downwards", "one high sample", "two at once"],
)
def test_what_grew_is_the_median_of_the_slopes(points, grew):
    assert soak.growth(points) == grew


@pytest.mark.parametrize(
    ("grown", "missed"),
    [
        (None, []),
        (lambda minute: {"private_bytes": (30 << 20) + min(minute, 14) * (1 << 20)}, []),
        (lambda minute: {"private_bytes": (30 << 20) + minute * 30_000}, ["private_bytes"]),
        (lambda minute: {"private_bytes": (30 << 20) + minute * 20_000}, []),
        (lambda minute: {"threads": 97 + minute // 3}, ["threads"]),
        (lambda minute: {"threads": 97 + minute % 20}, []),
        (lambda minute: {"redis_keys": minute}, ["redis_keys"]),
        (lambda minute: {"objects": 40_000 + minute * 20}, []),
        (lambda minute: {"generators": 80 - minute}, []),
    ],
    ids=[
        *["flat", "only at first", "too much memory", "little memory"],
        *["threads", "to and fro", "keys", "a few objects", "fewer"],
    ],
)
def test_a_quantity_is_flat_by_what_it_grew_after_the_first_quarter(grown, missed):
    found = soak.verdicts(outcome(grown=grown))
    assert [verdict.quantity.field for verdict in found if not verdict.holds] == missed


@pytest.mark.parametrize(
    ("field", "holds"),
    [
        ("threads", False),
        ("files", False),
        ("generators", False),
        ("servings", False),
        ("greenlets", False),
        ("redis_keys", False),
        ("private_bytes", True),
        ("objects", True),
        ("redis_connections", True),
    ],
)
def test_after_the_drain_nothing_may_be_left_that_has_an_end(field, holds):
    left = AT_REST._replace(**{field: getattr(AT_REST, field) + 1})
    assert soak.holds(outcome(drained=left)) is holds


def test_keys_that_the_first_wave_left_behind_are_no_idle_level():
    idle = AT_REST._replace(redis_keys=300)
    assert not soak.holds(outcome(drained=AT_REST._replace(redis_keys=1), idle=idle))


@pytest.mark.parametrize(
    ("changes", "faults"),
    [
        ({}, []),
        ({"counts": {"generators begun": 9, "generators ended": 8}}, ["generators: 9 begun, 8"]),
        ({"counts": {"callbacks begun": 9}}, ["callbacks: 9 begun, 0 ended"]),
        (
            {
                "counts": {
                    "generators begun": 9,
                    "generators ended": 9,
                    "generators ended twice": 1,
                }
            },
            ["generators: 9 begun, 9 ended, 1 twice"],
        ),
        ({"alive": {"Serving": 2, "Job": 0}}, ["2 Serving are alive"]),
        ({"wrong": {"ends": ["n=7: status 0", "n=8"]}}, ["ends: 2 wrong, such as n=7: status 0"]),
        ({"was_restarted": True}, ["the worker was restarted"]),
    ],
    ids=["none", "no finally", "no callback", "a finally twice", "alive", "a life", "restarted"],
)
def test_what_else_went_wrong_is_told_and_fails_the_soak(changes, faults):
    found = outcome(**changes)
    assert [told[: len(fault)] for told, fault in zip(soak.faults(found), faults)] == faults
    assert len(soak.faults(found)) == len(faults)
    assert soak.holds(found) is (not faults)


def test_a_soak_is_told_in_a_table_for_each_server_and_one_of_the_lives():
    wrong = {"fails": ["n=3: no error event"]}
    lines = soak.report_lines(
        [
            outcome(grown=lambda minute: {"private_bytes": (30 << 20) + minute * 40_000}),
            outcome(server="gevent", lived={"ends": 7, "fails": 1200}, wrong=wrong),
        ]
    )
    assert lines[0] == "#### gunicorn gthread: 60 minutes, 36,000 clients, 10% of a core"
    assert lines[4] == "| private memory, MiB | 31.43 | 1.72 | 1 | 30 | 30 | **missed** |"
    assert lines[6] == "| threads | 97 | 0 | 9.70 | 97 | 97 | ok |"
    assert "| ends | 0 of 8 | 0 of 7 |" in lines
    assert "| fails | 0 of 0 | 1 of 1,200 |" in lines
    assert lines[-1] == "**Wrong**: fails: 1 wrong, such as n=3: no error event"


def test_the_samples_are_written_as_they_were_taken():
    rows = list(csv.DictReader(soak.csv_of([outcome(), outcome(server="gevent")]).splitlines()))
    assert len(rows) == 2 * 62
    assert [row["server"] for row in rows[61:63]] == ["gthread", "gevent"]
    assert rows[1] == {
        name: str(value)
        for name, value in {"server": "gthread", **outcome().samples[1]._asdict()}.items()
    }


@pytest.fixture
def plot(monkeypatch):
    monkeypatch.setitem(sys.modules, "soak_report", soak)
    return load("soak_plot")


def test_the_plot_has_a_line_for_each_server_in_each_panel(plot):
    two = [outcome(grown=lambda minute: {"threads": minute}), outcome(server="gevent")]
    picture = ElementTree.fromstring(plot.svg_of(two, "an hour"))
    svg = "{http://www.w3.org/2000/svg}"
    assert picture.find(f"{svg}title").text == "an hour"
    width, height = map(float, picture.get("viewBox").split()[2:])
    panels = picture.findall(f"{svg}g")
    assert len(panels) == len(plot._PANELS)
    for panel in panels:
        left, top = map(float, panel.get("transform")[len("translate(") : -1].split())
        lines = panel.findall(f"{svg}polyline")
        assert [line.get("class") for line in lines] == ["s0", "s1"]
        for line in lines:
            points = [tuple(map(float, point.split(","))) for point in line.get("points").split()]
            assert len(points) == 62
            assert points == sorted(points, key=lambda point: point[0])
            assert all(0 <= x < width - left and 0 <= y < height - top for x, y in points)


@pytest.mark.parametrize(
    ("value", "above"),
    [(0, 1), (0.3, 0.4), (1, 1), (1.01, 2), (47, 60), (81, 100), (100, 100), (40_001, 60_000)],
)
def test_an_axis_ends_at_a_round_number_above_its_highest_value(plot, value, above):
    assert plot._round_above(value) == pytest.approx(above)
