"""Makes docs/proxies.md: ``python proxied_docs.py FACTS > ../../docs/proxies.md``.

FACTS is what a run of ``test_proxies.py`` wrote to the file that ``SSE_MATRIX_OUT_PROXIES`` names.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any, Dict, Mapping, Optional

from proxies import PROXIES, READ_TIMEOUT_S, SETUPS, Setup, lines, version

__all__ = ["is_complete", "page", "row", "shown_lines", "versions", "without_times"]

_LISTENS = {"haproxy": "*:80", "caddy": "example.com"}
_ENDINGS = {"whole": "looks whole", "cut": "is cut"}

_PAGE = """\
# Behind a proxy

<!-- Made by tests/servers/proxied_docs.py from what tests/servers/test_proxies.py measured. -->

Measured with {versions},
as Debian 12 packages them, before gunicorn (gthread) unless the row says otherwise. Every row is a
configuration below, and every cell a test. Which to take is told in [Deploying](deployment.md).

{table}

- **One by one**: each event reached the client before the app made the next one; in brackets the
  slowest of six.
- **Silence**: the proxy's read timeout was {timeout} s. With a heartbeat of 0.3 s every stream
  outlived it; with `heartbeat=None` the proxy ended it after the time shown. To the client that
  end was a cut, or looked whole.
- **Client leaves**: seconds until the generator's `finally` had run, with a heartbeat of 0.3 s;
  then, whether the app hears of it at all while nothing is written.
- **Broken off**: what the client sees of a body that the server cut in the middle of an event.
  Where that looks whole, only an event can tell an end from a failure: use `end_event`. The error
  event arrived through every proxy.

## What to do

- **nginx** streams because of `X-Accel-Buffering: no`, which the middleware sends. The same stream
  without that header arrived only at its end. Where nginx is told to ignore the header, set
  `proxy_buffering off`. Its gzip did no harm. `proxy_http_version 1.1` lets a client see that a
  stream broke off.
- **HAProxy** delivers events up to 0.2 s late, in bundles, and does not tell the server that a
  client has left; two options in `defaults` cure both. Where it compresses event streams, each
  event arrives when the next one is made, unless the stream carries `no-transform`, which the
  middleware sends.
- **Apache** does not tell the server that a client has left. The heartbeat is what frees the
  worker, after three or four of them: with the default of 15 s, reckon with a minute.
- **Caddy** streams, unless it compresses: its gzip writer then holds everything back to the end.
  `encode gzip` compresses a stream whose first write is large (4 KB here; its documented minimum is
  512 bytes), so short events do not show it. Name the types to compress, as below. Where the
  Caddyfile is not yours, send `Content-Encoding: identity` from the app: it kept Caddy and nginx
  from compressing. See caddyserver/caddy#6293.
- **All of them** cut a stream that is silent for longer than their read timeout. Keep `heartbeat`
  below it.

## The configurations

As they were run, but for the addresses: the tests listen on ports of 127.0.0.1, without TLS.
nginx's lines stand inside `location / {{ }}`, Apache's in the server or a virtual host. For the
column on silence a timeout was set; the last block of each proxy shows how.

{configurations}
"""


def versions() -> Dict[str, str]:
    """Of every proxy, the version that is installed."""
    return {proxy: version(proxy) for proxy in PROXIES}


def page(measured: Mapping[str, Any]) -> str:
    """The whole page."""
    names = {"nginx": "nginx", "apache": "Apache", "haproxy": "HAProxy", "caddy": "Caddy"}
    return _PAGE.format(
        versions=", ".join(f"{names[key]} {value}" for key, value in measured["versions"].items()),
        table=_table(measured["setups"]),
        timeout=READ_TIMEOUT_S,
        configurations="\n\n".join(_configurations(proxy, names[proxy]) for proxy in PROXIES),
    )


def _table(setups: Mapping[str, Mapping[str, Any]]) -> str:
    head = [
        "| configuration | one by one | gzip | silence: heartbeat, none "
        "| client leaves: heartbeat, none | broken off |",
        "|---|---|---|---|---|---|",
    ]
    return "\n".join(head + [row(SETUPS[name], facts) for name, facts in setups.items()])


def is_complete(facts: Mapping[str, Any]) -> bool:
    """Whether every test that measures something for the table has run."""
    needed = {"compressed", "kept_open", "silent_cut_looks", "leaving_seen_s", "broken_looks"}
    needed |= {"leaving_seen_in_silence", "streams"}
    if facts.get("streams"):
        needed |= {"late_s", "large_first_streams"}
    return needed <= set(facts)


def row(setup: Setup, facts: Mapping[str, Any]) -> str:
    """The line of the table for a setup."""
    ending = _ENDINGS[facts["silent_cut_looks"]].replace("is cut", "cut")
    cells = [
        setup.title,
        _one_by_one(facts),
        "yes" if facts["compressed"] else "no",
        f"open, {facts['silent_cut_s']:.1f} s ({ending})",
        f"{facts['leaving_seen_s']:.1f} s, "
        + ("seen" if facts["leaving_seen_in_silence"] else "**not seen**"),
        _ENDINGS[facts["broken_looks"]],
    ]
    return "| " + " | ".join(cells) + " |"


def _one_by_one(facts: Mapping[str, Any]) -> str:
    if not facts["streams"]:
        return "**no**: all at the end"
    if not facts["large_first_streams"]:
        return f"yes ({facts['late_s'] * 1000:.0f} ms); **no** if the first is large"
    return f"yes ({facts['late_s'] * 1000:.0f} ms)"


def without_times(text: str) -> str:
    """``text`` without its seconds, which no two runs share."""
    return re.sub(r"\d+(\.\d+)? (m?s)\b", r"\2", text)


def shown_lines(setup: Setup, timeout_s: Optional[int] = None) -> str:
    """What a user would write."""
    listen = _LISTENS.get(setup.proxy, "")
    text = lines(setup, listen=listen, backend="127.0.0.1:8000", timeout_s=timeout_s)
    return text.replace("http://example", "example")


def _configurations(proxy: str, name: str) -> str:
    setups = [setup for setup in SETUPS.values() if setup.proxy == proxy]
    parts = [f"### {name}"]
    for setup in setups:
        parts.append(f"{setup.title}:\n\n```\n{shown_lines(setup)}\n```")
    timed = shown_lines(setups[0], READ_TIMEOUT_S)
    parts.append(f"{setups[0].title}, with a timeout:\n\n```\n{timed}\n```")
    return "\n\n".join(parts)


if __name__ == "__main__":
    print(page(json.loads(Path(sys.argv[1]).read_text())), end="")
