"""`relay` on what real clients return, each of them fed by the fake upstream over a real socket.

What a client makes of a stream is compared with what `relay` makes of the raw bytes, which
test_relay.py compares with the text. A client that is not installed is skipped, except openai in
the environments of tox that are named for it. Each is made as its users make it, but for a
deadline on every read, and without the certificates, whose loading would be most of the time.
"""

import csv
import http.client
import json
import os
import socket
import threading
import time
import urllib.error
import urllib.request
import warnings
from contextlib import closing, contextmanager, suppress
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from sse_middleware import event_stream
from sse_middleware.errors import OptionError, UpstreamError
from sse_middleware.relay import relay
from sse_middleware.testing import FakeUpstream, Recording, faults, rechunk

try:
    OPENAI = tuple(int(part) for part in version("openai").split(".")[:2])
except PackageNotFoundError:
    OPENAI = (0, 0)

DEADLINE_S = 20
ROOT = Path(__file__).resolve().parents[1]
SHIPPED = sorted(path.stem for path in (ROOT / "fixtures" / "recordings").glob("*chat*.sse"))
SHARED = ROOT.parent / "shared" / "recordings"
TOX_ENV = os.environ.get("TOX_ENV_NAME", "")
CLOSE = {"event": "close", "id": "sse:end", "data": ""}
ASKED = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}]}
JSON = {"content-type": "application/json"}


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    """Every client here may read the environment, and must find no way but the direct one."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


# The clients: each is a context manager from a base URL to the stream of one question


def module(name):
    return pytest.importorskip(name, reason=f"{name} is not installed here")


@contextmanager
def openai_client(base_url):
    openai = module("openai")
    if OPENAI < (1, 0):
        pytest.skip(f"openai {OPENAI[0]}.{OPENAI[1]} has no client objects")
    options = {"base_url": base_url, "api_key": "x", "max_retries": 0, "timeout": DEADLINE_S}
    http_client = openai.DefaultHttpxClient(verify=False)
    with closing(openai.OpenAI(http_client=http_client, **options)) as client:
        yield client


@contextmanager
def openai_sdk(base_url, **fields):
    fields = {**ASKED, "stream": True, **fields}
    openai = module("openai")
    if OPENAI < (1, 0):
        yield openai.ChatCompletion.create(
            api_base=base_url, api_key="x", request_timeout=DEADLINE_S, **fields
        )
    else:
        with openai_client(base_url) as client:
            yield client.chat.completions.create(**fields)


@contextmanager
def openai_raw_response(base_url):
    with openai_client(base_url) as client:
        raw = client.chat.completions.with_raw_response.create(stream=True, **ASKED)
        assert raw.headers["content-type"].startswith("text/event-stream")
        yield raw.parse()


@contextmanager
def openai_streaming_response(base_url):
    with openai_client(base_url) as client:
        ask = client.chat.completions.with_streaming_response.create
        with ask(stream=True, **ASKED) as response:
            yield response


@contextmanager
def openai_streaming_response_parsed(base_url):
    with openai_streaming_response(base_url) as response:
        yield response.parse()


def posted(base_url, **fields):
    """What a client without a notion of OpenAI sends."""
    return {"url": base_url + "/chat/completions", "json": {**ASKED, "stream": True, **fields}}


@contextmanager
def requests_post(base_url, **fields):
    requests = module("requests")
    with requests.post(stream=True, timeout=DEADLINE_S, **posted(base_url, **fields)) as response:
        yield response


@contextmanager
def requests_not_streaming(base_url):
    yield module("requests").post(timeout=DEADLINE_S, **posted(base_url))


@contextmanager
def httpx_stream(name, base_url, **fields):
    asked = posted(base_url, **fields)
    with module(name).stream("POST", timeout=DEADLINE_S, verify=False, **asked) as response:
        yield response


@contextmanager
def httpx_send(name, base_url):
    httpx = module(name)
    with httpx.Client(timeout=DEADLINE_S, verify=False) as client:
        yield client.send(client.build_request("POST", **posted(base_url)), stream=True)


@contextmanager
def urllib3_request(base_url):
    urllib3 = module("urllib3")
    asked = posted(base_url)
    body = json.dumps(asked["json"])
    with urllib3.PoolManager(timeout=DEADLINE_S, retries=False) as pool:
        yield pool.request("POST", asked["url"], body=body, headers=JSON, preload_content=False)


@contextmanager
def urllib_request(base_url):
    asked = posted(base_url)
    body = json.dumps(asked["json"]).encode()
    request = urllib.request.Request(asked["url"], body, JSON)
    with urllib.request.urlopen(request, timeout=DEADLINE_S) as response:
        yield response


@contextmanager
def http_client(base_url):
    asked = posted(base_url)
    url = urlsplit(asked["url"])
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=DEADLINE_S)
    with closing(connection):
        connection.request("POST", url.path, json.dumps(asked["json"]), JSON)
        response = connection.getresponse()
        if connection.sock is not None:  # as urllib.request does: the response alone has it now
            connection.sock.close()
        yield response


SDK = {
    "openai": openai_sdk,
    "openai-raw-response": openai_raw_response,
    "openai-streaming-response-parsed": openai_streaming_response_parsed,
}
RESPONSES = {
    "openai-streaming-response": openai_streaming_response,
    "requests": requests_post,
    "httpx-stream": partial(httpx_stream, "httpx"),
    "httpx-send": partial(httpx_send, "httpx"),
    "httpx2-stream": partial(httpx_stream, "httpx2"),
    "httpx2-send": partial(httpx_send, "httpx2"),
    "urllib": urllib_request,
    "http.client": http_client,
}
CLIENTS = {**SDK, **RESPONSES, "urllib3": urllib3_request}


def each(clients):
    return pytest.mark.parametrize(
        ("name", "ask"), [pytest.param(*client, id=client[0]) for client in clients.items()]
    )


def outcome(events):
    """The events that came, and the exception that ended them, or None."""
    came = []
    try:
        for event in events:
            came.append(event)
    except Exception as error:
        return came, error.with_traceback(None)  # its frames would hold the client's connection
    return came, None


def from_bytes(recording):
    return outcome(relay([recording.body]))


# The environment


@pytest.mark.skipif(not TOX_ENV.startswith("openai"), reason="tox has no openai to name here")
def test_the_environment_runs_the_openai_that_it_is_named_for():
    digits = TOX_ENV[len("openai") :]
    wanted = (0, int(digits)) if digits.startswith("0") else (int(digits),)
    assert OPENAI[: len(wanted)] == wanted
    import openai

    assert hasattr(openai, "OpenAI") == (OPENAI >= (1, 0))
    assert hasattr(openai, "ChatCompletion")


def test_the_recordings_of_chats_are_here():
    assert {"chat-text", "azure-chat", "chat-cut", "chat-error", "chat-newlines"} <= set(SHIPPED)


# The same events as from the raw bytes


@each(CLIENTS)
@pytest.mark.parametrize("recording", SHIPPED)
def test_a_shipped_recording_gives_the_events_of_its_raw_bytes(name, ask, recording):
    recording = Recording.named(recording)
    upstream = FakeUpstream()
    upstream.play(recording)
    expected, failure = from_bytes(recording)
    with upstream.serve() as base_url, ask(base_url) as stream:
        came, error = outcome(relay(stream))
    upstream.verify()
    if recording.end == "eof":
        assert expected.pop() == CLOSE  # from the bytes alone nobody can see the cut
        assert isinstance(error, errors_of_a_cut(name)), repr(error)
    elif failure is not None:
        assert isinstance(error, errors_in_mid_stream(name)), repr(error)
        assert "The model stopped before its answer was complete" in str(error)
    else:
        assert error is None
        assert came[-1] == CLOSE
    assert came == expected


def errors_of_a_cut(name):
    """What the client raises for a chunked body that ends without its terminator."""
    if name in SDK and OPENAI >= (3, 0):
        return module("openai").APIConnectionError
    if name.startswith("openai") and OPENAI >= (1, 0):
        return module("httpx2" if OPENAI >= (3, 0) else "httpx").RemoteProtocolError
    if name.startswith("openai") or name == "requests":
        return module("requests").exceptions.ChunkedEncodingError
    if name.startswith("httpx"):
        return module(name.split("-")[0]).RemoteProtocolError
    if name == "urllib3":
        return module("urllib3").exceptions.ProtocolError
    return http.client.IncompleteRead


def errors_in_mid_stream(name):
    if name not in SDK:
        return UpstreamError
    openai = module("openai")
    return openai.APIError if OPENAI >= (1, 0) else openai.error.APIError


def shared_recordings():
    """Each recorded Chat Completions stream, by the name of its file."""
    with open(SHARED / "INDEX.tsv", encoding="utf-8", newline="") as index:
        rows = list(csv.DictReader(index, delimiter="\t"))
    names = [row["file"] for row in rows if row["api"] == "chat.completions"]
    return {name: Recording.load(SHARED / name) for name in names}


def difference(recording, base_url, ask, errors):
    """How the client's events differ from those of the raw bytes; "" where they do not."""
    expected, failure = from_bytes(recording)
    with ask(base_url) as stream:
        came, error = outcome(relay(stream))
    if failure is None and error is not None:
        return repr(error)
    if failure is not None and not isinstance(error, errors):
        return f"{error!r} is no {errors.__name__}"
    return "" if came == expected else f"{came} is not {expected}"


@each(CLIENTS)
@pytest.mark.skipif(
    not SHARED.is_dir(), reason="the recordings of real vendors do not stand beside this checkout"
)
def test_the_recordings_of_real_vendors_give_the_events_of_their_raw_bytes(name, ask):
    recordings = shared_recordings()
    assert len(recordings) > 30
    upstream = FakeUpstream()
    differences = {}
    with upstream.serve() as base_url:
        for file, recording in recordings.items():
            upstream.play(recording)
            found = difference(recording, base_url, ask, errors_in_mid_stream(name))
            if found:
                differences[file] = found
    upstream.verify()
    assert differences == {}


# Both shapes of what an SDK yields, for every API that it has


def api_of(row):
    """The API of a recording under the name that ASKS has for it, or None."""
    return "assistants" if "api=assistants" in row["features"] else row["api"]


@contextmanager
def openai_api(base_url, api):
    if OPENAI < (1, 0):
        openai = module("openai")
        if api not in ("chat.completions", "completions"):
            pytest.skip("openai 0.28 does not have this API")
        resource = openai.ChatCompletion if api == "chat.completions" else openai.Completion
        fields = ASKED if api == "chat.completions" else {"model": "m", "prompt": "Hi"}
        options = {"api_base": base_url, "api_key": "x", "request_timeout": DEADLINE_S}
        yield resource.create(stream=True, **options, **fields)
        return
    with openai_client(base_url) as client, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Assistants
        if api == "responses" and not hasattr(client, "responses"):
            pytest.skip("this openai does not have the Responses API")
        ask = {
            "chat.completions": lambda: client.chat.completions.create(stream=True, **ASKED),
            "completions": lambda: client.completions.create(model="m", prompt="Hi", stream=True),
            "responses": lambda: client.responses.create(model="m", input="Hi", stream=True),
            "assistants": lambda: client.beta.threads.runs.create(
                "thread_1", assistant_id="asst_1", stream=True
            ),
        }[api]
        yield ask()


@contextmanager
def anthropic_api(base_url, api, raw=False):
    anthropic = module("anthropic")
    options = {"base_url": base_url[: -len("/v1")], "api_key": "x", "max_retries": 0}
    http_client = anthropic.DefaultHttpxClient(verify=False)
    with closing(anthropic.Anthropic(http_client=http_client, **options)) as client:
        asked = {"model": "m", "max_tokens": 9, "messages": ASKED["messages"]}
        messages = client.messages.with_raw_response if raw else client.messages
        yield messages.create(stream=True, **asked)


def recorded(*apis):
    """The recordings of these APIs, as parameters of a test."""
    if not SHARED.is_dir():
        reason = "the recordings of real vendors do not stand beside this checkout"
        return [pytest.param("", "", marks=pytest.mark.skip(reason=reason))]
    with open(SHARED / "INDEX.tsv", encoding="utf-8", newline="") as index:
        rows = list(csv.DictReader(index, delimiter="\t"))
    return [
        pytest.param(api_of(row), row["file"], id=row["file"])
        for row in rows
        if api_of(row) in apis
    ]


def every(*apis):
    return pytest.mark.parametrize(("api", "file"), recorded(*apis))


OPENAI_APIS = ("chat.completions", "completions", "responses", "assistants")


@contextmanager
def played(ask, api, body):
    """The SDK's stream of ``body``."""
    upstream = FakeUpstream()
    upstream.play(Recording(body))
    with upstream.serve() as base_url, ask(base_url, api) as stream:
        yield stream


def sdk_text(chunk):
    """The text of the first choice in an SDK's object, read as its users read it."""
    if getattr(chunk, "type", None) == "response.output_text.delta":
        return chunk.delta
    if getattr(chunk, "type", None) == "content_block_delta":
        return getattr(chunk.delta, "text", None) or ""
    if getattr(chunk, "event", None) == "thread.message.delta":
        return "".join(part.text.value for part in chunk.data.delta.content)
    for choice in getattr(chunk, "choices", None) or ():
        if not getattr(choice, "index", None):
            delta = getattr(choice, "delta", None)
            content = getattr(choice, "text", None) or (
                delta.get("content") if isinstance(delta, dict) else getattr(delta, "content", None)
            )
            parts = content if isinstance(content, list) else [{"text": content}]
            return "".join(part.get("text") or "" for part in parts)
    return ""


def as_sent(chunk):
    """The fields of an SDK's object that came over the wire."""
    return chunk.to_dict(warnings=False) if OPENAI >= (1, 0) else dict(chunk)


def compare(ask, api, body):
    """Compare both shapes with the SDK's own objects, directly and over a second hop."""
    with played(ask, api, body) as stream:
        chunks, error = outcome(stream)
    with played(ask, api, body) as stream:
        events, _ = outcome(relay(stream))
    messages = [event["data"] for event in events if event["event"] == "message"]
    first = "".join(data["data"] for data in messages if "choice" not in data)
    assert first == "".join(map(sdk_text, chunks))
    with played(ask, api, body) as stream:
        from_objects = b"".join(event_stream(relay(stream, shape="openai"))) if not error else b""
    from_frames, _ = outcome(event_stream(relay([body], shape="openai")))
    for wire in filter(None, (from_objects, b"".join(from_frames))):
        with played(ask, api, wire) as stream:
            again, same = outcome(stream)
        assert list(map(as_sent, again)) == list(map(as_sent, chunks))
        assert type(same) is type(error)


@every(*OPENAI_APIS)
def test_an_openai_sdk_reads_what_is_relayed_to_equal_objects(api, file):
    compare(openai_api, api, (SHARED / file).read_bytes())


@every("anthropic.messages")
def test_the_anthropic_sdk_reads_what_is_relayed_to_equal_objects(api, file):
    compare(anthropic_api, api, (SHARED / file).read_bytes())


@every("anthropic.messages")
def test_a_raw_response_of_anthropic_is_relayed_as_its_bytes(api, file):
    body = (SHARED / file).read_bytes()
    with played(partial(anthropic_api, raw=True), api, body) as response:
        assert outcome(relay(response)) == outcome(relay([body]))


@contextmanager
def openai_helper(base_url, api):
    with openai_client(base_url) as client:
        resource = client.responses if api == "responses" else client.chat.completions
        if not hasattr(resource, "stream"):
            pytest.skip("this openai has no stream helpers")
        fields = {"model": "m", "input": "Hi"} if api == "responses" else ASKED
        with resource.stream(**fields) as stream:
            yield stream


@contextmanager
def anthropic_helper(base_url, api):
    anthropic = module("anthropic")
    options = {"base_url": base_url[: -len("/v1")], "api_key": "x", "max_retries": 0}
    http_client = anthropic.DefaultHttpxClient(verify=False)
    with closing(anthropic.Anthropic(http_client=http_client, **options)) as client:
        asked = {"model": "m", "max_tokens": 9, "messages": ASKED["messages"]}
        with client.messages.stream(**asked) as stream:
            yield stream


HELPED = {
    "openai-chat-tool-call.sse": (openai_helper, "chat.completions"),
    "openai-chat-n3-choices.sse": (openai_helper, "chat.completions"),
    "openai-responses-function-call.sse": (openai_helper, "responses"),
    "anthropic-parallel-tool-use.sse": (anthropic_helper, "anthropic.messages"),
    "anthropic-thinking-signature.sse": (anthropic_helper, "anthropic.messages"),
}


@pytest.mark.skipif(not SHARED.is_dir(), reason="the recordings of real vendors are not here")
@pytest.mark.parametrize(("file", "helper"), HELPED.items(), ids=HELPED)
def test_what_a_stream_helper_adds_to_the_wire_is_not_relayed_twice(file, helper):
    body = (SHARED / file).read_bytes()
    with played(*helper, body) as stream:
        assert outcome(relay(stream)) == outcome(relay([body]))
    if helper[1] == "chat.completions":
        with played(*helper, body) as stream:
            sent = [event["data"] for event in relay(stream, shape="openai")]
        assert len(sent) == body.count(b"data: ")


def test_a_stream_helper_that_was_not_entered_is_told():
    anthropic = module("anthropic")
    manager = anthropic.Anthropic(api_key="x").messages.stream(
        model="m", max_tokens=9, messages=[{"role": "user", "content": "Hi"}]
    )
    with pytest.raises(OptionError, match="enter it: with"):
        relay(manager)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the recordings of real vendors are not here")
def test_an_answer_that_is_no_stream_is_told_so_of_any_api():
    if OPENAI < (1, 0):
        pytest.skip("openai 0.28 does not have these")
    types = pytest.importorskip("openai.types.responses")
    with pytest.raises(OptionError, match="stream=True"):
        relay(types.Response.construct(id="resp_1", output=[]))


def test_a_raw_response_of_openai_is_relayed_as_its_bytes():
    if OPENAI < (1, 0):
        pytest.skip("openai 0.28 has no raw responses")
    upstream = FakeUpstream()
    upstream.play("chat-text")
    with upstream.serve() as base_url, openai_client(base_url) as client:
        raw = client.chat.completions.with_raw_response.create(stream=True, **ASKED)
        assert outcome(relay(raw)) == from_bytes(Recording.named("chat-text"))


def test_a_generator_of_an_sdks_objects_is_relayed():
    upstream = FakeUpstream()
    upstream.play("chat-text")
    with upstream.serve() as base_url, openai_sdk(base_url) as stream:
        events = relay(chunk for chunk in stream)
        assert outcome(events) == from_bytes(Recording.named("chat-text"))


def failing(wire):
    """What the SDK makes of the middleware's answer in the shape of openai."""
    with played(openai_api, "chat.completions", wire) as stream:
        return outcome(stream)


def test_an_sdk_raises_its_error_on_a_failure_that_is_relayed():
    openai = module("openai")
    body = Recording.named("chat-text").body
    first = body[: body.index(b"\n\n") + 2]
    broken = [first, b'data: {"error": {"message": "secret"}}\n\n']
    wire = b"".join(event_stream(relay(broken, shape="openai")))
    chunks, error = failing(wire)
    assert len(chunks) == 1
    assert isinstance(error, openai.APIError if OPENAI >= (1, 0) else openai.error.APIError)
    assert "The stream failed." in str(error)
    assert "secret" not in str(error)


# Faults


BREAKING = {  # fault, and what the relay of bytes then raises; None: the answer stands
    "bom": (faults.bom(), None),
    "content_type": (faults.content_type(), UpstreamError),
    "cut": (faults.cut(after_events=2), Exception),
    "duplicate_done": (faults.duplicate_done(), None),
    "early_end": (faults.early_end(after_events=2), None),
    "error_event": (faults.error_event(after_events=2), UpstreamError),
    "event_only": (faults.event_only(after_events=2), None),
    "http_error": (faults.http_error(429, retry_after=1), UpstreamError),
    "id_only": (faults.id_only(after_events=2), None),
    "invalid_utf8": (faults.invalid_utf8(after_events=2), None),
    "json_body": (faults.json_body(), UpstreamError),
    "retry_only": (faults.retry_only(after_events=2), None),
    "slow_first_token": (faults.slow_first_token(0.01), None),
    "truncated_json": (faults.truncated_json(after_events=2), UpstreamError),
    "without_done": (faults.without_done(), None),
    **{
        form: (faults.error_object(form, after_events=2), UpstreamError)
        for form in ("openai", "responses", "groq", "openrouter", "anthropic", "text")
    },
}
CUTS = {"as_recorded": rechunk.as_recorded, "bytewise": rechunk.bytewise, "crlf": rechunk.coalesced}


@pytest.mark.parametrize("shape", ["text", "openai"])
@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS)
@pytest.mark.parametrize(("fault", "expected"), BREAKING.values(), ids=BREAKING)
def test_a_fault_ends_in_the_answer_or_in_an_error(fault, expected, cut, shape):
    upstream = FakeUpstream()
    upstream.play("chat-text", fault=fault, rechunk=cut)
    with upstream.serve() as base_url, httpx_send("httpx", base_url) as response:
        came, error = outcome(relay(response, shape=shape))
    whole = outcome(relay([Recording.named("chat-text").body], shape=shape))[0]
    if expected is None:
        assert error is None
        assert came[-1] == whole[-1]
    else:
        assert isinstance(error, expected)
        assert came == whole[: len(came)]
        assert whole[-1] not in came


def test_an_upstream_that_stalls_ends_in_the_clients_timeout(caplog):
    httpx = module("httpx")
    upstream = FakeUpstream()
    headers = {"content-type": "text/event-stream", "x-request-id": "req_9"}
    recording = Recording(Recording.named("chat-text").body, headers=headers)
    upstream.play(recording, fault=faults.stall(after_events=2))
    with upstream.serve() as base_url, httpx.Client(timeout=2, verify=False) as client:
        request = client.build_request("POST", **posted(base_url))
        events = relay(client.send(request, stream=True))
        assert next(events)["data"] == {"data": "Hello"}
        with pytest.raises(httpx.ReadTimeout):
            list(events)
    assert "upstream failed (request id 'req_9'): ReadTimeout" in caplog.text


# Lazy, and closed in time


@pytest.fixture(scope="module")
def stalled():
    """A recording of two words, after which the upstream is silent for ever."""
    whole = Recording.named("chat-text")
    chunks = whole.chunks[:3]
    size_bytes = sum(chunk.size_bytes for chunk in chunks)
    return Recording(whole.body[:size_bytes], chunks=chunks, end="stall")


@each(CLIENTS)
def test_events_leave_before_the_upstream_ends_and_closing_ends_it(name, ask, stalled):
    first, second, _ = from_bytes(stalled)[0]
    upstream = FakeUpstream()
    upstream.play(stalled)
    with upstream.serve() as base_url, ask(base_url) as stream:
        events = relay(stream)
        assert [next(events), next(events)] == [first, second]
        assert not upstream.requests[0].client_left
        began = time.monotonic()
        events.close()
        assert time.monotonic() - began < DEADLINE_S / 2, "closing waited for the upstream"
        upstream.close()  # a client that had not left by itself is cut now, and has not left
        assert upstream.requests[0].client_left


@each(CLIENTS)
def test_a_consumer_that_stops_early_closes_the_connection(name, ask):
    whole = Recording.named("chat-text")
    # The rest is more than the buffers between the two hold: unread, it cannot be sent.
    rest = whole.body * 4000
    chunks = [(0, len(whole.body)), (0, len(rest))]
    recording = Recording(whole.body + rest, chunks=chunks, end="complete")
    upstream = FakeUpstream()
    upstream.play(recording)
    with upstream.serve() as base_url, ask(base_url) as stream:
        events = relay(stream)
        assert next(events)["data"] == {"data": "Hello"}
        events.close()
        upstream.close()
        assert upstream.requests[0].client_left


@contextmanager
def unchunked(data):
    """A server that answers one question as HTTP/1.0 does, then is silent until the client left."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
    left = threading.Event()

    def answer():
        client, _ = server.accept()
        client.settimeout(DEADLINE_S)
        with client, client.makefile("rb") as file:
            lines = list(iter(file.readline, b"\r\n"))
            sizes = [line.split(b":")[1] for line in lines if line.lower().startswith(b"content-l")]
            file.read(int(sizes[0]))
            client.sendall(head + data)
            with suppress(ConnectionResetError):  # it left before it had read everything
                assert file.read(1) == b""
            left.set()

    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(DEADLINE_S)
        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/v1"
        assert left.wait(DEADLINE_S), f"the client had not left after {DEADLINE_S} s"
        thread.join(DEADLINE_S)


# urllib3 as an iterable, and openai 0.28, wait for more bytes than one event has.
@each({name: ask for name, ask in CLIENTS.items() if name != "urllib3"})
def test_events_of_a_body_without_chunks_leave_at_once_as_well(name, ask, stalled):
    module(name.split("-")[0])
    if name.startswith("openai") and OPENAI < (1, 0):
        pytest.skip("openai 0.28 reads a body without chunks 512 bytes at a time")
    first, second, _ = from_bytes(stalled)[0]
    with unchunked(stalled.body) as base_url, ask(base_url) as stream:
        events = relay(stream)
        assert [next(events), next(events)] == [first, second]
        events.close()


# What is no stream


def answer():
    """The answer to a question without stream=True."""
    message = {"role": "assistant", "content": "Hi"}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    completion = {"id": "1", "object": "chat.completion", "created": 1, "model": "gpt-4o-mini"}
    return Recording(json.dumps({**completion, "choices": [choice]}).encode(), headers=JSON)


def test_an_openai_call_without_stream_true_is_told_so():
    upstream = FakeUpstream()
    upstream.play(answer())
    with upstream.serve() as base_url, openai_sdk(base_url, stream=False) as completion:
        assert completion.choices[0].message.content == "Hi"
        with pytest.raises(OptionError) as caught:
            relay(completion)
    assert caught.value.thing == "upstream"
    assert str(caught.value).endswith(
        "expected a stream of chunks (was the call made with stream=True?)"
    )


def refusal(ask, *recordings, **fields):
    """What `relay` says of the response to one question."""
    upstream = FakeUpstream()
    for recording in recordings:
        upstream.play(recording)
    with upstream.serve() as base_url, ask(base_url, **fields) as response:
        came, error = outcome(relay(response))
    assert (came, type(error)) == ([], UpstreamError)
    return str(error)


@each({name: ask for name, ask in RESPONSES.items() if name.endswith(("requests", "x-stream"))})
def test_a_response_without_stream_true_is_told_by_its_media_type(name, ask):
    said = refusal(ask, answer(), stream=False)
    assert said == "upstream sent 'application/json': expected text/event-stream"


def test_a_requests_response_that_was_read_whole_is_relayed_as_well():
    upstream = FakeUpstream()
    upstream.play("chat-text")
    with upstream.serve() as base_url, requests_not_streaming(base_url) as response:
        assert outcome(relay(response)) == from_bytes(Recording.named("chat-text"))


@each({**SDK, "openai-streaming-response": openai_streaming_response})
def test_an_openai_call_that_is_refused_raises_its_own_error(name, ask):
    openai = module("openai")
    errors = openai.NotFoundError if OPENAI >= (1, 0) else openai.error.InvalidRequestError
    refused = pytest.raises(errors, match="no recording answers POST")
    with FakeUpstream().serve() as base_url, refused, ask(base_url):
        raise AssertionError("the call was not refused")


def test_urllib_refuses_another_status_itself():
    refused = pytest.raises(urllib.error.HTTPError)
    with FakeUpstream().serve() as base_url, refused as caught, urllib_request(base_url):
        raise AssertionError("the call was not refused")
    caught.value.close()
    assert caught.value.code == 404


RAISING = ("openai-streaming-response", "urllib")  # on another status, by themselves


@each({name: ask for name, ask in RESPONSES.items() if name not in RAISING})
def test_a_response_with_another_status_is_refused(name, ask):
    assert refusal(ask) == "upstream answered 404: expected 200"


def test_an_error_page_read_by_urllib3_is_refused_as_well():
    assert refusal(urllib3_request) == "upstream answered 404: expected 200"
