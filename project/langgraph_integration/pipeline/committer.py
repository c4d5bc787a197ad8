"""Committer: moves the group's offsets up to what is settled."""

import asyncio
import logging
import time

from langgraph_integration.pipeline.faults import reached
from langgraph_integration.pipeline.gate import IntakeGate
from langgraph_integration.pipeline.offsets import OffsetTracker
from langgraph_integration.pipeline.ports import EventSource
from workflow_events.errors import BrokerUnavailable

log = logging.getLogger(__name__)

_TICK_S = 0.2


class Committer:
    """Commits the tracker's watermarks. A failed commit has an unknown outcome and is simply repeated."""

    def __init__(self, source: EventSource, tracker: OffsetTracker, gate: IntakeGate) -> None:
        self._source = source
        self._tracker = tracker
        self._gate = gate
        self.committed_at = time.monotonic()
        """When the last commit was confirmed, or nothing was to be committed (monotonic seconds)."""

    async def run(self) -> None:
        """Commit on every tick until cancelled."""
        while True:
            await asyncio.sleep(_TICK_S)
            await self.commit_ready()

    async def commit_ready(self, *, quiet: bool = False) -> bool:
        """Commit what is settled now. False if the broker did not confirm; `quiet` leaves the gate alone."""
        offsets = self._tracker.committable()
        if offsets:
            try:
                reached("before-commit")
                await self._source.commit(offsets)
                reached("after-commit")
            except (BrokerUnavailable, TimeoutError) as error:
                log.info("commit not confirmed: %s", error, extra={"action": "commit_unconfirmed"})
                if not quiet and time.monotonic() - self.committed_at > 10.0:
                    self._gate.hold("commit", error)
                return False
            self._tracker.mark_committed(offsets)
        self.committed_at = time.monotonic()
        self._gate.release("commit")
        return True
