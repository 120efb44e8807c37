"""The examples of docs/newlines.md, run; that of HTML is in tests/browser."""

import doctest
import re
from pathlib import Path

import pytest

from sse_middleware.testing import StreamClient, assert_framing

DOC = Path(__file__).parents[1] / "docs" / "newlines.md"
TEXT = DOC.read_text("utf-8")
LINE_ENDINGS = ["\n", "\r", "\v", "\f", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029", "\r\n"]


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)


def test_every_block_has_its_test():
    found = re.findall(r"^```(\w+)$", TEXT, re.MULTILINE)
    counts = {language: found.count(language) for language in set(found)}
    assert counts == {"pycon": len(blocks("pycon")), "python": 1, "text": 1, "html": 1}


def test_what_each_line_answers_is_what_the_page_shows():
    test = doctest.DocTestParser().get_doctest(
        "\n".join(blocks("pycon")), {}, DOC.name, str(DOC), 0
    )
    assert len(test.examples) > 25
    told = []
    assert doctest.DocTestRunner(verbose=False).run(test, out=told.append).failed == 0, "".join(
        told
    )


def test_the_app_sends_the_bytes_that_are_shown():
    pytest.importorskip("flask")
    [source], [shown] = blocks("python"), blocks("text")
    names = {"__name__": "newlines"}
    exec(compile(source, str(DOC), "exec"), names)
    with StreamClient(names["app"]).get("/stream") as stream:
        list(stream)
        body = b"".join(chunk.data for chunk in stream.chunks)
    assert body.decode() == shown
    assert_framing(body)


def test_splitlines_splits_where_the_page_says():
    told = " ".join(TEXT.split())
    assert "at ten characters, and at `\\r\\n`. In the format a line ends in `\\n`, `\\r`" in told
    assert all(len(f"a{ending}b".splitlines()) == 2 for ending in LINE_ENDINGS)
    assert len(LINE_ENDINGS) == 11
    others = [chr(n) for n in range(0x110000) if len(f"a{chr(n)}b".splitlines()) == 2]
    assert sorted(others) == sorted(LINE_ENDINGS[:-1])
