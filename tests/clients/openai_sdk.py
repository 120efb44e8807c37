"""openai 1 and later, both of its clients, and the functions of openai 0.28."""

import asyncio
from contextlib import closing
from importlib.metadata import PackageNotFoundError, version

from asking import DEADLINE_S, Client, Outcome, told

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


def ask(jobs):
    import openai

    with closing(openai.DefaultHttpxClient(verify=False)) as http_client:
        return [
            collected(job, openai.OpenAI(http_client=http_client, **options(job))) for job in jobs
        ]


def collected(job, client):
    came = []
    try:
        for one in CALLS[job.api](client):
            came.append(one)
    except Exception as error:
        return Outcome(came, told(error))
    return Outcome(came)


def ask_async(jobs):
    return asyncio.run(ask_all(jobs))


async def ask_all(jobs):
    import openai

    async with openai.DefaultAsyncHttpxClient(verify=False) as http_client:
        return [
            await collected_async(
                CALLS[job.api](openai.AsyncOpenAI(http_client=http_client, **options(job)))
            )
            for job in jobs
        ]


async def collected_async(answer):
    came = []
    try:
        async for one in await answer:
            came.append(one)
    except Exception as error:
        return Outcome(came, told(error))
    return Outcome(came)


# openai 0.28


LEGACY_CALLS = {
    "chat.completions": ("ChatCompletion", {"model": "m", "messages": MESSAGES}),
    "completions": ("Completion", {"model": "m", "prompt": "Hi"}),
}


def legacy_call(job, method):
    import openai

    name, fields = LEGACY_CALLS[job.api]
    timeout = (DEADLINE_S, job.patience_s)
    options = {"api_base": job.base_url, "api_key": "x", "request_timeout": timeout}
    return getattr(getattr(openai, name), method)(stream=True, **options, **fields)


def ask_legacy(jobs):
    return [collected_legacy(job) for job in jobs]


def collected_legacy(job):
    came = []
    try:
        for one in legacy_call(job, "create"):
            came.append(one.to_dict_recursive())
    except Exception as error:
        return Outcome(came, told(error))
    return Outcome(came)


def ask_legacy_async(jobs):
    async def ask_all():
        return [await collected_legacy_async(job) for job in jobs]

    return asyncio.run(ask_all())


async def collected_legacy_async(job):
    came = []
    try:
        async for one in await legacy_call(job, "acreate"):
            came.append(one.to_dict_recursive())
    except Exception as error:
        return Outcome(came, told(error))
    return Outcome(came)
