"""anthropic, both of its clients."""

import asyncio
from contextlib import closing
from functools import partial
from importlib.metadata import PackageNotFoundError, version

from asking import DEADLINE_S, Client, collected, collected_async

try:
    MAJOR = version("anthropic").split(".")[0]
except PackageNotFoundError:
    MAJOR = ""


def clients():
    """Those of the anthropic that is installed; none, if none is."""
    apis = frozenset(["anthropic.messages"])
    name = f"anthropic {MAJOR}"
    return [Client(name, apis, ask), Client(f"{name} async", apis, ask_async)] if MAJOR else []


def call(make, http_client, job):
    import anthropic

    timeout = anthropic.Timeout(DEADLINE_S, read=job.patience_s)
    client = getattr(anthropic, make)(
        base_url=job.base_url,
        api_key="x",
        timeout=timeout,
        http_client=http_client,
        **({} if job.retries else {"max_retries": 0}),
    )
    messages = [{"role": "user", "content": "Hi"}]
    return client.messages.create(model="m", max_tokens=9, messages=messages, stream=True)


def ask(jobs):
    import anthropic

    with closing(anthropic.DefaultHttpxClient(verify=False)) as http_client:
        return [collected(partial(call, "Anthropic", http_client, job)) for job in jobs]


def ask_async(jobs):
    return asyncio.run(ask_all(jobs))


async def ask_all(jobs):
    import anthropic

    async with anthropic.DefaultAsyncHttpxClient(verify=False) as http_client:
        calls = [partial(call, "AsyncAnthropic", http_client, job) for job in jobs]
        return [await collected_async(each) for each in calls]
