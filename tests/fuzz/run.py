"""Fuzzing by coverage, with atheris: ``python tests/fuzz/run.py --seconds 60 [target ...]``.

The seconds are shared by the targets; ``--record`` puts the figures into README.md. What was
found stays under ``.fuzz/<target>/``: the corpus, from which the next run goes on, and of each
fault one input, as small as it could be made, with its traceback. The exit code is 1 when this
run found something.

Each target runs in a process of its own, because libFuzzer ends its process.
"""

import argparse
import hashlib
import importlib
import logging
import os
import re
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

HERE = Path(__file__).resolve().parent
KEPT = HERE.parents[1] / ".fuzz"
TARGETS = sorted(path.stem for path in HERE.glob("targets/[a-z]*.py"))
LONGEST_INPUT_BYTES = 8192
LONGEST_LINE = 2000
HANGS_AFTER_S = 20
STARTS_WITHIN_S = 120
MINIMISES_FOR_S = 20.0
IN_MEMORY = "/dev/shm"  # where many small files are written soonest
#: What libFuzzer writes of an input at which it ends the process.
ENDED_BY = ("timeout-*", "oom-*", "crash-*")

sys.path.insert(0, str(HERE))

from figures import Table  # noqa: E402


def main(argv=None):
    """Run the targets one after the other; the exit code."""
    parser = argparse.ArgumentParser(description="Fuzz the package by coverage.")
    parser.add_argument("--seconds", type=float, default=60.0, help="in all (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="0 draws another one (%(default)s)")
    parser.add_argument("--record", action="store_true", help="put the figures into README.md")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("targets", nargs="*", metavar="target", help=", ".join(TARGETS))
    options = parser.parse_args(argv)
    unknown = set(options.targets) - set(TARGETS)
    if unknown:
        parser.error(f"target is {min(unknown)!r}: expected one of {', '.join(TARGETS)}")
    if options.inside:
        fuzz(options.targets[0], options.seconds, options.seed)
    targets = options.targets or TARGETS
    table = Table("coverage", ["target", "seconds", "executions", "edges", "inputs", "found"])
    for target in targets:
        table.add(run(target, options.seconds / len(targets), options.seed))
        if options.record:
            table.record()
    return int(any(row["found"] for row in table.rows))


def run(target, seconds, seed):
    """Fuzz one target in a process of its own: its row. What was found is printed."""
    folder = KEPT / target
    (folder / "corpus").mkdir(parents=True, exist_ok=True)
    before = kept_faults(folder)
    numbers = ["--seconds", str(seconds), "--seed", str(seed)]
    command = [sys.executable, __file__, "--inside", *numbers, target]
    with tempfile.TemporaryDirectory(dir=IN_MEMORY if Path(IN_MEMORY).is_dir() else None) as files:
        done = subprocess.run(
            command,
            env=dict(os.environ, SSE_FUZZ_FILES=files, PYTHONHASHSEED="0"),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=seconds + STARTS_WITHIN_S,
            check=False,
        )
    told = done.stderr.decode("utf-8", "replace")
    found = sorted(kept_faults(folder) - before)
    for path in found:
        print(f"  {path}")
        print(*told_lines(path.with_suffix(".txt")), sep="\n", flush=True)
    if done.returncode and not found:
        print(told[-2000:])
    row = {"target": target, "seconds": round(seconds), **counts_of(told)}
    return {**row, "found": len(found) + bool(done.returncode and not found)}


def told_lines(told_of):
    """The input, which is the first line, and what was raised, which is the last one."""
    lines = told_of.read_text(encoding="utf-8").strip().splitlines() if told_of.exists() else [""]
    return [f"    {line[:LONGEST_LINE]}" for line in dict.fromkeys((lines[0], lines[-1]))]


def kept_faults(folder):
    """The inputs of the faults that are kept in ``folder``."""
    return {path for name in ("found-*.bin", *ENDED_BY) for path in folder.glob(name)}


def counts_of(told):
    """What libFuzzer says of a run: in "cov" all edges, also those that only the seeds take."""
    executions = re.findall(r"stat::number_of_executed_units: +(\d+)", told) or ["?"]
    edges, inputs = (re.findall(rf"{name}: (\d+)", told)[-1:] or ["?"] for name in ("cov", "corp"))
    return {"executions": executions[0], "edges": edges[0], "inputs": inputs[0]}


def fuzz(target, seconds, seed):
    """In the child: run libFuzzer. It ends the process."""
    import atheris

    logging.disable(logging.CRITICAL)  # what is logged of each input takes longer than the rest
    atheris.enabled_hooks.add("str")
    with atheris.instrument_imports(include=["sse_middleware"]):
        module = importlib.import_module(f"targets.{target}")
    folder = KEPT / target
    for given in module.seeds():
        (folder / "corpus" / hashlib.sha1(given).hexdigest()).write_bytes(given)
    known = {path.stem for path in folder.glob("found-*.bin")}

    def one_input(data):
        try:
            module.check(data)
        except Exception as error:
            keep(module.check, data, error, folder, known)

    flags = [
        f"-seed={seed}",
        f"-max_total_time={max(1, round(seconds))}",
        f"-max_len={LONGEST_INPUT_BYTES}",
        f"-timeout={HANGS_AFTER_S}",
        f"-artifact_prefix={folder}/",
        "-print_final_stats=1",
        "-rss_limit_mb=4096",
    ]
    atheris.Setup([sys.argv[0], *flags, str(folder / "corpus")], one_input)
    atheris.Fuzz()


def keep(check, data, error, folder, known):
    """Write the input of a fault that was not known, minimised, and the traceback."""
    name = f"found-{fault_of(error)}"
    if name in known:
        return
    known.add(name)
    small = minimised(check, data, fault_of(error))
    (folder / f"{name}.bin").write_bytes(small)
    lines = traceback.format_exception(type(error), error, error.__traceback__)
    (folder / f"{name}.txt").write_text(f"{small!r}\n\n{''.join(lines)}", encoding="utf-8")


def fault_of(error):
    """What tells one fault from another: the type, and the lines that raised it."""
    _, *frames = traceback.extract_tb(error.__traceback__)  # the first is of whoever checks
    where = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames[-3:]]
    return hashlib.sha1(" ".join([type(error).__name__, *where]).encode()).hexdigest()[:12]


def minimised(check, data, fault):
    """``data`` with all left out that the fault does not need, as far as the time allows."""
    gives_up_at = time.monotonic() + MINIMISES_FOR_S
    size_bytes = max(1, len(data) // 2)
    while size_bytes:
        start = 0
        while start < len(data):
            shorter = data[:start] + data[start + size_bytes :]
            if time.monotonic() > gives_up_at:
                return data
            if is_faulty(check, shorter, fault):
                data = shorter
            else:
                start += size_bytes
        size_bytes //= 2
    return data


def is_faulty(check, data, fault):
    """Whether ``data`` shows that very fault."""
    try:
        check(data)
    except Exception as error:
        return fault_of(error) == fault
    return False


if __name__ == "__main__":
    sys.exit(main())
