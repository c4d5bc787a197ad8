"""Solitude: runs whose process keeps ending run one at a time, so that only the guilty one is blamed."""

import asyncio
from types import TracebackType
from typing import Self

TRUSTED_CLAIMS = 2
"""A run that is claimed more often than this is suspected of ending its process."""


class Solitude:
    """The right to be the one suspect that runs in this process; given back at the end of the block.

    A semaphore for one: an `asyncio.Lock` says that it is free while it passes to a waiter, and who takes it
    then has to wait, with a lease that nobody renews.
    """

    def __init__(self, one: asyncio.Semaphore) -> None:
        self._one = one
        self._held = False

    async def taken_at_once(self) -> bool:
        """Whether it is ours; takes it if nobody has it."""
        if not self._held and not self._one.locked():
            await self.take()
        return self._held

    async def take(self) -> None:
        """Wait for it."""
        await self._one.acquire()
        self._held = True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._held:
            self._one.release()
