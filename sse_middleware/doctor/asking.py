"""``Asked``: what a request of the doctor says, and what may be shown of it.

It asks as a browser does, but for br and zstd, which the standard library cannot read. What a user
gave by ``--header`` goes to no other origin than the first, and into no report.
"""

import json
import re
from contextlib import suppress
from typing import Iterable, List, NamedTuple, Optional, Tuple
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from sse_middleware.errors import OptionError, shown, shown_url
from sse_middleware.headers import EVENT_STREAM, Headers, find_header

__all__ = ["Asked", "ask", "checked_header", "split_url"]

_AS_THEY_ARE = "!$%&'()*+,/:;=?@~"
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 5.6.2
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")  # RFC 9110 5.5
_EXPECTED = 'one such as "https://example.com/stream"'
_OURS = [
    ("Accept", EVENT_STREAM),
    ("Accept-Encoding", "gzip, deflate"),
    ("Cache-Control", "no-cache"),
    ("User-Agent", "sse-middleware-check"),
]
#: A redirect with one of these repeats a POST as it was; Fetch 4.4.
_REPEATS = (307, 308)


class Asked(NamedTuple):
    """One request. ``given`` are the headers of the user, ``headers`` all that are sent."""

    method: str
    url: str
    given: Headers
    body: Optional[bytes]

    @property
    def parts(self) -> SplitResult:
        """The parts of the URL."""
        return split_url(self.url)

    @property
    def port(self) -> int:
        """Where the server listens."""
        return self.parts.port or (443 if self.parts.scheme == "https" else 80)

    @property
    def shown_url(self) -> str:
        """The URL without what may be secret in it."""
        parts = self.parts
        return f"{parts.scheme}://{parts.netloc}{parts.path or '/'}{'?...' if parts.query else ''}"

    @property
    def target(self) -> str:
        """What stands in the request line."""
        parts = self.parts
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return quote(path, safe=_AS_THEY_ARE)

    @property
    def headers(self) -> Headers:
        """Host first, then those of the user, and of ours what the user did not give."""
        names = {name.lower() for name, _ in self.given}
        ours = [("Host", _ascii_netloc(self.parts)), *_OURS]
        if self.body is not None:
            ours += [("Content-Type", _type_of(self.body)), ("Content-Length", str(len(self.body)))]
        kept = [(name, value) for name, value in ours if name.lower() not in names]
        return [*kept[:1], *self.given, *kept[1:]]

    def find(self, name: str) -> Optional[str]:
        """The value of a header of the user."""
        return find_header(self.given, name)

    def with_header(self, name: str, value: str) -> "Asked":
        """The same request with one header replaced."""
        kept = [pair for pair in self.given if pair[0].lower() != name.lower()]
        return self._replace(given=[*kept, (name, value)])

    def redirected(self, status: int, location: str) -> "Asked":
        """The request that follows a redirect.

        Raises:
            OptionError: the new place is none.
        """
        url = location
        with suppress(ValueError):  # of half an IPv6 address, which split_url refuses
            url = urljoin(self.url, location).partition("#")[0]
        split_url(url, "Location")
        asked = self._replace(url=url)
        if _origin(asked.parts) != _origin(self.parts):
            asked = asked._replace(given=[])
        if self.method == "POST" and status not in _REPEATS:
            return asked._replace(method="GET", body=None)
        return asked


def ask(
    url: str,
    *,
    method: Optional[str] = None,
    data: Optional[str] = None,
    headers: Iterable[Tuple[str, str]] = (),
) -> Asked:
    """The first request; ``data`` makes it a POST.

    >>> ask("http://localhost/stream?key=7").shown_url
    'http://localhost/stream?...'
    >>> ask("http://localhost", data="{}").method
    'POST'

    Raises:
        OptionError: the URL is none.
    """
    split_url(url)
    body = None if data is None else data.encode("utf-8", "surrogateescape")
    chosen = method or ("GET" if body is None else "POST")
    if chosen == "POST" and body is None:
        body = b""
    return Asked(chosen, url.partition("#")[0], list(headers), body)


def checked_header(text: str) -> Tuple[str, str]:
    """The name and the value in ``Name: value``.

    >>> checked_header("X-Key:  a b ")
    ('X-Key', 'a b')

    Raises:
        OptionError: there is no name, or a character that no header holds. Neither shows the
            value, which may be secret.
    """
    name, colon, value = text.partition(":")
    latin_1 = value.strip(" \t").encode("utf-8", "surrogateescape").decode("latin-1")
    if not colon or not _TOKEN.fullmatch(name):
        measured = f"named {shown(name)}" if colon else "without a colon"
        raise OptionError("header", measured, "'Name: value'")
    if not _VALUE.fullmatch(latin_1):
        raise OptionError(f"header {name}", "a value with control characters", "one line of text")
    return name, latin_1


def split_url(url: str, thing: str = "URL") -> SplitResult:
    """The parts of ``url``.

    Raises:
        OptionError: it is no URL of http or https, or it holds a password.
    """
    if "@" in re.split(r"[/?#]", url.partition("//")[2])[0]:
        told = "one without: give --header 'Authorization: Basic ...'"
        raise OptionError(thing, "one with a user name or a password", told)
    with suppress(ValueError):  # of a port that is none, or of half an IPv6 address
        parts = urlsplit(url)
        is_http = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        if is_http and url.isprintable() and " " not in url and _ascii_netloc(parts):
            return parts
    raise OptionError(thing, shown_url(url), _EXPECTED)


def _ascii_netloc(parts: SplitResult) -> str:
    return parts.netloc.encode("idna").decode("ascii")


def _origin(parts: SplitResult) -> List[object]:
    return [parts.scheme, parts.hostname, parts.port]


def _type_of(body: bytes) -> str:
    """What a body says that it is: it is sent as it was given, also where it is no JSON."""
    try:
        json.loads(body)
    except ValueError:
        return "text/plain; charset=utf-8"
    return "application/json"
