"""sse_middleware.cli.check: the command, as a user runs it."""

import json
import re
import ssl
import subprocess
import sys
import sysconfig
import threading
from pathlib import Path

import pytest

from sse_middleware.cli import main
from sse_middleware.testing import FakeUpstream, Recording

DEADLINE_S = 60
SCRIPT = Path(sysconfig.get_path("scripts")) / "sse-middleware"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
HEAD += b"Cache-Control: no-cache, no-transform\r\nX-Accel-Buffering: no\r\nDate: today\r\n\r\n"
RIGHT = [HEAD + b"data: a\n\n", 0.2, b"data: b\n\n", 0.2, b"event: close\ndata:\n\n"]
STOP = [b"HTTP/1.1 204 No Content\r\n\r\n"]


def check(*arguments):
    return main(["check", *arguments])


@pytest.mark.parametrize(
    ("answer", "code", "last"),
    [
        (RIGHT, 0, "Nothing is wrong"),
        ([HEAD + b"Data: a\n\n", *RIGHT[1:]], 1, "1 error"),
        ([b"HTTP/1.1 404 Not Found\r\n\r\nno such page"], 1, "1 error"),
    ],
)
def test_the_exit_code_and_the_last_line_say_whether_something_is_wrong(
    raw_server, capsys, answer, code, last
):
    assert check(raw_server(answer, STOP).url) == code
    out, err = capsys.readouterr()
    assert (out.splitlines()[-1], err) == (last, "")


def test_it_prints_json(raw_server, capsys):
    assert check("--json", raw_server([HEAD + b"Data: a\n\n"], STOP).url) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["exit_code"] == 1
    assert told["findings"][0]["code"] == "SSE104"


def test_data_makes_a_post_that_is_sent_as_it_is(raw_server, capsys):
    server = raw_server(RIGHT)
    assert check(server.url, "--data", "{no json", "--header", "X-A: b") == 0
    [request] = server.requests
    assert request.startswith(b"POST /stream HTTP/1.1\r\n")
    assert b"\r\nX-A: b\r\n" in request
    assert request.endswith(b"\r\n\r\n{no json")


@pytest.mark.parametrize("form", [[], ["--json"]], ids=["text", "json"])
@pytest.mark.parametrize("secret", ["Bearer sk-secret", 'Basic "sk-secret\\"'])
def test_what_a_server_echoes_of_the_headers_is_masked(raw_server, capsys, form, secret):
    body = f"you sent {secret}, and sk-secret".encode()
    server = raw_server([b"HTTP/1.1 401 No\r\nServer: " + body + b"\r\n\r\n" + body])
    assert check(server.url, "--header", f"Authorization: {secret}", *form) == 1
    assert secret.encode() in server.requests[0]
    out = capsys.readouterr().out
    assert "***" in out
    assert secret.split()[1] not in out
    assert json.dumps(secret.split()[1])[1:-1] not in out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["localhost:80"], "URL is 'localhost:80': expected one such as"),
        (
            ["http://me:secret@h/"],
            "URL is one with a user name or a password: expected",
        ),
        (["http://127.0.0.1:1/?key=secret"], "http://127.0.0.1:1/?... cannot be asked: "),
        (["http://nobody.invalid/"], "http://nobody.invalid/ cannot be asked: "),
        (["http://h", "--header", "secret"], "header is without a colon: expected 'Name: value'"),
        (["http://h", "--method", "GET", "--data", "{}"], "method is GET: expected POST"),
    ],
)
def test_what_cannot_be_asked_is_one_line_and_exit_code_2(capsys, arguments, told):
    assert check(*arguments) == 2
    out, err = capsys.readouterr()
    [line] = err.splitlines()
    assert line.startswith(f"sse-middleware: {told}")
    assert (out, "secret" in line) == ("", False)


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "soon", "3601"])
def test_a_timeout_that_is_none_is_refused(capsys, text):
    with pytest.raises(SystemExit) as caught:
        check("http://h", "--timeout", text)
    assert caught.value.code == 2
    assert f"timeout is {text!r}: expected seconds, up to 3600" in capsys.readouterr().err


@pytest.mark.parametrize("form", [[], ["--json"]], ids=["text", "json"])
def test_an_endless_stream_is_left_at_the_timeout_and_says_so(raw_server, capsys, form):
    endless = [HEAD, *[b"data: a\n\n", 0.1] * 100]
    assert check(raw_server(endless).url, "--timeout", "0.5", *form) == 0
    assert "still open: left" in capsys.readouterr().out


def test_a_recorded_answer_of_an_upstream_is_checked(capsys):
    upstream = FakeUpstream()
    body = b"data: a\n\ndata: [DONE]\n\n"
    headers = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}
    upstream.play(Recording(body, headers=headers), times=None)
    with upstream.serve() as base_url:
        assert check(f"{base_url}/chat/completions", "--data", "{}") == 0
    assert "Arrival:     one event" in capsys.readouterr().out


@pytest.mark.sweep
def test_the_demo_is_right(start_command):
    for name in ("flask", "waitress", "requests"):
        pytest.importorskip(name, reason="the extra of the demo is not installed here")
    url = start_command("demo", "--port", "0").url() + "/stream"
    assert check(url) == 0
    assert check(url, "--data", '{"messages": []}') == 0


@pytest.fixture
def tls_server(raw_server, tmp_path):
    """Makes a server whose certificate, at ``tmp_path / "certificate.pem"``, nobody signed."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"]
    command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-keyout", key, "-out", certificate]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=DEADLINE_S)
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return lambda *answers: raw_server(*answers, context=context)


def test_a_certificate_that_nobody_trusts_is_one_line(tls_server, capsys):
    assert check(tls_server(RIGHT).url) == 2
    assert "its certificate is not trusted (self" in capsys.readouterr().err


def test_a_stream_over_tls_is_watched_as_any_other(tls_server, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
    assert check(tls_server(RIGHT, STOP).url) == 0
    assert "Arrival:     one by one" in capsys.readouterr().out
    assert check(tls_server([HEAD, None]).url, "--timeout", "0.4") == 1
    assert "headers came, and no event" in capsys.readouterr().out


def test_ctrl_c_ends_it_in_one_line_and_no_success(raw_server, start_command):
    server = raw_server([HEAD, None])
    command = start_command("check", server.url)
    wait_for(lambda: server.requests, "the request")
    command.interrupt()
    assert (command.line(), command.wait()) == (None, 2)
    assert command.errors == "sse-middleware: interrupted before anything was known\n"


def wait_for(is_there, what):
    is_over = threading.Event()
    for _ in range(DEADLINE_S * 20):
        if is_there():
            return
        is_over.wait(0.05)
    raise TimeoutError(f"waited for {what}")


def test_it_runs_without_rich(raw_server):
    program = (
        "import sys; sys.modules['rich'] = None; sys.stdout.isatty = lambda: True; "
        "from sse_middleware.cli import main; "
        f"sys.exit(main(['check', {raw_server(RIGHT, STOP).url!r}]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, timeout=DEADLINE_S, check=True
    )
    assert done.stdout.splitlines()[-1] == b"Nothing is wrong"


def test_rich_changes_no_word(raw_server, capsys, monkeypatch):
    pytest.importorskip("rich")
    server = raw_server([HEAD + b"Data: [a]\n\ndata: [red]\n\n"])
    check(server.url)
    plain = capsys.readouterr().out
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "20")
    check(server.url)
    coloured = re.sub("\x1b\\[[0-9;]*m", "", capsys.readouterr().out)
    assert [line[17:] for line in coloured.splitlines()[3:]] == [
        line[17:] for line in plain.splitlines()[3:]
    ]
