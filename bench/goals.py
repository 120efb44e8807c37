"""What has to hold: each goal, by the rows that it is made of."""

from typing import List, Tuple

from report import Goal

__all__ = ["GOALS", "QUICK"]

_PARSERS: Tuple[str, ...] = ("httpx-sse", "sseclient-py", "openai")
_NODE: Tuple[str, ...] = ("eventsource-parser",)
_ONE = "parse, one event in {}-byte reads"
_SMALL = "pipe, 30,000 small events"
_LONE = "a lone event, 50 a second, p50"
_SHORT = "a short request in a worker"
_FLAT = "{}: CPU of an event, by the number of streams"
_MEMORY = "{}: memory of a stream, by their number"

_FORMAT: List[Goal] = [
    Goal(
        "encode-text",
        "encode an event of text, checked, against the line by hand",
        *("cost", "encode, text", "ours", ("by hand",), 1.0),
    ),
    Goal(
        "encode-json",
        "encode a JSON dict by the standard library, against the line by hand",
        *("cost", "encode, JSON dict", "ours", ("by hand",), 0.9),
    ),
    Goal(
        "encode-orjson",
        "encode a JSON dict with orjson, against the line by hand",
        *("cost", "encode, JSON dict, orjson", "ours", ("by hand",), 0.5),
    ),
    Goal(
        "parse-64k",
        "parse, 64 KiB reads, against the fastest Python peer",
        *("speed", "parse, 64 KiB reads", "ours", _PARSERS, 3.0),
    ),
    Goal(
        "parse-320",
        "parse, 320-byte reads, against the fastest Python peer",
        *("speed", "parse, 320-byte reads", "ours", _PARSERS, 2.0),
    ),
    Goal(
        "parse-1",
        "parse, 1-byte reads, against the fastest Python peer",
        *("speed", "parse, 1-byte reads", "ours", _PARSERS, 1.0),
    ),
    Goal(
        "parse-64k-node",
        "parse, 64 KiB reads, against eventsource-parser on Node",
        *("speed", "parse, 64 KiB reads", "ours", _NODE, 0.5),
    ),
    Goal(
        "parse-320-node",
        "parse, 320-byte reads, against eventsource-parser on Node",
        *("speed", "parse, 320-byte reads", "ours", _NODE, 0.5),
    ),
    Goal(
        "parse-1-node",
        "parse, 1-byte reads, against eventsource-parser on Node",
        *("speed", "parse, 1-byte reads", "ours", _NODE, 0.5),
    ),
    Goal(
        "parse-linear",
        "parse an event of 4 MiB in 1-byte reads: time a byte against one of 1 MiB",
        *("cost", _ONE.format(1), "of 4 MiB", ("of 1 MiB",), 1.2),
    ),
]
_PIPE: List[Goal] = [
    Goal(
        "inline-raw",
        "whole pipe, gthread, inline: speed against raw bytes",
        *("speed", _SMALL, "gthread inline", ("gthread raw",), 0.9),
    ),
    Goal(
        "worker-node",
        "whole pipe, gthread, heartbeats on, a source that runs ahead: against Node's raw http",
        *("speed", _SMALL, "gthread worker", ("node raw",), 1.0),
    ),
    Goal(
        "worker-sse-starlette",
        "the same against sse-starlette on uvicorn",
        *("speed", _SMALL, "gthread worker", ("uvicorn sse-starlette",), 6.0),
    ),
    Goal(
        "worker-fastapi",
        "the same against FastAPI on uvicorn",
        *("speed", _SMALL, "gthread worker", ("uvicorn fastapi",), 20.0),
    ),
    Goal(
        "lone-event",
        "a lone event's latency beyond raw, p50, gthread, heartbeats on",
        *("more", _LONE, "gthread worker", ("gthread raw",), 100e-6),
    ),
]
_COSTS: List[Goal] = [
    Goal(
        "idle-stream",
        "an idle stream's memory beyond the bare server's, gevent",
        *("more", "an idle stream: memory", "ours", ("bare",), 24 * 1024.0),
    ),
    Goal(
        "no-stream",
        "a response that is no stream: time added",
        *("more", "a response that is no stream", "wrapped", ("bare",), 3e-6),
    ),
    Goal(
        "switch",
        "the switch to a worker and back, alone, against a lock's round trip",
        *("cost", _SHORT, "a job that does nothing", ("a lock's round trip",), 1.5),
    ),
    Goal(
        "short-request",
        "all that a worker adds to a short request, against a lock's round trip",
        *("cost", _SHORT, "worker", ("a lock's round trip",), 1.5, "inline"),
    ),
    Goal(
        "import",
        "import sse_middleware: time added to python -c pass",
        *("more", "import", "import sse_middleware", ("pass",), 5e-3),
    ),
    Goal(
        "plugin",
        "the unused plugin: time added to pytest's start",
        *("more", "start of pytest, one test", "with the plugin", ("without",), 2e-3),
    ),
    Goal(
        "flat-gthread",
        "CPU of an event, gthread, 1,000 streams against 1",
        *("cost", _FLAT.format("gthread"), "ours, 1000", ("ours, 1",), 1.25),
    ),
    Goal(
        "flat-gevent",
        "CPU of an event, gevent, 1,000 streams against 1",
        *("cost", _FLAT.format("gevent"), "ours, 1000", ("ours, 1",), 1.25),
    ),
    Goal(
        "linear-gthread",
        "memory of a stream, gthread, 1,000 streams against 100",
        *("cost", _MEMORY.format("gthread"), "ours, 1000", ("ours, 100",), 1.1),
    ),
    Goal(
        "linear-gevent",
        "memory of a stream, gevent, 10,000 streams against 1,000",
        *("cost", _MEMORY.format("gevent"), "ours, 10000", ("ours, 1000",), 1.1),
    ),
]

GOALS: List[Goal] = [*_FORMAT, *_PIPE, *_COSTS]

_ALONE = "30,000 small events without a server"

#: What `--quick` measures, in the processor's time; recorded in ratios.json.
QUICK: List[Goal] = [
    Goal(
        "quick-no-stream",
        "a response that is no stream: speed against the bare app",
        *("speed", "a response that is no stream", "wrapped", ("bare",), 0.0),
    ),
    # Not a short request in a worker: whether its two threads share a core decides, 1 to 4.
    Goal(
        "quick-inline",
        "events inline: speed against frames by hand",
        *("speed", _ALONE, "inline", ("by hand",), 0.0),
    ),
    Goal(
        "quick-worker",
        "events through a worker: speed against frames by hand",
        *("speed", _ALONE, "worker", ("by hand",), 0.0),
    ),
    *(
        Goal("quick-" + key, f"{task}: speed against {other}", "speed", task, "ours", (other,), 0.0)
        for key, task, other in (
            ("encode-text", "encode, text", "by hand"),
            ("encode-lines", "encode, 4 KiB text with newlines", "by hand"),
            ("encode-json", "encode, JSON dict", "by hand"),
            ("encode-orjson", "encode, JSON dict, orjson", "by hand"),
            ("parse-64k", "parse, 64 KiB reads", "sseclient-py"),
            ("parse-320", "parse, 320-byte reads", "sseclient-py"),
        )
    ),
]
