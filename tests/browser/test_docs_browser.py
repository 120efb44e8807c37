"""The examples of docs/browser.md, run, and what that page says of the browser."""

import itertools
import re
import threading
from pathlib import Path

import pytest
from cutting import CuttingProxy

from sse_middleware import SSEMiddleware
from sse_middleware.resume import MemoryLog

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "browser.md").read_text("utf-8")
SCRIPTS = re.findall(r"```js\n(.*?)```", TEXT, re.DOTALL)
DEADLINE_S = 20
PAGE = b"<!doctype html><title>A page</title>"
UNICODE_ID = "\u00fcber \u20ac \U0001f44d"


class Site:
    """A page at ``/``; below that, streams, each an iterable made by a function of ``environ``."""

    def __init__(self, **streams):
        self._streams = streams
        self.asked = []

    def __call__(self, environ, start_response):
        name = environ["PATH_INFO"].rpartition("/")[2]
        if name not in self._streams:
            start_response("200 OK", [("Content-Type", "text/html")])
            return [PAGE]
        self.asked.append((environ["REQUEST_METHOD"], environ.get("HTTP_LAST_EVENT_ID", "")))
        answer = self._streams[name](environ)
        if isinstance(answer, str):
            start_response(answer, [("Content-Type", "text/plain")])
            return [b""]
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        return answer

    def ids(self):
        """The Last-Event-ID of each request, as the client meant it."""
        return [last.encode("latin-1").decode("utf-8") for _, last in self.asked]


@pytest.fixture
def visit(page, serve):
    """Opens the page of an app, with every example of the document in it; its address."""

    def open_page(app):
        address = f"http://127.0.0.1:{serve(app)}/"
        page.goto(address)
        page.add_script_tag(content="\n".join(SCRIPTS))
        return address

    return open_page


def test_every_example_has_its_test():
    assert re.findall(r"^```(\w+)$", TEXT, re.MULTILINE) == ["js"] * 4 + ["python"]
    names = [re.search(r"function\*? (\w+)", script).group(1) for script in SCRIPTS]
    assert names == ["listen", "readByFetch", "post", "subscribe"]


def test_the_reader_is_that_of_the_demo_s_page():
    assert SCRIPTS[1] in (ROOT / "sse_middleware" / "cli" / "demo.html").read_text("utf-8")


# Each takes a few events, then the end; the first item tells what the functions were called with.
COLLECTING = """
([how, url]) => new Promise((resolve) => {
  const shown = [];
  const show = (data) => { shown.push(data); if (data === "last") resolve(shown); };
  const fail = (why) => { shown.push("failed: " + why); resolve(shown); };
  const begun = { listen: () => listen(url, show, fail), post: () => post(url, {}, show, fail) };
  window.begun = begun[how]();
})
"""
ENDED = "() => begun.readyState === EventSource.CLOSED || begun.signal?.aborted"
in_both_ways = pytest.mark.parametrize("way", ["listen", "post"])


def words(*texts):
    return ({"id": n + 1, "data": {"data": text}} for n, text in enumerate(texts))


def failing(*texts):
    yield from words(*texts)
    raise RuntimeError("nobody is to read this")


@in_both_ways
def test_an_answer_is_read_and_not_asked_for_twice(page, visit, way):
    site = Site(stream=lambda environ: words("a\nb", "\u00fc\u2028", "last"))
    visit(SSEMiddleware(site, worker="/stream", end_event="close", retry=1))
    assert page.evaluate(COLLECTING, [way, "/stream"]) == ["a\nb", "\u00fc\u2028", "last"]
    page.wait_for_function(ENDED)
    assert site.asked == [({"listen": "GET", "post": "POST"}[way], "")]


@in_both_ways
def test_an_app_that_fails_is_told_and_not_asked_again(page, visit, way):
    site = Site(stream=lambda environ: failing("a"))
    visit(SSEMiddleware(site, worker="/stream", retry=1))
    assert page.evaluate(COLLECTING, [way, "/stream"]) == ["a", "failed: The stream failed."]
    page.wait_for_function(ENDED)
    assert len(site.asked) == 1


NO_STREAMS = {
    "an error": ("500 Internal Server Error", "text/plain", "500: no event stream"),
    "an error in the form of a stream": ("503 No", "text/event-stream", "503: no event stream"),
    "another type": ("200 OK", "text/event-stream-or-so", "200: no event stream"),
}


@in_both_ways
@pytest.mark.parametrize(("status", "kind", "told"), NO_STREAMS.values(), ids=NO_STREAMS)
def test_what_is_no_stream_is_given_up(page, visit, way, status, kind, told):
    def app(environ, start_response):
        answer = ("200 OK", "text/html") if environ["PATH_INFO"] == "/" else (status, kind)
        start_response(answer[0], [("Content-Type", answer[1])])
        return [b'data: {"data":"last"}\n\n']

    visit(app)
    expected = told if way == "post" else "The browser has given up."
    assert page.evaluate(COLLECTING, [way, "/stream"]) == ["failed: " + expected]


def one_after_another(answers):
    """Each request gets the next of the answers, and the last one for ever."""
    left = list(answers)
    return lambda environ: left.pop(0) if len(left) > 1 else left[0]


@in_both_ways
def test_a_client_that_comes_back_sends_the_id_in_utf_8(page, visit, way):
    first = iter([{"retry": 1}, {"id": UNICODE_ID, "data": {"data": "first"}}])
    site = Site(stream=one_after_another([first, words("last")]))
    visit(SSEMiddleware(site, worker="/stream"))
    assert page.evaluate(COLLECTING, [way, "/stream"]) == ["first", "last"]
    assert site.ids()[:2] == ["", UNICODE_ID]


RECORDING = """
(url) => new Promise((resolve) => {
  const seen = [];
  const source = new EventSource(url);
  for (const type of ["open", "message", "close", "error"]) {
    source.addEventListener(type, (event) => {
      seen.push([type, source.readyState, event.data ?? null]);
      if (source.readyState === EventSource.CLOSED) resolve(seen);
    });
  }
})
"""
CONNECTING, OPEN, CLOSED = range(3)


def test_a_204_stops_an_event_source_and_nothing_else_is_told_of_it(page, visit):
    site = Site(stream=one_after_another([words("a"), words("b"), "204 No Content"]))
    visit(SSEMiddleware(site, retry=1))
    assert page.evaluate(RECORDING, "/stream") == [
        ["open", OPEN, None],
        ["message", OPEN, '{"data":"a"}'],
        ["error", CONNECTING, None],
        ["open", OPEN, None],
        ["message", OPEN, '{"data":"b"}'],
        ["error", CONNECTING, None],
        ["error", CLOSED, None],
    ]
    assert len(site.asked) == 3


def test_an_event_source_that_has_seen_the_end_is_answered_204_by_the_middleware(page, visit):
    site = Site(stream=lambda environ: words("a"))
    visit(SSEMiddleware(site, end_event="close", retry=1))
    assert page.evaluate(RECORDING, "/stream") == [
        ["open", OPEN, None],
        ["message", OPEN, '{"data":"a"}'],
        ["close", OPEN, ""],
        ["error", CONNECTING, None],
        ["error", CLOSED, None],
    ]
    assert len(site.asked) == 1, "the app was asked again"


def test_the_three_errors_differ_in_data_and_state(page, visit):
    site = Site(stream=one_after_another([failing("a"), "503 Service Unavailable"]))
    visit(SSEMiddleware(site, retry=1))
    seen = page.evaluate(RECORDING, "/stream")
    errors = [one[1:] for one in seen if one[0] == "error"]
    (ours, lost, given_up) = errors
    assert ours[0] == OPEN
    assert '"type":"stream_error"' in ours[1]
    assert "nobody is to read this" not in str(seen)
    assert (lost, given_up) == ([CONNECTING, None], [CLOSED, None])


def test_heartbeats_fire_no_event(page, visit):
    go_on, sent = threading.Event(), []

    def silent(environ):
        yield {"data": "before"}
        assert go_on.wait(DEADLINE_S)
        yield {"data": "after"}

    class Observer:
        def heartbeat(self, stream):
            sent.append(stream)
            if len(sent) == 3:
                go_on.set()

    wrapped = SSEMiddleware(
        Site(stream=one_after_another([silent(None), "204 No Content"])),
        heartbeat=0.05,
        observer=Observer(),
        retry=1,
    )
    visit(wrapped)
    seen = page.evaluate(RECORDING, "/stream")
    assert [data for kind, _, data in seen if kind == "message"] == ["before", "after"]
    assert [kind for kind, _, _ in seen] == ["open", "message", "message", "error", "error"]
    assert len(sent) >= 3


def endless(environ):
    yield {"data": "open"}
    for number in itertools.count():
        threading.Event().wait(0.02)
        yield {"comment": str(number)}


OPENING = """
(count) => {
  window.opened = [];
  window.sources = Array.from({ length: count }, (_, number) => {
    const source = new EventSource(`/stream?${number}`);
    source.onmessage = () => opened.push(number);
    return source;
  });
}
"""


def test_a_seventh_stream_waits_until_one_of_six_is_closed(page, visit):
    visit(SSEMiddleware(Site(stream=endless)))
    page.evaluate(OPENING, 7)
    page.wait_for_function("opened.length === 6")
    image = "fetch('/image').then(() => { window.hasImage = true; })"
    page.evaluate(f"() => {{ {image}; }}")
    page.wait_for_timeout(400)  # in which both could have come through
    assert page.evaluate("[opened.length, sources[6].readyState, window.hasImage]") == [
        6,
        CONNECTING,
        None,
    ]
    page.evaluate("sources[0].close()")
    page.wait_for_function("opened.length === 7")
    page.evaluate("sources[1].close()")
    page.wait_for_function("window.hasImage")


def test_one_stream_is_enough_for_all_tabs(chromium, serve):
    site = Site(news=endless)
    address = f"http://127.0.0.1:{serve(SSEMiddleware(site))}/"
    context = chromium.new_context()
    tabs = [context.new_page() for _ in range(2)]
    for tab in tabs:
        tab.goto(address)
        tab.add_script_tag(content="\n".join(SCRIPTS))
        tab.evaluate("() => { window.shown = []; subscribe('/news', (data) => shown.push(data)); }")
    tabs[0].wait_for_function("shown.length === 1")
    assert len(site.asked) == 1
    tabs[0].close()
    tabs[1].wait_for_function("shown.length >= 1")
    assert len(site.asked) == 2  # the second tab has taken over
    context.close()


# From another origin


def example():
    [block] = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    names = {}
    exec(compile(block, "browser.md", "exec"), names)
    return names


def test_a_page_of_another_origin_reads_the_stream_and_is_stopped_by_the_204(page, visit, serve):
    own = visit(Site())
    cors = example()["cors"]
    site = Site(stream=lambda environ: words("last"))
    inner = SSEMiddleware(site, worker="/stream", end_event="close", retry=1)
    other = f"http://127.0.0.1:{serve(cors(inner, own.rstrip('/')))}/stream"
    failures = []
    page.on("console", lambda message: failures.append(message.text))
    seen = page.evaluate(RECORDING, other)
    assert [kind for kind, _, _ in seen] == ["open", "message", "close", "error", "error"]
    assert not [text for text in failures if "CORS" in text]
    assert page.evaluate(COLLECTING, ["post", other]) == ["last"]


def test_without_cors_outside_the_browser_gives_up_for_the_wrong_reason(page, visit, serve):
    own = visit(Site())
    site = Site(stream=lambda environ: words("a"))
    inside = SSEMiddleware(example()["cors"](site, own.rstrip("/")), end_event="close", retry=1)
    other = f"http://127.0.0.1:{serve(inside)}/stream"
    failures = []
    page.on("console", lambda message: failures.append(message.text))
    page.evaluate(RECORDING, other)
    assert [text for text in failures if "CORS" in text], "the 204 has its headers"


def test_the_app_of_the_example_allows_the_origin_that_it_names(page, visit, serve):
    visit(Site())
    wrapped = example()["wrapped"](Site(stream=lambda environ: words("last")))
    other = f"http://127.0.0.1:{serve(wrapped)}/stream"
    allowed = page.context.request.get(other).headers
    assert allowed["access-control-allow-origin"] == "http://localhost:8000"
    assert allowed["content-type"] == "text/event-stream; charset=utf-8"


#: Bytes of each answer after which its connection is lost: mostly inside an event.
LIMITS = [600, 431, 417, 445, 473, 491, 506, 463]


def test_a_post_that_is_cut_inside_events_comes_whole(page, serve):
    texts = [*(f"word {number} \u20ac" for number in range(8)), "last"]
    go_on = threading.Event()

    def answer(environ):
        yield {"data": {"data": texts[0]}}
        assert go_on.wait(DEADLINE_S)  # until there is an id to come back with
        for text in texts[1:]:
            yield {"data": {"data": text}}

    site = Site(stream=answer)
    log = MemoryLog(owner=None)
    wrapped = SSEMiddleware(site, worker="/cut/*", resume=log, retry=1, end_event="close")
    with CuttingProxy(serve(wrapped), LIMITS) as proxy:
        page.goto(f"http://127.0.0.1:{proxy.port}/")
        page.add_script_tag(content="\n".join(SCRIPTS))
        page.evaluate("() => { window.shown = []; }")
        page.evaluate("post('/cut/stream', {}, (data) => shown.push(data), () => {}); 0")
        page.wait_for_function("shown.length === 1")
        go_on.set()
        page.wait_for_function("shown.includes('last')")
        assert page.evaluate("shown") == texts
        assert proxy.cuts > 2
    assert len(site.asked) == 1
