"""What the upstream of the demo says."""

from functools import partial
from typing import Callable, Dict

from sse_middleware.testing import Recording

__all__ = ["ANSWERS", "PLAIN_TEXT"]

_LONG = """\
Yield dicts from your view, and wrap the app in one line.

Each dict leaves as one event at once: "data" is what you say, "id" is where a lost client goes \
on, "event" is what sort of event it is. While the app is silent, a comment keeps the connection \
open.

Now drop the connection while I count. The app goes on, the browser comes back with the last id \
that it saw, and gets the rest: nothing is lost, and nothing comes twice.

1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20. That was all."""

#: Each a delta of its own. What no eye can see is written as its escape.
_UNICODE = [
    *["Gr", "\u00fc\u00df", "e", "\n", "\n", "  two leading spaces", "\n"],
    *["\ta tab", "\n", "CR LF:\r\n", "a no-break\u00a0space", "\n"],
    *["zero\u200bwidth\u200b\u200bspaces", "\n", "soft\u00adhyphen", "\n"],
    *["a byte order mark: \ufeff", "\n", "right-to-left: \u202eabc\u202c \u05e9\u05dc\u05d5\u05dd"],
    *["\n", "no line ends here:\u2028\u2029\u0085", "\n", "e\u0301 = \u00e9", "\n"],
    *["\U0001f469\u200d\U0001f680", " \U0001f44d\U0001f3fd", " \u2764\ufe0f", "\n"],
    *["<b>no markup</b>", " &amp; ", "<img src=x onerror=alert(1)>", "\n", "a NUL: \0", "\n\n"],
    *["```python\n", 'yield {"data": "a\\nb"}\n', "```"],
]

#: Data that is no JSON: each of its lines becomes a ``data:`` line.
PLAIN_TEXT = "First line\nsecond line\n\n\tthe fourth begins with a tab"

#: The recording of each answer, by the name that a request gives it.
ANSWERS: Dict[str, Callable[[], Recording]] = {
    "short": partial(Recording.named, "chat-text"),
    "long": partial(Recording.chat, _LONG, interval_s=0.05),
    "unicode": partial(Recording.chat, _UNICODE, interval_s=0.03),
}
