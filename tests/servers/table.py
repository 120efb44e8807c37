"""Make ``docs/servers.md`` of what the tests measured.

SSE_MATRIX_OUT=matrix.json pytest tests/servers/test_servers.py
python tests/servers/table.py matrix.json > docs/servers.md
"""

import json
import sys
from pathlib import Path

RECIPES = Path(__file__).resolve().parent / "recipes"

INTRO = """\
# Servers

Made by `tests/servers/table.py` from a run of `tests/servers`; do not edit. Each test starts the
server and looks at it from a raw socket. [Deploying](deployment.md) tells how to start one.

On every server of this table, for a request whose Accept names `text/event-stream`:

* an event reaches the client before the next is made; while the app is blocked, comments do;
* the head is right, and what only a server may set (`Connection`, `Transfer-Encoding`) is gone;
* `on_disconnect` runs and the generator is closed, once, when the client has left while the app
  was blocked; an app that stays blocked all the same holds none of the server's threads;
* an error after the first event is an event, the end event arrives, and an EventSource that comes
  back after it is answered 204;
* HEAD runs no generator; a body of 300 KB is read where the app runs; a response that is no
  stream passes: lists, iterators, `write()`, files, 404, 204.
"""

COLUMNS = [
    "server",
    "streams at once",
    "body",
    "client left: seen after",
    "half an event cut",
    "app fails before its first event",
    "HEAD",
    "SIGTERM with an open stream",
    "with its recipe",
]

LEGEND = """
* **Streams at once**: *threads* is as many as you give it; each open stream holds one.
* **Client left**: where a time stands, the connection itself is looked at, whatever is written.
  Where comments are counted, only a failed write tells: with the default `heartbeat=15` two
  comments are up to 30 s. `heartbeat` bounds it.
* **Half an event cut**: what a client sees where the app fails inside an event that it relays as
  bytes. On the servers that say *looks complete* it cannot tell the cut from an end: it has to
  know the end event (`end_event`, `data: [DONE]`).
* **SIGTERM**: measured with `--graceful-timeout 3` on gunicorn and without it elsewhere. No server
  of this table closes the generator by itself. Where a recipe is named, the client gets a clean end
  without an end event, so that EventSource reconnects, and every `finally` runs.
"""

NOTES = """
## What to know of one server

Held by tests too:

* **waitress** needs `channel_request_lookahead=1`, or a client that left is seen three comments
  later. The log says so once.
* **gunicorn sync** kills a stream that is open for longer than `--timeout`, though events flow. Use
  `--worker-class gthread` or `gevent`, for whose streams `--timeout` is no limit. The log says so
  once.
* **gunicorn sync**, **bjoern** and **wsgiref** serve nobody else while a stream is open.
* **granian** and **uvicorn** wait for open streams without a limit when they are told to stop.
  With `max_age=3` both ended in time, cleanly and with every `finally` run;
  `--workers-kill-timeout` (granian) and `--timeout-graceful-shutdown` (uvicorn) cut the streams.
* **uWSGI** answers an app that raises by closing the connection, and with `--catch-exceptions` by a
  500 that has the traceback in it. It lends the environ and the body by pointers that the next
  request of the thread reuses; a worker gets its own, so the body is read before the app is called.
  Those functions of its module `uwsgi` that concern the request, such as `connection_fd`, raise
  SystemError in a worker.
* **granian** and **bjoern** have no `write()`. An app that calls it works in a worker.
* **bjoern** and **waitress** send a last chunk after the head of any HEAD response that has
  no Content-Length. waitress closes the connection; on bjoern the next response is spoilt.
* **eventlet** gathers 4 KiB before it writes; the middleware turns that off for its streams.
"""


ABOUT_RECIPES = """
Save the one of your server beside your app. In it `yourapp` is your module, and `application` the
`SSEMiddleware` there: say so in `yourapp.py`, by `application = app` or, of a Flask app,
`application = app.wsgi_app`. gunicorn's finds it by itself.
"""


def row(name, facts):
    return (
        "| "
        + " | ".join(
            [
                f"{name} ({facts['version']})",
                {None: "no limit", 1: "**1**"}.get(facts["at_once"], "threads"),
                "chunked" if facts["framing"] == "chunked" else "ends with the connection",
                _left(facts),
                "seen" if facts["cut"] in ("cut", "reset") else "**looks complete**",
                {"500": "500", "closes": "**closes, no response**"}[facts["failed"]],
                _head(facts),
                _sigterm(facts),
                "no recipe" if facts["drain_s"] is None else f"clean end in {facts['drain_s']} s",
            ]
        )
        + " |"
    )


def _left(facts):
    if facts["left_silent_s"] is not None:
        return f"{facts['left_silent_s']:.1f} s"
    if facts["left_s"] is None:
        return "**never**"
    count = max(1, round(facts["left_s"] / facts["heartbeat_s"]))
    return f"{count} comment{'s' if count > 1 else ''}"


def _head(facts):
    if facts["head_stray"]:
        return "**stray last chunk**" + ("" if facts["head_kept"] else ", then closes")
    return "keeps the connection" if facts["head_kept"] else "closes"


def _sigterm(facts):
    if facts["sigterm"] == "open":
        return f"**goes on** (still open after {facts['sigterm_s']} s)"
    how = "cut" if facts["sigterm"] in ("cut", "reset") else "cut, **looks complete**"
    return how + (" at once" if facts["sigterm_s"] < 1 else f" after {facts['sigterm_s']} s")


def recipes():
    """The last section: what a user saves beside the app, under which name."""
    text = "\n## Recipes: a clean end at SIGTERM\n" + ABOUT_RECIPES
    for path in sorted(RECIPES.glob("*.py")):
        code = path.read_text("utf-8").replace("from apps import", "from yourapp import")
        text += f"\n### `{path.name}`\n\n```python\n{code}```\n"
    return text


def main():
    measured = json.loads(Path(sys.argv[1]).read_text())
    rows = "\n".join(row(name, facts) for name, facts in measured.items())
    head = f"\n| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}\n"
    print(INTRO + head + rows + "\n" + LEGEND + NOTES + recipes(), end="")


if __name__ == "__main__":
    main()
