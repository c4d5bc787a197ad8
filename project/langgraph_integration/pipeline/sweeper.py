"""Sweeper: lets the store delete what is old enough, now and then, beside the runs."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable

from workflow_events.errors import InfrastructureError

log = logging.getLogger(__name__)

_INTERVAL_S = 3600.0


class Sweeper:
    """Calls `sweep` about once an hour; several workers may do so on one store."""

    def __init__(self, sweep: Callable[[], Awaitable[object]], *, interval_s: float = _INTERVAL_S) -> None:
        self._sweep = sweep
        self._interval_s = interval_s

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            await asyncio.sleep(self._interval_s * random.uniform(0.5, 1.5))
            try:
                report = await self._sweep()
            except InfrastructureError as error:
                # the next hour will do; whoever needs the store now says so itself
                log.info("sweep put off: %s", error, extra={"action": "sweep_put_off"})
            else:
                log.info("swept: %s", report, extra={"action": "swept"})
