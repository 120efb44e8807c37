"""A client leaves while the relay waits for its upstream: the read returns, whoever reads."""

import threading

import pytest

from sse_middleware import SSEMiddleware
from sse_middleware.relay import relay
from sse_middleware.testing import FakeUpstream, Recording

DEADLINE_S = 20
ASKED = {"model": "m", "messages": [], "stream": True}


def by_requests(base_url):
    session = pytest.importorskip("requests").Session()
    session.trust_env = False
    return session.post(base_url + "/chat/completions", json=ASKED, stream=True)


def by_httpx(base_url):
    httpx = pytest.importorskip("httpx")
    client = httpx.Client(trust_env=False, timeout=600, verify=False)
    request = client.build_request("POST", base_url + "/chat/completions", json=ASKED)
    return client.send(request, stream=True)


def openai_completions(base_url):
    openai = pytest.importorskip("openai")
    if not hasattr(openai, "OpenAI"):
        pytest.skip("openai before 1.0 returns a bare generator, which nothing reaches into")
    http_client = openai.DefaultHttpxClient(trust_env=False, verify=False)
    client = openai.OpenAI(base_url=base_url, api_key="x", max_retries=0, http_client=http_client)
    return client.chat.completions


def by_openai(base_url):
    return openai_completions(base_url).create(**ASKED)


def by_openai_raw_response(base_url):
    return openai_completions(base_url).with_raw_response.create(**ASKED)


def by_openai_streaming_response(base_url):
    return openai_completions(base_url).with_streaming_response.create(**ASKED).__enter__()


def by_anthropic(base_url):
    anthropic = pytest.importorskip("anthropic")
    http_client = anthropic.DefaultHttpxClient(trust_env=False, verify=False)
    options = {"base_url": base_url, "api_key": "x", "max_retries": 0, "http_client": http_client}
    return anthropic.Anthropic(**options).messages.create(max_tokens=9, **ASKED)


def by_urllib(base_url):
    import json
    from urllib.request import ProxyHandler, Request, build_opener

    request = Request(base_url + "/chat/completions", json.dumps(ASKED).encode())
    return build_opener(ProxyHandler({})).open(request)


ASKS = [
    by_requests,
    by_httpx,
    by_openai,
    by_openai_raw_response,
    by_openai_streaming_response,
    by_anthropic,
    by_urllib,
]
DELTA = (
    b'event: content_block_delta\ndata: {"type":"content_block_delta","delta":{"text":"Hi"}}\n\n'
)


@pytest.mark.parametrize("ask", ASKS)
def test_the_read_that_waits_returns_when_the_client_leaves(ask):
    upstream = FakeUpstream()
    body = DELTA if ask is by_anthropic else Recording.named("chat-text").body
    upstream.play(Recording(body, end="stall"))
    finished = threading.Event()
    with upstream.serve() as base_url:
        answered = ask(base_url)

        def app(environ, start_response):
            start_response("200 OK", [("Content-Type", "text/event-stream")])
            try:
                for event in relay(answered):
                    if event["event"] == "message":  # the recording's own [DONE] ends the relay
                        yield event
            finally:
                finished.set()

        body = SSEMiddleware(app, worker=lambda environ: True)(
            {"REQUEST_METHOD": "GET"}, lambda *answer: None
        )
        assert next(body).startswith(b"event: message")
        body.close()
        assert finished.wait(DEADLINE_S), "the blocked read did not return"
