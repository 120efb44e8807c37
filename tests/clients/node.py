"""Node's fetch, and openai from npm: ``ask.mjs`` has all questions in one process."""

import json
import shutil
import subprocess
import tempfile
from functools import lru_cache, partial
from pathlib import Path

from asking import DEADLINE_S, PATHS, Client, Outcome, shortened

HERE = Path(__file__).resolve().parent
FILES = ("ask.mjs", "package.json", "package-lock.json")
SDK_APIS = frozenset(PATHS) - {"anthropic.messages", "other"}


def clients():
    """Both, where Node and npm are installed."""
    if not (shutil.which("node") and shutil.which("npm")):
        return []
    return [
        Client("openai-node", SDK_APIS, partial(ask, "openai")),
        Client("Node's fetch", frozenset(PATHS), partial(ask, "fetch")),
    ]


@lru_cache(maxsize=None)
def installed():
    """A folder with the script and the packages that it imports."""
    folder = tempfile.TemporaryDirectory(prefix="sse-clients-")  # gone when the process ends
    for name in FILES:
        shutil.copy(HERE / name, folder.name)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
    subprocess.run(command, cwd=folder.name, check=True, timeout=120)
    return folder


def ask(how, jobs):
    told = [
        {
            "how": how,
            "api": job.api,
            "base_url": job.base_url,
            "url": job.base_url + PATHS[job.api],
            "patience_ms": round(job.patience_s * 1000),
            "retries": job.retries,
        }
        for job in jobs
    ]
    done = subprocess.run(
        ["node", "ask.mjs"],
        cwd=installed().name,
        input=json.dumps(told).encode(),
        stdout=subprocess.PIPE,
        timeout=10 * DEADLINE_S,
        check=True,
    )
    return [outcome(how, answer) for answer in json.loads(done.stdout.decode())]


def outcome(how, answer):
    came = answer["came"] if how == "openai" else bytes.fromhex("".join(answer["came"]))
    return Outcome(came, answer["error"] and shortened(answer["error"]))
