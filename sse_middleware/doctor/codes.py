"""Every code of the doctor: how bad it is, what it means, and what an app does about it.

This is the one place where they are written. Reports and ``docs/check.md`` are made from it. The
faults of framing and of headers keep the codes of ``check_framing``, and its words.
"""

from typing import Dict, NamedTuple, Tuple

from sse_middleware.testing._framing_rules import RULES

__all__ = ["CODES", "SEVERITIES", "STATUS_FIXES", "Code", "code_of", "fix_of_status"]

#: From bad to harmless. The last has no part in the exit code.
SEVERITIES = ("error", "warning", "note")


class Code(NamedTuple):
    """``what`` is half a sentence, ``meaning`` and ``fix`` are whole ones."""

    severity: str
    what: str
    meaning: str
    fix: str


CODES: Dict[str, Code] = {
    "no-answer": Code(
        "error",
        "no answer came",
        "The request was taken, and not even headers came back in the time given. Either the app "
        "makes nothing, or a layer holds back what it makes: nginx keeps the headers too.",
        "Declare the stream (Content-Type: text/event-stream) and let the middleware run it in a "
        "worker: it opens a silent stream with a comment after a second. Give --timeout more "
        "seconds if the app needs them.",
    ),
    "status": Code(
        "error",
        "the status is not 200",
        "EventSource takes no other status: it fails for good and does not ask again. (204 is the "
        "way to tell it so.)",
        "See the text of the answer. What goes wrong later in a stream is reported in an event.",
    ),
    "content-type": Code(
        "error",
        "the answer is no event stream",
        "EventSource fails for good unless Content-Type is text/event-stream.",
        "Send Content-Type: text/event-stream; the middleware does, for a generator of dicts.",
    ),
    "buffered": Code(
        "error",
        "a layer holds events back",
        "Events were made one by one and did not arrive so. The evidence is not a guess: "
        "heartbeats came in a heap, or events were cut where a buffer was full.",
        "Send X-Accel-Buffering: no, as the middleware does, and turn off what gathers. Checking "
        "the app's own server, without what stands before it, shows on which side it happens.",
    ),
    "compressor-holds": Code(
        "error",
        "a compressor holds events back",
        "The stream is compressed, and what it compresses comes late: its events were seen to "
        "arrive earlier without compression, or in parts.",
        "Exclude text/event-stream from compression. An app in the middleware is not asked to "
        "compress a stream that runs in a worker. Where the compressor is not yours, send "
        "Content-Encoding: identity from the app: nginx and Caddy leave such a stream alone.",
    ),
    "burst": Code(
        "warning",
        "all events came at once, after a wait",
        "Either the app makes them all at the same time, or a layer holds them back until the "
        "end. From here the two look the same.",
        "Check the app's own server, without what stands before it: if events come one by one "
        "there, a layer holds them back. With the middleware's heartbeats (heartbeat=1) this "
        "check can prove it.",
    ),
    "bundled": Code(
        "warning",
        "events come in bundles of a fifth of a second",
        "It is how Linux sends for a proxy that says it has more to send, as HAProxy does. Events "
        "arrive up to 0.2 s late.",
        "Tell the proxy not to wait.",
    ),
    "nothing-yet": Code(
        "warning",
        "headers came, and no event",
        "Not even a comment came in the time given, so that nobody can tell this stream from a "
        "dead one, and proxies will cut it. A compressor or a buffer may hold back what was sent.",
        "Send heartbeats: the middleware does, for a stream that runs in a worker. Give "
        "--timeout more seconds than heartbeat has.",
    ),
    "no-blank-line": Code(
        "error",
        "bytes came, and no event",
        "Only a blank line ends an event. What came has none: a browser waits for it, and shows "
        "nothing.",
        r'End every event with a blank line: f"data: {text}\n\n". The middleware does, for dicts.',
    ),
    "no-events": Code(
        "warning",
        "the stream ended without an event",
        "An EventSource sees nothing and asks again, and again.",
        "See what the app yields for this request, and its log. The middleware answers so, with "
        "retry: 5000, where max_streams are open.",
    ),
    "cut": Code(
        "error",
        "the connection broke off",
        "The body ended before its end, in a time when something still came: the app failed, or "
        "its server was stopped or killed.",
        "See the log of the app's server.",
    ),
    "cut-in-silence": Code(
        "error",
        "the stream was cut in a silence",
        "Most often a layer gives a stream up on which nothing came for a while; that is so where "
        "the silence has the length of one of its timeouts. Else the app failed while it was "
        "silent, as its log tells.",
        "Send heartbeats more often than the shortest timeout: heartbeat=15 suits the defaults of "
        "nginx, Apache and HAProxy.",
    ),
    "no-end-signal": Code(
        "warning",
        "nothing tells whether the stream is complete",
        "The body is neither chunked nor has it a length, and no event said that it was over: a "
        "cut looks like an end.",
        'Send an end event (end_event="close"), and close the EventSource when it comes.',
    ),
    "one-at-a-time": Code(
        "warning",
        "the server serves one stream at a time",
        "gunicorn closes the connection after the answer, as its sync worker does (the others do "
        "only with --keep-alive 0). While a stream is open that worker serves nobody else, and it "
        "is killed at --timeout.",
        "Use threads or greenlets.",
    ),
    "no-heartbeat": Code(
        "warning",
        "a long silence had no heartbeat",
        "Proxies cut a connection on which nothing comes: nginx and Apache after 60 s, by their "
        "defaults, and others sooner.",
        "Send a comment every 15 s: the middleware does, for a stream that runs in a worker.",
    ),
    "heartbeat-unseen": Code(
        "note",
        "whether there are heartbeats cannot be told",
        "A silence had none, and was shorter than the 15 s after which the middleware, for one, "
        "sends one. Without any, proxies cut a silent stream, most of them after 60 s.",
        "Give --timeout 30.",
    ),
    "restarts": Code(
        "warning",
        "who comes back gets it all again",
        "EventSource asks again when a body ends. It was answered with a stream from the start: "
        "a model is asked, and paid, once more each time, until the page is closed.",
        'Send an end event (end_event="close") and close the EventSource when it comes; the '
        "middleware then answers 204 to one that still comes back. Or keep streams: resume=...",
    ),
    "error-event": Code(
        "warning",
        "the stream ended in an error event",
        "The app, or its upstream, failed after the stream was open.",
        "See the log of the app, where the error stands with its traceback.",
    ),
    "cors": Code(
        "error",
        "a page of that origin may not read it",
        "The request named an Origin, and the answer does not allow it.",
        "Send Access-Control-Allow-Origin with the origin of the page.",
    ),
    "cached": Code(
        "error",
        "a cache answered",
        "What came was made for somebody else, at another time.",
        "Send Cache-Control: no-cache or no-store, and tell the cache to obey it.",
    ),
    "unreadable": Code(
        "warning",
        "the body cannot be decompressed",
        "The check asks for gzip and deflate. This is neither, or it is damaged, so that nothing "
        "is known of the events in it.",
        "Exclude text/event-stream from compression.",
    ),
    "too-large": Code(
        "note",
        "only the beginning was looked at",
        "The body is larger than what this check reads (4 MiB).",
        "Nothing, if the stream is meant to be that large.",
    ),
    "cannot-tell": Code(
        "note",
        "whether a layer holds events back cannot be told",
        "The app sent everything at once, so that there was nothing to hold back.",
        "Check a slower endpoint: three events, half a second apart.",
    ),
    "compressed": Code(
        "note",
        "the stream is compressed",
        "No harm was seen here. Many compressors do hold events back, some only when they are "
        "large.",
        "Exclude text/event-stream from compression.",
    ),
    "transformable": Code(
        "note",
        "no-transform is missing",
        "Without it HAProxy compresses a stream if it is told to compress this type, and delivers "
        "each event with the next one.",
        "Send Cache-Control: no-cache, no-transform, as the middleware does.",
    ),
    "redirected": Code(
        "note",
        "the request was redirected",
        "EventSource follows, each time that it connects.",
        "Use the address at its end.",
    ),
}
#: What helps against a status that is not 200; every other one has the fix of its code.
STATUS_FIXES: Dict[Tuple[int, ...], str] = {
    (204,): "Answer 204 only to who comes back when all is said; the first request gets 200.",
    (400, 415, 422): "See the text of the answer. Give by --data and --header what the page sends.",
    (401, 403, 407): "Give by --header what the page sends, such as 'Cookie: ...'. An EventSource "
    "sends cookies, and no header of the page's own.",
    (404, 410): "See whether the path is right, and whether a proxy changes it on its way.",
    (405, 501): "Ask by the method that the app takes here: --data '{...}' makes it a POST. An "
    "EventSource can only GET; the answer to a POST is read by fetch.",
    (406,): "Let the app answer a request whose Accept is text/event-stream.",
    (429,): "Ask again later. An EventSource stays away for good: send it away by a stream that "
    "says retry: 5000 and ends.",
    (500,): "See the log of the app's server: the app failed before its first event.",
    (502,): "See whether the app's server runs, and listens where the proxy asks for it; the log "
    "of the proxy says why it got no answer.",
    (503,): "See whether the app's server runs and has threads left.",
    (504,): "See why the app's server is silent: its threads may all be taken. A stream should "
    "send its headers at once; in a worker of the middleware it does so after a second.",
}
_SEVERITY_OF_RULES = {"SSE302": "note", "SSE303": "error", "SSE306": "warning", "SSE307": "note"}


def code_of(name: str) -> Code:
    """What is known of a code, also of one of `check_framing`."""
    if name in CODES:
        return CODES[name]
    rule = RULES[name]
    severity = _SEVERITY_OF_RULES.get(name, "error")
    return Code(severity, f"{rule.name}: {rule.fault}", rule.harm, f"{rule.fix}.")


def fix_of_status(status: int) -> str:
    """What helps against a status that is not 200."""
    found = (fix for statuses, fix in STATUS_FIXES.items() if status in statuses)
    return next(found, CODES["status"].fix)
