"""The run ledger over any backend: `pipeline.ledger.RunLedger`."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Protocol
from uuid import UUID

from langgraph_integration.pipeline.ledger import Ask, Claim, Granted, Lease, LeaseState, StoredVerdict
from langgraph_integration.store import commands as c
from langgraph_integration.store.backend import Backend
from workflow_events.ids import id_text


class FreshThreads(Protocol):
    """Told which threads cannot have a checkpoint yet, and when that ends."""

    def expect_nothing(self, thread_id: str) -> None: ...

    def forget(self, thread_id: str) -> None: ...


class StoreLedger:
    """See `RunLedger` for what the calls promise.

    Remembers which leases this process holds: a live lease of our own that nobody here holds any more
    (the run was dropped, or its claim was cancelled on the way) is granted again without waiting.
    """

    def __init__(self, backend: Backend, fresh: FreshThreads, *, owner: str, lease_time: timedelta) -> None:
        self._backend = backend
        self._fresh = fresh
        self._owner = owner
        self._lease_ms = _milliseconds(lease_time)
        self._held: dict[UUID, int] = {}
        self._claiming: Counter[UUID] = Counter()

    @property
    def store_id(self) -> str:
        return self._backend.store_id

    async def claim(self, ask: Ask) -> Claim:
        # counted: when the first of two claims has its answer, the other may be granted the lease any moment
        held = ask.event_id in self._held or ask.event_id in self._claiming
        self._claiming[ask.event_id] += 1
        try:
            answer = await self._backend.run(c.ClaimRun(ask, self._owner, self._lease_ms, held))
        finally:
            self._claiming[ask.event_id] -= 1
            if not self._claiming[ask.event_id]:
                del self._claiming[ask.event_id]
        if isinstance(answer, Granted):
            self._held[ask.event_id] = answer.lease.epoch
            if not answer.resumed:
                self._fresh.expect_nothing(id_text(ask.event_id))
        return answer

    async def renew(self, leases: Sequence[Lease]) -> Mapping[UUID, LeaseState]:
        if not leases:
            return {}
        kept = await self._backend.run(c.RenewLeases(tuple(leases), self._lease_ms))
        for lease in leases:
            if lease.event_id not in kept:
                self._drop(lease)
        return kept

    async def schedule_retry(self, lease: Lease, retry_count: int, delay: timedelta) -> None:
        await self._backend.run(c.ScheduleRetry(lease, retry_count, _milliseconds(delay)))

    async def finish(self, lease: Lease, verdict: StoredVerdict) -> int:
        attempt = await self._backend.run(c.FinishRun(lease, verdict))
        if attempt <= verdict.attempt:
            self._drop(lease)
        return attempt

    async def replace(self, lease: Lease, stored: StoredVerdict, verdict: StoredVerdict) -> None:
        await self._backend.run(c.ReplaceVerdict(lease, stored, verdict))

    async def mark_published(self, lease: Lease, attempt: int) -> None:
        await self._backend.run(c.MarkPublished(lease, attempt))

    async def release(self, lease: Lease) -> None:
        self._drop(lease)
        await self._backend.run(c.ReleaseRun(lease))

    async def verdicts(self, event_ids: Sequence[UUID]) -> Mapping[UUID, StoredVerdict]:
        if not event_ids:
            return {}
        return await self._backend.run(c.FindVerdicts(tuple(event_ids)))

    def _drop(self, lease: Lease) -> None:
        """Forget a lease that ended, unless a newer one of ours took its place."""
        if self._held.get(lease.event_id) == lease.epoch:
            del self._held[lease.event_id]
            self._fresh.forget(id_text(lease.event_id))


def _milliseconds(time: timedelta) -> int:
    return max(0, round(time / timedelta(milliseconds=1)))
