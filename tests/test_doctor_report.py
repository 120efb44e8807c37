"""sse_middleware.doctor.report and report_json: what is shown, and what never is."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sse_middleware.doctor import (
    ask,
    examine,
    exit_code,
    findings_of,
    report_lines,
    report_object,
)
from sse_middleware.doctor.arrival import judge
from sse_middleware.doctor.evidence import Evidence
from sse_middleware.doctor.probe import Heard, Read
from sse_middleware.doctor.report import safe
from sse_middleware.doctor.stream import stream_of

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
HEAD += b"Cache-Control: no-cache, no-transform\r\nDate: today\r\n"
STOP = [b"HTTP/1.1 204 No Content\r\n\r\n"]
END = b"event: close\nid: sse:end\ndata:\n\n"


def seen(raw_server, *answers, **options):
    return examine(ask(raw_server(*answers).url, **options), 1)


def steps(*texts, gap_s=0.1, headers=b"X-Accel-Buffering: no\r\n"):
    body = [step for text in texts for step in (text, gap_s)]
    return [HEAD + headers + b"\r\n", *body]


def test_a_right_stream_in_words(raw_server):
    events = steps(b"retry: 300\nid: 1\ndata: a\n\n", b":beat\n", b"data: b\n\n", END)
    told = report_lines(seen(raw_server, events, STOP))
    assert told[0].startswith("GET http://127.0.0.1:")
    assert re.fullmatch(r"  200 OK \(HTTP/1\.1\), headers after \d\.\d{3} s", told[1])
    assert told[2:6] == [
        "  Content-Type: text/event-stream; charset=utf-8",
        "  Cache-Control: no-cache, no-transform",
        "  X-Accel-Buffering: no",
        "  through: nobody who shows",
    ]
    assert [line[17:].strip() for line in told[7:13]] == [
        "event     id        data",
        "message   1         'a'",
        "(comment) 'beat'",
        "message             'b'",
        "close     sse:end   ''",
        "(ended with the connection)",
    ]
    assert told[14:16] == ["Arrival:     one by one", "Compression: none"]
    soonest, longest = re.fullmatch(
        r"Heartbeats:  1 comment, the soonest after (\d\.\d) s of silence; "
        r"the longest silence was (\d\.\d) s",
        told[16],
    ).groups()
    assert float(soonest) <= float(longest)
    assert told[17:] == [
        "Retry:       300 ms",
        "Asked again: with Last-Event-ID 'sse:end': 204, so an EventSource stops",
        "",
        "Nothing is wrong",
    ]


def test_a_long_timeline_is_cut(raw_server):
    told = report_lines(seen(raw_server, steps(b"data: x\n\n" * 50, END), STOP))
    assert sum("'x'" in line for line in told) == 15 + 4
    assert "          ... 31 more ..." in told


def test_a_finding_has_its_evidence_and_its_fix(raw_server):
    events = steps(b"data: a\n\n", b"data: b\n\n", END, headers=b"Server: nginx\r\nETag: x\r\n")
    told = report_lines(seen(raw_server, events, STOP))
    index = told.index("warning SSE306: cacheable: nothing keeps a cache from storing the stream")
    assert told[index + 1] == "  seen: ETag: x"
    assert told[-2:] == ["", "1 warning"]


def test_lines_to_copy_are_whole(raw_server):
    beats = b":\n:\ndata: a\n\n:\ndata: b\n\n" + END
    events = [HEAD + b"Server: nginx\r\n\r\n", 0.5, beats]
    told = report_lines(seen(raw_server, events, STOP))
    assert told[told.index("      proxy_buffering off;") + 1] == "      uwsgi_buffering off;"
    assert all(len(line) <= 100 for line in told)


HOSTILE = b"\x1b[2J\xc2\x9b\xe2\x80\xae"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 500 " + HOSTILE + b"\r\nServer: " + HOSTILE + b"\r\n\r\n" + HOSTILE,
        b"HTTP/1.1 200 OK\r\nContent-Type: " + HOSTILE + b"\r\n\r\n" + HOSTILE,
        HEAD + b"Content-Encoding: " + HOSTILE + b"\r\n\r\n",
        HEAD + b"\r\nevent: " + HOSTILE + b"\nid: " + HOSTILE + b"\ndata: " + HOSTILE + b"\n\n",
        HEAD + b"\r\n:" + HOSTILE + b"\n" + HOSTILE + b"\nevent: error\ndata: " + HOSTILE + b"\n\n",
    ],
    ids=["status", "content-type", "encoding", "event", "comment"],
)
def test_nothing_that_a_terminal_obeys_is_shown(raw_server, answer):
    evidence = seen(raw_server, [answer])
    assert all(line.isprintable() for line in report_lines(evidence))
    assert json.dumps(report_object(evidence), indent=None).isprintable()


def test_what_is_too_long_is_cut():
    assert safe("x" * 1000) == "x" * 300 + "..."


def test_cookies_are_not_shown(raw_server):
    answer = steps(b"data: a\n\n", headers=b"Set-Cookie: session=secret\r\n")
    evidence = seen(raw_server, answer, headers=[("Cookie", "a=secret")])
    assert "secret" not in "\n".join(report_lines(evidence))
    assert "secret" not in json.dumps(report_object(evidence))


def test_the_object_says_what_the_text_says(raw_server):
    evidence = seen(raw_server, steps(b"id: 1\ndata: a\n\n", b":b\n", END), STOP)
    told = report_object(evidence)
    assert json.loads(json.dumps(told)) is not None
    assert {key: told[key] for key in ("method", "status", "layers", "arrival", "again")} == {
        "method": "GET",
        "status": 200,
        "layers": [],
        "arrival": "single",
        "again": "stopped",
    }
    assert [list(event.values())[1:] for event in told["events"]] == [
        ["message", "1", "a"],
        ["b"],
        ["close", "sse:end", ""],
    ]
    assert (told["findings"], told["exit_code"]) == ([], 0)


def test_the_object_has_each_finding_with_its_fixes(raw_server):
    evidence = seen(raw_server, [HEAD + b"Server: nginx\r\n\r\n", 0.5, b"data: a\n\n" * 3], STOP)
    [burst] = [f for f in report_object(evidence)["findings"] if f["code"] == "burst"]
    assert (burst["severity"], burst["evidence"][:8]) == ("warning", "3 events")
    assert [fix["layer"] for fix in burst["fixes"]] == ["nginx"]
    assert burst["fixes"][0]["lines"] == "proxy_buffering off;\nuwsgi_buffering off;"


def test_what_helps_against_a_status_is_told_in_both(raw_server):
    evidence = seen(raw_server, [b"HTTP/1.1 405 Not Here\r\nContent-Length: 0\r\n\r\n"])
    [finding] = report_object(evidence)["findings"]
    assert finding["fix"].startswith("Ask by the method")
    assert any(line.startswith("  fix:  Ask by the method") for line in report_lines(evidence))


def test_no_answer_is_a_report_too(raw_server):
    evidence = examine(ask(raw_server([None]).url), 0.2)
    assert "  no answer in 0.2 s" in report_lines(evidence)
    assert "  through: nobody who shows" in report_lines(evidence)
    assert report_object(evidence)["status"] is None


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        (b"X-Accel-Buffering: no\r\n", 0),
        (b"", 0),
        (b"ETag: x\r\n", 1),
        (b"Content-Length: 9\r\n", 1),
    ],
    ids=["nothing", "a note", "a warning", "an error"],
)
def test_notes_have_no_part_in_the_exit_code(raw_server, headers, code):
    answer = [HEAD + headers + b"\r\ndata: a\n\n" + (b"" if b"Len" in headers else END)]
    assert exit_code(findings_of(seen(raw_server, answer, STOP))) == code


LATIN_1 = st.text(st.characters(max_codepoint=255), max_size=20)
NAMES = ["Content-Type", "Content-Encoding", "Server", "Age", "Connection", "Cache-Control", "X"]
VALUES = st.one_of(LATIN_1, st.sampled_from(["text/event-stream", "gzip", "nginx", "close", "7"]))
TEXTS = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([b"data: 1\n\n", b":\n", b"id: 1\r", b"\xff", b"event: error\ndata: x\n\n"]),
)


@given(
    headers=st.lists(st.tuples(st.sampled_from(NAMES), VALUES), max_size=5),
    reads=st.lists(st.tuples(st.floats(0, 3), TEXTS), max_size=8),
    status=st.sampled_from([200, 200, 200, 204, 404]),
    end=st.sampled_from(["whole", "closed", "cut", "left", "full"]),
)
def test_whatever_a_server_sends_the_report_can_be_shown(headers, reads, status, end):
    reads = [Read(*read) for read in sorted(reads)]
    heard = Heard(ask("http://h/"), status, "\x1b", 11, headers, 0.0, reads, end, 4.0)
    stream = stream_of(heard)
    evidence = Evidence(heard, stream, judge(stream, "gzip" in dict(headers).values()), 4.0)
    lines = report_lines(evidence)
    assert all(line.isprintable() for line in lines)
    assert max(map(len, lines)) < 400
    assert json.dumps(report_object(evidence)).isprintable()
    assert exit_code(findings_of(evidence)) in (0, 1)
