"""Two gunicorn workers and one Redis: clients that are cut, workers that are killed, Redis ill.

What a client saw over all its connections must be the stream as it would have been without a
fault: nothing lost, nothing twice, nothing out of order, and the app asked once.
"""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from backend import DEADLINE_S, Server, free_port, require
from client import Client, fetch

HERE = Path(__file__).resolve().parent
COUNT = 6


class Worker:
    """One gunicorn with one worker, on a port of its own."""

    def __init__(self, kind, url, folder):
        self.port = free_port()
        self.log_path = folder / f"{self.port}.log"
        bind = ["--bind", f"127.0.0.1:{self.port}", "--threads", "16", "--worker-class", kind]
        with self.log_path.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "gunicorn", *bind, "--graceful-timeout", "1", "app"],
                cwd=HERE,
                env={**os.environ, "REDIS_URL": url},
                stdout=log,
                stderr=log,
            )

    def pid(self):
        """The process that serves, once it does."""
        gives_up_at = time.monotonic() + DEADLINE_S
        while True:
            try:
                return int(fetch(self.port, "/pid"))
            except OSError:
                assert time.monotonic() < gives_up_at, self.log_path.read_text()
                time.sleep(0.05)

    def kill(self):
        """Kill the process that serves; gunicorn starts another."""
        os.kill(self.pid(), signal.SIGKILL)

    def stop(self):
        self._process.terminate()
        try:
            self._process.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(DEADLINE_S)


class Site:
    """Two workers that share a Redis."""

    def __init__(self, kind, folder):
        self.was_ill = False
        self.redis = Server(folder)
        self.workers = [Worker(kind, self.redis.url, folder) for _ in range(2)]
        self.one, self.other = self.workers
        for worker in self.workers:
            worker.pid()

    def stop(self):
        for worker in self.workers:
            worker.stop()
        self.redis.stop()


@pytest.fixture(scope="module", params=["gthread", "gevent"])
def site(request, tmp_path_factory):
    require()
    site = Site(request.param, tmp_path_factory.mktemp("site"))
    yield site
    site.stop()


@pytest.fixture(autouse=True)
def running(site):
    """Each test begins with both workers and Redis in health."""
    site.redis.command("PING")  # where it was paused, this waits
    if site.was_ill:
        time.sleep(1.1)  # the workers leave a log that has failed alone for a second
        site.was_ill = False
    for worker in site.workers:
        worker.pid()


@pytest.fixture
def ill(site, running):
    """The Redis of the site, to do harm to."""
    site.was_ill = True
    return site.redis


def count(gap_s=0.004, n=COUNT):
    return Client(f"/count?n={n}&gap={gap_s}")


def finish(client, port):
    """Let ``client`` read until it has seen the end, over as many connections as that takes."""
    gives_up_at = time.monotonic() + DEADLINE_S
    while not client.is_over:
        assert time.monotonic() < gives_up_at, client.events
        client.connect(port).rest()
        if client.status == 204:
            return


def whole(site):
    """The bytes of a stream that nobody cut: how long each frame is."""
    client = count()
    client.connect(site.one.port)
    lengths = []
    while not client.is_over:
        seen, length = len(client.events), 0
        while len(client.events) == seen:
            client.read(1)
            length += 1
        lengths.append(length)
    client.cut()
    assert len(lengths) == COUNT + 1
    return lengths


@pytest.mark.parametrize("comes_back_to", ["the same worker", "the other worker"])
def test_a_client_that_is_cut_anywhere_sees_the_whole_stream_once(site, comes_back_to):
    lengths = whole(site)
    ends = [sum(lengths[: number + 1]) for number in range(len(lengths))]
    places = [end - back for end in ends for back in (0, 1, 2, 20)]
    port = (site.one if comes_back_to == "the same worker" else site.other).port
    for place in places:
        client = count()
        client.connect(site.one.port).read(place)
        client.cut()
        finish(client, port)
        assert client.numbers == list(range(COUNT)), place
        assert client.events[-1].event == "close"


def test_a_client_that_is_cut_again_and_again_sees_the_whole_stream_once(site):
    chance = random.Random(7)
    for _ in range(6):
        client = count(n=30)
        client.connect(site.one.port).read(150)
        while not client.is_over:
            client.cut()
            client.connect(chance.choice(site.workers).port)
            client.read(chance.randint(1, 400))
        client.cut()
        assert client.numbers == list(range(30))


def test_many_clients_follow_one_stream_on_both_workers(site):
    first = count(gap_s=0.05, n=20)
    first.connect(site.one.port).read_events(1)
    others = []
    for number in range(10):
        other = count(gap_s=0.05, n=20)
        other.last_event_id = first.last_event_id
        other.connect(site.workers[number % 2].port)
        others.append(other)
    threads = [threading.Thread(target=client.rest) for client in (first, *others)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S)
    assert first.numbers == list(range(20))
    assert [other.numbers for other in others] == [list(range(1, 20))] * 10


def test_another_users_id_gets_a_stream_of_its_own(site):
    client, thief = count(gap_s=0.05), count()
    client.connect(site.one.port).read_events(2)
    thief.user, thief.last_event_id = "bob", client.last_event_id
    thief.path = client.path
    thief.connect(site.other.port).rest()
    client.rest()
    assert thief.numbers == list(range(COUNT))
    assert thief.events[0].data != client.events[0].data


def test_a_finished_stream_is_204_from_either_worker(site):
    client = count()
    client.connect(site.one.port).rest()
    last_id = client.events[-2].id
    client.last_event_id = last_id
    client.connect(site.other.port).rest()
    assert [event.event for event in client.events[-2:]] == ["close", "close"]
    for port in (site.one.port, site.other.port):
        client.last_event_id = last_id.rpartition("-")[0] + f"-{COUNT + 1}"
        assert client.connect(port).status == 204


# --- workers are killed


def test_the_readers_of_a_killed_worker_get_the_error_event_and_then_204(site):
    client = count(gap_s=0.1, n=100)
    client.connect(site.one.port).read_events(5)
    site.one.kill()
    client.rest()
    seen = len(client.events)
    client.connect(site.other.port)
    began = time.monotonic()
    client.rest()
    assert time.monotonic() - began < 6
    assert client.events[-1].event == "error"
    assert client.numbers == list(range(len(client.events) - 1))
    assert len(client.events) > seen
    assert [event.event for event in client.events].count("error") == 1
    assert client.last_event_id == "sse:end"
    client.connect(site.other.port)
    assert client.status == 204


def test_a_stream_survives_the_worker_that_only_followed_it(site):
    client = count(gap_s=0.05, n=30)
    client.connect(site.one.port).read_events(3)
    client.cut()
    client.connect(site.other.port).read_events(6)
    site.other.kill()
    client.rest()
    finish(client, site.one.port)
    assert client.numbers == list(range(30))


# --- Redis is ill


def live_through(site, make_ill, gap_s=0.05, n=30):
    """A client that stays connected while ``make_ill`` happens; an id of it, and how late it was.

    It must see the whole stream.
    """
    client = count(gap_s=gap_s, n=n)
    client.connect(site.one.port).read_events(5)
    early_id = client.last_event_id
    make_ill()
    began = time.monotonic()
    client.rest()
    assert client.numbers == list(range(n))
    assert client.events[-1].event == "close"
    return early_id, time.monotonic() - began - gap_s * (n - 5)


def fresh(client, port):
    """Whether ``port`` answers that client by the app, from the first event on."""
    client.connect(port).rest()
    return client.numbers == list(range(COUNT))


def test_a_live_stream_goes_on_when_redis_is_restarted_and_its_ids_go_to_the_app(site, ill):
    def restart():
        ill.stop()
        ill.start()

    early_id, late_s = live_through(site, restart)
    assert late_s < 3
    client = Client("/count?n=30&gap=0.05")
    client.last_event_id = early_id
    client.connect(site.other.port).rest()
    assert client.numbers == list(range(30))


def test_while_redis_is_gone_streams_begin_and_end_as_without_it(site, ill):
    ill.stop()
    try:
        client = count()
        client.last_event_id = "0" * 32 + "-3"
        began = time.monotonic()
        assert fresh(client, site.one.port)
        assert time.monotonic() - began < 3
    finally:
        ill.start()
    told = site.one.log_path.read_text().count("streams are not kept")
    assert told
    time.sleep(1.2)  # the log is left alone for a second
    client = count()
    client.connect(site.one.port).read_events(2)
    client.cut()
    finish(client, site.other.port)
    assert client.numbers == list(range(COUNT))


def test_a_live_stream_goes_on_when_redis_is_read_only(site, ill):
    try:
        _, late_s = live_through(site, lambda: ill.command("REPLICAOF", "127.0.0.1", "1"))
        assert late_s < 3
        assert fresh(count(), site.other.port)
    finally:
        ill.command("REPLICAOF", "NO", "ONE")


def test_a_slow_redis_delays_and_loses_nothing(site, ill):
    client = count(gap_s=0.02, n=40)
    client.connect(site.one.port).read_events(5)
    client.cut()
    ill.command("CLIENT", "PAUSE", "600", "ALL")
    time.sleep(0.2)
    finish(client, site.other.port)
    assert client.numbers == list(range(40))


def test_a_redis_that_stands_still_delays_a_live_stream_by_its_patience_at_most(site, ill):
    _, late_s = live_through(site, lambda: ill.command("CLIENT", "PAUSE", "2500", "ALL"))
    assert late_s < 3


# --- channels


def test_a_channel_reaches_the_subscribers_of_both_workers_and_survives_cuts(site):
    clients = [Client("/news") for _ in range(4)]
    threads = []
    for number, client in enumerate(clients):
        port = site.workers[number % 2].port
        thread = threading.Thread(target=lambda c=client, p=port: c.connect(p).read_events(5))
        thread.start()
        threads.append(thread)
    time.sleep(1.5)  # a silent stream opens after a second
    for number in range(10):
        fetch(site.workers[number % 2].port, f"/publish?data=run:{number}")
    for thread in threads:
        thread.join(DEADLINE_S)
    for number, client in enumerate(clients):
        client.cut()
        client.connect(site.workers[(number + 1) % 2].port).read_events(10)
        client.cut()
        assert client.numbers == list(range(10))
