"""The models for long: ``python tests/fuzz/models.py --examples 10000 [model ...]``.

The models are tests (``tests/test_fuzz_*.py``), which every run of the tests gives a few examples.
Here each model gets as many as asked for, in batches: a process of its own and a seed of its own
for each, because hypothesis remembers what it tried and grows. With ``--preempted`` the threads of
servers and workers lose their turn at random lines: slower, and the way to find races. The output
of a batch that fails is kept under ``.fuzz/models/``. The exit code is 1 when one did.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
KEPT = ROOT / ".fuzz" / "models"
BATCH = 1000
BATCH_TAKES_S = 3600
PREEMPTED = "0.03"  # how likely at each line
#: Each is a test, and how many examples it tries for one that is asked for.
MODELS = {
    "contract": ("tests/test_fuzz_contract.py::test_an_app_that_breaks", 1),
    "requests": ("tests/test_fuzz_middleware.py::test_any_app_with_any_server", 1),
    "memory": ("tests/test_fuzz_resume.py::test_any_order_of_writers_readers", 2),
    "resuming": ("tests/test_fuzz_resume.py::test_a_stream_is_whole", 1),
    "redis": ("tests/redis/test_fuzz_redis.py::test_a_stream_is_whole", 1),
}

sys.path.insert(0, str(HERE))

from figures import Table  # noqa: E402


def main(argv=None):
    """Run the models one after the other; the exit code."""
    parser = argparse.ArgumentParser(description="Try the models for long.")
    parser.add_argument("--examples", type=int, default=BATCH, help="of each (%(default)s)")
    parser.add_argument("--preempted", action="store_true", help="threads lose their turn often")
    parser.add_argument("--seed", type=int, help="of the first batch (else another each time)")
    parser.add_argument("--record", action="store_true", help="put the figures into README.md")
    parser.add_argument("models", nargs="*", metavar="model", help=", ".join(MODELS))
    options = parser.parse_args(argv)
    unknown = set(options.models) - set(MODELS)
    if unknown:
        parser.error(f"model is {min(unknown)!r}: expected one of {', '.join(MODELS)}")
    seed = int(time.time()) if options.seed is None else options.seed
    table = Table("models", ["model", "seconds", "examples", "steps", "found"])
    for model in options.models or MODELS:
        table.add(run(model, options.examples, seed, PREEMPTED if options.preempted else "0"))
        if options.record:
            table.record()
    return int(any(row["found"] for row in table.rows))


def run(model, examples, seed, preempted):
    """All batches of one model: its row."""
    name = model if preempted == "0" else f"{model}, preempted"
    row = {"model": name, "seconds": 0, "examples": 0, "steps": 0, "found": 0}
    began_at = time.monotonic()
    while examples > 0:
        tally, is_found = batch(model, min(examples, BATCH), seed, preempted)
        row["examples"] += tally["examples"]
        row["steps"] += tally["steps"]
        row["found"] += is_found
        examples, seed = examples - BATCH, seed + 1
    row["seconds"] = round(time.monotonic() - began_at)
    return row


def batch(model, examples, seed, preempted):
    """One process: what it tried, and whether it failed; then its output is kept, and told."""
    KEPT.mkdir(parents=True, exist_ok=True)
    path, factor = MODELS[model]
    file, _, name = path.partition("::")
    tally = KEPT / f"tally-{os.getpid()}.json"
    environ = dict(os.environ, SSE_FUZZ_TALLY=str(tally))
    environ["SSE_FUZZ_PREEMPTED"] = preempted
    environ["SSE_FUZZ_EXAMPLES"] = str(max(1, examples // factor))
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
            *(f"--hypothesis-seed={seed}", file, "-k", name),
        ],
        cwd=str(ROOT),
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=BATCH_TAKES_S,
        check=False,
    )
    if done.returncode:
        kept = KEPT / f"{model}-{seed}.txt"
        kept.write_bytes(done.stdout)
        print(f"  {kept}", flush=True)
    found = json.loads(tally.read_text()) if tally.exists() else {"examples": 0, "steps": 0}
    if tally.exists():
        tally.unlink()
    return found, bool(done.returncode)


if __name__ == "__main__":
    sys.exit(main())
