"""The page of ``sse-middleware demo``, used as a visitor does."""

import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from urllib.parse import parse_qs, urlsplit
from urllib.request import urlopen

import pytest

from sse_middleware.cli._demo_answers import ANSWERS, PLAIN_TEXT
from sse_middleware.relay import relay
from sse_middleware.testing import rechunk

DELTAS = {name: list(relay([made().body]))[:-1] for name, made in ANSWERS.items()}
TEXTS = {
    name: "".join(event["data"]["data"] for event in deltas) for name, deltas in DELTAS.items()
}
MODES = ["EventSource", "fetch"]
CUTS = [mode.__name__ for mode in rechunk.MODES]
PHONE = {"viewport": {"width": 360, "height": 740}}
in_each_mode = pytest.mark.parametrize("mode", MODES)

ROWS = """
() => Array.from(document.querySelectorAll("#events tr"), (row) => ({
  kind: row.className, ms: Number(row.cells[0].textContent), event: row.cells[1].textContent,
  id: row.cells[2].title, data: row.cells[3].textContent,
}))
"""


class Visitor:
    """A page of the demo in a browser of its own, that is, with its own cookies."""

    def __init__(self, context, demo, mode="EventSource"):
        self.page = context.new_page()
        self.page.set_default_timeout(20_000)
        self.requests, self.alarms = [], []
        self.page.on("request", lambda request: self.requests.append(request))
        self.page.on("pageerror", lambda error: self.alarms.append(str(error)))
        self.page.on("dialog", lambda dialog: self.alarms.append(dialog.message))
        self.page.goto(demo)
        self.page.check(f"input[value={mode}]")

    def press(self, name):
        self.page.get_by_role("button", name=name, exact=True).click()

    def wait(self, condition):
        self.page.wait_for_function(condition)
        return self

    def until_state(self, text):
        expression = f"document.getElementById('state').textContent.startsWith({text!r})"
        return self.wait(expression)

    def until_event(self, number):
        return self.wait(f"document.querySelectorAll('#events .message').length >= {number}")

    def rows(self, *kinds):
        return [row for row in self.page.evaluate(ROWS) if not kinds or row["kind"] in kinds]

    def states(self):
        return [row["data"].split(":")[0] for row in self.rows("state")]

    def text_of(self, selector):
        return self.page.locator(selector).text_content()


@pytest.fixture
def visit(chromium, demo):
    """Opens the page; each visit is a visitor of their own."""
    with ExitStack() as contexts:
        visitors = []

        def open_page(mode="EventSource", **options):
            context = contexts.enter_context(contextmanager(closing)(chromium, options))
            visitors.append(Visitor(context, demo, mode))
            return visitors[-1]

        yield open_page
        assert [visitor.alarms for visitor in visitors] == [[]] * len(visitors)


def closing(browser, options):
    context = browser.new_context(**options)
    yield context
    context.close()


def assert_whole(visitor, answer="unicode"):
    """The answer is there, and each event of it once."""
    rows = visitor.rows("plain", "message")
    stream_id = rows[0]["id"][:-2]
    assert re.fullmatch("[0-9a-f]{32}", stream_id)
    assert [row["id"] for row in rows] == [f"{stream_id}-{n + 1}" for n in range(len(rows))]
    plain = [PLAIN_TEXT + "\n\n"] if answer == "unicode" else []
    assert len(rows) == len(plain) + len(DELTAS[answer])
    assert visitor.text_of("#chat .theirs") == "".join(plain) + TEXTS[answer]
    assert visitor.rows()[-1]["kind"] == "close"
    assert visitor.text_of("#state") == "closed: the answer is complete"


@in_each_mode
def test_an_answer_comes_event_by_event(visit, mode):
    visitor = visit(mode)
    visitor.press("Send")
    visitor.until_event(3)
    assert visitor.text_of("#state") == "open"
    assert 0 < len(visitor.text_of("#chat .theirs")) < len(TEXTS["long"])
    visitor.until_state("closed")
    assert_whole(visitor, "long")
    assert visitor.states() == ["connecting", "open"]
    arrivals = [row["ms"] for row in visitor.rows()]
    assert arrivals == sorted(arrivals)
    assert len(set(arrivals)) > len(DELTAS["long"]) / 2, "the events came together"
    method = {"EventSource": "GET", "fetch": "POST"}[mode]
    [request] = [one for one in visitor.requests if "/stream" in one.url]
    assert request.method == method


def test_what_no_eye_can_see_is_shown_and_nothing_is_markup(visit):
    visitor = visit("fetch")
    visitor.page.fill("#question", "<img src=x onerror=alert(1)>")
    visitor.press("Unicode and newlines")
    visitor.until_state("closed")
    [plain] = visitor.rows("plain")
    assert plain["data"] == "First lineLF\nsecond lineLF\nLF\nTABthe fourth begins with a tab"
    shown = " ".join(row["data"] for row in visitor.rows("message"))
    for mark in ["··two", "NBSP", "ZWSP", "SHY", "BOM", "RLO", "PDF", "LS", "PS", "NEL", "ZWJ"]:
        assert mark in shown, mark
    assert visitor.page.locator("#events mark[title='U+200B']").count() == 3
    assert '"<img src=x onerror=alert(1)>"' in shown
    assert visitor.page.locator("main img, main b").count() == 0


VISIBLE = {
    "": "",
    "plain text": "plain text",
    " at both ends ": "·at both ends·",
    "in  a row": "in··a row",
    "\r\n": "CRLF\n",
    "\0\x01\x1b\x7f": "NULU+0001ESCDEL",
    "a\u00a0b\u3000c": "aNBSPbU+3000c",
    "\u200b\u200c\u200d\u2060\ufeff": "ZWSPZWNJZWJWJBOM",
    "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069": "LRERLEPDFLRORLOLRIRLIFSIPDI",
    "\u3164\u2800\U000e0041\U000f0000": "U+3164U+2800U+E0041U+F0000",
    "\u00fc \u05e9 \U0001f44d": "\u00fc \u05e9 \U0001f44d",
    "<b>&amp;</b>": "<b>&amp;</b>",
}


def test_each_invisible_character_has_a_mark(visit):
    show = "(text) => { const p = document.createElement('p'); p.append(visible(text)); "
    page = visit().page
    shown = {text: page.evaluate(show + "return p.textContent; }", text) for text in VISIBLE}
    assert shown == VISIBLE


@in_each_mode
def test_a_lost_connection_is_resumed_without_loss_or_repetition(visit, mode):
    visitor = visit(mode)
    visitor.press("Send")
    visitor.until_event(5)
    visitor.press("Drop the connection")
    visitor.until_state("reconnecting").until_state("closed")
    assert_whole(visitor, "long")
    assert visitor.states() == ["connecting", "open", "reconnecting", "open"]
    streams = [request for request in visitor.requests if "/stream" in request.url]
    first, second = [request.all_headers().get("last-event-id") for request in streams]
    assert first is None
    at = [row["kind"] for row in visitor.rows()].index("state", 2)
    assert second == visitor.rows()[at - 1]["id"]


def test_a_stream_that_is_dropped_twice_goes_on_twice(visit):
    visitor = visit("fetch")
    visitor.press("Send")
    for number in (2, 30):
        visitor.until_event(number)
        visitor.press("Drop the connection")
        visitor.until_state("reconnecting").until_state("open")
    visitor.press("Stop")
    numbers = [int(row["id"].rpartition("-")[2]) for row in visitor.rows("message")]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) >= 30
    assert visitor.states() == ["connecting", *["open", "reconnecting"] * 2, "open"]


def test_a_drop_is_for_the_page_that_asked_alone(visit, demo):
    first = visit()
    second = Visitor(first.page.context, demo)
    for visitor in (first, second):
        visitor.press("Send")
    for visitor in (first, second):
        visitor.until_event(1)
    first.press("Drop the connection")
    for visitor in (first, second):
        visitor.until_state("closed")
        assert_whole(visitor, "long")
    assert first.states().count("reconnecting") == 1
    assert second.states() == ["connecting", "open"]


def test_an_upstream_that_stalls_is_bridged_by_heartbeats_that_fetch_alone_sees(visit):
    by = {mode: visit(mode) for mode in MODES}
    quick = visit()
    for visitor in by.values():
        visitor.press("Upstream stalls")
    quick.press("Unicode and newlines")
    by["fetch"].wait("document.querySelectorAll('#events .comment').length >= 1")
    quick.until_state("closed")
    assert_whole(quick)  # others do not get the fault
    assert {row["event"] for row in by["fetch"].rows("comment")} == {"heartbeat"}
    assert by["EventSource"].rows("comment") == []
    assert "keeps comments to itself" in by["EventSource"].text_of("#hint")
    for visitor in by.values():
        assert visitor.text_of("#state") == "open"
        visitor.wait("document.getElementById('silence').textContent.startsWith('silent for ')")
        told = len(visitor.rows())
        visitor.press("Stop")
        assert visitor.text_of("#state") == "closed: by you"
        assert len(visitor.rows()) - told <= 1


@in_each_mode
def test_an_upstream_that_fails_is_an_error_event(visit, mode):
    visitor = visit(mode)
    visitor.press("Upstream fails")
    visitor.until_state("closed")
    assert visitor.text_of("#state") == "closed: the app has failed"
    assert visitor.text_of("#chat .failed") == "The stream failed."
    assert visitor.rows()[-1]["event"] == "error"
    assert '"type":"stream_error"' in visitor.rows()[-1]["data"]
    assert visitor.states() == ["connecting", "open"]


def test_each_way_to_cut_the_upstream_can_be_chosen(visit):
    visitor = visit()
    for cut in CUTS:
        visitor.page.check(f"input[name=cut][value={cut.partition('(')[0]}]")
        with visitor.page.expect_request("**/stream?*") as asked:
            visitor.press("Upstream fails")
        assert parse_qs(urlsplit(asked.value.url).query)["rechunk"] == [cut]


@pytest.mark.parametrize("cut", ["bytewise", "coalesced"])
def test_the_events_are_the_same_however_the_upstream_was_cut(visit, cut):
    visitor = visit("fetch")
    visitor.page.check(f"input[name=cut][value={cut}]")
    visitor.press("Unicode and newlines")
    visitor.until_state("closed")
    assert_whole(visitor)


def test_the_numbers_of_every_and_seeded_are_sent(visit):
    visitor = visit()
    visitor.page.fill("#every", "0")
    visitor.page.check("input[name=cut][value=every]")
    visitor.press("Upstream fails")
    assert visitor.rows() == []  # the browser says what is wrong with it
    visitor.page.fill("#every", "13")
    visitor.press("Upstream fails")
    visitor.until_state("closed")
    assert "rechunk=every%2813%29" in visitor.requests[-1].url


@in_each_mode
def test_a_refusal_is_told(visit, mode):
    visitor = visit(mode)
    visitor.page.evaluate("begin({ answer: 'no such' })")
    visitor.until_state("closed")
    told = visitor.text_of("#chat .failed")
    assert ("answer is 'no such': expected one of short, long, unicode" in told) == (
        mode == "fetch"  # an EventSource is not told why
    )


def test_it_can_be_used_by_keyboard_alone(visit):
    visitor = visit()
    keys, seen = visitor.page.keyboard, []

    def tab_to(selector):
        for _ in range(30):
            keys.press("Tab")
            outline = visitor.page.evaluate(
                "() => { const chip = document.activeElement.closest('.chip:has(:focus-visible)');"
                "return getComputedStyle(chip ?? document.activeElement).outlineStyle; }"
            )
            seen.append(outline)
            if visitor.page.evaluate("(s) => document.activeElement.matches(s)", selector):
                return
        raise AssertionError(f"{selector} is not reached by Tab")

    tab_to("#question")
    keys.press("Control+a")
    keys.type("Hello")
    keys.press("Enter")
    visitor.until_event(2)
    assert visitor.text_of("#chat .mine") == "Hello"
    tab_to("[name=mode]")
    keys.press("ArrowRight")
    assert visitor.page.is_checked("input[value=fetch]")
    tab_to("#drop")
    keys.press("Space")
    visitor.until_state("reconnecting").until_state("open")
    tab_to("#stop")
    keys.press("Enter")
    assert visitor.text_of("#state") == "closed: by you"
    tab_to("[data-fault=error]")
    keys.press("Enter")
    visitor.until_state("closed: the app")
    tab_to("[name=cut]")
    for _ in CUTS[1:]:
        keys.press("ArrowRight")
    assert visitor.page.is_checked("input[value=seeded]")
    tab_to("#scroll")
    assert set(seen) == {"solid"}, "the focus is not seen everywhere"


def test_what_is_there_has_names_and_the_answer_is_told_when_it_is_whole(visit):
    visitor = visit()
    visitor.press("Upstream fails")
    visitor.until_event(1)
    assert visitor.page.get_by_role("log", name="Chat").get_attribute("aria-busy") == "true"
    visitor.until_state("closed")
    log = visitor.page.get_by_role("log", name="Chat")
    assert (log.get_attribute("aria-busy"), log.get_attribute("aria-live")) == ("false", "polite")
    assert visitor.page.get_by_role("status").text_content().startswith("closed")
    unnamed = visitor.page.evaluate(
        "Array.from(document.querySelectorAll('input, button')).filter((control) => "
        "!(control.ariaLabel || control.labels?.[0]?.textContent || control.textContent)).length"
    )
    assert unnamed == 0


OVERFLOWING = """
() => ["form", ".scroll", "#chat"].filter((box) => {
  const { scrollWidth, clientWidth } = document.querySelector(box);
  return scrollWidth > clientWidth;
}).concat([document.documentElement.scrollWidth, ...Array.from(document.querySelectorAll("main *"),
  (element) => element.getBoundingClientRect().right)].filter((right) => right > innerWidth))
"""


@pytest.mark.parametrize("press", ["Unicode and newlines", "Upstream fails"])
def test_a_phone_shows_all_of_it_without_scrolling_sideways(visit, press):
    visitor = visit("fetch", **PHONE)
    visitor.page.fill("#question", "averylongwordwithoutanyspace" * 4)
    visitor.press(press)
    visitor.until_state("closed")
    assert visitor.page.evaluate(OVERFLOWING) == []


CONTRASTS = """
() => {
  const parse = (color) => color.match(/[\\d.]+/g).map(Number);
  const light = (color) => {
    const [r, g, b] = parse(color).map((c) => c / 255)
      .map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    const color = getComputedStyle(element).backgroundColor;
    return parse(color)[3] === 0 ? behind(element.parentElement) : color;
  };
  const selected = "h1, h2, p, button, legend, label, input, td, th, mark, #state";
  return Array.from(document.querySelectorAll(selected))
    .filter((element) => element.offsetParent && element.ariaDisabled !== "true")
    .map((element) => {
      const [a, b] = [light(getComputedStyle(element).color), light(behind(element))];
      return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), element.outerHTML.slice(0, 80)];
    });
}
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read_in_both_schemes(visit, scheme):
    visitor = visit("fetch", color_scheme=scheme)
    visitor.press("Upstream fails")
    visitor.until_state("closed")
    background = visitor.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", background))) > 384) == (scheme == "light")
    measured = visitor.page.evaluate(CONTRASTS)
    assert len(measured) > 50
    assert [one for one in measured if one[0] < 4.5] == []


def test_nothing_moves_for_those_who_want_that(visit):
    visitor = visit(reduced_motion="reduce")
    visitor.press("Upstream stalls")
    visitor.until_event(1)
    name = "getComputedStyle(document.querySelector('.writing'), '::after').animationName"
    assert visitor.page.evaluate(name) == "none"


def test_the_page_asks_nobody_but_its_server(visit, demo):
    visitor = visit("fetch")
    visitor.press("Upstream fails")
    visitor.until_state("closed")
    origins = {urlsplit(request.url)[:2] for request in visitor.requests}
    assert origins - {("data", "")} == {urlsplit(demo)[:2]}


def test_the_stream_is_the_recorded_answer_for_whoever_has_no_cookie(demo):
    with ThreadPoolExecutor() as pool:
        urls = [demo + "stream", demo + "stream?rechunk=bytewise"]
        plain, cut = pool.map(lambda url: urlopen(url, timeout=20).read(), urls)
    assert plain == cut
    assert plain.startswith(b'event: message\nid: 1\ndata: {"data":"Hello"}\n\n')
