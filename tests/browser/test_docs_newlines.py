"""docs/newlines.md: what a page shows of a newline."""

import re
from pathlib import Path

DOC = Path(__file__).parents[2] / "docs" / "newlines.md"
[STYLED] = re.findall(r"```html\n(.*?)```", DOC.read_text("utf-8"), re.DOTALL)
PLAIN = '<div id="answer"></div>'


def seen(page, html):
    """What of a text with a newline can be seen in the element."""
    page.set_content(html)
    return page.evaluate(
        """() => {
            const answer = document.getElementById("answer");
            answer.textContent = "one\\ntwo";
            return answer.innerText;
        }"""
    )


def test_html_shows_a_newline_as_a_space_and_the_style_of_the_page_shows_it(page):
    assert seen(page, PLAIN) == "one two"
    assert seen(page, STYLED) == "one\ntwo"
