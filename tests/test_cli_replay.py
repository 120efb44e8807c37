"""sse_middleware.cli.replay: the command as a process of its own. What it answers: Replay."""

import os
import subprocess
import sysconfig
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from sse_middleware.cli import main
from sse_middleware.testing import Recording

DEADLINE_S = 60
SCRIPT = Path(sysconfig.get_path("scripts")) / "sse-middleware"


def test_it_serves_a_folder_until_it_is_ended(tmp_path):
    for name in ("001-a.sse", "002-b.sse"):
        Recording(name.encode(), chunks=[(3600.0, 9)]).save(tmp_path / name)
    command = [SCRIPT, "replay", tmp_path, "--port", "0", "--speed", "max"]
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == f"Replaying: {tmp_path} (files: 2)\n"
            base_url = process.stdout.readline().strip().split("=")[1]
            target = base_url + "/chat/completions"
            answers = [opener.open(target, b"{}", DEADLINE_S).read() for _ in range(3)]
            rebound = urllib.request.Request(target, b"{}", {"Host": "evil.example"})
            with pytest.raises(urllib.error.HTTPError) as refused:
                opener.open(rebound, None, DEADLINE_S)
            process.terminate()
            assert process.wait(DEADLINE_S) == 0
        finally:
            process.kill()
    assert answers == [b"001-a.sse", b"002-b.sse", b"001-a.sse"]
    with refused.value:
        assert refused.value.code == 421


def test_a_folder_whose_name_the_terminal_lacks_is_escaped(tmp_path):
    folder = tmp_path / "\u00e9"
    folder.mkdir()
    Recording(b"data: 1\n\n").save(folder / "a.sse")
    environ = {**os.environ, "PYTHONIOENCODING": "ascii"}
    command = [SCRIPT, "replay", folder, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environ) as process:
        try:
            told = process.stdout.readline().decode()
        finally:
            process.kill()
    assert told == f"Replaying: {tmp_path}/\\xe9 (files: 1)\n"


@pytest.mark.parametrize("speed", ["0", "-1", "fast", "nan", ""])
def test_a_speed_that_is_none_is_refused(speed, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["replay", "x", f"--speed={speed}"])
    assert caught.value.code == 2
    assert f"speed is {speed!r}: expected a number > 0, or max" in capsys.readouterr().err


def test_a_folder_without_recordings_is_one_line_and_exit_code_2(tmp_path):
    done = subprocess.run(
        [SCRIPT, "replay", tmp_path],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    expected = f"{tmp_path} is without recordings: expected a folder of .sse files"
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"sse-middleware: {expected}\n"
