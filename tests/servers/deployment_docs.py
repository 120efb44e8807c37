"""Makes the blocks of docs/deployment.md: ``python deployment_docs.py > ../../docs/deployment.md``.

A comment before each block says which command or configuration of the tests stands in it.
"""

import re
import shlex
from pathlib import Path
from typing import Callable, Dict, List

import launch
from proxied_docs import shown_lines
from proxies import SETUPS

__all__ = ["page"]

PAGE = launch.HERE.parents[1] / "docs" / "deployment.md"

_BLOCK = re.compile(r"(<!-- (\w+): (.+?) -->\n)```\n.*?^```\n", re.DOTALL | re.MULTILINE)
_WIDTH = 85

#: Options that the tests alone need, and how many arguments follow each.
_OF_TESTS = {
    "--worker-tmp-dir": 1,
    "--no-control-socket": 0,
    "--virtualenv": 1,
    "--listen": 1,  # of uWSGI: its queue
    "--need-app": 0,
}
#: Modules whose command has another name.
_COMMANDS = {"waitress": "waitress-serve"}
_TIMEOUT_S = 60


def page(text: str) -> str:
    """``text``, with its blocks made anew."""
    return _BLOCK.sub(lambda found: f"{found[1]}```\n{_SHOWN[found[2]](found[3])}\n```\n", text)


def _command(name: str) -> str:
    name, _, draining = name.partition(", ")
    [server] = [server for server in launch.SERVERS if server.name == name]
    made = server.draining if draining else server.command
    assert made is not None
    return _wrapped([_shown(word) for word in _kept(made(launch.Place(8000, Path("."))))])


def _kept(command: List[str]) -> List[str]:
    """The words of a command that a user would write."""
    words = command[2:] if command[1] == "-m" else [Path(command[0]).name, *command[1:]]
    words[0] = _COMMANDS.get(words[0], words[0])
    kept: List[str] = []
    at = 0
    while at < len(words):
        if words[at] in _OF_TESTS:
            at += 1 + _OF_TESTS[words[at]]
        elif words[at] == "--graceful-timeout" and "--graceful-timeout" in words[at + 1 :]:
            at += 2  # that of the tests without a recipe; the last one counts
        else:
            kept.append(words[at])
            at += 1
    return kept


def _shown(word: str) -> str:
    shown = word.replace(f"{launch.HERE}/recipes/", "").replace("apps:application", "yourapp:app")
    return shlex.quote(shown)


def _wrapped(words: List[str]) -> str:
    lines = [words[0]]
    for word in words[1:]:
        if len(lines[-1]) + len(word) < _WIDTH:
            lines[-1] += f" {word}"
        else:
            lines.append(f"    {word}")
    return " \\\n".join(lines)


def _apache(prefix: str) -> str:
    lines = launch._APACHE.splitlines()
    kept = [line for line in lines if line.startswith(prefix) and "SocketPrefix" not in line]
    text = "\n".join(kept).format(directory="/srv/yourapp", threads=launch.THREADS)
    return text.replace("apps.py", "yourapp.py").replace("apps", "yourapp")


_SHOWN: Dict[str, Callable[[str], str]] = {
    "command": _command,
    "apache": _apache,
    "lines": lambda name: shown_lines(SETUPS[name]).strip(),
    "timeout": lambda name: shown_lines(SETUPS[name], _TIMEOUT_S).strip().splitlines()[-1],
}


if __name__ == "__main__":
    print(page(PAGE.read_text("utf-8")), end="")
