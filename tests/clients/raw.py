"""Clients that know no API: they hand over bytes. requests, httpx, httpx2 and curl."""

import asyncio
import json
import re
import shutil
import subprocess
from functools import partial
from importlib import import_module
from importlib.util import find_spec

from asking import DEADLINE_S, PATHS, Client, Outcome, told

APIS = frozenset(PATHS)
FIELDS = {"stream": True}


def clients():
    """Those that are installed."""
    found = []
    if find_spec("requests"):
        found.append(Client("requests", APIS, partial(one_by_one, with_requests)))
    for name in ("httpx", "httpx2"):
        if find_spec(name):
            found.append(Client(name, APIS, partial(one_by_one, partial(with_httpx, name))))
            found.append(Client(f"{name} async", APIS, partial(with_httpx_async, name)))
    if shutil.which("curl"):
        found.append(Client("curl", APIS, partial(one_by_one, with_curl)))
    return found


def one_by_one(fetch, jobs):
    """The outcome of each job; ``fetch`` puts each piece of the body into a list of its own."""
    return [fetched(fetch, job) for job in jobs]


def fetched(fetch, job):
    pieces = []
    try:
        error = fetch(job.base_url + PATHS[job.api], job.patience_s, pieces)
    except Exception as raised:
        error = told(raised)
    return Outcome(b"".join(pieces), error)


def of_status(status):
    """What stands for an error status, which none of these raises for."""
    return None if status == 200 else f"status {status}"


def with_requests(url, patience_s, pieces):
    import requests

    timeout = (DEADLINE_S, patience_s)
    with requests.post(url, json=FIELDS, stream=True, timeout=timeout) as response:
        for piece in response.iter_content(None):
            pieces.append(piece)
        return of_status(response.status_code)


def with_httpx(name, url, patience_s, pieces):
    httpx = import_module(name)
    timeout = httpx.Timeout(DEADLINE_S, read=patience_s)
    with httpx.stream("POST", url, json=FIELDS, timeout=timeout, verify=False) as response:
        for piece in response.iter_bytes():
            pieces.append(piece)
        return of_status(response.status_code)


def with_httpx_async(name, jobs):
    httpx = import_module(name)

    async def ask_all():
        async with httpx.AsyncClient(verify=False) as client:
            return [await fetched_async(httpx, client, job) for job in jobs]

    return asyncio.run(ask_all())


async def fetched_async(httpx, client, job):
    pieces = []
    timeout = httpx.Timeout(DEADLINE_S, read=job.patience_s)
    url = job.base_url + PATHS[job.api]
    try:
        async with client.stream("POST", url, json=FIELDS, timeout=timeout) as response:
            async for piece in response.aiter_bytes():
                pieces.append(piece)
            return Outcome(b"".join(pieces), of_status(response.status_code))
    except Exception as error:
        return Outcome(b"".join(pieces), told(error))


def with_curl(url, patience_s, pieces):
    command = ["curl", "-qsSN", "--noproxy", "*", "--max-time", str(patience_s)]
    command += ["-w", "%{stderr}status %{http_code}\\n", "--json", json.dumps(FIELDS), url]
    done = subprocess.run(command, capture_output=True, timeout=2 * DEADLINE_S, check=False)
    pieces.append(done.stdout)
    lines = done.stderr.decode().split("\n")
    (status,) = (line for line in lines if line.startswith("status "))
    failed = [line for line in lines if line.startswith("curl: ")]
    if failed:
        return re.sub(r" after \d.*| with \d.*", "", failed[0])  # how long it took, how much came
    return of_status(int(status[len("status ") :]))
