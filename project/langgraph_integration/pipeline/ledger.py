"""The run ledger: one row per event id, which makes one verdict out of any number of deliveries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Position:
    """Where a record stands. The same position again is a redelivery; another one is a new ask."""

    topic: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Ask:
    """One record asking for one run."""

    event_id: UUID
    attempt: int
    payload_hash: str
    position: Position
    workflow_id: str
    workflow_run_id: str
    graph: str | None = None
    deadline_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to write for one run. Every write carries `epoch`; an older one is refused."""

    event_id: UUID
    epoch: int
    owner: str


@dataclass(frozen=True, slots=True)
class StoredVerdict:
    """The records that end an attempt, as bytes, stored before they are published (outbox).

    `dead_letter` is `None` where the table of endings asks for none, `result` where there is no id
    to answer.
    """

    attempt: int
    status: str
    result: bytes | None
    dead_letter: bytes | None
    reason: str | None = None

    def answers(self, attempt: int) -> bool:
        """Whether it is the verdict for an ask of that attempt: a success for all, any other verdict not for
        a greater attempt than its own.
        """
        return self.status == "success" or attempt <= self.attempt


@dataclass(frozen=True, slots=True)
class Granted:
    """Run it. `claims` counts the owners this attempt has had that did not give it back, `retry_count` the
    retries already spent.

    `retry_in` is what is left of a persisted wait before the next try, zero if there is none.
    """

    lease: Lease
    attempt: int
    claims: int
    retry_count: int
    retry_in: timedelta
    deadline_ms: int | None
    resumed: bool


@dataclass(frozen=True, slots=True)
class Settled:
    """A verdict stands. `repeat` is True for a new ask (publish again), False for a redelivery
    (publish only if not marked `published`).

    Where `verdict.answers` says that the ask is not answered by it, do so and claim again: the run is
    granted once the verdict that stands has been published.
    """

    verdict: StoredVerdict
    published: bool
    repeat: bool
    lease: Lease


@dataclass(frozen=True, slots=True)
class Busy:
    """A live lease holds the run, or its verdict until that is published. With `same_record` wait until
    `lease_left` and claim again: nothing was done for the record. Without it the ask is a new one and has
    been absorbed (its attempt and deadline are in the row), and its record may be settled.
    """

    owner: str
    lease_left: timedelta
    same_record: bool
    attempt: int


@dataclass(frozen=True, slots=True)
class Conflict:
    """The id is known with another payload, from other records; `record` is the one that its run was last
    granted for, which the next answer may name another one of.
    """

    record: Position


Claim = Granted | Settled | Busy | Conflict


@dataclass(frozen=True, slots=True)
class LeaseState:
    """What a renewal learned of a run that is still ours."""

    attempt: int
    deadline_ms: int | None


class RunLedger(Protocol):
    """One row per event id. All calls raise `StoreUnavailable` when the database does not answer.

    Lease time is the database's clock. Calls may be made concurrently from one event loop and are
    batched into few transactions.
    """

    @property
    def store_id(self) -> str:
        """Identifies the database, for ever: two files never share one."""

    async def claim(self, ask: Ask) -> Claim:
        """Take the run, or learn why not.

        Granted when the id is new; when its lease has lapsed or was released (epoch + 1, claims + 1);
        when this owner asks again for a run it does not hold (epoch + 1, and no claim more: it lives);
        or when the verdict is published, an `error` or `failure`, and `ask.attempt` is greater than the
        verdict's (epoch + 1, claims 1, retry_count 0, published False). A greater attempt resets
        `claims` and `retry_count`.

        A new ask for a settled run is owed a publication of its own: it sets `published` False and bumps
        the epoch, so that a mark of the earlier publication that comes late does not count for it. Whoever is
        told to publish holds the lease for it: renew it meanwhile, and release it if it comes to nothing.
        """

    async def renew(self, leases: Sequence[Lease]) -> Mapping[UUID, LeaseState]:
        """Extend the leases in one statement; a lease that is missing from the answer is lost."""

    async def schedule_retry(self, lease: Lease, retry_count: int, delay: timedelta) -> None:
        """Persist the wait before the next try. Raises `LeaseLost`."""

    async def finish(self, lease: Lease, verdict: StoredVerdict) -> int:
        """Store the verdict and return the row's attempt.

        If that is greater than `verdict.attempt` (a new ask was absorbed meanwhile) nothing is
        stored: build the verdict for that attempt and call again. Raises `LeaseLost`.

        After `StoreUnavailable` it is unknown whether the verdict stands: call again with the same one.
        A verdict that stands already under this lease is left as it is.
        """

    async def replace(self, lease: Lease, stored: StoredVerdict, verdict: StoredVerdict) -> None:
        """Put `verdict`, of the same attempt, in the place of `stored`, which no topic takes.

        Raises `LeaseLost` if `stored` does not stand unpublished under this lease any more; claim again
        then, and publish what stands. After `StoreUnavailable` that may be `verdict` itself.
        """

    async def mark_published(self, lease: Lease, attempt: int) -> None:
        """The broker has acknowledged the verdict of `attempt`. A lost lease is not an error here."""

    async def release(self, lease: Lease) -> None:
        """Give an unpublished run back, so that anybody may claim it at once: to go on with it, or to publish
        its verdict. Claims are not counted for a released lease: an orderly hand-over is no crash. Whatever
        is written under it later is refused.
        """

    async def verdicts(self, event_ids: Sequence[UUID]) -> Mapping[UUID, StoredVerdict]:
        """The stored verdicts of those ids that have one, in one statement."""
