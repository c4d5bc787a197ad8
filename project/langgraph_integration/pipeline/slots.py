"""Slots: the places for runs, counted, so that never more than the limit are in flight."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import Future
from contextlib import asynccontextmanager
from typing import Any


class Slots:
    """A counting semaphore that can be asked how full it is."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._taken = 0
        self._freed = asyncio.Event()
        self._freed.set()
        self.most_taken = 0
        """The largest number of places that were ever taken at once."""

    @property
    def taken(self) -> int:
        """Places in use."""
        return self._taken

    @property
    def free(self) -> int:
        """Places left."""
        return self.limit - self._taken

    def take(self) -> None:
        """Take a place that `free` has shown."""
        self._taken += 1
        self.most_taken = max(self.most_taken, self._taken)
        if self._taken >= self.limit:
            self._freed.clear()

    def give_back(self) -> None:
        """Free a place."""
        self._taken -= 1
        if self._taken < self.limit:
            self._freed.set()

    async def wait_free(self) -> None:
        """Return once a place is free; somebody else may take it first."""
        await self._freed.wait()


class OneSlot:
    """The place of one delivery."""

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self._held = True
        self.waited = False
        """Whether the place was ever given back for a wait: others may have had it since."""

        self.threads: set[Future[Any]] = set()
        slots.take()

    @asynccontextmanager
    async def given_back(self) -> AsyncIterator[None]:
        """Let others use the place while the body waits, then wait for a free one."""
        self.waited = True
        self.free()
        yield
        await self.take_again()

    async def take_again(self) -> None:
        """Wait for a place, unless there is one: a body of `given_back` that raises comes back without."""
        while not self._held:
            if self._slots.free > 0:
                self._slots.take()
                self._held = True
            else:
                await self._slots.wait_free()

    async def close(self) -> None:
        """Free the place, once no thread of the run is left."""
        try:
            while self.threads:
                await asyncio.wait([asyncio.wrap_future(future) for future in list(self.threads)])
        finally:
            self.free()

    def free(self) -> None:
        """Free the place now; harmless if it is free."""
        if self._held:
            self._held = False
            self._slots.give_back()
