"""sse_middleware.doctor.arrival: what the times of events prove, suggest, and leave open."""

import pytest

from sse_middleware.doctor.arrival import judge
from sse_middleware.doctor.stream import Block, Pause, Stream
from sse_middleware.event import Event


def stream(text, *, pauses=(), headers_at_s=0.0):
    """From ``"0.1:e 0.2:c"``: an event (e), a comment (c) or the last event (l) at each time."""
    made = Stream([], headers_at_s)
    for part in text.split():
        at_s, _, kind = part.partition(":")
        event = {"e": Event("x"), "l": Event("", event="close"), "c": None}[kind]
        made.blocks.append(Block(float(at_s), event))
    made.pauses = [Pause(*pause) for pause in pauses]
    return made


KINDS = {
    "nothing": [""],
    "idle": ["1:c 2:c", "1:l"],
    "single": ["1:e", "1:c 2:e 3:l", "2:e 2:l", "2:c 2:c 2:e"],
    "streams": [
        "0:e 0.3:e 0.6:e",
        "0:e 0.25:c 0.3:e 0.55:c 0.6:e 0.6:l",
        "5:e 5.1:e 5.2:e",
        # A comment that opens a silent stream, and one beside an event by chance.
        "1:c 1:e 2:e 2.01:c 3:e",
        "0:e 2:c 2:c 2:e",
        "1:e 1.2:e 1.2:c 1.2:c 1.3:e",  # comments of an app that has them beside its events
        # Pairs, at no pace of a cork.
        "0:e 0:e 0.5:e 0.5:e 1:e 1:e 1.5:e",
        "0:e 0:e 0.2:e 0.5:e 0.5:e 0.7:e 1:e",
        "0:e 0:e 0.1:e 0.1:e 0.2:e 0.2:e 0.3:e",
    ],
    "unknown": ["0:e 0:e", "0:e 0.001:e 0.002:e", "0.1:c 0.1:e 0.1:c 0.1:e", "3:e 3:e 3:l"],
    "burst": ["3:e 3:e 3:e", "3:c 3:e 3:e 3.01:e 3.01:l"],
    "held": [
        "0.9:e 0.9:c 0.9:e 0.9:c 0.9:e 0.9:c 0.9:l",
        "2:e 2:c 2:e",
        "3:c 3:c 3:c 3:e",
        "0:e 2:c 2:c 2:c 2:e",
        "1:e 3:e 3:c 3:e 3:c 3:e 5:e",
    ],
    "bundled": [
        "0.2:e 0.2:e 0.2:e 0.45:e 0.45:e 0.45:e 0.69:e 0.69:e 0.69:e 0.75:e 0.75:l",
        "0.25:e 0.25:e 0.42:e 0.42:e 0.65:e 0.65:e 0.86:e 0.86:e 0.9:l",
    ],
}


@pytest.mark.parametrize(
    ("text", "kind"), [(text, kind) for kind, texts in KINDS.items() for text in texts]
)
def test_what_times_tell(text, kind):
    verdict = judge(stream(text), False)
    assert verdict.kind == kind
    assert bool(verdict.evidence) == (kind in ("unknown", "burst", "held", "bundled"))
    assert not verdict.is_compressor


@pytest.mark.parametrize(
    ("pauses", "kind"),
    [
        ([(3970, 0.3), (8066, 0.6), (12162, 0.3)], "held"),
        ([(3970, 0.3), (7970, 0.6)], "streams"),  # an app that writes in parts
        ([(3970, 0.05), (8066, 0.05)], "streams"),  # a network
        ([(3970, 0.6)], "streams"),
    ],
)
def test_a_buffer_that_fills_cuts_events_at_its_size(pauses, kind):
    assert judge(stream("0:e 1:e 2:e", pauses=pauses), False).kind == kind


def test_a_compressor_that_lets_out_parts_of_events_holds_them():
    verdict = judge(stream("0.3:e 0.6:e", pauses=[(20, 0.3), (40, 0.3)]), True)
    assert (verdict.kind, verdict.is_compressor) == ("held", True)


PLAIN = "0:e 0.3:e 0.6:e"


@pytest.mark.parametrize(
    ("text", "headers_at_s", "plain", "kind"),
    [
        (PLAIN, 0.0, PLAIN, "streams"),
        ("0.9:e 0.9:e 0.9:e", 0.0, PLAIN, "held"),
        ("0.3:e 0.6:e 0.9:e", 0.0, PLAIN, "held"),
        ("0.9:e 0.9:e 0.9:e", 0.9, PLAIN, "held"),
        ("", 0.0, PLAIN, "held"),
        ("0.8:e 1.1:e 1.4:e", 0.8, PLAIN, "streams"),  # an app's first request
        ("0:e 0:e 0:e", 0.0, "0:e 0:e 0:e", "unknown"),
        ("3:e 3:e 3:e", 3.0, "3:e 3:e 3:e", "burst"),
        ("", 0.0, "", "nothing"),
        (PLAIN, 0.0, "", "streams"),
    ],
)
def test_the_same_stream_without_compression_tells_who_holds_it(text, headers_at_s, plain, kind):
    verdict = judge(stream(text, headers_at_s=headers_at_s), True, stream(plain))
    assert verdict.kind == kind
    assert verdict.is_compressor == (kind == "held")


def test_what_is_held_with_and_without_compression_is_not_held_by_the_compressor():
    held = "0.9:e 0.9:c 0.9:e 0.9:c 0.9:e"
    verdict = judge(stream(held, headers_at_s=0.9), True, stream(held, headers_at_s=0.9))
    assert (verdict.kind, verdict.is_compressor) == ("held", False)


def test_different_comments_at_the_start_are_no_heartbeats():
    made = stream("3:c 3:c 3:c 3:c 3:e 3:e 3:e")
    assert judge(made, False).kind == "held"
    made.blocks[0] = made.blocks[0]._replace(text=b"padding")
    assert judge(made, False).kind == "burst"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "2:e 2:c 2:e",
            "after 2.0 s of nothing, 3 events and comments arrived at once; 1 of them is",
        ),
        (
            "0:e 1:e 1:c 1:c",
            "after 1.0 s of nothing, 3 events and comments arrived at once; 2 of them",
        ),
        ("3:e 3.01:e 3.02:e", "3 events within 20 ms, the first after 3.00 s"),
        (
            "0.2:e 0.2:e 0.45:e 0.45:e 0.7:e 0.7:e 0.8:e",
            "3 bundles of events in a row, 0.25 s apart",
        ),
    ],
)
def test_the_evidence_in_words(text, told):
    assert judge(stream(text), False).evidence.startswith(told)


def test_the_evidence_of_a_buffer_and_of_a_compressor_in_words():
    pauses = [(3970, 0.3), (8066, 0.6)]
    assert judge(stream("1:e", pauses=pauses), False).evidence == (
        "events were cut 4096 bytes apart, and went on 0.6 s later: that is a buffer that fills"
    )
    assert judge(stream("1:e", pauses=pauses), True).evidence == (
        "2 times the compressor let out a part of an event, and its rest 0.4 s later"
    )
    assert judge(stream(""), True, stream(PLAIN)).evidence == (
        "nothing of it came, and without compression 3 events did"
    )
    assert judge(stream("1:e 1:e 1:e", headers_at_s=1.0), True, stream(PLAIN)).evidence == (
        "events arrive all at once, the same ones take 0.6 s from first to last without compression"
    )


def test_lateness_is_counted_from_the_headers_of_both():
    late = stream("0.6:e 0.9:e", headers_at_s=0.6)
    assert judge(late, True, stream("0.6:e 0.9:e", headers_at_s=0.6)).kind == "streams"
    assert judge(late, True, stream("0.2:e 0.5:e", headers_at_s=0.2)).kind == "streams"
