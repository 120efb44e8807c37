"""What is built and installed: the files, the metadata, the recordings.

setuptools passes over a misspelt key of setup.cfg in silence; here it is a difference.

``tox -e package`` names the folder of the sdist and the wheel in ``SSE_DIST_DIR``; every other
environment of tox names the wheel that it installed in ``TOX_PACKAGE``. Without either (plain
``pytest`` in a checkout) there is nothing to look into, and those tests are skipped.
"""

import configparser
import email
import importlib
import os
import pkgutil
import platform
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import sse_middleware

ROOT = Path(__file__).resolve().parents[1]
RECORDINGS = ROOT / "fixtures" / "recordings"
CHANGELOG = (ROOT / "CHANGELOG.md").read_text("utf-8")
SUFFIXES_OF_RECORDINGS = {".py", ".sse", ".json"}
SETUP = configparser.ConfigParser()
SETUP.read(ROOT / "setup.cfg", encoding="utf-8")
#: It stands there and, with what is new in it, in CHANGELOG.md.
VERSION = SETUP["metadata"]["version"]
STEM = f"sse_middleware-{VERSION}"
ABOUT = f"{STEM}.dist-info"
METADATA = {
    "Name": ["sse-middleware"],
    "Version": [VERSION],
    "Author": ["the sse_middleware authors"],
    "License-Expression": ["MIT"],
    "License-File": ["LICENSE"],
    "Requires-Python": [">=3.8"],
    "Description-Content-Type": ["text/markdown"],
    "Provides-Extra": ["testing", "redis", "fast", "cli", "openai", "demo"],
    "Requires-Dist": [
        'werkzeug>=1.0; extra == "testing"',
        'webtest; extra == "testing"',
        'pytest; extra == "testing"',
        'responses; extra == "testing"',
        'redis; extra == "redis"',
        'orjson; extra == "fast"',
        'rich; extra == "cli"',
        'openai; extra == "openai"',
        'flask; extra == "demo"',
        'waitress; extra == "demo"',
        'requests; extra == "demo"',
        'rich; extra == "demo"',
    ],
}


def find_wheel():
    """The wheel under test, or None: an editable install has none."""
    folder = os.environ.get("SSE_DIST_DIR")
    if folder:
        [wheel] = Path(folder).glob("*.whl")
        return wheel
    built = os.environ.get("TOX_PACKAGE", "")
    return Path(built) if built.endswith(".whl") and ".editable" not in built else None


def find_sdist():
    folder = os.environ.get("SSE_DIST_DIR")
    if not folder:
        return None
    [sdist] = Path(folder).glob("*.tar.gz")
    return sdist


def built_by_setuptools():
    """The major version of the setuptools that made the wheel."""
    with zipfile.ZipFile(WHEEL) as archive:
        made = archive.read(f"{ABOUT}/WHEEL").decode()
    return int(re.search(r"Generator: setuptools \((\d+)", made).group(1))


WHEEL = find_wheel()
SDIST = find_sdist()
needs_wheel = pytest.mark.skipif(WHEEL is None, reason="no wheel was built: run tox")
# tox on Python 3.8 builds with setuptools 75, which writes the same facts in another form.
needs_setuptools_77 = pytest.mark.skipif(
    WHEEL is not None and built_by_setuptools() < 77, reason="built by setuptools older than 77"
)
needs_sdist = pytest.mark.skipif(SDIST is None, reason="no sdist was built: run tox -e package")


def files_below(folder):
    """Every file of ``folder`` that is somebody's work, as a path relative to it."""
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix not in {".pyc", ".pyo"}
    }


@pytest.fixture(scope="module")
def wheel():
    with zipfile.ZipFile(WHEEL) as archive:
        yield archive


@pytest.fixture(scope="module")
def metadata(wheel):
    return email.message_from_bytes(wheel.read(f"{ABOUT}/METADATA"))


@needs_wheel
@needs_setuptools_77
def test_the_wheel_holds_the_package_the_recordings_and_nothing_else(wheel):
    package = {f"sse_middleware/{name}" for name in files_below(ROOT / "sse_middleware")}
    recordings = {
        f"sse_middleware/testing/recordings/{path.name}"
        for path in RECORDINGS.iterdir()
        if path.suffix in SUFFIXES_OF_RECORDINGS
    }
    about = {
        f"{ABOUT}/{name}"
        for name in (
            "METADATA",
            "RECORD",
            "WHEEL",
            "entry_points.txt",
            "licenses/LICENSE",
            "top_level.txt",
        )
    }
    assert "sse_middleware/py.typed" in package
    assert sorted(wheel.namelist()) == sorted(package | recordings | about)


@needs_wheel
def test_the_wheel_is_for_every_python_3_and_platform():
    assert WHEEL.name == f"{STEM}-py3-none-any.whl"


@needs_wheel
@needs_setuptools_77
@pytest.mark.parametrize("field", METADATA)
def test_the_metadata_says(metadata, field):
    assert metadata.get_all(field) == METADATA[field]


@needs_wheel
def test_the_core_requires_nothing(metadata):
    unconditional = [line for line in metadata.get_all("Requires-Dist") if "extra ==" not in line]
    assert unconditional == []


@needs_wheel
def test_the_metadata_carries_the_summary_the_keywords_and_the_readme(metadata):
    assert metadata["Summary"].startswith("WSGI middleware that streams a generator of dicts")
    assert "server-sent events" in metadata["Keywords"]
    assert metadata.get_payload().strip() == (ROOT / "README.md").read_text("utf-8").strip()


@needs_wheel
def test_the_wheel_installs_one_command_and_one_pytest_plugin(wheel):
    parser = configparser.ConfigParser()
    parser.read_string(wheel.read(f"{ABOUT}/entry_points.txt").decode())
    assert {section: dict(parser[section]) for section in parser.sections()} == {
        "console_scripts": {"sse-middleware": "sse_middleware.cli:main"},
        "pytest11": {"sse_middleware": "sse_middleware.pytest_plugin"},
    }


@needs_wheel
def test_the_classifiers_the_tox_environments_and_the_python_version_file_agree(metadata):
    classified = {
        found.group(1)
        for line in metadata.get_all("Classifier")
        for found in [re.fullmatch(r"Programming Language :: Python :: (3\.\d+)", line)]
        if found
    }
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini", encoding="utf-8")
    tested = {
        f"3.{name[3:]}" for name in tox["tox"]["env_list"].split() if re.fullmatch(r"py3\d+", name)
    }
    listed = set((ROOT / ".python-version").read_text("ascii").split())
    assert classified == tested == listed


def classified(prefix):
    lines = SETUP["metadata"]["classifiers"].split("\n")
    return {line[len(prefix) :] for line in lines if line.startswith(prefix)}


def test_each_framework_that_is_classified_has_its_tests():
    tests = (ROOT / "tests" / "test_frameworks.py").read_text("utf-8")
    for name in classified("Framework :: "):
        assert f'importorskip("{name.lower()}' in tests, name


def test_it_is_classified_for_what_the_tests_run_on_and_nothing_more():
    assert classified("Operating System :: ") == {"POSIX :: Linux"}
    assert classified("Programming Language :: Python :: Implementation :: ") == {"CPython"}
    if os.environ.get("CI"):
        assert (platform.system(), platform.python_implementation()) == ("Linux", "CPython")


@needs_wheel
def test_the_tests_run_on_the_installed_wheel_and_not_on_the_checkout():
    assert Path(sys.prefix) in Path(sse_middleware.__file__).parents


@needs_sdist
@pytest.mark.parametrize("folder", ["sse_middleware", "tests", "fixtures", "examples"])
def test_the_sdist_holds_the_whole_of(folder):
    prefix = f"{STEM}/"
    with tarfile.open(SDIST) as archive:
        names = {name[len(prefix) :] for name in archive.getnames()}
    assert {f"{folder}/{name}" for name in files_below(ROOT / folder)} - names == set()


@needs_sdist
def test_the_sdist_holds_nothing_that_git_does_not():
    """A file that lies about where it is built would be in the sdist for ever."""
    if not (ROOT / ".git").exists():
        pytest.skip("no git here: this tree is an unpacked sdist")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, stdout=subprocess.PIPE, check=True)
    tracked = set(listed.stdout.decode().split("\0"))
    with tarfile.open(SDIST) as archive:
        names = {member.name[len(STEM) + 1 :] for member in archive if member.isfile()}
    made = {name for name in names if ".egg-info/" in name} | {"PKG-INFO"}
    assert names - made - tracked == set()


def test_the_changelog_begins_with_the_version():
    [newest, *_] = re.findall(r"^## (.+)$", CHANGELOG, re.MULTILINE)
    version, _, date = newest.partition(" ")
    assert version == VERSION
    assert re.fullmatch(r"\((unreleased|20\d\d-\d\d-\d\d)\)", date)


def test_every_recording_is_installed_byte_for_byte():
    recordings = [path for path in RECORDINGS.iterdir() if path.suffix in {".sse", ".json"}]
    assert recordings
    installed = {
        path.name: pkgutil.get_data("sse_middleware.testing.recordings", path.name)
        for path in recordings
    }
    assert installed == {path.name: path.read_bytes() for path in recordings}


@pytest.mark.parametrize("name", ["doctor", "relay", "resume", "testing"])
def test_the_docstring_of_a_package_says_where_each_of_its_modules_belongs(name):
    package = importlib.import_module(f"sse_middleware.{name}")
    modules = {module.name for module in pkgutil.iter_modules(package.__path__)}
    assert modules - {"recordings"} <= set(re.findall(r"``(\w+)``", package.__doc__))


@pytest.mark.parametrize("name", ["sse_middleware", "sse_middleware.testing"])
def test_what_a_package_shows_is_what_is_public(name):
    package = importlib.import_module(name)
    assert dir(package) == sorted(package.__all__)
    assert all(hasattr(package, public) for public in package.__all__)
