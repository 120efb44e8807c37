"""``report_lines``: what was seen and what it means, as lines of text.

Everything that a server sent is escaped before it is shown: a terminal obeys control characters.
"""

import re
import textwrap
from typing import Iterator, List, Sequence

from sse_middleware.doctor.codes import SEVERITIES
from sse_middleware.doctor.evidence import Evidence
from sse_middleware.doctor.findings import Finding, findings_of
from sse_middleware.doctor.fixes import Fix
from sse_middleware.doctor.layers import LAYERS, layers_of, likely_layers
from sse_middleware.doctor.stream import Block
from sse_middleware.errors import printable
from sse_middleware.testing._visible import visible

__all__ = ["ENDS", "SHOWN_HEADERS", "report_lines", "safe"]

#: The headers that tell something about a stream. No other is shown, in any form.
SHOWN_HEADERS = [
    *("Content-Type", "Content-Length", "Content-Encoding", "Transfer-Encoding", "Connection"),
    *("Cache-Control", "X-Accel-Buffering", "ETag", "Vary", "Age", "X-Cache", "CF-Cache-Status"),
    *("Access-Control-Allow-Origin", "Server", "Via"),
]
#: How a body ended, in words.
ENDS = {
    "whole": "complete",
    "closed": "ended with the connection",
    "cut": "cut off",
    "left": "still open: left",
    "full": "left: too large",
    "silent": "no answer",
}
_ARRIVALS = {
    "nothing": "nothing came",
    "idle": "no event yet",
    "single": "one event: nothing to compare",
    "streams": "one by one",
    "held": "HELD BACK",
    "burst": "all at once, after a wait",
    "bundled": "in bundles",
    "unknown": "all at once: cannot tell",
}
_FIRST, _LAST = 15, 5  # of a timeline that is too long
_SHOWN_CHARACTERS = 300
_LEVEL = "  "
_WIDTH = 96
#: What stands before a sentence of a finding.
_LABEL = re.compile("  (?:seen: |why:  |fix:  )|  (?=(?:" + "|".join(LAYERS.values()) + "): )")


def report_lines(seen: Evidence) -> List[str]:
    """The whole report."""
    lines = list(_answer(seen))
    if seen.is_stream:
        lines += ["", *_timeline(seen), "", *_summary(seen)]
    elif seen.heard.body:
        lines += ["", f"The answer says: {visible(seen.heard.body)}"]
    lines += ["", *_findings_told(findings_of(seen))]
    return [wrapped for line in lines for wrapped in _wrapped(safe(line))]


def _wrapped(line: str) -> List[str]:
    """``line`` in lines of a terminal; what a user copies is left whole, and so are events."""
    label = _LABEL.match(line)
    if label is None or len(line) <= _WIDTH:
        return [line]
    return textwrap.wrap(line, _WIDTH, subsequent_indent=" " * label.end())


def safe(text: str) -> str:
    r"""``text`` without what a terminal obeys, and not endless.

    >>> safe("a\x1b[2J\u200b")
    'a\\x1b[2J\\u200b'
    """
    cut = text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "..."
    return printable(cut)


def _findings_told(findings: Sequence[Finding]) -> Iterator[str]:
    """Each finding with its evidence and its fixes."""
    for finding in findings:
        yield f"{finding.code.severity} {finding.name}: {finding.code.what}"
        if finding.evidence:
            yield f"{_LEVEL}seen: {finding.evidence}"
        yield f"{_LEVEL}why:  {finding.code.meaning}"
        yield f"{_LEVEL}fix:  {finding.fix}"
        for layer, fix in finding.fixes.items():
            yield from _fix(layer, fix)
        yield ""
    counts = [sum(f.code.severity == severity for f in findings) for severity in SEVERITIES]
    told = [f"{n} {severity}{'s' * (n != 1)}" for n, severity in zip(counts, SEVERITIES) if n]
    yield ", ".join(told) if any(counts[:-1]) else ", ".join(["Nothing is wrong", *told])


def _fix(layer: str, fix: Fix) -> Iterator[str]:
    yield f"{_LEVEL}{LAYERS[layer]}: {fix.say}"
    for line in fix.lines.splitlines():
        yield f"{_LEVEL * 3}{line}"


def _answer(seen: Evidence) -> Iterator[str]:
    heard = seen.heard
    for url in seen.redirects:
        yield f"{heard.asked.method} {url} redirects"
    yield f"{heard.asked.method} {heard.asked.shown_url}"
    if heard.end == "silent":
        yield f"{_LEVEL}no answer in {seen.timeout_s:g} s"
        yield _through(seen)
        return
    version = "HTTP/1.0" if heard.version == 10 else "HTTP/1.1"
    status = f"{heard.status} {heard.reason}".strip()
    yield f"{_LEVEL}{status} ({version}), headers after {heard.headers_at_s:.3f} s"
    for name in SHOWN_HEADERS:
        for value in (value for key, value in heard.headers if key.lower() == name.lower()):
            yield f"{_LEVEL}{name}: {value}"
    yield _through(seen)


def _through(seen: Evidence) -> str:
    heard = seen.head or seen.heard
    layers = [f"{LAYERS[layer]} (by its habits)" for layer in likely_layers(heard)]
    layers += [LAYERS.get(layer, layer) for layer in layers_of(heard)]
    return f"{_LEVEL}through: {', '.join(layers) or 'nobody who shows'}"


def _timeline(seen: Evidence) -> Iterator[str]:
    blocks = seen.stream.blocks
    yield "seconds   delta  event     id        data"
    if seen.stream.reads is None:
        yield "(compressed in a way that cannot be read here)"
    hidden = len(blocks) - _FIRST - _LAST
    last_s = 0.0
    for number, block in enumerate(blocks):
        if hidden > 0 and number == _FIRST:
            yield f"          ... {hidden} more ..."
        if hidden <= 0 or not _FIRST <= number < _FIRST + hidden:
            yield _row(block, block.at_s - last_s)
        last_s = block.at_s
    yield f"{seen.heard.ended_at_s:7.3f}  {seen.heard.silent_s:+.3f}  ({ENDS[seen.heard.end]})"


def _row(block: Block, delta_s: float) -> str:
    times = f"{block.at_s:7.3f}  {delta_s:+.3f}"
    event = block.event
    if event is None:
        return f"{times}  (comment) {visible(block.text) if block.text else ''}".rstrip()
    name, id = safe(str(event.event)), safe("" if event.id is None else str(event.id))
    return f"{times}  {name:<9} {id:<9} {visible(str(event.data).encode('utf-8'))}"


def _summary(seen: Evidence) -> Iterator[str]:
    stream, kind = seen.stream, seen.verdict.kind
    yield f"Arrival:     {_ARRIVALS[kind]}"
    encoding = seen.heard.find("content-encoding") if seen.is_encoded else "none"
    makers = " or ".join(LAYERS[layer] for layer in seen.compressors)
    yield f"Compression: {encoding}{f', made by {makers}' if makers else ''}"
    yield f"Heartbeats:  {_beats(seen)}"
    retry = stream.retry_ms
    yield f"Retry:       {'not set' if retry is None else f'{retry} ms'}"
    yield f"Asked again: {seen.again.told}"


def _beats(seen: Evidence) -> str:
    silence = f"the longest silence was {seen.longest_silence_s:.1f} s"
    if not seen.stream.comments:
        return f"none came; {silence}"
    count = len(seen.stream.comments)
    first = "" if seen.beat_s is None else f", the soonest after {seen.beat_s:.1f} s of silence"
    return f"{count} comment{'s' * (count != 1)}{first}; {silence}"
