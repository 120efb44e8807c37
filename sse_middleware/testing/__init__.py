"""The testing half: recorded streams, and an upstream that replays them to any client.

Importing this costs nothing: each name loads its module when it is first used (PEP 562).

Where things are; a module with an underscore is a part of those on its line:

- ``recording``: what was recorded. ``_recording_rules`` and ``_recording_files`` check, read and
  write it; ``_recording_sources`` builds it (``_built_answer``, ``_built_chat``,
  ``_built_responses``) or imports it (``_curl``, ``_cassette``, ``_encoding``).
- ``rechunk`` and ``faults`` (``_fault``, ``_vendor_errors``) make another one of it, by ``_edits``.
- ``upstream``: the fake upstream, with ``matching``, ``_script`` and ``_verdict``; ``replay``: a
  folder of recordings. ``clock`` is the time of both, ``_shelf`` their folders.
- ``exchange``: what the fronts take and send. They are ``server`` (``_handler``), ``wsgi``,
  ``_httpx_front`` (``_async_wait``) and ``_responses_front``, over ``wire`` and ``_playback``.
- ``recorder``: a proxy. ``_passage`` passes a request on, with ``_forwarding``, ``_transport`` and
  ``_lookout``; ``_take`` keeps the answer, without what ``_redact`` and ``_secrets`` find.
- ``_request_reading`` and ``_chunked``: HTTP/1.1 as both servers read it; ``_hosts``: which pages
  may ask them; ``_proxies``: past those of the environment.
- ``client`` and ``webtest``: ``_open_stream`` is what a test reads; ``_steps`` is its thread, which
  asks an app (``_in_process``) or a server (``_socket``); ``_comments``, ``_stacks`` and
  ``_telling`` are for what it tells.
- ``framing`` and ``lint``: ``_framing_rules`` is the table, ``_framing_problem`` a fault;
  ``_framing_lines``, ``_framing_stream``, ``_framing_ids`` and ``_framing_openai`` look at the
  bytes, ``_framing_headers`` at the headers, ``_framing_seam`` at app and server.
- ``timeline``: a recording as text; ``_explain``: why two events differ. ``_visible`` and
  ``_strict_json`` serve all.
"""

from importlib import import_module
from typing import TYPE_CHECKING, List

if TYPE_CHECKING:
    from sse_middleware.testing import faults, rechunk
    from sse_middleware.testing.client import StreamClient
    from sse_middleware.testing.clock import VirtualClock
    from sse_middleware.testing.framing import assert_framing, check_framing
    from sse_middleware.testing.lint import FramingLint
    from sse_middleware.testing.recording import Recording
    from sse_middleware.testing.upstream import FakeUpstream

__all__ = [
    "FakeUpstream",
    "FramingLint",
    "Recording",
    "StreamClient",
    "VirtualClock",
    "assert_framing",
    "check_framing",
    "faults",
    "rechunk",
]

_HOMES = {
    "FakeUpstream": "upstream",
    "FramingLint": "lint",
    "Recording": "recording",
    "StreamClient": "client",
    "VirtualClock": "clock",
    "assert_framing": "framing",
    "check_framing": "framing",
}
_MODULES = ("faults", "rechunk")


def __getattr__(name: str) -> object:
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> List[str]:
    return sorted(__all__)
