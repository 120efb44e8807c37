"""docs/migrate.md: flask-sse and what replaces it, before a real Redis."""

import re
import threading
import time
from pathlib import Path

import pytest
from backend import DEADLINE_S

from sse_middleware.errors import StillRunningError
from sse_middleware.testing import StreamClient

pytest.importorskip("flask")
DOC = Path(__file__).parents[2] / "docs" / "migrate.md"
PART = DOC.read_text("utf-8").split("\n## From flask-sse\n", 1)[1].split("\n## ", 1)[0]
BEFORE, AFTER = re.findall(r"```python\n(.*?)```", PART, re.DOTALL)
URL = "redis://localhost:6379/0"


def app_of(block, redis_server):
    assert URL in block
    names = {"__name__": "migrated"}
    exec(compile(block.replace(URL, redis_server.url), str(DOC), "exec"), names)
    return names["app"]


def published(app, number):
    with StreamClient(app).post(f"/orders/{number}") as answer:
        assert answer.status_code == 204


def wait_for_subscriber(redis_server, channel):
    gives_up_at = time.monotonic() + DEADLINE_S
    while redis_server.command("PUBSUB", "NUMSUB", channel)[1] == 0:
        assert time.monotonic() < gives_up_at, f"nobody subscribed to {channel}"
        time.sleep(0.02)


def test_flask_sse_streams_what_is_new_and_does_not_see_that_a_client_has_left(redis_server):
    pytest.importorskip("flask_sse")
    app = app_of(BEFORE, redis_server)
    published(app, 6)
    later = threading.Thread(
        target=lambda: (wait_for_subscriber(redis_server, "orders"), published(app, 7))
    )
    later.start()
    stream = StreamClient(app).get("/stream?channel=orders", last_event_id="1", timeout=0.5)
    with pytest.raises(StillRunningError), stream:
        event = stream.event(timeout=DEADLINE_S)
        assert (event.event, event.json()) == ("changed", {"order": 7})
        with pytest.raises(TimeoutError):
            stream.event(timeout=0.1)
    later.join(DEADLINE_S)
    published(app, 8)  # which frees the thread that was left behind


def test_a_channel_gives_a_client_that_comes_back_what_it_missed(redis_server):
    app = app_of(AFTER, redis_server)
    client = StreamClient(app)
    with client.get("/stream", timeout=DEADLINE_S) as stream:
        assert stream.status_code == 200  # it has subscribed
        published(app, 6)
        event = stream.event()
        assert (event.event, event.json()) == ("changed", {"order": 6})
    published(app, 7)
    with client.get("/stream", timeout=DEADLINE_S, last_event_id=event.id) as stream:
        assert stream.event().json() == {"order": 7}
