"""Closing what was opened, within a time."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack

log = logging.getLogger(__name__)

_CLOSE_S = 2.5


async def all_at_once(calls: Sequence[Callable[[], Awaitable[object]]]) -> None:
    """Await them all. Each is bounded; one after the other they would exceed what a stop may take."""
    await asyncio.gather(*(call() for call in calls))


async def closed_within(stack: AsyncExitStack, seconds: float = _CLOSE_S) -> None:
    """Close the stack, for at most so long; whatever hangs is abandoned."""
    task = asyncio.create_task(stack.aclose(), name="close")
    done, _ = await asyncio.wait({task}, timeout=seconds)
    if not done:
        log.warning("closing did not end within %g s", seconds, extra={"action": "close_abandoned"})
        task.cancel()
    elif not task.cancelled() and (error := task.exception()) is not None:
        log.warning("closing failed: %s", error, extra={"action": "close_failed"})
