"""Letting go of an upstream: at the end, and from another thread while a read of it waits."""

import logging
import socket
from typing import Any

__all__ = ["abort", "close"]

_log = logging.getLogger("sse_middleware")


def close(upstream: Any) -> None:
    """Close ``upstream``, if it can be; what fails then is logged and hides nothing."""
    try:
        getattr(upstream, "close", _nothing)()
    except Exception:
        _log.debug("closing an upstream failed", exc_info=True)


def _nothing() -> None:
    """For an upstream that has nothing to close, such as a list."""


def abort(upstream: Any) -> None:
    """Let a read of ``upstream`` return that waits in another thread: closing alone does not."""
    response = getattr(upstream, "response", upstream)  # of the SDK's stream
    response = getattr(response, "http_response", response)  # of its raw response
    for find in (_httpx_socket, _urllib3_socket, _http_client_socket):
        try:
            find(response).shutdown(socket.SHUT_RDWR)
            return
        except (AttributeError, KeyError, OSError):
            continue  # another client's, or gone already


def _httpx_socket(response: Any) -> Any:
    return response.extensions["network_stream"].get_extra_info("socket")


def _urllib3_socket(response: Any) -> Any:
    return getattr(response, "raw", response)._fp.fp.raw._sock


def _http_client_socket(response: Any) -> Any:
    return response.fp.raw._sock
