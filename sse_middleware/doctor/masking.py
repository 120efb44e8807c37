"""What a server echoes of the secrets of a request, masked before anybody looks at the answer.

Before, and not in the report: what is shown there is cut and wrapped, and no search finds half a
secret. As many ``*`` stand in its place, so that nothing moves.
"""

import json
from typing import TYPE_CHECKING, Iterator, List, Sequence
from urllib.parse import parse_qsl, quote

from sse_middleware.doctor.asking import Asked
from sse_middleware.headers import is_encoded

if TYPE_CHECKING:
    from sse_middleware.doctor.probe import Heard, Read

__all__ = ["mask_secrets", "masked_reads", "secrets_of"]

#: Values of these say nothing of who asks.
_OPEN_HEADERS = ("accept", "accept-encoding", "origin", "content-type")
_SHORTEST_SECRET = 4
_SHORTEST_IN_QUERY = 8  # shorter ones are words, such as true


def secrets_of(asked: Asked) -> List[str]:
    """What of a request nobody else should see, in the forms in which it may come back.

    >>> from sse_middleware.doctor.asking import ask
    >>> secrets_of(ask("http://h/?key=0123456789&n=1", headers=[("X-Key", "a&bc")]))
    ['0123456789', 'a%26bc', 'a&bc']
    """
    forms = {
        form
        for secret in (*_in_headers(asked), *_in_query(asked))
        for form in (secret, json.dumps(secret)[1:-1], quote(secret, safe="", encoding="latin-1"))
    }
    return sorted(forms, key=lambda form: (-len(form), form))


def mask_secrets(heard: "Heard") -> None:
    """Take the secrets of the request out of the answer; but the next request goes by Location."""
    heard.reason = _masked_text(heard.reason, heard.asked)
    heard.headers = [
        (name, value if name.lower() == "location" else _masked_text(value, heard.asked))
        for name, value in heard.headers
    ]
    if not is_encoded(heard.headers):
        heard.reads = masked_reads(heard.reads, heard.asked)


def masked_reads(reads: "Sequence[Read]", asked: Asked) -> "List[Read]":
    """The reads, whose bytes are text, without the secrets of ``asked``; one may lie in several."""
    came = _masked(b"".join(read.data for read in reads), asked)
    kept, start = [], 0
    for read in reads:
        end = start + len(read.data)
        kept.append(read._replace(data=came[start:end]))
        start = end
    return kept


def _masked_text(text: str, asked: Asked) -> str:
    return _masked(text.encode("latin-1"), asked).decode("latin-1")


def _masked(data: bytes, asked: Asked) -> bytes:
    for secret in secrets_of(asked):
        data = data.replace(secret.encode("latin-1"), b"*" * len(secret))
    return data


def _in_headers(asked: Asked) -> Iterator[str]:
    for name, value in asked.given:
        if name.lower() not in _OPEN_HEADERS:
            for secret in [value, *value.split()]:
                if len(secret) >= _SHORTEST_SECRET and secret.lower() not in ("bearer", "basic"):
                    yield secret


def _in_query(asked: Asked) -> Iterator[str]:
    for _, value in parse_qsl(asked.target.partition("?")[2], encoding="latin-1"):
        if len(value) >= _SHORTEST_IN_QUERY:
            yield value
