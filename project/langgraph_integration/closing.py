"""Opening several things at once, and closing them within a time."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

log = logging.getLogger(__name__)

_CLOSE_S = 2.5


async def all_at_once(calls: Sequence[Callable[[], Awaitable[object]]]) -> None:
    """Await them all, then raise the first error. Each is bounded; one after the other they would exceed what
    a stop may take.
    """
    answers = await asyncio.gather(*(call() for call in calls), return_exceptions=True)
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer


@asynccontextmanager
async def meanwhile(call: Awaitable[object]) -> AsyncIterator[None]:
    """Await `call` while the body runs; raises its error after the body. A body that fails ends it."""
    task = asyncio.ensure_future(call)
    # the body may keep the loop for long, as imports do
    await asyncio.sleep(0)
    try:
        yield
    except BaseException:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        raise
    await task


async def closed_within(stack: AsyncExitStack, seconds: float = _CLOSE_S) -> None:
    """Close the stack, for at most so long; whatever hangs is abandoned."""
    task = asyncio.create_task(stack.aclose(), name="close")
    done, _ = await asyncio.wait({task}, timeout=seconds)
    if not done:
        log.warning("closing did not end within %g s", seconds, extra={"action": "close_abandoned"})
        task.cancel()
    elif not task.cancelled() and (error := task.exception()) is not None:
        log.warning("closing failed: %s", error, extra={"action": "close_failed"})
