"""What a request asks for."""

import pytest

from sse_middleware.errors import OptionError
from sse_middleware.picking import is_event_source, last_event_id, picker

PICKED = {
    "accept": (None, {"HTTP_ACCEPT": "text/event-stream"}, True),
    "accept among others": (None, {"HTTP_ACCEPT": "text/html, text/event-stream;q=0.9"}, True),
    "any": (None, {"HTTP_ACCEPT": "*/*"}, False),
    "none": (None, {}, False),
    "a path": ("/stream", {"PATH_INFO": "/stream"}, True),
    "a pattern": ("/chat/*", {"PATH_INFO": "/chat/7"}, True),
    "another path": ("/chat/*", {"PATH_INFO": "/other"}, False),
    "case counts": ("/Chat", {"PATH_INFO": "/chat"}, False),
    "under a prefix": ("/api/chat", {"SCRIPT_NAME": "/api", "PATH_INFO": "/chat"}, True),
    "nothing but a prefix": ("/api", {"SCRIPT_NAME": "/api"}, True),
    "several": (["/a", "/b"], {"PATH_INFO": "/b"}, True),
    "a path adds to accept": ("/a", {"HTTP_ACCEPT": "text/event-stream"}, True),
    "unicode": ("/ü", {"PATH_INFO": "/ü".encode().decode("latin-1")}, True),
    "a predicate": (lambda environ: environ["PATH_INFO"] == "/x", {"PATH_INFO": "/x"}, True),
    "a predicate replaces": (lambda environ: False, {"HTTP_ACCEPT": "text/event-stream"}, False),
}


@pytest.mark.parametrize(("worker", "environ", "picked"), PICKED.values(), ids=PICKED)
def test_a_request_is_picked_or_not(worker, environ, picked):
    assert picker(worker)(environ) is picked


@pytest.mark.parametrize("worker", [7, [7], {"/a"}, b"/a", ["/a", None]], ids=repr)
def test_what_is_no_rule_is_refused(worker):
    with pytest.raises(OptionError) as caught:
        picker(worker)
    assert str(caught.value) == (
        f"worker is {worker!r}: expected path patterns, or a predicate on environ"
    )


NO_PATHS = [("stream", "stream"), (["/a", "b/*"], "b/*"), ("Xs", "Xs")]


@pytest.mark.parametrize(("worker", "wrong"), NO_PATHS, ids=repr)
def test_a_pattern_that_no_path_matches_is_refused(worker, wrong):
    with pytest.raises(OptionError) as caught:
        picker(worker)
    assert str(caught.value) == f'worker is {wrong!r}: expected a path such as "/{wrong}"'


@pytest.mark.parametrize("worker", ["", "*/stream", "?stream", "[/]stream"], ids=repr)
def test_a_pattern_may_begin_with_a_wildcard(worker):
    assert picker(worker)({"PATH_INFO": "/stream" if worker else ""})


def test_an_event_source_gets_and_names_the_media_type():
    accept = {"HTTP_ACCEPT": "text/event-stream"}
    assert is_event_source({"REQUEST_METHOD": "GET", **accept})
    assert not is_event_source({"REQUEST_METHOD": "POST", **accept})
    assert not is_event_source({"REQUEST_METHOD": "GET", "HTTP_ACCEPT": "*/*"})
    assert not is_event_source({})


IDS = {"": "", "7": "7", "Ã©ð\x9f\x98\x80": "é😀", "\xff": "\ufffd", "…": "?"}


@pytest.mark.parametrize(("header", "read"), IDS.items(), ids=map(repr, IDS))
def test_last_event_id_is_utf8_in_latin1_clothes(header, read):
    assert last_event_id({"HTTP_LAST_EVENT_ID": header}) == read
    assert last_event_id({}) == ""
