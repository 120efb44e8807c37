"""``examine``: asks what has to be asked, in order, and says what it means.

First as a browser does; then, where a GET was answered with a compressed stream, once without
compression, to see who holds what; last as an EventSource does that comes back. Where nothing was
answered, HEAD tells who stands there: no layer holds back what has no body.
"""

from contextlib import suppress
from typing import List, Optional, Tuple

from sse_middleware.doctor.again import ask_again
from sse_middleware.doctor.arrival import judge
from sse_middleware.doctor.asking import Asked
from sse_middleware.doctor.evidence import Evidence
from sse_middleware.doctor.probe import Heard, probe
from sse_middleware.doctor.stream import Stream, stream_of
from sse_middleware.errors import OptionError, SSEError

__all__ = ["examine"]

_REDIRECTS = (301, 302, 303, 307, 308)
_MOST_REDIRECTS = 10
_HEAD_S = 2.0


def examine(asked: Asked, timeout_s: float) -> Evidence:
    """What is to be seen at an address; each request is watched for ``timeout_s`` at most.

    Raises:
        SSEError: there is nobody to ask, no HTTP is spoken there, or redirects do not end.
    """
    heard, redirects = _followed(asked, timeout_s)
    stream = stream_of(heard)
    seen = Evidence(heard, stream, judge(stream, False), timeout_s, redirects=redirects)
    if seen.is_stream:
        seen.verdict = judge(stream, seen.is_encoded, _plain(seen))
        seen.again = ask_again(heard, stream, timeout_s)
    if heard.end == "silent":
        seen.head = _find_head(seen)
    return seen


def _followed(asked: Asked, timeout_s: float) -> Tuple[Heard, List[str]]:
    redirects: List[str] = []
    while True:
        heard = probe(asked, timeout_s)
        location = heard.find("location")
        if heard.status not in _REDIRECTS or location is None:
            return heard, redirects
        redirects.append(asked.shown_url)
        if len(redirects) > _MOST_REDIRECTS:
            raise SSEError(f"{redirects[0]} redirects without end: expected an answer")
        try:
            asked = asked.redirected(heard.status, location)
        except OptionError as error:
            raise SSEError(f"{redirects[-1]} redirects to nowhere: {error}") from None


def _plain(seen: Evidence) -> Optional[Stream]:
    """The same stream without compression, where that says more and asking costs little."""
    if not seen.is_encoded or seen.heard.asked.method != "GET":
        return None
    with suppress(SSEError):
        plain = probe(seen.heard.asked.with_header("Accept-Encoding", "identity"), seen.timeout_s)
        return stream_of(plain) if plain.status == 200 else None
    return None


def _find_head(seen: Evidence) -> Optional[Heard]:
    """What HEAD is answered."""
    asked = seen.heard.asked._replace(method="HEAD", body=None)
    with suppress(SSEError):
        heard = probe(asked, min(seen.timeout_s, _HEAD_S))
        return heard if heard.status else None
    return None
