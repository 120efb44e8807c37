"""sse_middleware.cli._demo_upstream: what a request chooses, and what is played for it."""

import json
from concurrent.futures import ThreadPoolExecutor
from urllib.request import ProxyHandler, Request, build_opener

import pytest

from sse_middleware.cli._demo_answers import ANSWERS
from sse_middleware.cli._demo_upstream import Choice, ChoosyUpstream
from sse_middleware.errors import OptionError
from sse_middleware.testing import Recording, rechunk

OPENER = build_opener(ProxyHandler({}))


def posted(base_url, metadata):
    """The body of the answer to a request with that metadata."""
    asked = {"messages": []} if metadata is None else {"messages": [], "metadata": metadata}
    request = Request(base_url + "/chat/completions", json.dumps(asked).encode())
    return OPENER.open(request, timeout=20).read()


@pytest.mark.parametrize("mode", rechunk.MODES, ids=[mode.__name__ for mode in rechunk.MODES])
def test_every_mode_of_rechunking_can_be_chosen_by_its_name(mode):
    chosen = Choice.read({"rechunk": mode.__name__}).mode()
    recording = Recording("data: \u00e9\r\n\r\ndata: 2\n\n".encode())
    assert chosen.__name__ == mode.__name__
    assert chosen(recording) == mode(recording)


REFUSED = {
    "an answer": ({"answer": "no"}, "answer is 'no': expected one of short, long, unicode"),
    "a fault": ({"fault": "cut"}, "fault is 'cut': expected one of none, stall, error"),
    "an empty fault": ({"fault": ""}, "fault is '': expected one of none, stall, error"),
    "a mode": (
        {"rechunk": "lines"},
        "rechunk is 'lines': expected one of as_recorded, per_event, ",
    ),
    "a function of the module": ({"rechunk": "recut"}, "rechunk is 'recut': expected one of "),
    "every without a number": ({"rechunk": "every"}, "every(1 to 999), seeded(1 to 999)"),
    "every 0": ({"rechunk": "every(0)"}, "rechunk is 'every(0)': expected one of "),
    "too many": ({"rechunk": "every(1000)"}, "rechunk is 'every(1000)': expected one of "),
    "a digit that is no number": ({"rechunk": "every(\u00b2)"}, "expected one of "),
    "more behind it": ({"rechunk": "seeded(1)\n"}, "expected one of "),
    "a number": ({"rechunk": 7}, "rechunk is 7: expected one of "),
}


@pytest.mark.parametrize(("given", "told"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_choice_is_refused_in_one_line(given, told):
    with pytest.raises(OptionError) as caught:
        Choice.read(given)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_choice_is_the_same_behind_the_json_that_carries_it():
    choice = Choice.read({"answer": "unicode", "fault": "error", "rechunk": "seeded(3)"})
    assert Choice.read(json.loads(json.dumps(choice.fields()))["metadata"]) == choice
    assert Choice.read({"tab": "1"}).fields() == {}


def test_each_request_gets_what_it_has_chosen_and_no_other_fault():
    upstream = ChoosyUpstream()
    short = Recording.named("chat-text").body
    failing = {"answer": "short", "fault": "error", "rechunk": "every(9)"}
    with upstream.serve() as base_url, ThreadPoolExecutor(6) as pool:
        wanted = [None, failing, {"rechunk": "coalesced"}] * 2
        plain, failed, joined, *again = pool.map(lambda each: posted(base_url, each), wanted)
    assert (plain, joined) == (short, short)
    assert again == [plain, failed, joined]
    assert failed != short
    assert b'data: {"error":' in failed
    assert upstream.requests == []  # it runs for days


def test_what_is_said_has_what_the_page_shows():
    long, unicode = (ANSWERS[name]().body.decode() for name in ("long", "unicode"))
    assert '" 20"' in long
    for character in "\u00a0\u200b\u00ad\ufeff\u202e\u2028\u2029\u0085\u200d":
        assert character in unicode or json.dumps(character).strip('"') in unicode, ascii(character)
