"""Waiting in async code for what blocks: on asyncio and trio alike, without holding up the loop.

A clock is waited on by a thread; which library runs the loop is anyio's to know, which httpx and
httpx2 bring along.
"""

from functools import lru_cache
from inspect import signature
from typing import Any, Callable, Dict

__all__ = ["checkpoint", "in_thread"]


async def checkpoint() -> None:
    """Let other tasks run; a cancelled one ends here."""
    from anyio.lowlevel import checkpoint as anyio_checkpoint

    await anyio_checkpoint()


async def in_thread(
    wait: Callable[..., None], *arguments: Any, at_cancel: Callable[[], None]
) -> None:
    """Return when ``wait(*arguments)`` does, in a thread of its own.

    ``at_cancel`` is called when the task is cancelled meanwhile; it must make ``wait`` return.
    """
    from anyio import CapacityLimiter
    from anyio.to_thread import run_sync

    try:
        # A limiter of its own: forty streams that wait leave no thread of the common one.
        await run_sync(wait, *arguments, limiter=CapacityLimiter(1), **_left_at_cancel(run_sync))
    except BaseException:
        at_cancel()
        raise


@lru_cache(maxsize=None)
def _left_at_cancel(run_sync: Any) -> Dict[str, bool]:
    """The argument by which a cancelled task does not wait for the thread: anyio 4.1 renamed it."""
    names = signature(run_sync).parameters
    return {"abandon_on_cancel" if "abandon_on_cancel" in names else "cancellable": True}
