"""Answers from the readers' threads to an event loop, many in one go."""

import asyncio
import weakref
from collections import deque
from concurrent.futures import Future
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


class LoopWakeups:
    """Wakes coroutines of one event loop from other threads.

    Each wake-up of a loop writes to a socket and lets its thread in, so that a reader with a thousand
    answers would give way a thousand times. Here one wake-up takes all answers that are there.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = weakref.ref(loop)
        self._answered: deque[asyncio.Future[None]] = deque()
        self._woken = False

    async def result_of(self, source: Future[T]) -> T:
        """The outcome of another thread's future. Only for coroutines of this loop."""
        here: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        source.add_done_callback(lambda _: self._hand_over(here))
        await here
        return source.result()

    def _hand_over(self, here: asyncio.Future[None]) -> None:
        # First in the queue, then the look whether a wake-up is under way; _take_all does it the other
        # way round, so that none is left behind.
        self._answered.append(here)
        loop = self._loop()
        if not self._woken and loop is not None:
            self._woken = True
            with suppress(RuntimeError):  # the loop is closed: nobody waits there any more
                loop.call_soon_threadsafe(self._take_all)

    def _take_all(self) -> None:
        self._woken = False
        while self._answered:
            here = self._answered.popleft()
            if not here.done():
                here.set_result(None)
