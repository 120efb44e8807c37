"""Where the bench keeps what it installs: environments of their own, below ``.bench/``.

Each is named by what is in it, so that one with other versions is made anew.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Dict

__all__ = ["HERE", "ROOT", "environment", "node_modules", "python_with"]

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
_CACHE = ROOT / ".bench"
_QUIET = ["--quiet", "--disable-pip-version-check"]


def python_with(requirements: str) -> Path:
    """A Python of the version that runs this, with ``requirements/<requirements>.txt``."""
    listed = HERE / "requirements" / f"{requirements}.txt"
    version = "py{}.{}".format(*sys.version_info)
    folder = _CACHE / f"{version}-{requirements}-{_digest(listed)}"
    python = folder / "bin" / "python"
    if not folder.exists():
        print(f"installing {listed.name} into {folder}", file=sys.stderr)
        try:
            _run([sys.executable, "-m", "venv", str(folder)])
            _run([str(python), "-m", "pip", "install", *_QUIET, "-r", str(listed)])
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    return python


def node_modules() -> Path:
    """The folder with what ``package.json`` names.

    Raises:
        OSError: this run is to be without Node, or there is no npm.
    """
    if "BENCH_WITHOUT_NODE" in os.environ:
        raise OSError("this run is without it")
    listed = HERE / "package.json"
    folder = _CACHE / f"node-{_digest(listed)}"
    if not folder.exists():
        print(f"installing {listed.name} into {folder}", file=sys.stderr)
        try:
            folder.mkdir(parents=True)
            shutil.copy(listed, folder)
            _run(["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(folder)])
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    return folder / "node_modules"


def environment(**more: str) -> Dict[str, str]:
    """The variables of a child: it imports the checkout, and what stands beside this file."""
    paths = os.pathsep.join([str(ROOT), str(HERE)])
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    return {**kept, "PYTHONPATH": paths, "PYTHONHASHSEED": "0", **more}


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:8]


def _run(command: "list[str]") -> None:
    subprocess.run(command, check=True, stdout=sys.stderr)
