"""The fronts of the fake upstream: one recording has one outcome, whatever stands in between.

An outcome is what the user of a client sees: the status, the headers, the bytes, and the type and
text of the error that ended them. Each client is asked over a real socket and over its front in
the process. How the bytes are cut is compared where the client shows it on a socket too: httpx
joins what lies ready there, so for httpx only the bytes are compared.
"""

import asyncio
import io
import re
import subprocess
import sys
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import NamedTuple
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest

from sse_middleware.testing import FakeUpstream, Recording, faults, rechunk

PATIENT_S, IMPATIENT_S = 20, 0.2
SHIPPED = sorted((Path(__file__).parents[1] / "fixtures" / "recordings").glob("*.sse"))
REAL = sorted((Path(__file__).resolve().parents[2] / "shared" / "recordings").glob("*.sse"))
needs_real = pytest.mark.skipif(
    not REAL, reason="the recordings of real vendors do not stand beside this checkout"
)


def name_of(mode):
    return mode.__name__


class Outcome(NamedTuple):
    """What one client saw of one answer."""

    status: object
    headers: object
    body: bytes
    error: object
    cuts: object = None


def headers_of(pairs):
    return sorted((name.lower(), value) for name, value in pairs)


def told(error):
    return type(error).__module__, type(error).__name__, str(error)


def library(name):
    return pytest.importorskip(name)


# --- one function for each client: asks a URL once for each of `asked`, and tells the outcomes


def by_requests(base_url, asked, upstream=None, timeout_s=PATIENT_S):
    requests = library("requests")
    with ExitStack() as stack:
        if upstream is not None:
            mock = stack.enter_context(library("responses").RequestsMock())
            mock.add(upstream.as_response(re.compile(re.escape(base_url))))
        session = stack.enter_context(requests.Session())
        session.trust_env = False
        return [_by_requests(session, base_url, one, timeout_s) for one in asked]


def _by_requests(session, base_url, one, timeout_s):
    chunks, error, response = [], None, None
    try:
        url, options = base_url + one.pop("path", "/chat/completions"), {"method": "POST", **one}
        response = session.request(url=url, stream=True, timeout=timeout_s, **options)
        chunks.extend(response.iter_content(None))
    except Exception as caught:
        error = told(caught)
    version = response.raw.version
    cuts = [len(chunk) for chunk in chunks]
    status = (response.status_code, response.reason, version)
    return Outcome(status, headers_of(response.headers.items()), b"".join(chunks), error, cuts)


def by_httpx(name):
    def ask(base_url, asked, upstream=None, timeout_s=PATIENT_S):
        transport = {} if upstream is None else {"transport": upstream.transport()}
        outcomes = []
        options = {"trust_env": False, "verify": False, "timeout": timeout_s, **transport}
        with library(name).Client(**options) as client:
            for one in asked:
                chunks, error = [], None
                url = base_url + one.pop("path", "/chat/completions")
                try:
                    with client.stream(one.pop("method", "POST"), url, **one) as response:
                        chunks.extend(response.iter_raw())
                except Exception as caught:
                    error = told(caught)
                outcomes.append(_httpx_outcome(response, chunks, error))
        return outcomes

    return ask


def by_httpx_async(name):
    async def run(base_url, asked, transport, timeout_s):
        outcomes = []
        options = {"trust_env": False, "verify": False, "timeout": timeout_s, **transport}
        async with library(name).AsyncClient(**options) as client:
            for one in asked:
                chunks, error = [], None
                url = base_url + one.pop("path", "/chat/completions")
                try:
                    async with client.stream(one.pop("method", "POST"), url, **one) as response:
                        async for chunk in response.aiter_raw():
                            chunks.append(chunk)
                except Exception as caught:
                    error = told(caught)
                outcomes.append(_httpx_outcome(response, chunks, error))
        return outcomes

    def ask(base_url, asked, upstream=None, timeout_s=PATIENT_S):
        transport = {} if upstream is None else {"transport": upstream.async_transport()}
        return asyncio.run(run(base_url, asked, transport, timeout_s))

    return ask


def _httpx_outcome(response, chunks, error):
    status = (response.status_code, response.reason_phrase, response.http_version)
    return Outcome(status, headers_of(response.headers.multi_items()), b"".join(chunks), error)


CLIENTS = {
    "requests": by_requests,
    "httpx": by_httpx("httpx"),
    "httpx async": by_httpx_async("httpx"),
    "httpx2": by_httpx("httpx2"),
    "httpx2 async": by_httpx_async("httpx2"),
}
every_client = pytest.mark.parametrize("ask", CLIENTS.values(), ids=CLIENTS)


class StartResponse:
    def __call__(self, status, headers, exc_info=None):
        self.status, self.headers = status, headers
        return lambda data: None


def by_wsgi(base_url, asked, upstream, timeout_s=None):
    """The callable as a server calls it, with the rules of WSGI looked after."""
    outcomes = []
    for _ in asked:
        environ = {"REQUEST_METHOD": "POST", "SCRIPT_NAME": "", "PATH_INFO": "/v1"}
        environ.update({"QUERY_STRING": "", "wsgi.input": io.BytesIO()})
        setup_testing_defaults(environ)
        start, chunks, error = StartResponse(), [], None
        with closing(validator(upstream)(environ, start)) as body:
            try:
                chunks.extend(body)
            except OSError as caught:
                error = told(caught)
        outcomes.append(Outcome(start.status, headers_of(start.headers), b"".join(chunks), error))
    return outcomes


def by_wsgi_transport(base_url, asked, upstream, timeout_s=PATIENT_S):
    outcomes = []
    httpx = library("httpx")
    with httpx.Client(transport=httpx.WSGITransport(upstream)) as client:
        for _ in asked:
            chunks, error, response = [], None, httpx.Response(200)
            try:
                with client.stream("POST", base_url) as response:
                    chunks.extend(response.iter_raw())
            except OSError as caught:
                error = told(caught)
            outcomes.append(_httpx_outcome(response, chunks, error))
    return outcomes


@contextmanager
def serving(recordings, **options):
    upstream = FakeUpstream()
    for recording in recordings:
        upstream.play(recording, **options)
    with upstream.serve() as base_url:
        yield upstream, base_url


# --- whatever goes wrong

FAULTS = [
    None,
    faults.http_error(429, retry_after=1),
    faults.http_error(500),
    faults.cut(),
    faults.cut(after_events=0),
    faults.cut(after_bytes=400),
    faults.cut(reset=True),
    faults.cut(after_events=0, reset=True),
    faults.cut(after_bytes=400, reset=True),
    faults.early_end(),
    faults.early_end(after_bytes=400),
    faults.without_done(),
    faults.duplicate_done(),
    faults.truncated_json(),
    faults.error_object(),
    faults.error_object("groq"),
    faults.error_event(),
    faults.bom(),
    faults.id_only(),
    faults.retry_only(),
    faults.event_only(),
    faults.content_type(),
    faults.json_body(),
    faults.invalid_utf8(),
]
SILENT = [
    faults.slow_first_token(3600),
    faults.stall(),
    faults.stall(after_events=0),
    faults.stall(after_bytes=400),
]


def without_port(text):
    return re.sub(r"(port=|127\.0\.0\.1:)\d+", r"\1N", text)


def both(ask, recordings, asked=None, timeout_s=PATIENT_S, **options):
    """The outcomes, and the journals, of the server and of the front."""
    results = []
    for through in ("server", "front"):
        with serving(recordings, **options) as (upstream, base_url):
            requests = [{} for _ in recordings] if asked is None else [one() for one in asked]
            front = None if through == "server" else upstream
            outcomes = ask(base_url, requests, front, timeout_s)
        text = [
            outcome._replace(error=outcome.error and without_port(repr(outcome.error)))
            for outcome in outcomes
        ]
        journal = [
            (
                request.method,
                request.path,
                request.query,
                {name: without_port(value) for name, value in request.headers.items()},
                request.body,
                request.client_left,
            )
            for request in upstream.requests
        ]
        results.append((text, journal))
    return results


OF_THE_CONNECTION = [None, *(fault for fault in FAULTS if "cut(" in repr(fault))]


@every_client
@pytest.mark.parametrize(
    ("mode", "chosen"),
    [
        (rechunk.as_recorded, FAULTS),
        (rechunk.bytewise, OF_THE_CONNECTION),
        (rechunk.coalesced, OF_THE_CONNECTION),
    ],
    ids=["as_recorded", "bytewise", "coalesced"],
)
def test_every_fault_has_the_same_outcome_through_the_server_and_the_front(ask, mode, chosen):
    broken = []
    for fault in chosen:
        server, front = both(ask, ["chat-text"], fault=fault, rechunk=mode)
        assert server == front, fault
        broken += [fault] if front[0][0].error is not None else []
    assert broken == OF_THE_CONNECTION[1:]


@every_client
@pytest.mark.parametrize("fault", SILENT, ids=repr)
def test_silence_ends_alike_when_the_client_has_waited_long_enough(ask, fault):
    server, front = both(ask, ["chat-text"], timeout_s=IMPATIENT_S, fault=fault, speed=1e9)
    assert server == front
    [outcome], [request] = front
    assert "imed out" in outcome.error or "ReadTimeout" in outcome.error
    assert request[-1], "the client left before the end"


@every_client
def test_every_shipped_recording_has_the_same_outcome(ask):
    names = [path.stem for path in SHIPPED]
    server, front = both(ask, names)
    assert server == front
    assert [outcome.body for outcome in front[0]] == [path.read_bytes() for path in SHIPPED]


@every_client
def test_status_and_headers_are_those_of_the_wire(ask):
    headers = {"Content-Type": "text/plain", "X-One": "caf\u00e9", "Connection": "close"}
    server, front = both(ask, [Recording(b"x", status=299, headers=headers), Recording(b"")])
    assert server == front
    assert front[0][0].headers == [
        ("content-type", "text/plain"),
        ("transfer-encoding", "chunked"),
        ("x-one", "caf\u00e9"),
    ]


@every_client
def test_an_answer_to_head_has_no_body_that_could_break(ask):
    options = {"fault": faults.stall(after_events=0), "when": lambda request: True}
    server, front = both(ask, ["chat-text"], [lambda: {"method": "HEAD"}], **options)
    assert server == front
    [outcome], [request] = front
    assert (outcome.body, outcome.error, request[-1]) == (b"", None, False)


def parts():
    yield b'{"stream": '
    yield b"true}"


async def async_parts():
    for part in parts():
        yield part


def content(kind, data):
    """The keyword by which a body is handed over as it is."""
    return {"data" if kind == "requests" else "content": data}


REQUESTS = {
    "json": lambda kind: {"json": {"stream": True}},
    "nothing": lambda kind: {},
    "text": lambda kind: content(kind, "caf\u00e9"),
    "bytes": lambda kind: content(kind, b"\x00\xff"),
    "a file": lambda kind: content(kind, io.BytesIO(b"from a file")),
    "parts": lambda kind: content(kind, async_parts() if "async" in kind else parts()),
    "a form": lambda kind: {"data": {"a": "1"}},
    "headers": lambda kind: {"json": {}, "headers": {"X-One": "1", "Host": "api.openai.com"}},
    "a path": lambda kind: {"path": "/caf%C3%A9/a%2Fb%3Fc?api-version=1%202&b=%C3%A9"},
    "only a query": lambda kind: {"path": "?a=/b?c"},
    "GET": lambda kind: {"method": "GET", "path": "/models"},
    "HEAD": lambda kind: {"method": "HEAD"},
}


@pytest.mark.parametrize("kind", CLIENTS)
@pytest.mark.parametrize("sent", REQUESTS)
def test_the_journal_has_the_same_request_through_the_server_and_the_front(kind, sent):
    if sent == "a file" and "async" in kind:
        pytest.skip("an async client takes no file")
    server, front = both(
        CLIENTS[kind], ["chat-text"], [lambda: REQUESTS[sent](kind)], when=lambda request: True
    )
    assert server == front


# --- every recording, every mode

FRONTS = {
    "requests, server": lambda url, asked, upstream: by_requests(url, asked),
    "requests, responses": by_requests,
    "httpx, transport": by_httpx("httpx"),
    "httpx2, transport": by_httpx("httpx2"),
    "httpx async, transport": by_httpx_async("httpx"),
    "httpx2 async, transport": by_httpx_async("httpx2"),
    "WSGI": by_wsgi,
    "httpx, WSGITransport": by_wsgi_transport,
}
# A client takes 10 to 30 microseconds for a chunk, and there are 911,000 bytes: one byte a chunk,
# each recording goes through one of the fronts, and the next one through the next.
DEALT = {rechunk.bytewise: 8}


@needs_real
@pytest.mark.sweep
@pytest.mark.parametrize("mode", rechunk.MODES, ids=name_of)
@pytest.mark.parametrize("front", FRONTS)
def test_every_recording_comes_out_byte_for_byte_in_every_mode(front, mode):
    hands = DEALT.get(mode, 1)
    files = REAL[list(FRONTS).index(front) % hands :: hands]
    recordings = [Recording.load(path) for path in files]
    with serving(recordings, rechunk=mode) as (upstream, base_url):
        outcomes = FRONTS[front](base_url, [{} for _ in files], upstream)
        upstream.verify()
    for path, outcome in zip(files, outcomes):
        assert (outcome.body, outcome.error) == (path.read_bytes(), None), path.name


@pytest.mark.parametrize("front", ["requests, responses", "requests, server"])
@pytest.mark.parametrize("mode", rechunk.MODES, ids=name_of)
def test_requests_shows_each_chunk_as_it_was_cut(front, mode):
    recording = Recording.named("chat-crlf-comments")
    with serving([recording], rechunk=mode) as (upstream, base_url):
        [outcome] = FRONTS[front](base_url, [{}], upstream)
    assert outcome.cuts == [chunk.size_bytes for chunk in mode(recording).chunks]


@pytest.mark.parametrize("front", ["WSGI", "httpx, WSGITransport"])
@pytest.mark.parametrize("fault", [None, *FAULTS[3:9]], ids=repr)
def test_the_wsgi_callable_gives_the_same_bytes_and_an_error_where_a_server_is_to_cut(front, fault):
    wanted = fault(Recording.named("chat-text")) if fault else Recording.named("chat-text")
    with serving(["chat-text"], fault=fault) as (upstream, base_url):
        [outcome] = FRONTS[front](base_url, [{}], upstream)
    assert outcome.body == wanted.body
    names = {"complete": None, "eof": "ConnectionAbortedError", "reset": "ConnectionResetError"}
    assert (outcome.error and outcome.error[1]) == names[wanted.end]
    assert not upstream.requests[0].client_left


def test_importing_the_testing_half_and_making_a_transport_imports_no_client():
    code = """
import sys
from sse_middleware.testing import FakeUpstream
FakeUpstream().transport(), FakeUpstream().async_transport()
print({"httpx", "httpx2", "requests", "responses", "anyio"} & set(sys.modules))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (run.stdout, run.stderr) == ("set()\n", "")
