"""Everything a database of runs and checkpoints can be asked, as data, so that a backend may batch it.

A command either writes (`Command.writes` True: one transaction with whatever else is pending, answered
after the commit) or reads. `key` is the thread or event id it is about: commands of one key keep their order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar, Generic, NamedTuple, TypeVar
from uuid import UUID

from langgraph_integration.pipeline.ledger import Ask, Claim, Lease, LeaseState, StoredVerdict
from workflow_events.ids import id_text

T = TypeVar("T")


class CheckpointRow(NamedTuple):
    """One checkpoint as stored; `state` is the serialized pair of checkpoint and metadata."""

    thread_id: str
    checkpoint_ns: str
    checkpoint_id: str
    parent_id: str | None
    run_id: str | None
    epoch: int | None
    kind: str
    state: bytes


class WriteRow(NamedTuple):
    """One pending write of a task. A negative `idx` (error, interrupt, resume) replaces, others stay."""

    thread_id: str
    checkpoint_ns: str
    checkpoint_id: str
    task_id: str
    idx: int
    task_path: str
    channel: str
    epoch: int | None
    kind: str
    value: bytes


class StoredCheckpoint(NamedTuple):
    """A checkpoint with its pending writes in the order LangGraph applied them."""

    row: CheckpointRow
    writes: Sequence[WriteRow]


class SweepCount(NamedTuple):
    """Rows that a sweep deleted, or would delete. `touched`: runs it dealt with, 0 when none is left."""

    runs: int
    checkpoints: int
    writes: int
    touched: int = 0


class Command(Generic[T]):
    """Something to do; `T` is the answer."""

    __slots__ = ()
    writes: ClassVar[bool] = True

    @property
    def key(self) -> str:
        return ""


class Query(Command[T]):
    """A command that only reads."""

    __slots__ = ()
    writes: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class LeaseCommand(Command[T]):
    """About the run of a lease."""

    lease: Lease

    @property
    def key(self) -> str:
        return id_text(self.lease.event_id)


@dataclass(frozen=True, slots=True)
class OpenDatabase(Command[str]):
    """Connect, create what is missing, and answer the store id."""


@dataclass(frozen=True, slots=True)
class ClaimRun(Command[Claim]):
    """`held`: this process runs it now, so its own live lease counts as live."""

    ask: Ask
    owner: str
    lease_ms: int
    held: bool

    @property
    def key(self) -> str:
        return id_text(self.ask.event_id)


@dataclass(frozen=True, slots=True)
class RenewLeases(Command[Mapping[UUID, LeaseState]]):
    leases: Sequence[Lease]
    lease_ms: int


@dataclass(frozen=True, slots=True)
class ScheduleRetry(LeaseCommand[None]):
    retry_count: int
    delay_ms: int


@dataclass(frozen=True, slots=True)
class FinishRun(LeaseCommand[int]):
    verdict: StoredVerdict


@dataclass(frozen=True, slots=True)
class ReplaceVerdict(LeaseCommand[None]):
    stored: StoredVerdict
    verdict: StoredVerdict


@dataclass(frozen=True, slots=True)
class MarkPublished(LeaseCommand[None]):
    attempt: int


@dataclass(frozen=True, slots=True)
class ReleaseRun(LeaseCommand[None]):
    """Only while no verdict of it is published."""


@dataclass(frozen=True, slots=True)
class FindVerdicts(Query[Mapping[UUID, StoredVerdict]]):
    event_ids: Sequence[UUID]


@dataclass(frozen=True, slots=True)
class PutCheckpoint(Command[None]):
    """Refused with `LeaseLost` unless `row.epoch` is None or the epoch of the run named by the thread."""

    row: CheckpointRow

    @property
    def key(self) -> str:
        return self.row.thread_id


@dataclass(frozen=True, slots=True)
class PutWrites(Command[None]):
    """Refused as a checkpoint is. All rows belong to one thread, and there is at least one."""

    rows: Sequence[WriteRow]

    @property
    def key(self) -> str:
        return self.rows[0].thread_id


@dataclass(frozen=True, slots=True)
class LoadCheckpoint(Query[StoredCheckpoint | None]):
    """The named checkpoint, or the newest of its namespace with `checkpoint_id` None."""

    thread_id: str
    checkpoint_ns: str
    checkpoint_id: str | None


class PageMark(NamedTuple):
    """Where the next page of a listing begins: after this checkpoint."""

    checkpoint_id: str
    thread_id: str
    checkpoint_ns: str


@dataclass(frozen=True, slots=True)
class ListCheckpoints(Query[Sequence[StoredCheckpoint]]):
    """One page, newest first. None means any; `before` is a checkpoint id, exclusive."""

    thread_id: str | None
    checkpoint_ns: str | None
    checkpoint_id: str | None
    before: str | None
    after_page: PageMark | None
    page_size: int


@dataclass(frozen=True, slots=True)
class DeleteThreads(Command[None]):
    thread_ids: Sequence[str]


@dataclass(frozen=True, slots=True)
class DeleteForRuns(Command[None]):
    """Delete the checkpoints whose metadata names one of these run ids, with their writes."""

    run_ids: Sequence[str]


@dataclass(frozen=True, slots=True)
class DeleteCheckpoints(Command[None]):
    """Delete these checkpoints (thread, namespace, id) with their writes."""

    marks: Sequence[tuple[str, str, str]]


@dataclass(frozen=True, slots=True)
class CopyThread(Command[None]):
    source: str
    target: str


@dataclass(frozen=True, slots=True)
class Sweep(Command[SweepCount]):
    """Delete at most `limit` runs and the state of at most `limit` finished runs."""

    keep_runs: timedelta
    keep_checkpoints: timedelta
    limit: int


@dataclass(frozen=True, slots=True)
class CountSweepable(Query[SweepCount]):
    """What sweeps would delete in all."""

    keep_runs: timedelta
    keep_checkpoints: timedelta
