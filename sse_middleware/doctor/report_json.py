"""``report_object``: the report for programs, as an object that goes into JSON."""

from typing import Any, Dict, List

from sse_middleware.doctor.evidence import Evidence
from sse_middleware.doctor.findings import Finding, findings_of
from sse_middleware.doctor.report import ENDS, SHOWN_HEADERS
from sse_middleware.doctor.stream import Block

__all__ = ["exit_code", "report_object"]

_MOST_BLOCKS = 1000
_SHOWN_HEADERS = {name.lower() for name in SHOWN_HEADERS}


def exit_code(findings: List[Finding]) -> int:
    """1 where something is wrong; notes are not."""
    return int(any(finding.code.severity != "note" for finding in findings))


def report_object(seen: Evidence) -> Dict[str, Any]:
    """All that the text says; ``docs/check.md`` tells what the keys mean."""
    heard, stream, findings = seen.heard, seen.stream, findings_of(seen)
    return {
        "method": heard.asked.method,
        "url": heard.asked.shown_url,
        "redirects": seen.redirects,
        "status": heard.status or None,
        "headers": [pair for pair in heard.headers if pair[0].lower() in _SHOWN_HEADERS],
        "layers": seen.layers,
        "headers_at_s": None if heard.end == "silent" else round(heard.headers_at_s, 4),
        "ended_at_s": round(heard.ended_at_s, 4),
        "end": ENDS[heard.end],
        "arrival": seen.verdict.kind,
        "compressors": seen.compressors,
        "heartbeat_s": seen.beat_s,
        "retry_ms": stream.retry_ms,
        "again": seen.again.kind,
        "events": [_block(block) for block in stream.blocks[:_MOST_BLOCKS]],
        "findings": [_finding(finding) for finding in findings],
        "exit_code": exit_code(findings),
    }


def _block(block: Block) -> Dict[str, Any]:
    event = block.event
    if event is None:
        return {"at_s": round(block.at_s, 4), "comment": block.text.decode("utf-8", "replace")}
    return {
        "at_s": round(block.at_s, 4),
        "event": event.event,
        "id": event.id,
        "data": event.data,
    }


def _finding(finding: Finding) -> Dict[str, Any]:
    code = finding.code
    return {
        "code": finding.name,
        "severity": code.severity,
        "what": code.what,
        "evidence": finding.evidence,
        "meaning": code.meaning,
        "fix": finding.fix,
        "fixes": [
            {"layer": layer, "say": fix.say, "lines": fix.lines}
            for layer, fix in finding.fixes.items()
        ],
    }
