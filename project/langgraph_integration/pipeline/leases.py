"""LeaseKeeper: extends the leases of all live runs, and ends a run whose lease is lost."""

import asyncio
from collections.abc import Mapping
from uuid import UUID

from langgraph_integration.pipeline.gate import IntakeGate
from langgraph_integration.pipeline.ledger import RunLedger
from langgraph_integration.pipeline.live import LiveRun
from workflow_events.errors import InfrastructureError


class LeaseKeeper:
    """Renews in one statement, three times per lease time. `live` is the handler's own mapping."""

    def __init__(
        self, ledger: RunLedger, live: Mapping[UUID, LiveRun], gate: IntakeGate, *, lease_time_s: float
    ) -> None:
        self._ledger = ledger
        self._live = live
        self._gate = gate
        self._interval_s = lease_time_s / 3

    async def run(self) -> None:
        """Renew until cancelled."""
        while True:
            await asyncio.sleep(self._interval_s)
            if self._live:
                try:
                    await self.renew()
                except InfrastructureError as error:
                    self._gate.hold("leases", error)
                else:
                    self._gate.release("leases")
            else:
                self._gate.release("leases")

    async def renew(self) -> None:
        """Extend every lease once; take over what other workers wrote into our rows."""
        runs = {run.lease.event_id: run for run in self._live.values()}
        states = await self._ledger.renew([run.lease for run in runs.values()])
        for event_id, run in runs.items():
            state = states.get(event_id)
            if state is not None:
                run.raise_to(state.attempt, state.deadline_ms)
            elif self._live.get(event_id) is run and not run.settling:
                run.lose()
