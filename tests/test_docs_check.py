"""docs/check.md: its outputs, made anew, and its codes, compared with the tables.

``python tests/test_docs_check.py`` writes both parts. Times and ports are left as they are where
nothing else differs.
"""

import re
from pathlib import Path

import pytest

from sse_middleware.cli import COMMANDS
from sse_middleware.doctor import ask, examine, report_lines, report_object
from sse_middleware.doctor.codes import CODES, STATUS_FIXES
from sse_middleware.doctor.fixes import FIXES
from sse_middleware.doctor.layers import LAYERS

DOC = Path(__file__).parents[1] / "docs" / "check.md"
HEAD = (
    b"HTTP/1.1 200 OK\r\nServer: %s\r\nDate: Sun, 22 Nov 2026 20:11:47 GMT\r\n"
    b"Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n"
    b"Content-Type: text/event-stream; charset=utf-8\r\nCache-Control: no-cache, no-transform\r\n"
)
EVENTS = [
    b"id: 1\ndata: How are\n\n",
    b":\n",
    b"id: 2\ndata:  you?\n\n",
    b"event: close\nid: sse:end\ndata: \n\n",
]
STOP = [b"HTTP/1.1 204 No Content\r\n\r\n"]


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def answers():
    """By the name of an output, what the server sends, as gunicorn and nginx were seen to."""
    paced = [step for event in EVENTS for step in (chunk(event), 0.3)]
    right = [HEAD % b"gunicorn" + b"X-Accel-Buffering: no\r\n\r\n", *paced, b"0\r\n\r\n"]
    held = [0.9, HEAD % b"nginx/1.22.1" + b"\r\n" + chunk(b"".join(EVENTS)) + b"0\r\n\r\n"]
    return {"right": right, "held": held}


def output(server):
    url = f"http://127.0.0.1:{server.port}/stream"
    text = "\n".join(report_lines(examine(ask(url), 10)))
    return text.replace(str(server.port), "8000") + "\n"


def shown(name):
    [text] = re.findall(
        rf"<!-- output: {name} -->\n```text\n(.*?)```", DOC.read_text("utf-8"), re.S
    )
    return text


def without_times(text):
    return re.sub(r"\d+\.\d+", "0.0", text)


def section(name):
    """What the page says about one code."""
    code = CODES[name]
    text = f"### {name}\n\n**{code.severity.capitalize()}:** {code.what}.\n\n"
    text += f"{code.meaning}\n\n**The fix:** {code.fix}\n"
    for statuses, told in STATUS_FIXES.items() if name == "status" else ():
        text += f"\n**{', '.join(map(str, statuses))}.** {told}\n"
    for layer, fix in FIXES.get(name, {}).items():
        text += f"\n**{LAYERS[layer]}.** {fix.say}\n"
        if fix.lines:
            text += f"\n```\n{fix.lines}\n```\n"
    return text


def sections():
    return "\n".join(section(name) for name in CODES)


def parts():
    """The page before its codes, and they."""
    head, mark, rest = DOC.read_text("utf-8").partition("own codes.\n\n")
    return head + mark, rest


@pytest.mark.sweep
@pytest.mark.parametrize("name", answers())
def test_the_output_on_the_page_is_what_is_printed(raw_server, name):
    assert without_times(shown(name)) == without_times(output(raw_server(answers()[name], STOP)))


def test_every_code_is_documented_as_the_tables_have_it():
    assert parts()[1] == sections()


def test_every_key_of_the_object_is_documented(raw_server):
    table = parts()[0].partition("## The object")[2]
    told = report_object(examine(ask(raw_server(answers()["held"], STOP).url), 10))
    keys = [*told, *told["findings"][0], *told["findings"][0]["fixes"][0], *told["events"][0]]
    assert {key for key in keys if f"`{key}`" not in table} == set()


def test_every_option_is_documented(capsys):
    from sse_middleware.cli import main

    with pytest.raises(SystemExit):
        main(["check", "--help"])
    options = set(re.findall(r"--[a-z]+", capsys.readouterr().out)) - {"--help"}
    assert "check" in COMMANDS
    assert {option for option in options if f"`{option}" not in parts()[0]} == set()


def write(make):
    """Make the parts of the page that are made."""
    for name, answer in answers().items():
        text = output(make(answer, STOP))
        if without_times(text) != without_times(shown(name)):
            page = DOC.read_text("utf-8")
            DOC.write_text(
                page.replace(f"{name} -->\n```text\n{shown(name)}", f"{name} -->\n```text\n{text}")
            )
    head, _ = parts()
    DOC.write_text(head + sections(), "utf-8")


if __name__ == "__main__":
    from conftest import RawServer

    write(RawServer)
