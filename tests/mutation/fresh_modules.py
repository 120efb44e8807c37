"""A plugin for pytest that lets one process run pytest twice, as mutmut does.

pytest keeps what it made of ``parametrize`` in the test module, and escapes the backslashes of
its ids again in the next run: the ids of the run before are then found no more, and mutmut takes
that for a mutant that was killed. A test module that is imported anew has the ids that it had.
"""

import sys

import pytest


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    """Forget the test modules, as a new process would."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "tests"]:
        del sys.modules[name]
