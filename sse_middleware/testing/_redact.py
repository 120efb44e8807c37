"""What of an answer may be kept in a recording: recordings are committed, and answers hold secrets.

An allow-list: a header that nobody thought of (a cookie, an organisation's id) is left out.
"""

import re
from typing import Dict, Iterable, Tuple

__all__ = ["kept_headers"]

_KEPT = re.compile(
    r"content-type|cache-control|retry-after(-ms)?|x-should-retry|(x-)?request-id"
    r"|openai-(processing-ms|version|model)|(x|anthropic)-ratelimit-.+",
    re.IGNORECASE,
)


def kept_headers(pairs: Iterable[Tuple[str, str]]) -> Dict[str, str]:
    """The response headers that a recording keeps; of one that came twice, both values as a list.

    Content-Encoding and the headers of the connection are not among them: a recorded body is
    decoded, and whoever replays it frames it anew.

    >>> kept_headers([("Content-Type", "text/event-stream"), ("Set-Cookie", "session=1")])
    {'Content-Type': 'text/event-stream'}
    """
    names: Dict[str, str] = {}
    kept: Dict[str, str] = {}
    for name, value in pairs:
        if _KEPT.fullmatch(name):
            first = names.setdefault(name.lower(), name)
            kept[first] = f"{kept[first]}, {value}" if first in kept else value
    return kept
