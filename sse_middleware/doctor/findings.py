"""``findings_of``: what is wrong with what was seen, and whom it concerns."""

from typing import Callable, Dict, Iterator, List, NamedTuple, Sequence

from sse_middleware.doctor.codes import SEVERITIES, Code, code_of, fix_of_status
from sse_middleware.doctor.evidence import Evidence
from sse_middleware.doctor.fixes import FIXES, Fix
from sse_middleware.doctor.layers import APP_SERVERS
from sse_middleware.headers import find_header
from sse_middleware.testing._framing_headers import header_problems

__all__ = ["Finding", "findings_of"]

_LONG_SILENCE_S = 20.0
_SHORT_SILENCE_S = 5.0  # after which nobody has to send a heartbeat
_TIMEOUT_S = 0.7  # the shortest that anybody sets, less what HAProxy may be late
_SHOWN_OF_EACH = 3  # problems of one code


class Finding(NamedTuple):
    """One fault.

    ``suspects`` are the layers that may have caused it, [] where any may; ``status`` is that of an
    answer without a stream.
    """

    name: str
    evidence: str
    suspects: Sequence[str] = ()
    status: int = 0

    @property
    def code(self) -> Code:
        """What is known of its code."""
        return code_of(self.name)

    @property
    def fixes(self) -> Dict[str, Fix]:
        """By layer: those of the suspects, or where none of them has any, all that can be."""
        known = FIXES.get(self.name, {})
        named = {layer: known[layer] for layer in self.suspects if layer in known}
        # An app has one server: who is named as it clears the others.
        others = APP_SERVERS if APP_SERVERS.intersection(self.suspects) else ()
        return named or {layer: fix for layer, fix in known.items() if layer not in others}

    @property
    def fix(self) -> str:
        """What helps whoever is the cause."""
        return fix_of_status(self.status) if self.name == "status" else self.code.fix


def findings_of(evidence: Evidence) -> List[Finding]:
    """All findings, the worst first."""
    found = [finding for rule in _RULES for finding in rule(evidence)]
    return sorted(found, key=lambda finding: SEVERITIES.index(finding.code.severity))


def _answer(seen: Evidence) -> Iterator[Finding]:
    heard = seen.heard
    if heard.end == "silent":
        told = f"no headers within {seen.timeout_s:g} s"
        if seen.head is not None:
            told += f", though HEAD was answered {seen.head.status} in {seen.head.ended_at_s:.1f} s"
        yield Finding("no-answer", told, seen.layers)
    elif heard.status != 200:
        yield Finding("status", f"{heard.status} {heard.reason}".strip(), status=heard.status)
    if seen.redirects:
        times = "once" if len(seen.redirects) == 1 else f"{len(seen.redirects)} times"
        yield Finding("redirected", f"{times}, to {heard.asked.shown_url}")


def _headers(seen: Evidence) -> Iterator[Finding]:
    heard = seen.heard
    if heard.status != 200:
        return
    if not seen.is_stream:
        yield Finding("content-type", f"Content-Type is {heard.find('content-type') or 'absent'}")
        return
    for problem in header_problems(heard.headers):
        hidden = problem.code == "SSE307" and "nginx" in seen.layers  # nginx keeps it to itself
        if problem.code in ("SSE302", "SSE303", "SSE306", "SSE307") and not hidden:
            yield Finding(problem.code, problem.seen)
    control = heard.find("cache-control") or ""
    if "no-transform" not in control.lower():
        yield Finding("transformable", f"Cache-Control: {control}" if control else "")


def _cache(seen: Evidence) -> Iterator[Finding]:
    for name in ("X-Cache", "CF-Cache-Status", "Age"):
        value = seen.heard.find(name.lower()) or ""
        is_old = value.strip("0") != "" if name == "Age" else value.lower().startswith("hit")
        if seen.is_stream and is_old:
            yield Finding("cached", f"{name}: {value}")
            return


def _origin(seen: Evidence) -> Iterator[Finding]:
    origin = seen.heard.asked.find("origin")
    allowed = find_header(seen.heard.headers, "access-control-allow-origin")
    if origin and seen.heard.headers and allowed not in ("*", origin):
        told = "absent" if allowed is None else "another one"
        yield Finding("cors", f"Access-Control-Allow-Origin is {told}")


def _compression(seen: Evidence) -> Iterator[Finding]:
    if not seen.is_stream or not seen.is_encoded:
        return
    told = f"Content-Encoding: {seen.heard.find('content-encoding')}"
    if seen.stream.reads is None:
        yield Finding("unreadable", told, seen.compressors)
    elif not seen.verdict.is_compressor:
        yield Finding("compressed", told, seen.compressors)


def _arrival(seen: Evidence) -> Iterator[Finding]:
    kind, told, is_compressor = seen.verdict
    if not seen.is_stream:
        return
    if kind == "held" and is_compressor:
        yield Finding("compressor-holds", told, seen.compressors or seen.layers)
    elif kind == "held":
        yield Finding("buffered", told, seen.layers)
    elif kind in ("burst", "bundled"):
        yield Finding(kind, told, seen.layers)
    elif kind == "unknown":
        yield Finding("cannot-tell", told)
    elif kind in ("nothing", "idle") and _has_no_blank_line(seen):
        told = f"{len(seen.heard.body)} bytes within {seen.timeout_s:g} s"
        yield Finding("no-blank-line", f"{told}, the last of them inside an event")
    elif kind == "nothing" and seen.heard.end == "left":
        told = f"headers after {seen.heard.headers_at_s:.2f} s, nothing until {seen.timeout_s:g} s"
        yield Finding("nothing-yet", told, seen.compressors or seen.layers)


def _has_no_blank_line(seen: Evidence) -> bool:
    """A compressor may hold the end of an event back."""
    return seen.heard.end == "left" and seen.stream.is_open and not seen.is_encoded


def _framing(seen: Evidence) -> Iterator[Finding]:
    if not seen.is_stream:
        return
    counts: Dict[str, int] = {}
    for problem in seen.stream.problems:
        counts[problem.code] = counts.get(problem.code, 0) + 1
        if counts[problem.code] <= _SHOWN_OF_EACH:
            yield Finding(problem.code, f"{problem.where}: {problem.seen}")


def _end(seen: Evidence) -> Iterator[Finding]:
    heard = seen.heard
    if not seen.is_stream:
        return
    told = f"after {heard.ended_at_s:.1f} s, {heard.silent_s:.1f} s after what came last"
    suspects = seen.layers
    if _is_cut_in_silence(seen):
        yield Finding("cut-in-silence", told, suspects)
    elif heard.end == "cut":
        yield Finding("cut", told, suspects)
    elif heard.end == "closed" and seen.stream.last is None:
        yield Finding("no-end-signal", f"the connection was closed {told}", suspects)
    if heard.end == "full":
        yield Finding("too-large", f"left after {heard.ended_at_s:.1f} s")
    last = seen.stream.last
    if last is not None and last.event is not None and last.event.event == "error":
        yield Finding("error-event", f"data: {last.event.data}")
    if heard.end in ("whole", "closed") and _has_no_event(seen):
        yield Finding("no-events", told)


def _has_no_event(seen: Evidence) -> bool:
    """Nor a fault that tells why."""
    stream = seen.stream
    return bool(stream.reads is not None and not (stream.events or stream.last or stream.problems))


def _is_cut_in_silence(seen: Evidence) -> bool:
    """Where a cut looks like an end, the last silence has to be longer than those before it."""
    heard, blocks = seen.heard, seen.stream.blocks
    if heard.silent_s < _TIMEOUT_S:
        return False
    if heard.end == "cut":
        return True
    hides_cuts = heard.end == "closed" or (heard.end == "whole" and "caddy" in seen.layers)
    times = [block.at_s for block in blocks]
    earlier_s = max((two - one for one, two in zip(times, times[1:])), default=heard.silent_s)
    return hides_cuts and seen.stream.last is None and heard.silent_s > 1.5 * earlier_s


def _server(seen: Evidence) -> Iterator[Finding]:
    heard = seen.heard
    closes = (heard.find("connection") or "").lower() == "close"
    if seen.is_stream and seen.layers == ["gunicorn"] and closes:
        yield Finding("one-at-a-time", "Server: gunicorn, Connection: close", ["gunicorn"])


def _silence(seen: Evidence) -> Iterator[Finding]:
    silence_s = seen.longest_silence_s
    if not seen.is_stream or seen.stream.comments:
        return
    told = f"{silence_s:.0f} s without an event or a comment"
    if silence_s > _LONG_SILENCE_S:
        yield Finding("no-heartbeat", told)
    elif silence_s > _SHORT_SILENCE_S and seen.heard.end == "left" and seen.stream.events:
        yield Finding("heartbeat-unseen", told)


def _return(seen: Evidence) -> Iterator[Finding]:
    """A page that closes at the last event never comes back, and one that was left may be live."""
    is_over = seen.heard.end in ("whole", "closed")
    if seen.again.kind == "restarts" and is_over and seen.stream.last is None:
        yield Finding("restarts", seen.again.told)


_RULES: List[Callable[[Evidence], Iterator[Finding]]] = [
    *(_answer, _cache, _arrival, _end, _framing, _headers),
    *(_compression, _origin, _server, _silence, _return),
]
