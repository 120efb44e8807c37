"""openai 1 and later, both of its clients, and the functions of openai 0.28."""

import asyncio
from contextlib import closing
from functools import partial
from importlib.metadata import PackageNotFoundError, version

from asking import DEADLINE_S, Client, collected, collected_async

try:
    VERSION = tuple(int(part) for part in version("openai").split(".")[:2])
except PackageNotFoundError:
    VERSION = ()

MESSAGES = [{"role": "user", "content": "Hi"}]
CALLS = {
    "chat.completions": lambda client: client.chat.completions.create(
        model="m", messages=MESSAGES, stream=True
    ),
    "completions": lambda client: client.completions.create(model="m", prompt="Hi", stream=True),
    "responses": lambda client: client.responses.create(model="m", input="Hi", stream=True),
    "assistants": lambda client: client.beta.threads.runs.create(
        "t", assistant_id="a", stream=True
    ),
    "audio.transcriptions": lambda client: client.audio.transcriptions.create(
        model="m", file=("a.wav", b"RIFF"), stream=True
    ),
}


def clients():
    """Those of the openai that is installed; none, if none is."""
    if not VERSION:
        return []
    name = f"openai 0.{VERSION[1]}" if VERSION[0] == 0 else f"openai {VERSION[0]}"
    apis = frozenset(LEGACY_CALLS if VERSION[0] == 0 else CALLS)
    one, many = (ask_legacy, ask_legacy_async) if VERSION[0] == 0 else (ask, ask_async)
    return [Client(name, apis, one), Client(f"{name} async", apis, many)]


def options(job):
    """What a client of this job is made with."""
    import openai

    timeout = openai.Timeout(DEADLINE_S, read=job.patience_s)
    retries = {} if job.retries else {"max_retries": 0}
    return {"base_url": job.base_url, "api_key": "x", "timeout": timeout, **retries}


def call(make, http_client, job):
    import openai

    return CALLS[job.api](getattr(openai, make)(http_client=http_client, **options(job)))


def ask(jobs):
    import openai

    with closing(openai.DefaultHttpxClient(verify=False)) as http_client:
        return [collected(partial(call, "OpenAI", http_client, job)) for job in jobs]


def ask_async(jobs):
    return asyncio.run(ask_all(jobs))


async def ask_all(jobs):
    import openai

    async with openai.DefaultAsyncHttpxClient(verify=False) as http_client:
        calls = [partial(call, "AsyncOpenAI", http_client, job) for job in jobs]
        return [await collected_async(each) for each in calls]


# openai 0.28


LEGACY_CALLS = {
    "chat.completions": ("ChatCompletion", {"model": "m", "messages": MESSAGES}),
    "completions": ("Completion", {"model": "m", "prompt": "Hi"}),
}


def call_legacy(method, job):
    import openai

    name, fields = LEGACY_CALLS[job.api]
    timeout = (DEADLINE_S, job.patience_s)
    options = {"api_base": job.base_url, "api_key": "x", "request_timeout": timeout}
    return getattr(getattr(openai, name), method)(stream=True, **options, **fields)


def ask_legacy(jobs):
    return [collected(partial(call_legacy, "create", job)) for job in jobs]


def ask_legacy_async(jobs):
    return asyncio.run(ask_all_legacy(jobs))


async def ask_all_legacy(jobs):
    return [await collected_async(partial(call_legacy, "acreate", job)) for job in jobs]
