"""Chromium as the judge of the table of streams, and the page's own parser under the same table."""

import json
from pathlib import Path

import pytest

from sse_middleware.testing import FakeUpstream, Recording

TABLE = Path(__file__).parents[2] / "fixtures" / "conformance" / "eventsource-parse.jsonl"
ROWS = [json.loads(line) for line in TABLE.read_text("ascii").splitlines()]
DEFAULT_RETRY_MS = 3000  # Chromium's

#: The rows where Chromium does something else than the standard: an empty ``retry`` brings its own
#: default back, where the standard has it ignored, as it is not a number.
DEVIATING_RETRY_MS = {
    "ep-empty-retry-mid": DEFAULT_RETRY_MS,
    "od-malformed-retries": DEFAULT_RETRY_MS,
}

#: Rows whose EventSource comes back too late to be waited for.
TOO_LATE = [number for number, row in enumerate(ROWS) if (row["retry"] or 0) > DEFAULT_RETRY_MS]

# An EventSource for each row. It is over when it has come back, as there is nothing more for it:
# that is a 404. Those that come back too late are over when the first connection ends.
READING = """
async ([rows, types]) => Promise.all(rows.map(({ path, isTooLate }) => new Promise((resolve) => {
  const outcome = { events: [], waited: null };
  const source = new EventSource(path);
  let ended = null;
  for (const type of types) {
    source.addEventListener(type, (event) => {
      if (event instanceof MessageEvent) { // one of the browser's own may have that name
        outcome.events.push({ event: event.type, data: event.data, id: event.lastEventId });
      }
    });
  }
  source.onerror = () => {
    if (source.readyState !== EventSource.CLOSED && !isTooLate) {
      ended = performance.now();
      return;
    }
    source.close();
    outcome.waited = performance.now() - ended;
    resolve(outcome);
  };
})))
"""


def recording(row):
    """The bytes of the row; a moment between its chunks, so that each is read for itself."""
    body = row["stream"].encode(row["encoding"])
    sizes, left = [], len(body)
    for size in row.get("chunks", [len(body)]):
        sizes.append(min(size, left))
        left -= sizes[-1]
    return Recording(body, chunks=[(0.002, size) for size in [*sizes, left] if size])


def types():
    """Every name that a row expects, and those that a bad parser would come to."""
    names = {event["event"] for row in ROWS for event in row["expected"]}
    for row in ROWS:
        for line in row["stream"].replace("\r", "\n").split("\n"):
            if line.startswith("event") and ":" in line:
                name = line.split(":", 1)[1]
                names |= {name, name.strip(), name.removeprefix(" ")}
    return sorted(names - {"", "error"})


@pytest.fixture(scope="module")
def judged(chromium):
    """For each row what Chromium made of it, and the headers of the requests that it sent."""
    upstream = FakeUpstream()
    page_headers = {"content-type": "text/html"}
    empty = Recording(b"<!doctype html>", headers=page_headers)
    upstream.play(empty, when={"method": "GET", "path": "/v1/page"})
    for number, row in enumerate(ROWS):
        when = {"method": "GET", "path": f"/v1/{number}"}
        if row.get("initial_last_event_id"):
            before = f"retry: 1\nid: {row['initial_last_event_id']}\n\n"
            upstream.play(Recording(before.encode()), when=when)
        upstream.play(recording(row), when=when, speed=1.0)
    context = chromium.new_context()
    page = context.new_page()
    with upstream.serve() as base_url:
        page.goto(base_url + "/page")
        asked = [{"path": str(n), "isTooLate": n in TOO_LATE} for n in range(len(ROWS))]
        outcomes = page.evaluate(READING, [asked, types()])
    context.close()
    ids = {f"/v1/{number}": [] for number in range(len(ROWS))}
    for request in upstream.requests:
        if request.path in ids:
            ids[request.path].append(request.headers.get("last-event-id", ""))
    return list(zip(outcomes, ids.values()))


def test_the_table_is_whole():
    assert len(ROWS) == 200
    assert set(DEVIATING_RETRY_MS) <= {row["name"] for row in ROWS}


@pytest.mark.parametrize("number", range(len(ROWS)), ids=[row["name"] for row in ROWS])
def test_chromium_comes_to_what_the_row_expects(judged, number):
    row, (outcome, ids) = ROWS[number], judged[number]
    assert outcome["events"] == row["expected"]
    if number in TOO_LATE:
        return
    # The last request is the one that was refused: it tells what is remembered.
    assert ids[-1].encode("latin-1").decode("utf-8") == row["last_event_id"]
    primed_ms = 1 if row.get("initial_last_event_id") else DEFAULT_RETRY_MS
    retry_ms = primed_ms if row["retry"] is None else row["retry"]
    retry_ms = DEVIATING_RETRY_MS.get(row["name"], retry_ms)
    assert outcome["waited"] >= retry_ms - 50
    if retry_ms < 1000:
        assert outcome["waited"] < DEFAULT_RETRY_MS - 50


# The page's own parser, fed with the same bytes

PARSING = """
async (rows) => Promise.all(rows.map(async ({ pieces, id }) => {
  const events = [];
  const parser = new EventStreamParser({
    event: ({ type, data, lastEventId }) => events.push({ event: type, data, id: lastEventId }),
    comment: () => {},
  });
  if (id) parser.feed(`id: ${id}\\n\\n`);
  const body = new ReadableStream({
    start(controller) {
      for (const piece of pieces) controller.enqueue(new Uint8Array(piece));
      controller.close();
    },
  });
  for await (const text of texts(new Response(body))) parser.feed(text);
  return [events, parser.lastEventId, parser.retry];
}))
"""


def every(size):
    return lambda row, body: [body[start : start + size] for start in range(0, len(body), size)]


WAYS = {
    "as in the source": lambda row, body: [data for _, data in recording(row).pieces()],
    "1 byte": every(1),
    "2 bytes": every(2),
    "3 bytes": every(3),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_parser_of_the_page_comes_to_what_every_row_expects(page, demo, way):
    asked = []
    for row in ROWS:
        pieces = WAYS[way](row, row["stream"].encode(row["encoding"]))
        asked.append({"pieces": list(map(list, pieces)), "id": row.get("initial_last_event_id")})
    page.goto(demo)
    outcomes = page.evaluate(PARSING, asked)
    for row, outcome in zip(ROWS, outcomes):
        expected = [row["expected"], row["last_event_id"], row["retry"]]
        assert outcome == expected, row["name"]
