"""`Handover`: in order, bounded, joined only where items are ready together, never stuck."""

import threading
from queue import Queue

import pytest

from sse_middleware.clock import SystemClock
from sse_middleware.handover import Handover
from sse_middleware.signals import ThreadSignal

CLOCK = SystemClock()
DEADLINE_S = 30


def handover(**options):
    return Handover(ThreadSignal(), ThreadSignal(), **options)


class Beside(threading.Thread):
    """Runs ``call`` beside the test; ``result()`` waits for it, with a deadline."""

    def __init__(self, call):
        super().__init__(daemon=True)
        self._call = call
        self._results = Queue()
        self.start()

    def run(self):
        self._results.put(self._call())

    def result(self):
        return self._results.get(timeout=DEADLINE_S)

    @property
    def is_running(self):
        return self._results.empty()


def take_all(hand, joined=True):
    """Batches until the end, waiting in between."""
    batches = []
    while True:
        version = hand.version
        taken = hand.take(joined=joined)
        if taken:
            batches.append(taken)
        elif hand.is_over:
            return batches
        else:
            assert hand.wait(CLOCK, CLOCK.monotonic() + DEADLINE_S, version), "nothing came in time"


def test_what_is_ready_together_is_taken_together():
    hand = handover()
    for item in (b"a", b"b", b"c"):
        assert hand.put(item)
    assert hand.take(joined=True) == [b"a", b"b", b"c"]
    assert hand.take(joined=True) == []


BOUNDS = {
    "in frames": (b"x", 1024),
    "in bytes": (b"x" * 1024, 256),
    "a large frame passes alone": (b"x" * 300 * 1024, 1),
}


WRITES = {
    "small frames": ([16] * 1000, [1000]),
    "large frames": ([4096] * 40, [16, 16, 8]),
    "one that fills it": ([1, 65535, 1], [2, 1]),
    "one that is larger": ([1, 100_000, 1], [1, 1, 1]),
}


@pytest.mark.parametrize(("sizes", "counts"), WRITES.values(), ids=WRITES)
def test_no_more_is_taken_together_than_fits_a_write(sizes, counts):
    hand = handover()
    for size in sizes:
        assert hand.put(b"x" * size)
    taken = [hand.take(joined=True) for _ in counts]
    assert [len(batch) for batch in taken] == counts
    assert [len(item) for batch in taken for item in batch] == sizes
    assert hand.take(joined=True) == []


class Frames(list):
    """What `put_all` is given: it ends, for itself, before its last item is taken."""

    def __init__(self, *items):
        super().__init__(items)
        self.handed = []

    @property
    def ended(self):
        return self.handed[-1] == b"last"

    def __iter__(self):
        for item in super().__iter__():
            self.handed.append(item)
            yield item


def put_one_by_one(hand, frames):
    """What `put_all` does, in its plain form."""
    for frame in frames:
        if not hand.put(frame):
            return False
        if frames.ended:
            return True
    return False


FRAMES = {
    "none": [],
    "few": [b"a", b"bc"],
    "after the end": [b"a", b"last", b"more"],
    "many": [b"%d" % number for number in range(5000)],
    "large and small": [b"x" * size for size in (1, 300_000, 2, 200_000, 100_000, 3)] * 3,
}


@pytest.mark.parametrize("put", [put_one_by_one, Handover.put_all])
@pytest.mark.parametrize("items", FRAMES.values(), ids=FRAMES)
def test_frames_put_together_are_those_put_one_by_one(put, items):
    hand, frames = handover(), Frames(*items)

    def make():
        wanted = put(hand, frames)
        hand.finish()
        return wanted

    maker = Beside(make)
    taken = [item for batch in take_all(hand) for item in batch]
    assert maker.result() is (b"last" in items)
    assert taken == frames.handed == items[: 2 if b"last" in items else None]
    assert hand._put_bytes == hand._taken_bytes == sum(map(len, taken))


@pytest.mark.parametrize(("item", "most"), BOUNDS.values(), ids=BOUNDS)
def test_frames_put_together_are_bounded_and_freed_by_cancelling(item, most):
    hand, frames = handover(), Frames(*[item] * most * 3)
    maker = Beside(lambda: hand.put_all(frames))
    blocked(hand, maker)
    assert (len(hand._items), len(frames.handed)) == (most, most + 1)
    hand.cancel()
    assert maker.result() is False
    assert len(frames.handed) == most + 1


def test_a_taker_that_looked_before_frames_were_put_together_does_not_wait_for_them():
    hand = handover()
    version = hand.version
    hand.put_all(Frames(b"a"))
    assert hand.wait(CLOCK, 0, version)


def test_frames_that_have_room_are_put_without_a_look_at_who_waits():
    hand = handover()
    for _ in range(3):  # what was taken counts no more
        assert hand.put(b"x" * 200_000)
        assert hand.take(joined=True)
    hand.put = None  # the long way, for a frame that has to wait
    hand.put_all(Frames(*[b"x" * 256] * 1024))
    assert len(hand._items) == 1024


def test_no_frame_is_put_where_nobody_wants_any():
    hand, frames = handover(), Frames(b"a", b"b")
    hand.cancel()
    assert hand.put_all(frames) is False
    assert frames.handed == [b"a"]


def test_items_that_are_not_joined_are_taken_one_by_one():
    hand = handover()
    for item in (b"a", 7, b""):
        hand.put(item)
    assert [hand.take(joined=False) for _ in range(4)] == [[b"a"], [7], [b""], []]
    assert hand._put_bytes == hand._taken_bytes == 1


def test_the_end_comes_after_the_last_item():
    hand = handover()
    hand.put(b"a")
    hand.finish()
    assert not hand.is_over
    hand.take(joined=True)
    assert hand.is_over


def test_what_ended_it_is_raised_once_after_the_last_item():
    hand = handover()
    hand.put(b"a")
    hand.finish(KeyError("x"))
    assert not hand.is_over
    hand.take(joined=True)
    with pytest.raises(KeyError):
        hand.is_over  # noqa: B018
    assert hand.is_over


@pytest.mark.parametrize("joined", [True, False])
def test_every_item_arrives_in_order_however_the_threads_run(joined):
    hand = handover()
    items = [b"%d" % n for n in range(20_000)]

    def make():
        put = [hand.put(item) for item in items]
        hand.finish()
        return set(put)

    maker = Beside(make)
    taken = [item for batch in take_all(hand, joined) for item in batch]
    assert taken == items
    assert maker.result() == {True}


def blocked(hand, maker):
    """Wait until ``maker`` waits for room, as the handover itself knows."""
    deadline = threading.Event()
    while not hand._is_putter_waiting:
        assert maker.is_running
        deadline.wait(0.001)


@pytest.mark.parametrize(("item", "most"), BOUNDS.values(), ids=BOUNDS)
def test_the_buffer_is_bounded(item, most):
    hand = handover()

    def make():
        for _ in range(most * 3):
            hand.put(item)
        hand.finish()
        return True

    maker = Beside(make)
    blocked(hand, maker)
    assert len(hand._items) == most
    batches = take_all(hand)
    assert max(len(batch) for batch in batches) <= most
    assert sum(len(batch) for batch in batches) == most * 3
    assert maker.result()


def test_cancelling_frees_a_worker_that_waits_for_room():
    hand = handover()
    maker = Beside(lambda: [hand.put(b"x") for _ in range(1025)][-1])
    blocked(hand, maker)
    hand.cancel()
    assert maker.result() is False
    assert hand.put(b"x") is False


class Drained(ThreadSignal):
    """Notes for how long it was waited for, and is not set in that time."""

    def __init__(self, meanwhile):
        super().__init__()
        self.waits, self._meanwhile = [], meanwhile

    def wait(self, timeout_s):
        self.waits.append(timeout_s)
        self._meanwhile()
        return False


def full(drained):
    """A handover in which nothing has room."""
    hand = Handover(ThreadSignal(), drained)
    assert hand.put(b"x" * 256 * 1024)
    return hand


def test_a_taker_that_takes_nothing_for_so_long_is_given_up():
    drained = Drained(lambda: None)
    hand = full(drained)
    version = hand.version
    assert hand.put(b"late", 2.5) is False
    assert drained.waits == [2.5]
    assert hand.is_cancelled
    assert hand.wait(CLOCK, 0, version), "the taker was not woken"
    assert hand.put(b"later") is False


def test_a_taker_that_took_in_the_last_moment_is_not_given_up():
    drained = Drained(lambda: hand.take(joined=True))
    hand = full(drained)
    assert hand.put(b"late", 2.5)
    assert (drained.waits, hand.is_cancelled) == ([2.5], False)
    assert hand.take(joined=True) == [b"late"]


def test_a_worker_without_patience_waits_however_long():
    drained = Drained(lambda: hand.take(joined=True))
    hand = full(drained)
    assert hand.put(b"late")
    assert drained.waits == [None]


class Between(Handover):
    """Here ``meanwhile()`` happens when the worker has looked and is just about to wait."""

    meanwhile = None

    @property
    def _is_putter_waiting(self):
        return self._waits

    @_is_putter_waiting.setter
    def _is_putter_waiting(self, waits):
        if waits and self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            meanwhile()
        self._waits = waits


@pytest.mark.parametrize("is_wanted", [True, False], ids=["room", "leaving"])
def test_room_that_comes_as_the_worker_begins_to_wait_is_seen(is_wanted):
    drained = Drained(lambda: None)
    hand = Between(ThreadSignal(), drained)
    assert hand.put(b"x" * 256 * 1024)
    hand.meanwhile = (lambda: hand.take(joined=True)) if is_wanted else hand.cancel
    assert hand.put(b"late", 2.5) is is_wanted
    assert drained.waits == []


@pytest.mark.parametrize("is_wanted", [True, False], ids=["demand", "leaving"])
def test_a_demand_that_comes_as_the_worker_begins_to_wait_is_seen(is_wanted):
    drained = Drained(lambda: None)
    hand = Between(ThreadSignal(), drained, on_demand=True)
    hand.meanwhile = (lambda: hand.wait(CLOCK, 0, 0)) if is_wanted else hand.cancel
    assert Beside(hand.wait_for_demand).result() is is_wanted
    assert drained.waits == []


def test_a_worker_waits_for_a_demand_and_does_not_ask_for_one_all_the_time():
    drained = Drained(lambda: hand.wait(CLOCK, 0, hand.version))
    hand = Handover(ThreadSignal(), drained, on_demand=True)
    assert Beside(hand.wait_for_demand).result() is True
    assert drained.waits == [None]
    assert Beside(hand.wait_for_demand).result() is True
    assert drained.waits == [None]


def test_where_nothing_is_on_demand_nobody_waits_for_one():
    hand = handover()
    assert Beside(hand.wait_for_demand).result() is True
    hand.cancel()
    assert Beside(hand.wait_for_demand).result() is False


def test_on_demand_items_are_never_joined():
    hand = handover(on_demand=True)
    assert hand.is_on_demand
    for item in (b"a", b"b"):
        hand.put(item)
    assert [hand.take(joined=True) for _ in range(3)] == [[b"a"], [b"b"], []]


def test_on_demand_asking_twice_for_an_item_makes_one():
    hand = handover(on_demand=True)
    version = hand.version
    assert not hand.wait(CLOCK, 0, version)
    assert Beside(hand.wait_for_demand).result()
    assert hand.put(b"a")
    assert hand.wait(CLOCK, 0, version)  # the taker had looked before it came
    assert hand.take(joined=True) == [b"a"]
    worker = Beside(hand.wait_for_demand)
    blocked(hand, worker)
    hand.wait(CLOCK, 0, hand.version)
    assert worker.result()


def test_on_demand_an_item_is_made_for_each_wait_and_not_before():
    hand = handover(on_demand=True)
    made = []

    def make():
        while hand.wait_for_demand():
            made.append(len(made))
            hand.put(b"%d" % len(made))
        return made

    maker = Beside(make)
    for number in (1, 2, 3):
        assert hand.take(joined=True) == []
        assert hand.wait(CLOCK, CLOCK.monotonic() + DEADLINE_S, hand.version)
        assert hand.take(joined=True) == [b"%d" % number]
        assert len(made) == number
    hand.cancel()
    assert maker.result() == [0, 1, 2]


def test_a_wait_ends_when_its_time_is_over():
    hand = handover()
    assert hand.wait(CLOCK, 0, hand.version) is False


def test_a_wait_for_what_came_before_it_began_does_not_wait():
    hand = handover()
    version = hand.version
    hand.wake_taker()
    assert hand.wait(CLOCK, None, version) is True


@pytest.mark.parametrize("wake", [Handover.wake_taker, Handover.cancel])
def test_a_wake_from_any_thread_is_kept_and_undoes_no_news_of_the_worker(wake):
    """Two threads that count at once lose a count, before Python 3.10: one of them may count."""
    hand = handover()
    version = hand.version
    wake(hand)
    assert hand.version == version
    assert hand.wait(CLOCK, 0, version), "it was lost"
    assert not hand.wait(CLOCK, 0, version)


class Counted(ThreadSignal):
    """Counts how often it was set."""

    times = 0

    def set(self):
        self.times += 1
        super().set()


PUTS = {
    "one by one": lambda hand: [hand.put(b"a") for _ in range(3)],
    "together": lambda hand: hand.put_all(Frames(b"a", b"a", b"a")),
}


@pytest.mark.parametrize("put", PUTS.values(), ids=PUTS)
def test_a_taker_is_woken_once_however_much_is_put(put):
    hand = Handover(Counted(), ThreadSignal())
    put(hand)
    assert hand._filled.times == 0, "nobody waited"
    hand.wait(CLOCK, 0, hand.version)
    put(hand)
    assert hand._filled.times == 1


def test_a_worker_is_woken_once_however_much_is_taken():
    hand = Handover(ThreadSignal(), Counted())
    for _ in range(3):  # what was taken counts no more
        assert hand.put(b"x" * 200 * 1024, 0)
        assert hand.take(joined=True)
    assert hand._drained.times == 0, "nobody waited"
    for has_room in (True, True, False):
        assert hand.put(b"x" * 100 * 1024, 0) is has_room
    assert hand._drained.times == 1
    assert hand.take(joined=True)
    assert hand._drained.times == 1


@pytest.mark.parametrize("put", PUTS.values(), ids=PUTS)
def test_each_flag_is_true_or_false(put):
    hand = handover()

    def flags():
        return [value for name, value in vars(hand).items() if "is_" in name]

    assert flags() == [False] * 4
    hand.wait(CLOCK, 0, hand.version)
    put(hand)
    hand._wait_for_room(256 * 1024, 0)
    hand.take(joined=True)
    hand.finish()
    assert {type(flag) for flag in flags()} == {bool}


@pytest.mark.parametrize("put", PUTS.values(), ids=PUTS)
def test_no_version_comes_twice(put):
    class Noting(Handover):
        def __setattr__(self, name, value):
            if name == "version":
                versions.append(value)
            super().__setattr__(name, value)

    versions = []
    hand = Noting(ThreadSignal(), ThreadSignal())
    put(hand)
    hand.tell_taker()
    hand.finish()
    assert len(versions) == len(set(versions)) == 6


def test_what_a_taker_waits_for_wakes_it():
    news = {
        "an item": lambda hand: hand.put(b"a"),
        "frames": lambda hand: hand.put_all(Frames(b"a")),
        "the end": Handover.finish,
        "the worker": Handover.tell_taker,
        "another": Handover.wake_taker,
        "cancelled": Handover.cancel,
    }
    for what, tell in news.items():
        hand = handover()
        taker = Beside(lambda hand=hand: hand.wait(CLOCK, None, hand.version))
        until_it_waits(hand, taker)
        tell(hand)
        assert taker.result() is True, what


def until_it_waits(hand, taker):
    pause = threading.Event()
    while not hand._is_taker_waiting:
        assert taker.is_running
        pause.wait(0.001)


def test_a_signal_that_is_set_twice_is_set_once():
    signal = ThreadSignal()
    signal.set()
    signal.set()
    assert signal.wait(0) is True
    assert signal.wait(0) is False
    assert signal.wait(-1.0) is False
