"""The pytest plugin: fixtures for tests against a fake upstream, and its verdict on each of them.

    @pytest.mark.fake_upstream("chat-text")
    def test_the_answer_is_shown(stream_client):
        with stream_client(app).post("/chat") as stream:
            assert stream.event().data == "Hello"

It is loaded wherever this package is installed, so it imports nothing of the package before one
of its fixtures is used. ``pytest -p no:sse_middleware`` switches it off.
"""

import sys
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Dict,
    Generator,
    Iterator,
    List,
    NamedTuple,
    Optional,
    Tuple,
    Union,
)

import pytest

if TYPE_CHECKING:
    from sse_middleware.testing import FakeUpstream, Recording, StreamClient, VirtualClock
    from sse_middleware.testing.rechunk import Rechunk

# pytest finds fixtures and hooks by their names.
__all__ = ["fake_upstream", "sse_clock", "sse_rechunk", "sse_recordings", "stream_client"]

_MARK = "fake_upstream"
_VERDICTS = ("assert_all_requests_were_expected", "assert_all_responses_were_requested")


class _Watched(NamedTuple):
    """The upstream of one test, and what was reported of its call."""

    upstream: "FakeUpstream"
    passed: List[bool]  # one for each subtest too; none if there was no call


_WATCHED = pytest.StashKey[_Watched]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The ini option."""
    parser.addini(
        "sse_recordings",
        "folder of recorded streams (.sse), relative to the rootdir",
        default="tests/recordings",
    )


def pytest_configure(config: pytest.Config) -> None:
    """The marker."""
    verdicts = ", ".join(f"{name}=True" for name in _VERDICTS)
    config.addinivalue_line(
        "markers",
        f"{_MARK}(*recordings, {verdicts}): use the fixture of that name, and script the "
        "recordings (their names, or Recording objects) in this order.",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """``sse_rechunk``: each mode, unless the test names its own by ``parametrize``."""
    if "sse_rechunk" not in metafunc.fixturenames:
        return
    marks = metafunc.definition.iter_markers("parametrize")
    if not any("sse_rechunk" in _argument_names(mark) for mark in marks):
        from sse_middleware.testing.rechunk import MODES

        ids = [mode.__name__ for mode in MODES]
        metafunc.parametrize("sse_rechunk", MODES, ids=ids, indirect=True)


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: "pytest.CallInfo[None]"
) -> Generator[None, Any, None]:
    """A test that failed shows what came and what was scripted."""
    made = yield
    watched = item.stash.get(_WATCHED, None)
    if watched is None:
        return
    report = made.get_result()
    if call.when == "call":
        watched.passed.append(report.passed)
    if report.failed:
        report.sections.append(("fake upstream", watched.upstream.report()))


def pytest_assertrepr_compare(op: str, left: object, right: object) -> Optional[List[str]]:
    """Which event differs, and where in it."""
    if op != "==" or "sse_middleware.event" not in sys.modules:  # then neither side has any
        return None
    from sse_middleware.testing._explain import explain

    return explain(left, right)


@pytest.fixture(autouse=True)
def _fake_upstream_of_mark(request: pytest.FixtureRequest) -> None:
    """The mark alone is enough, as ``usefixtures`` would be."""
    if request.node.get_closest_marker(_MARK) is not None:
        request.getfixturevalue("fake_upstream")


@pytest.fixture
def fake_upstream(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, sse_recordings: Path
) -> Iterator["FakeUpstream"]:
    """A FakeUpstream that serves; OPENAI_BASE_URL and OPENAI_API_KEY lead clients to it.

    Its clock is ``sse_clock``, if the test uses that. After a test that passed, every request
    must have found a script, and every script must have been played.
    """
    from sse_middleware.testing import FakeUpstream

    upstream = FakeUpstream(_find_used(request, "sse_clock"), recordings=sse_recordings)
    verdicts = _script(upstream, request, sse_recordings)
    _lead_to(upstream.base_url, monkeypatch)
    watched = request.node.stash[_WATCHED] = _Watched(upstream, [])
    yield upstream
    upstream.close()
    del request.node.stash[_WATCHED]
    mismatch = _find_mismatch(upstream, verdicts)
    if mismatch is not None and watched.passed and all(watched.passed):
        pytest.fail(mismatch, pytrace=False)


@pytest.fixture
def sse_clock() -> "VirtualClock":
    """A VirtualClock, which ``fake_upstream`` and ``stream_client`` of the same test run on."""
    from sse_middleware.testing import VirtualClock

    return VirtualClock()


@pytest.fixture
def stream_client(request: pytest.FixtureRequest) -> Callable[..., "StreamClient"]:
    """Makes a StreamClient for an app or a URL; apps run on ``sse_clock``, if the test uses it."""
    from sse_middleware.testing import StreamClient

    clock = _find_used(request, "sse_clock")

    def client(app_or_url: Union[Callable[..., Any], str], **options: Any) -> "StreamClient":
        if not isinstance(app_or_url, str):
            options.setdefault("clock", clock)
        return StreamClient(app_or_url, **options)

    return client


@pytest.fixture(scope="session")
def sse_recordings(pytestconfig: pytest.Config) -> Path:
    """The folder that the ini option of this name tells."""
    return pytestconfig.rootpath / str(pytestconfig.getini("sse_recordings"))


@pytest.fixture
def sse_rechunk(request: pytest.FixtureRequest) -> "Rechunk":
    """Each mode of ``sse_middleware.testing.rechunk`` in turn: the test runs once for each.

    What the mark scripts is played under it; ``play(..., rechunk=sse_rechunk)`` does the same.
    """
    mode: Rechunk = request.param
    return mode


def _argument_names(parametrize: pytest.Mark) -> List[str]:
    names = parametrize.kwargs.get("argnames", parametrize.args[0] if parametrize.args else ())
    return [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)


def _find_used(request: pytest.FixtureRequest, fixture: str) -> Any:
    """The value of ``fixture``, or None if the test does not use it."""
    return request.getfixturevalue(fixture) if fixture in request.fixturenames else None


def _script(
    upstream: "FakeUpstream", request: pytest.FixtureRequest, folder: Path
) -> Dict[str, bool]:
    """Play what the test's marks name; return the verdicts that they allow or ask for."""
    from sse_middleware.errors import OptionError, RecordingError

    problem: Exception
    try:
        recordings, verdicts = _marked(request.node)
        for recording in recordings:
            upstream.play(recording, rechunk=_find_used(request, "sse_rechunk"))
        return verdicts
    except RecordingError as error:
        problem = error
        if error.measured == "unknown":
            expected = f"{error.expected}, or a file in {folder} (ini option sse_recordings)"
            problem = RecordingError(error.thing, error.measured, expected)
    except OptionError as error:
        problem = error
    pytest.fail(f"@pytest.mark.{_MARK}: {problem}", pytrace=False)


def _marked(item: pytest.Item) -> Tuple[Tuple[Union["Recording", str], ...], Dict[str, bool]]:
    """The recordings, of the closest mark that names any, and each verdict, of the closest too."""
    from sse_middleware.errors import OptionError, shown

    naming: List[Tuple[Any, pytest.Mark]] = []
    verdicts: Dict[str, bool] = {}
    for place, mark in item.iter_markers_with_node(_MARK):
        naming += [(place, mark)] if mark.args else []
        for name, value in mark.kwargs.items():
            if name not in _VERDICTS:
                raise OptionError(f"keyword {name!r}", "unknown", f"one of {', '.join(_VERDICTS)}")
            if not isinstance(value, bool):
                raise OptionError(name, shown(value), "True or False")
            verdicts.setdefault(name, value)
    if len(naming) > 1 and naming[0][0] is naming[1][0]:
        raise OptionError(f"{item.name}", "marked twice", "one mark, with all names in their order")
    return naming[0][1].args if naming else (), verdicts


def _lead_to(base_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let clients that are made from now on talk to ``base_url``, whatever proxies are set."""
    from sse_middleware.testing._proxies import exceptions

    variables = {
        "OPENAI_BASE_URL": base_url,
        "OPENAI_API_BASE": base_url,  # its name until openai 1
        "OPENAI_API_KEY": "sk-fake",
        **exceptions(),
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    # The module's own client has read the environment already: openai 0.28 when it was imported,
    # later ones at the first request of an earlier test.
    openai = sys.modules.get("openai")
    for name in ("api_base", "base_url", "api_key"):
        if hasattr(openai, name):
            monkeypatch.setattr(openai, name, variables[f"OPENAI_{name.upper()}"])


def _find_mismatch(upstream: "FakeUpstream", verdicts: Dict[str, bool]) -> Optional[str]:
    try:
        upstream.verify(**verdicts)
    except AssertionError as error:
        return str(error)
    return None
