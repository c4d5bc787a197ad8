"""What a database of runs and checkpoints offers to the ledger and the saver."""

import asyncio
import logging
from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol
from zlib import crc32

from langgraph_integration.store.commands import Command, OpenDatabase, T
from langgraph_integration.store.group_commit import Lane

log = logging.getLogger(__name__)

OPEN_FAILED_TIMEOUT = timedelta(seconds=5)
"""For giving up what was opened before the rest could not be."""


class Backend(Protocol):
    """Carries commands out. Every call raises `StoreUnavailable` when the database does not answer;
    nothing of the command is written then, unless the connection broke during the commit itself.
    """

    @property
    def store_id(self) -> str:
        """Identifies the database, for ever."""

    async def run(self, command: Command[T]) -> T:
        """The answer; for a writing command after its commit. From any event loop."""

    def run_blocking(self, command: Command[T]) -> T:
        """The same for threads without an event loop."""

    async def close(self, timeout: timedelta) -> None:
        """Carry out what is pending, for at most `timeout`, and disconnect. Never raises."""


class LaneBackend:
    """A backend over lanes: the commands of one key always take the same lane, so they keep their order."""

    def __init__(self, writers: Sequence[Lane], readers: Sequence[Lane]) -> None:
        self._writers = writers
        self._readers = readers
        self._store_id = ""

    async def open(self) -> None:
        """Connect every lane, the first writer first: it makes what is missing. Closes all if one fails."""
        try:
            for lane in (*self._writers, *self._readers):
                self._store_id = await lane.submit(OpenDatabase())
        except BaseException:
            await self.close(OPEN_FAILED_TIMEOUT)
            raise

    @property
    def store_id(self) -> str:
        return self._store_id

    async def run(self, command: Command[T]) -> T:
        return await self._lane(command).submit(command)

    def run_blocking(self, command: Command[T]) -> T:
        return self._lane(command).call(command)

    async def close(self, timeout: timedelta) -> None:
        lanes = (*self._writers, *self._readers)
        ended = await asyncio.gather(*(lane.close(timeout) for lane in lanes))
        if not all(ended):
            log.warning("store did not close in time", extra={"action": "store-close-timeout"})

    def _lane(self, command: Command[T]) -> Lane:
        lanes = self._writers if command.writes else self._readers
        return lanes[0] if len(lanes) == 1 else lanes[crc32(command.key.encode()) % len(lanes)]
