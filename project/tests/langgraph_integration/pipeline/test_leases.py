"""Leases are extended while runs go on; a run whose lease is lost ends where it is."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, cast
from uuid import UUID

from langgraph_integration.pipeline.leases import LeaseKeeper
from langgraph_integration.pipeline.ledger import Lease, LeaseState, RunLedger
from langgraph_integration.pipeline.run_context import Drained, current_run
from langgraph_integration.store import MemoryDatabase
from tests.langgraph_integration.events import event
from tests.langgraph_integration.pipeline.test_dispatcher import Gatekeeper
from tests.langgraph_integration.rig import Rig, running_rig
from tests.support import wait_until
from workflow_events import WorkflowEvent
from workflow_events.errors import StoreUnavailable


def _keeper(rig: Rig, lease_time_s: float = 60) -> LeaseKeeper:
    return LeaseKeeper(rig.ledger, rig.handler.live, rig.gate, lease_time_s=lease_time_s)


async def test_a_renewal_learns_of_later_asks() -> None:
    """Another worker absorbed one: the run answers the higher attempt."""
    database, asked, graph = MemoryDatabase(), event(), Gatekeeper()
    async with running_rig(graph, database=database) as rig:
        rig.publish(asked)
        await wait_until(lambda: graph.inside)
        async with running_rig(database=database, owner="b") as other:
            other.topic.skip(100)
            other.publish(asked, attempt=4)
            await wait_until(lambda: other.happenings)
        await _keeper(rig).renew()
        (live,) = rig.handler.live.values()
        attempt = live.attempt
        graph.open.set()
        await rig.results(1)

    assert attempt == 4


async def test_a_lost_lease_ends_its_run() -> None:
    """The row has gone to somebody else: what this run would still do is wasted."""
    graph = Gatekeeper()
    async with running_rig(graph) as rig:
        rig.publish(event())
        await wait_until(lambda: graph.inside)
        (live,) = rig.handler.live.values()
        await rig.ledger.release(live.lease)
        await _keeper(rig).renew()

        assert live.lost
        await wait_until(lambda: live not in rig.handler.live.values())
        graph.open.set()
        await rig.settled()


async def test_a_run_that_is_storing_its_verdict_is_left_alone() -> None:
    """Its row may be done already, which looks like a lost lease."""
    graph = Gatekeeper()
    async with running_rig(graph) as rig:
        rig.publish(event())
        await wait_until(lambda: graph.inside)
        (live,) = rig.handler.live.values()
        live.settling = True
        await rig.ledger.release(live.lease)
        await _keeper(rig).renew()

        assert not live.lost
        live.settling = False
        graph.open.set()


class SlowRelease:
    """A ledger whose answer to a release is on its way until it is let go."""

    def __init__(self, ledger: RunLedger) -> None:
        self._ledger = ledger
        self.done = asyncio.Event()
        self.answer = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    async def release(self, lease: Lease) -> None:
        await self._ledger.release(lease)
        self.done.set()
        await self.answer.wait()


async def test_a_renewal_does_not_disturb_a_lease_that_is_given_back() -> None:
    """It misses the row, which looks like a lost lease; the run must not be left in the books for ever."""

    async def until_drained(_: WorkflowEvent) -> dict[str, Any]:
        await wait_until(lambda: (run := current_run.get()) is not None and run.drain_reason)
        raise Drained("revoked")

    async with running_rig(until_drained, around=SlowRelease) as rig:
        ledger = cast(SlowRelease, rig.ledger)
        rig.publish(event())
        await wait_until(lambda: rig.handler.live)
        (live,) = rig.handler.live.values()
        live.request_drain("revoked")
        await ledger.done.wait()
        await _keeper(rig).renew()
        ledger.answer.set()
        await wait_until(lambda: rig.dispatcher.in_flight == 0)

        assert not live.lost
        assert live.finished.is_set()
        assert not rig.handler.live


async def test_a_run_that_takes_long_to_end_is_told_once_that_its_lease_is_lost() -> None:
    """The next renewal misses the row again; the record must be asked for again all the same."""
    ending, may_end = asyncio.Event(), asyncio.Event()

    async def slow_to_end(_: WorkflowEvent) -> dict[str, Any]:
        if may_end.is_set():
            return {"answer": 42}
        try:
            await asyncio.Event().wait()
        finally:
            ending.set()
            await may_end.wait()
        raise AssertionError("cancelled, it does not come here")

    async with running_rig(slow_to_end) as rig:
        rig.publish(event())
        await wait_until(lambda: rig.handler.live)
        (live,) = rig.handler.live.values()
        await rig.ledger.release(live.lease)
        await _keeper(rig).renew()
        await ending.wait()
        await _keeper(rig).renew()
        may_end.set()
        (result,) = await rig.results(1)
        await rig.settled()

    assert result.result == {"answer": 42}


async def test_a_run_whose_lease_lapsed_and_was_granted_here_again_ends() -> None:
    """Asked for by another record, in the same process: of the two runs only the newer one may go on."""
    database, asked, graph = MemoryDatabase(), event(), Gatekeeper()
    async with running_rig(graph, database=database) as rig:
        rig.publish(asked)
        await wait_until(lambda: graph.inside)
        (older,) = rig.handler.live.values()
        key = str(asked.event_id)
        database.runs[key] = database.runs[key]._replace(lease_until=0)
        rig.publish(asked)
        await wait_until(lambda: older not in rig.handler.live.values())
        await wait_until(lambda: older.finished.is_set(), description="the older run to end")
        graph.open.set()
        await rig.settled()

    assert older.lost
    assert len({value for _, value, _ in rig.sink.results}) == 1


class AwayLedger:
    """A ledger whose database is away for a while."""

    def __init__(self) -> None:
        self.away = True
        self.renewals = 0

    async def renew(self, leases: Sequence[Lease]) -> Mapping[UUID, LeaseState]:
        self.renewals += 1
        if self.away:
            raise StoreUnavailable("away")
        return {lease.event_id: LeaseState(1, None) for lease in leases}


async def test_leases_that_cannot_be_renewed_pause_the_intake() -> None:
    """Until the store answers again, or nothing is left to be renewed."""
    graph = Gatekeeper()
    async with running_rig(graph) as rig:
        rig.publish(event())
        await wait_until(lambda: graph.inside)
        ledger = AwayLedger()
        keeper = LeaseKeeper(ledger, rig.handler.live, rig.gate, lease_time_s=0.03)  # type: ignore[arg-type]  # it asks for one call only
        task = asyncio.create_task(keeper.run())
        await wait_until(lambda: "leases" in rig.gate.reasons)
        ledger.away = False
        await wait_until(lambda: rig.gate.is_open)
        ledger.away = True
        await wait_until(lambda: "leases" in rig.gate.reasons)
        graph.open.set()
        await wait_until(lambda: rig.gate.is_open, description="the hold to end with the last run")
        task.cancel()
        await asyncio.wait({task})
        await rig.settled()

    assert ledger.renewals >= 3
