"""The row of a run, and what an ask for it means: the rules of the ledger as pure functions.

The SQL backends state `grant` as one conditional statement; the memory backend and the tests use it as
written here. `explain` is shared by all: it says why a claim was not granted and what that changes.
"""

from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from langgraph_integration.pipeline.ledger import (
    Ask,
    Busy,
    Conflict,
    Granted,
    Lease,
    Position,
    Settled,
    StoredVerdict,
)
from langgraph_integration.store.commands import ClaimRun
from langgraph_integration.store.positions import knows, remember
from workflow_events.ids import id_text

NO_WAIT = timedelta(0)


class RunRow(NamedTuple):
    """One run, in the order of the table's columns. Times are milliseconds of the database's clock."""

    event_id: str
    epoch: int
    owner: str | None
    lease_until: int
    attempt: int
    claims: int
    retry_count: int
    retry_at: int
    deadline_ms: int | None
    payload_hash: str
    workflow_id: str
    workflow_run_id: str
    graph: str | None
    record_topic: str
    record_partition: int
    record_offset: int
    asks: str
    status: str | None
    reason: str | None
    result: bytes | None
    dead_letter: bytes | None
    published: bool
    has_state: bool
    created_at: int
    finished_at: int | None

    @property
    def record(self) -> Position:
        """The record that the run was granted for. Who else asks has been settled, or waits for it."""
        return Position(self.record_topic, self.record_partition, self.record_offset)

    @property
    def lease(self) -> Lease:
        return Lease(UUID(self.event_id), self.epoch, self.owner or "")

    @property
    def verdict(self) -> StoredVerdict | None:
        if self.status is None:
            return None
        return StoredVerdict(self.attempt, self.status, self.result, self.dead_letter, self.reason)


def new_run(ask: Ask, owner: str, lease_ms: int, now: int) -> RunRow:
    """The row of a run nobody has asked for before."""
    return RunRow(
        event_id=id_text(ask.event_id),
        epoch=1,
        owner=owner,
        lease_until=now + lease_ms,
        attempt=ask.attempt,
        claims=1,
        retry_count=0,
        retry_at=0,
        deadline_ms=ask.deadline_ms,
        payload_hash=ask.payload_hash,
        workflow_id=ask.workflow_id,
        workflow_run_id=ask.workflow_run_id,
        graph=ask.graph,
        record_topic=ask.position.topic,
        record_partition=ask.position.partition,
        record_offset=ask.position.offset,
        asks="",
        status=None,
        reason=None,
        result=None,
        dead_letter=None,
        published=False,
        has_state=True,
        created_at=now,
        finished_at=None,
    )


def conflicts(row: RunRow, ask: Ask) -> bool:
    """Whether another payload is asked for. Not by a record that the row knows: its bytes are what they were,
    but under a smaller size limit or in another release it may be read otherwise, and it is owed its verdict.
    """
    return row.payload_hash != ask.payload_hash and not knows(row.record, row.asks, ask.position)


def grant(row: RunRow, ask: Ask, owner: str, *, held: bool, lease_ms: int, now: int) -> RunRow | None:
    """The row after `owner` took the run, or None if it may not have it."""
    if conflicts(row, ask):
        return None
    if row.verdict is None:
        free = row.lease_until <= now or (row.owner == owner and not held)
    else:
        free = row.published and not row.verdict.answers(ask.attempt)
    if not free:
        return None
    return _driven(absorb(row, ask), row, ask)._replace(
        epoch=row.epoch + 1,
        owner=owner,
        lease_until=now + lease_ms,
        claims=1 if ask.attempt > row.attempt else row.claims + (row.owner != owner),
        status=None,
        reason=None,
        result=None,
        dead_letter=None,
        published=False,
        has_state=True,
        finished_at=None,
    )


def absorb(row: RunRow, ask: Ask) -> RunRow:
    """The row after it has heard an ask: known records change nothing, a greater attempt starts over."""
    if not knows(row.record, row.asks, ask.position):
        row = row._replace(asks=remember(row.asks, ask.position))
        if ask.attempt >= row.attempt:
            row = row._replace(deadline_ms=ask.deadline_ms)
    if ask.attempt > row.attempt:
        row = row._replace(attempt=ask.attempt, claims=1, retry_count=0, retry_at=0)
    return row


def _driven(after: RunRow, row: RunRow, ask: Ask) -> RunRow:
    """The grant is for this record, which is kept apart from the others, of which the oldest are forgotten:
    taken for a new ask it would be absorbed by the lease that its owner has left, and settled unanswered.
    """
    where = ask.position
    return after._replace(
        record_topic=where.topic,
        record_partition=where.partition,
        record_offset=where.offset,
        asks=row.asks if where == row.record else remember(row.asks, row.record),
    )


class Taken(NamedTuple):
    """What a statement that took a run returns, in this order."""

    epoch: int
    attempt: int
    claims: int
    retry_count: int
    retry_at: int
    deadline_ms: int | None
    now: int


def granted(event_id: UUID, owner: str, taken: Taken) -> Granted:
    """The answer to a claim that took the run."""
    wait = taken.retry_at - taken.now
    return Granted(
        lease=Lease(event_id, taken.epoch, owner),
        attempt=taken.attempt,
        claims=taken.claims,
        retry_count=taken.retry_count,
        retry_in=timedelta(milliseconds=wait) if wait > 0 else NO_WAIT,
        deadline_ms=taken.deadline_ms,
        resumed=taken.epoch > 1,
    )


def explain(row: RunRow, command: ClaimRun, now: int) -> tuple[Busy | Settled | Conflict, RunRow]:
    """Why a claim was not granted, and the row after it (the same row if nothing changes).

    Whoever is to publish a verdict gets the lease for it, so that nobody else does so meanwhile. A new ask
    for a settled run bumps the epoch: the mark of an earlier publication, still under way, must not count
    for the one that this ask is owed. One that the verdict does not answer is not noted: PostgreSQL
    explains after the whole batch, and both the verdict and its mark may be newer than the claim.
    """
    ask, owner = command.ask, command.owner
    if conflicts(row, ask):
        return Conflict(row.record), row
    same_record = knows(row.record, row.asks, ask.position)
    left = timedelta(milliseconds=max(0, row.lease_until - now))
    if row.verdict is None:
        after = row if same_record else absorb(row, ask)
        return Busy(row.owner or "", left, same_record, after.attempt), after
    if same_record or not row.verdict.answers(ask.attempt):
        if row.published:
            return Settled(row.verdict, published=True, repeat=False, lease=row.lease), row
        if left and row.owner != owner:
            return Busy(row.owner or "", left, same_record=True, attempt=row.attempt), row
        # our own publication may be under way: its mark must still count
        after = _leased(row, command, now, epoch=row.epoch if row.owner == owner else row.epoch + 1)
        return Settled(row.verdict, published=False, repeat=False, lease=after.lease), after
    after = _leased(row, command, now, epoch=row.epoch + 1)
    after = after._replace(published=False, asks=remember(row.asks, ask.position))
    return Settled(row.verdict, published=False, repeat=True, lease=after.lease), after


def _leased(row: RunRow, command: ClaimRun, now: int, *, epoch: int) -> RunRow:
    return row._replace(epoch=epoch, owner=command.owner, lease_until=now + command.lease_ms)
