"""The commands as methods of a connection, with what all backends share written once."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from langgraph_integration.pipeline.ledger import Claim, LeaseState, StoredVerdict
from langgraph_integration.store import commands as c
from langgraph_integration.store.runs import RunRow, Taken, explain, granted
from workflow_events.errors import LeaseLost


class Session(ABC):
    """Carries commands out inside a transaction that its caller begins and commits.

    A command that is refused (`LeaseLost`) has written nothing, so the transaction may go on without it.
    Whatever else it raises leaves the transaction in doubt: roll back.
    """

    def __init__(self) -> None:
        self._methods: Mapping[type, Callable[[Any], Any]] = {
            c.OpenDatabase: self.open_database,
            c.ClaimRun: self.claim,
            c.RenewLeases: self.renew,
            c.ScheduleRetry: self.schedule_retry,
            c.FinishRun: self.finish,
            c.ReplaceVerdict: self.replace,
            c.MarkPublished: self.mark_published,
            c.ReleaseRun: self.release,
            c.FindVerdicts: self.find_verdicts,
            c.PutCheckpoint: self.put_checkpoint,
            c.PutWrites: self.put_writes,
            c.LoadCheckpoint: self.load_checkpoint,
            c.ListCheckpoints: self.list_checkpoints,
            c.DeleteThreads: self.delete_threads,
            c.DeleteForRuns: self.delete_for_runs,
            c.DeleteCheckpoints: self.delete_checkpoints,
            c.CopyThread: self.copy_thread,
            c.Sweep: self.sweep,
            c.CountSweepable: self.count_sweepable,
        }

    def apply(self, command: c.Command[Any]) -> Any:
        return self._methods[type(command)](command)

    def claim(self, command: c.ClaimRun) -> Claim:
        """One conditional statement takes the run; a second look is needed only to say why it did not."""
        taken = self.try_grant(command)
        if taken is not None:
            return granted(command.ask.event_id, command.owner, taken)
        row, now = self.load_run(command.key)
        answer, after = explain(row, command, now)
        if after is not row:
            self.save_run(after)
        return answer

    def finish(self, command: c.FinishRun) -> int:
        """Idempotent: a verdict that stands already under this lease is left as it is."""
        if self.store_verdict(command):
            return command.verdict.attempt
        row = self.find_run(command.key)
        if row is None or row.epoch != command.lease.epoch:
            raise lease_lost(command.key, command.lease.epoch)
        return row.attempt

    def replace(self, command: c.ReplaceVerdict) -> None:
        if not self.swap_verdict(command):
            raise lease_lost(command.key, command.lease.epoch)

    def schedule_retry(self, command: c.ScheduleRetry) -> None:
        if not self.store_retry(command):
            raise lease_lost(command.key, command.lease.epoch)

    @abstractmethod
    def open_database(self, command: c.OpenDatabase) -> str: ...

    @abstractmethod
    def try_grant(self, command: c.ClaimRun) -> Taken | None:
        """Insert the run, or take it where `runs.grant` allows."""

    @abstractmethod
    def find_run(self, event_id: str) -> RunRow | None: ...

    @abstractmethod
    def load_run(self, event_id: str) -> tuple[RunRow, int]:
        """A row that is known to be there, and now."""

    @abstractmethod
    def save_run(self, row: RunRow) -> None:
        """Write back what `runs.explain` may change."""

    @abstractmethod
    def store_verdict(self, command: c.FinishRun) -> bool:
        """Whether the verdict was stored: same epoch, no verdict yet, attempt not above the verdict's."""

    @abstractmethod
    def swap_verdict(self, command: c.ReplaceVerdict) -> bool:
        """Whether it was replaced: same epoch, not published, and what stands is what is to be replaced."""

    @abstractmethod
    def store_retry(self, command: c.ScheduleRetry) -> bool: ...

    @abstractmethod
    def renew(self, command: c.RenewLeases) -> Mapping[UUID, LeaseState]: ...

    @abstractmethod
    def mark_published(self, command: c.MarkPublished) -> None: ...

    @abstractmethod
    def release(self, command: c.ReleaseRun) -> None:
        """Of an unpublished run. Bumps the epoch, so that neither a late renewal nor a late write brings the
        lease back.
        """

    @abstractmethod
    def find_verdicts(self, query: c.FindVerdicts) -> Mapping[UUID, StoredVerdict]: ...

    @abstractmethod
    def put_checkpoint(self, command: c.PutCheckpoint) -> None: ...

    @abstractmethod
    def put_writes(self, command: c.PutWrites) -> None: ...

    @abstractmethod
    def load_checkpoint(self, query: c.LoadCheckpoint) -> c.StoredCheckpoint | None: ...

    @abstractmethod
    def list_checkpoints(self, query: c.ListCheckpoints) -> Sequence[c.StoredCheckpoint]: ...

    @abstractmethod
    def delete_threads(self, command: c.DeleteThreads) -> None: ...

    @abstractmethod
    def delete_for_runs(self, command: c.DeleteForRuns) -> None: ...

    @abstractmethod
    def delete_checkpoints(self, command: c.DeleteCheckpoints) -> None: ...

    @abstractmethod
    def copy_thread(self, command: c.CopyThread) -> None:
        """All checkpoints and writes under another thread id, without their epochs."""

    @abstractmethod
    def sweep(self, command: c.Sweep) -> c.SweepCount: ...

    @abstractmethod
    def count_sweepable(self, query: c.CountSweepable) -> c.SweepCount: ...


def lease_lost(event_id: str, epoch: int) -> LeaseLost:
    """The error for a write that comes too late."""
    return LeaseLost(f"run {event_id}: epoch {epoch} is not the current one, another owner has taken it over")
