"""sse_middleware.testing._httpx_front: what holds for the transports alone."""

import asyncio
import socket
import threading
import time

import pytest

from sse_middleware.errors import StuckClockError
from sse_middleware.testing import FakeUpstream, Recording, VirtualClock, faults

BODY = b"data: 1\n\ndata: 2\n\ndata: 3\n\n"
PACED = Recording(BODY, chunks=[(0, 9), (5, 9), (5, 9)])
URL = "https://api.openai.com/v1/chat/completions"
DEADLINE_S = 20


@pytest.fixture(params=["httpx", "httpx2"])
def library(request):
    return pytest.importorskip(request.param)


def run_on_asyncio(run):
    return asyncio.run(asyncio.wait_for(run(), DEADLINE_S))


def run_on_trio(run):
    return pytest.importorskip("trio").run(run)


@pytest.fixture(params=[run_on_asyncio, run_on_trio], ids=["asyncio", "trio"])
def run(request):
    return request.param


class PassingClock(VirtualClock):
    """Time passes by being waited for."""

    def wait(self, signal, until_s):
        self.advance(until_s - self.monotonic())
        return super().wait(signal, until_s)


def clocked(recording, clock=None, **options):
    clock = clock or VirtualClock()
    upstream = FakeUpstream(clock)
    upstream.play(recording, **options)
    return clock, upstream


def test_one_transport_serves_httpx_and_httpx2():
    httpx, httpx2 = pytest.importorskip("httpx"), pytest.importorskip("httpx2")
    upstream = FakeUpstream()
    upstream.play("chat-text", times=2, fault=faults.cut())
    transport = upstream.transport()
    for library in (httpx, httpx2):
        broken = pytest.raises(library.RemoteProtocolError, match="incomplete chunked read")
        with library.Client(transport=transport) as client, broken:
            client.post(URL)


def test_a_chunk_is_made_when_it_is_asked_for_and_closing_early_is_leaving(library):
    clock, upstream = clocked(PACED)
    with library.Client(transport=upstream.transport()) as client:
        with client.stream("POST", URL) as response:
            chunks = response.iter_raw()
            assert next(chunks) == b"data: 1\n\n"
            clock.advance(5)
            assert next(chunks) == b"data: 2\n\n"
            assert not upstream.requests[0].client_left
        assert upstream.requests[0].client_left


def test_a_client_that_closes_behind_the_last_byte_has_not_left(library):
    upstream = FakeUpstream()
    upstream.play(Recording(BODY))
    client = library.Client(transport=upstream.transport())
    with client, client.stream("POST", URL) as response:
        chunks = response.iter_raw()
        assert b"".join(next(chunks) for _ in range(3)) == BODY
    assert not upstream.requests[0].client_left


def test_the_read_timeout_passes_on_the_virtual_clock(library):
    clock, upstream = clocked(PACED, PassingClock())
    client = library.Client(transport=upstream.transport(), timeout=library.Timeout(60, read=3))
    with client, client.stream("POST", URL) as response:
        chunks = response.iter_raw()
        next(chunks)
        with pytest.raises(library.ReadTimeout) as caught:
            next(chunks)
    assert clock.monotonic() == 3
    assert caught.value.request.url == URL
    assert upstream.requests[0].client_left


def test_another_thread_ends_a_read_by_the_socket_or_by_close(library):
    for end in (
        lambda response: (
            response.extensions["network_stream"]
            .get_extra_info("socket")
            .shutdown(socket.SHUT_RDWR)
        ),
        lambda response: response.stream.close(),
    ):
        upstream = FakeUpstream()
        upstream.play("chat-text", fault=faults.stall())
        client = library.Client(transport=upstream.transport(), timeout=None)
        with client, client.stream("POST", URL) as response:
            chunks = response.iter_raw()
            next(chunks)
            threading.Timer(0.05, end, [response]).start()
            with pytest.raises(library.RemoteProtocolError):
                next(chunks)
        assert upstream.requests[0].client_left


def test_a_stall_without_a_timeout_ends_when_the_upstream_is_closed(library):
    upstream = FakeUpstream()
    upstream.play("chat-text", fault=faults.stall())
    client = library.Client(transport=upstream.transport(), timeout=None)
    with client, client.stream("POST", URL) as response:
        chunks = response.iter_raw()
        next(chunks)
        threading.Timer(0.05, upstream.close).start()
        with pytest.raises(library.RemoteProtocolError):
            next(chunks)
    assert not upstream.requests[0].client_left


def test_async_delays_leave_the_loop_free_and_follow_a_clock_that_a_task_advances(library, run):
    clock, upstream = clocked(PACED)

    async def read():
        got = []
        client = library.AsyncClient(transport=upstream.async_transport())
        async with client, client.stream("POST", URL) as response:
            async for chunk in response.aiter_raw():
                got.append((clock.monotonic(), chunk))
                threading.Timer(0.02, clock.advance, [5]).start()
        return got

    assert run(read) == [(0, b"data: 1\n\n"), (5, b"data: 2\n\n"), (10, b"data: 3\n\n")]


def test_async_streams_wait_side_by_side(library):
    """More of them than a pool of threads has by default."""
    count = 60
    clock, upstream = clocked(PACED, times=count)

    async def read_all():
        async with library.AsyncClient(transport=upstream.async_transport()) as client:
            asking = [asyncio.ensure_future(client.post(URL)) for _ in range(count)]
            while not all(task.done() for task in asking):
                await asyncio.wait(asking, timeout=0.01)
                clock.advance(1)
            return [task.result().content for task in asking]

    assert run_on_asyncio(read_all) == [BODY] * count


def test_the_async_read_timeout_passes_on_the_virtual_clock(library, run):
    clock, upstream = clocked(PACED, PassingClock())

    async def read():
        client = library.AsyncClient(transport=upstream.async_transport(), timeout=3)
        async with client, client.stream("POST", URL) as response:
            chunks = response.aiter_raw()
            await chunks.__anext__()
            with pytest.raises(library.ReadTimeout):
                await chunks.__anext__()

    run(read)
    assert clock.monotonic() == 3
    assert upstream.requests[0].client_left


def test_a_clock_that_stands_still_is_told_and_breaks_the_answer(library, run, monkeypatch):
    monkeypatch.setattr("sse_middleware.testing.clock.PATIENCE_S", 0.05)
    _, upstream = clocked(PACED, times=2)

    async def read():
        async with library.AsyncClient(transport=upstream.async_transport()) as client:
            await client.post(URL, timeout=None)

    with pytest.raises(StuckClockError):
        run(read)
    with library.Client(transport=upstream.transport()) as client, pytest.raises(StuckClockError):
        client.post(URL, timeout=None)
    assert not any(request.client_left for request in upstream.requests)
    with pytest.raises(AssertionError, match="answers that broke off"):
        upstream.verify()


@pytest.mark.parametrize("clock", [None, VirtualClock()], ids=["real time", "virtual time"])
def test_a_cancelled_read_ends_at_once_and_leaves(library, run, clock):
    anyio = pytest.importorskip("anyio")
    upstream = FakeUpstream(clock)
    upstream.play(Recording(BODY, chunks=[(0, 9), (3600, 18)]), speed=1)
    got = []

    async def read(has_begun):
        client = library.AsyncClient(transport=upstream.async_transport(), timeout=None)
        async with client, client.stream("POST", URL) as response:
            async for chunk in response.aiter_raw():
                got.append(chunk)
                has_begun.set()

    async def cancel():
        has_begun = anyio.Event()
        async with anyio.create_task_group() as group:
            group.start_soon(read, has_begun)
            await has_begun.wait()
            group.cancel_scope.cancel()

    began = time.monotonic()
    run(cancel)
    assert upstream.requests[0].client_left
    assert got == [b"data: 1\n\n"]
    assert time.monotonic() - began < DEADLINE_S / 2


def test_a_cancelled_read_of_a_response_that_stays_open_leaves_no_thread_waiting(library, run):
    anyio = pytest.importorskip("anyio")
    upstream = FakeUpstream()
    upstream.play(Recording(BODY, chunks=[(0, 9), (3600, 18)]), speed=1)

    async def read():
        client = library.AsyncClient(transport=upstream.async_transport(), timeout=None)
        async with client, client.stream("POST", URL) as response:
            chunks = response.aiter_raw()
            await chunks.__anext__()
            with anyio.move_on_after(0.05):
                await chunks.__anext__()
            assert upstream.requests[0].client_left

    run(read)


def test_a_read_that_never_waits_lets_other_tasks_run_and_can_be_cancelled(library, run):
    anyio = pytest.importorskip("anyio")
    upstream = FakeUpstream()
    upstream.play(Recording(b"x" * 1000, chunks=[(0, 1)] * 1000))
    got = []

    async def read():
        async with library.AsyncClient(transport=upstream.async_transport()) as client:
            with anyio.CancelScope() as scope:
                async with client.stream("POST", URL) as response:
                    async for chunk in response.aiter_raw():
                        got.append(chunk)
                        if len(got) == 10:
                            scope.cancel()

    run(read)
    assert len(got) == 10
    assert upstream.requests[0].client_left


def test_the_openai_sdk_reads_through_the_transports(library, run):
    openai = pytest.importorskip("openai")
    if openai.__version__.startswith("0."):
        pytest.skip("openai 0.28 uses requests")
    upstream = FakeUpstream()
    upstream.play("chat-text", times=2)
    options = {"api_key": "k", "base_url": "https://api.openai.com/v1", "max_retries": 0}
    asked = {"model": "m", "messages": [], "stream": True}

    def read():
        with library.Client(transport=upstream.transport()) as http_client:
            client = openai.OpenAI(http_client=http_client, **options)
            return [chunk.to_dict() for chunk in client.chat.completions.create(**asked)]

    async def read_async():
        async with library.AsyncClient(transport=upstream.async_transport()) as http_client:
            client = openai.AsyncOpenAI(http_client=http_client, **options)
            stream = await client.chat.completions.create(**asked)
            return [chunk.to_dict() async for chunk in stream]

    try:
        chunks = read()
    except TypeError as error:
        pytest.skip(f"this openai takes no client of {library.__name__}: {error}")
    assert len(chunks) > 3
    assert run(read_async) == chunks
    assert [request.path for request in upstream.requests] == ["/v1/chat/completions"] * 2
    assert not any(request.client_left for request in upstream.requests)


def test_the_anthropic_sdk_reads_through_the_transports(run):
    anthropic, library = pytest.importorskip("anthropic"), pytest.importorskip("httpx2")
    events = b'event: message_start\ndata: {"type": "message_start"}\n\n'
    events += b'event: message_stop\ndata: {"type": "message_stop"}\n\n'
    upstream = FakeUpstream()
    upstream.play(Recording(events), times=2, when={"path": "/v1/messages"})
    asked = {"model": "m", "max_tokens": 1, "messages": [], "stream": True}

    async def read():
        http_client = library.AsyncClient(transport=upstream.async_transport())
        async with anthropic.AsyncAnthropic(api_key="k", http_client=http_client) as client:
            return [event.type async for event in await client.messages.create(**asked)]

    with anthropic.Anthropic(
        api_key="k", http_client=library.Client(transport=upstream.transport())
    ) as client:
        types = [event.type for event in client.messages.create(**asked)]
    assert run(read) == types == ["message_start", "message_stop"]
