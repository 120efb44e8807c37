"""Each client makes of a replay what it makes of the raw bytes, whatever the chunks are.

The raw bytes come from a server of its own: the whole body with its length, in one write.
"""

import os

import pytest
from asking import Job
from streams import VENDORS, ours, vendors
from whole import whole

from sse_middleware.testing import FakeUpstream, rechunk

# Each version of the SDK has them, and its users have recordings of them.
pytestmark = pytest.mark.filterwarnings("ignore:The Assistants API is deprecated")

#: One byte a chunk takes its time: larger recordings are for one client, in larger chunks.
SMALL_BYTES = 3000
THOROUGH = "openai 3"
has_vendors = pytest.mark.skipif(
    not VENDORS.is_dir(), reason="the recordings of real vendors do not stand beside this checkout"
)


def test_the_clients_that_this_environment_is_there_for_are_installed(absent):
    if absent and os.environ.get("CI") != "true":
        pytest.skip(f"not installed: {', '.join(absent)}")
    assert absent == []


def outcomes(client, base_url, streams):
    """What the client makes of each of ``streams``, by name."""
    jobs = [Job(api, f"{base_url}/{name}") for name, (api, _) in streams.items()]
    return dict(zip(streams, client.ask(jobs)))


def from_raw_bytes(client, streams):
    recordings = {name: recording for name, (_, recording) in streams.items()}
    with whole(recordings) as base_url:
        return outcomes(client, base_url, streams)


def from_replay(client, streams):
    upstream = FakeUpstream()
    for name, (_, recording) in streams.items():
        upstream.play(recording, when={"path": f"/v1/{name}/*"})
    with upstream.serve() as base_url:
        came = outcomes(client, base_url, streams)
    upstream.verify()
    return came


def differences(client, streams, modes=(rechunk.as_recorded,)):
    """Each stream that the client did not read as it reads the raw bytes, by name and mode."""
    streams = {name: stream for name, stream in streams.items() if stream[0] in client.apis}
    raw = from_raw_bytes(client, streams)
    assert any(outcome.count for outcome in raw.values())
    replayed = {
        f"{name}~{mode.__name__}": (api, mode(recording))
        for name, (api, recording) in streams.items()
        for mode in modes
    }
    return {
        name: f"{outcome} is not {raw[name.split('~')[0]]}"
        for name, outcome in from_replay(client, replayed).items()
        if not is_same(outcome, raw[name.split("~")[0]], replayed[name][1])
    }


def is_same(outcome, raw, recording):
    if isinstance(raw.came, bytes) and raw.came != recording.body:
        return False
    if recording.end != "complete":  # from the bytes alone nobody can see the cut
        return outcome.came == raw.came and outcome.error is not None
    return outcome == raw


def test_a_recording_of_ours_gives_what_its_raw_bytes_give(client):
    assert differences(client, ours()) == {}


@has_vendors
def test_a_recording_of_a_real_vendor_gives_what_its_raw_bytes_give(client):
    assert differences(client, vendors()) == {}


def test_other_chunks_change_nothing(client):
    every = {**ours(), **vendors()}
    small = {name: every[name] for name in every if len(every[name][1].body) <= SMALL_BYTES}
    assert differences(client, small, rechunk.MODES) == {}
    if client.name == THOROUGH:
        large = {name: every[name] for name in every.keys() - small}
        modes = [mode for mode in rechunk.MODES if mode is not rechunk.bytewise]
        assert differences(client, large, modes) == {}
