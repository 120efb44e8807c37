"""sse_middleware.cli.inspect: what it prints, and how it ends."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from sse_middleware.cli import main
from sse_middleware.testing import Recording
from sse_middleware.testing.timeline import summary, timeline

DEADLINE_S = 60
SCRIPT = Path(sysconfig.get_path("scripts")) / "sse-middleware"
SHIPPED = sorted((Path(__file__).parents[1] / "fixtures" / "recordings").glob("*.sse"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_it_prints_the_name_the_summary_and_the_timeline(path, capsys):
    recording = Recording.load(path)
    assert main(["inspect", str(path)]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == [path.name, *summary(recording), "", *timeline(recording)]
    assert err == ""


def inspect(path, **options):
    return subprocess.run(
        [SCRIPT, "inspect", path],
        timeout=DEADLINE_S,
        check=False,
        stderr=subprocess.PIPE,
        **options,
    )


def test_a_terminal_without_the_characters_gets_escapes(tmp_path):
    Recording("data: é\u4e16\n\n".encode()).save(tmp_path / "a.sse")
    environ = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = inspect(tmp_path / "a.sse", stdout=subprocess.PIPE, env=environ)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"\\xe9\\u4e16" in done.stdout


def test_a_reader_that_has_enough_ends_it_quietly(tmp_path):
    Recording(b"data: 1\n\n" * 10_000).save(tmp_path / "a.sse")
    read_end, write_end = os.pipe()
    os.close(read_end)
    with os.fdopen(write_end, "wb") as closed:
        done = inspect(tmp_path / "a.sse", stdout=closed)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_a_full_disk_is_one_line_and_exit_code_2(tmp_path):
    Recording(b"data: 1\n\n").save(tmp_path / "a.sse")
    with open("/dev/full", "wb") as full:
        done = inspect(tmp_path / "a.sse", stdout=full)
    message = "sse-middleware: [Errno 28] No space left on device"
    assert (done.returncode, done.stderr.decode().splitlines()) == (2, [message])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("absent.sse", "absent.sse is absent: expected a recording"),
        ("damaged.sse", "damaged.json line 1 is not JSON (Expecting value): expected an object"),
        ("a.json", "a.json is named '.json': expected a name that ends in .sse"),
    ],
)
def test_what_cannot_be_read_is_one_line_and_exit_code_2(name, message, tmp_path):
    (tmp_path / "damaged.sse").write_bytes(b"")
    (tmp_path / "damaged.json").write_bytes(b"x")
    done = inspect(tmp_path / name, stdout=subprocess.PIPE)
    assert (done.returncode, done.stdout) == (2, b"")
    [line] = done.stderr.decode().splitlines()
    assert line.startswith(f"sse-middleware: {tmp_path}/{message}")


def test_it_runs_without_rich(tmp_path):
    program = (
        "import sys; sys.modules['rich'] = None; from sse_middleware.cli import main; "
        f"sys.exit(main(['inspect', {str(SHIPPED[0])!r}]))"
    )
    command = [sys.executable, "-c", program]
    subprocess.run(command, stdout=subprocess.DEVNULL, timeout=DEADLINE_S, check=True)


def test_a_terminal_obeys_no_name_of_a_file(tmp_path, capsys):
    path = tmp_path / "a\x1b[2J.sse"
    path.write_bytes(b"data: 1\n\n")
    assert main(["inspect", str(path)]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "a\\x1b[2J.sse"
    path.with_suffix(".json").write_bytes(b"{")
    assert main(["inspect", str(path)]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.isprintable()
