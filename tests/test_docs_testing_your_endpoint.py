"""The examples of docs/testing-your-endpoint.md, run: each is a test module, and passes."""

import importlib
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sse_middleware.testing._explain import explain

DOC = Path(__file__).parents[1] / "docs" / "testing-your-endpoint.md"
SECTIONS = dict(
    section.split("\n", 1) for section in re.split(r"^## ", DOC.read_text("utf-8"), flags=re.M)[1:]
)
#: How many tests each has, and what it needs beside the package.
MODULES = {
    "Flask": (1, "flask"),
    "Bottle": (2, "bottle"),
    "WebTest": (2, "webtest"),
    "When nothing comes": (2, "werkzeug"),
    "Heartbeats, without waiting for them": (1, "werkzeug"),
    "When the client leaves": (1, "werkzeug"),
    "The same test against a running server": (2, "waitress"),
}


def blocks(heading):
    """The blocks of a section, as pairs of language and text."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", SECTIONS[heading], re.DOTALL | re.MULTILINE)


def test_every_example_has_its_test():
    assert {heading for heading in SECTIONS if blocks(heading)} == {*MODULES, "Comparing events"}


def is_old_flask():
    """Whether Flask has no ``app.post`` yet, and the page's other spelling is needed."""
    has_flask = importlib.util.find_spec("flask") is not None
    return has_flask and not hasattr(importlib.import_module("flask").Flask, "post")


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """What pytest printed of all the examples, each a module of its own."""
    folder = tmp_path_factory.mktemp("examples")
    for number, heading in enumerate(MODULES):
        [(_, block)] = blocks(heading)
        if is_old_flask():
            block = re.sub(r'@app.post\("/chat"\)', '@app.route("/chat", methods=["POST"])', block)
        (folder / f"test_{number}.py").write_text(block, "utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", str(folder)],
        cwd=folder,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        stdout=subprocess.PIPE,
        timeout=120,
    )
    return done.stdout.decode()


@pytest.mark.parametrize("heading", MODULES)
def test_the_example_passes(heading, outcomes):
    tests, needed = MODULES[heading]
    if importlib.util.find_spec(needed) is None:
        pytest.skip(f"{needed} is not installed")
    module = rf"test_{list(MODULES).index(heading)}\.py::\S+(?: \S+)? PASSED"
    assert len(re.findall(module, outcomes)) == tests, outcomes


def test_the_explanation_is_what_is_printed():
    [(_, block), (_, printed)] = blocks("Comparing events")
    names = {}
    exec(block, names)
    assert "\n".join(explain(names["came"], names["expected"])) == printed.strip()
