"""sse_middleware.doctor.findings: from what was seen to what is wrong, on evidence made by hand."""

import gzip

import pytest

from sse_middleware.doctor.again import Again
from sse_middleware.doctor.arrival import judge
from sse_middleware.doctor.asking import ask
from sse_middleware.doctor.codes import (
    CODES,
    SEVERITIES,
    STATUS_FIXES,
    code_of,
    fix_of_status,
)
from sse_middleware.doctor.evidence import Evidence
from sse_middleware.doctor.findings import findings_of
from sse_middleware.doctor.fixes import FIXES
from sse_middleware.doctor.probe import Heard, Read
from sse_middleware.doctor.stream import stream_of

GOOD = {
    "Date": "Sun, 22 Nov 2026 20:11:44 GMT",
    "Server": "gunicorn",
    "Connection": "keep-alive",
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",
}
SLOW = [(0.1, b"data: 1\n\n"), (0.6, b"data: 2\n\n"), (1.1, b"event: close\ndata:\n\n")]
NGINX = {"Server": "nginx", "X-Accel-Buffering": None}
BEATS = [(1.0, b":\n:\ndata: 1\n\n:\ndata: 2\n\n")]


def evidence(reads=SLOW, headers=(), *, status=200, end="whole", ended_at_s=None, again="", **more):
    """An answer that is right, but for what is given."""
    pairs = [(name, value) for name, value in {**GOOD, **dict(headers)}.items() if value]
    asked = ask("http://h/stream", headers=more.pop("given", []))
    heard = Heard(asked, status, "OK", 11, pairs, 0.05, [Read(*read) for read in reads], end)
    heard.ended_at_s = ended_at_s or (reads[-1][0] if reads else 0.05)
    stream = stream_of(heard)
    is_encoded = heard.find("content-encoding") is not None
    verdict = judge(stream, is_encoded, more.pop("plain", None))
    return Evidence(heard, stream, verdict, 10.0, Again(again, "told"), **more)


def names(seen):
    return [finding.name for finding in findings_of(seen)]


def test_a_right_stream_has_no_findings():
    assert names(evidence()) == []


UNMARKED = SLOW[:2]
EACH = {
    "no-answer": evidence([], end="silent", status=0),
    "status": evidence([(0.1, b"no")], status=503),
    "status 204": evidence([], status=204),
    "content-type": evidence([(0.1, b"{}")], {"Content-Type": "application/json"}),
    "content-type absent": evidence([(0.1, b"{}")], {"Content-Type": None}),
    "buffered": evidence(BEATS),
    "burst": evidence([(2.0, b"data: 1\n\n" * 3)]),
    "bundled": evidence([(n / 4, b"data: 1\n\n" * 2) for n in range(1, 6)]),
    "cannot-tell": evidence([(0.1, b"data: 1\n\n" * 3)]),
    "nothing-yet": evidence([], end="left", ended_at_s=10.0),
    "no-blank-line": evidence([(n, b"data: 1\n") for n in (1, 2, 9)], end="left"),
    "no-blank-line with comments": evidence([(1, b":\ndata: 1\n")], end="left"),
    "no-events": evidence([]),
    "no-events but a comment": evidence([(0.1, b"retry: 5000\n\n:\n\n")]),
    "cut": evidence(UNMARKED, end="cut", ended_at_s=0.7),
    "cut-in-silence": evidence(UNMARKED, end="cut", ended_at_s=2.6),
    "cut-in-silence that looks whole": evidence(
        [(5.0, b"data: 1\n\n"), (5.5, b"data: 2\n\n")], {"Server": "Caddy"}, ended_at_s=7.0
    ),
    "cut-in-silence that looks closed": evidence(UNMARKED, end="closed", ended_at_s=2.6),
    "no-end-signal": evidence(UNMARKED, end="closed"),
    "one-at-a-time": evidence(headers={"Connection": "close"}),
    "no-heartbeat": evidence([(0.1, b"data: 1\n\n"), (25.0, b"data: 2\n\n")]),
    "heartbeat-unseen": evidence(UNMARKED, end="left", ended_at_s=10.0),
    "restarts": evidence(UNMARKED, again="restarts"),
    "error-event": evidence([(0.1, b"data: 1\n\n"), (0.6, b"event: error\ndata: x\n\n")]),
    "cors": evidence(given=[("Origin", "http://a")]),
    "cors of another": evidence(
        given=[("Origin", "http://a")], headers={"Access-Control-Allow-Origin": "http://b"}
    ),
    "cached": evidence(headers={"X-Cache": "HIT from edge"}),
    "cached at Cloudflare": evidence(headers={"CF-Cache-Status": "HIT", "Age": "7"}),
    "cached for a while": evidence(headers={"Age": "10"}),
    "unreadable": evidence([(0.1, b"?")], {"Content-Encoding": "br"}),
    "too-large": evidence(end="full"),
    "compressed": evidence([(0.1, gzip.compress(SLOW[0][1]))], {"Content-Encoding": "gzip"}),
    "compressor-holds": evidence(
        [(1.1, gzip.compress(b"".join(data for _, data in SLOW)))],
        {"Content-Encoding": "gzip"},
        plain=evidence().stream,
    ),
    "transformable": evidence(headers={"Cache-Control": "no-cache"}),
    "redirected": evidence(redirects=["http://h/"]),
    "SSE105": evidence([*UNMARKED, (1.1, b"data: 3")]),
    "SSE105 and no event": evidence([(0.1, b"data: 3")]),
    "SSE104": evidence([(0.1, b"Data: 1\n\n"), *SLOW[1:]]),
    "SSE302": evidence(headers={"Content-Type": "text/event-stream"}),
    "SSE303": evidence(headers={"Content-Length": "60"}),
    "SSE306": evidence(headers={"Cache-Control": "no-transform"}),
    "SSE307": evidence(headers={"X-Accel-Buffering": "yes"}),
}


@pytest.mark.parametrize("name", EACH)
def test_what_is_wrong_is_the_one_thing_that_is_named(name):
    findings = findings_of(EACH[name])
    assert [finding.name for finding in findings] == [name.partition(" ")[0]]
    assert findings[0].evidence


def test_each_code_has_its_evidence_here():
    assert CODES.keys() <= {name.partition(" ")[0] for name in EACH}


@pytest.mark.parametrize(
    "seen",
    [
        evidence(headers=NGINX),  # nginx keeps X-Accel-Buffering to itself
        evidence([*UNMARKED, (2.1, b"event: close\ndata:\n\n")], end="closed"),
        evidence(end="closed", ended_at_s=9.0),  # the end event had come
        evidence([(t, b"data: 1\n\n") for t in (1, 2, 3)], {"Server": "Caddy"}, ended_at_s=4.0),
        evidence(
            [(1.0, b"data: 1\n\n"), (3.0, b"data: 2\n\n"), (3.1, b"data: 3\n\n")],
            {"Server": "Caddy"},
            ended_at_s=5.6,
        ),
        evidence(UNMARKED, ended_at_s=9.0),  # a server that ends bodies well, and an app that waits
        evidence(headers={"Connection": "close", "Server": "nginx"}),
        evidence(again="restarts"),  # a page closes at the end event
        evidence(UNMARKED, end="left", again="restarts"),
        evidence([(10.0, b":\n"), (20.0, b":\n")], end="left", ended_at_s=30.0),
        evidence(given=[("Origin", "http://a")], headers={"Access-Control-Allow-Origin": "*"}),
        evidence(headers={"Content-Encoding": "identity"}),
        evidence(headers={"X-Cache": "MISS", "CF-Cache-Status": "DYNAMIC", "Age": "0"}),
    ],
)
def test_what_is_right_is_left_alone(seen):
    assert names(seen) == []


def test_the_end_of_an_event_that_a_compressor_may_hold_is_not_missed():
    half = [(1, gzip.compress(b"data: 1\n"))]
    assert "nothing-yet" in names(evidence(half, {"Content-Encoding": "gzip"}, end="left"))


def test_of_many_problems_of_one_code_the_first_are_told():
    assert names(evidence([(0.1, b"Data: 1\n" * 50 + b"\n"), *SLOW[1:]])) == ["SSE104"] * 3


def test_the_worst_comes_first():
    seen = evidence(UNMARKED, {"X-Accel-Buffering": None}, end="cut", again="restarts")
    severities = [finding.code.severity for finding in findings_of(seen)]
    assert severities == sorted(severities, key=SEVERITIES.index)
    assert severities[0] == "error"


def fixes(seen, name):
    [finding] = [finding for finding in findings_of(seen) if finding.name == name]
    return list(finding.fixes)


@pytest.mark.parametrize(
    ("headers", "layers"),
    [
        (NGINX, ["nginx"]),
        ({"Server": "Caddy"}, ["caddy"]),
        ({"Server": "something"}, list(FIXES["buffered"])),
        ({}, list(FIXES["buffered"])),  # gunicorn holds nothing back: somebody else does
    ],
)
def test_only_the_fixes_of_layers_that_can_be_the_cause_are_told(headers, layers):
    assert fixes(evidence(BEATS, headers), "buffered") == layers


def test_a_sync_worker_is_named():
    assert fixes(EACH["one-at-a-time"], "one-at-a-time") == ["gunicorn"]


def compressed(head, headers, text=SLOW[0][1], **more):
    """An answer in gzip whose first ten bytes are those of somebody."""
    body = bytes.fromhex(head) + gzip.compress(text)[10:]
    return evidence([(1.1, body)], {"Content-Encoding": "gzip", **headers}, **more)


def test_who_compressed_is_known_by_the_body():
    seen = compressed("1f8b0800000000000003", {"Connection": None})
    assert fixes(seen, "compressed") == ["apache"]


@pytest.mark.parametrize(
    ("head", "layers"),
    [("1f8b080000096e8800ff", ["caddy"]), ("1f8b0800000000000009", ["nginx"])],
    ids=["known by the body", "known by a header"],
)
def test_who_holds_compressed_events_back_is_known(head, layers):
    text = b"".join(data for _, data in SLOW)
    seen = compressed(head, NGINX, text, plain=evidence().stream)
    assert fixes(seen, "compressor-holds") == layers
    nothing = compressed(head, NGINX, b"", end="left", ended_at_s=10.0)
    assert fixes(nothing, "nothing-yet") == (["nginx"] if layers == ["nginx"] else ["caddy"])


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("content-type", "Content-Type is application/json"),
        ("content-type absent", "Content-Type is absent"),
        ("cors", "Access-Control-Allow-Origin is absent"),
        ("cors of another", "Access-Control-Allow-Origin is another one"),
        ("status 204", "204 OK"),
        ("cut", "after 0.7 s, 0.1 s after what came last"),
        ("no-heartbeat", "25 s without an event or a comment"),
        ("no-blank-line", "24 bytes within 10 s, the last of them inside an event"),
        ("redirected", "once, to http://h/stream"),
    ],
)
def test_the_evidence_in_words(name, told):
    [finding] = findings_of(EACH[name])
    assert finding.evidence == told


@pytest.mark.parametrize("status", [204, 401, 404, 405, 500, 502, 503, 504])
def test_what_helps_depends_on_the_status(status):
    [finding] = findings_of(evidence([], status=status))
    assert finding.fix == fix_of_status(status) != CODES["status"].fix


def test_any_other_status_has_the_fix_of_its_code():
    [finding] = findings_of(evidence([], status=418))
    assert finding.fix == CODES["status"].fix


def test_the_words_for_a_status_fit_into_a_report():
    assert all(fix.endswith(".") for fix in STATUS_FIXES.values())
    statuses = [status for statuses in STATUS_FIXES for status in statuses]
    assert len(statuses) == len(set(statuses))


def test_the_fix_of_a_line_that_is_lost_names_its_most_frequent_cause():
    assert "each line of a text a data: of its own" in code_of("SSE104").fix


@pytest.mark.parametrize(
    ("server", "layers"), [("waitress", []), ("gunicorn", ["gunicorn"]), (None, ["uwsgi"])]
)
def test_a_server_that_is_named_clears_the_others(server, layers):
    date = None if server is None else GOOD["Date"]
    seen = evidence(UNMARKED, {"Server": server, "Date": date}, end="cut")
    assert fixes(seen, "cut") == layers


def test_behind_an_unknown_server_each_may_be_the_cause():
    assert fixes(evidence(UNMARKED, {"Server": "x"}, end="cut"), "cut") == list(FIXES["cut"])


@pytest.mark.parametrize("name", CODES)
def test_the_parts_of_a_code_fit_into_a_report(name):
    code = code_of(name)
    assert code.severity in SEVERITIES
    assert not code.what.endswith(".")
    assert code.meaning.endswith((".", ".)"))
    assert code.fix.endswith(".")


def test_every_fix_belongs_to_a_code():
    assert FIXES.keys() <= CODES.keys()
