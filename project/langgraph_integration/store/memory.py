"""The database that lives in this process: for tests, and for runs that may be lost with it."""

import threading
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from uuid import UUID, uuid4

from langgraph_integration.pipeline.ledger import LeaseState, StoredVerdict
from langgraph_integration.store import commands as c
from langgraph_integration.store.runs import RunRow, Taken, grant, new_run
from langgraph_integration.store.session import Session, lease_lost
from workflow_events.errors import StoreUnavailable
from workflow_events.ids import id_text

CheckpointKey = tuple[str, str]
WriteKey = tuple[str, int]


class MemoryDatabase(Session):
    """Tables as dictionaries. Several stores may share one, as several processes share a file."""

    def __init__(self) -> None:
        super().__init__()
        self.store_id = str(uuid4())
        self.lock = threading.RLock()
        self.runs: dict[str, RunRow] = {}
        self.checkpoints: dict[str, dict[CheckpointKey, c.CheckpointRow]] = {}
        self.writes: dict[str, dict[CheckpointKey, dict[WriteKey, c.WriteRow]]] = {}

    def now(self) -> int:
        """Milliseconds; only differences matter."""
        return time.monotonic_ns() // 1_000_000

    def open_database(self, command: c.OpenDatabase) -> str:
        return self.store_id

    def try_grant(self, command: c.ClaimRun) -> Taken | None:
        now = self.now()
        row = self.runs.get(command.key)
        if row is None:
            taken: RunRow | None = new_run(command.ask, command.owner, command.lease_ms, now)
        else:
            taken = grant(
                row, command.ask, command.owner, held=command.held, lease_ms=command.lease_ms, now=now
            )
        if taken is None:
            return None
        self.runs[command.key] = taken
        counters = (taken.epoch, taken.attempt, taken.claims, taken.retry_count, taken.retry_at)
        return Taken(*counters, taken.deadline_ms, now)

    def find_run(self, event_id: str) -> RunRow | None:
        return self.runs.get(event_id)

    def load_run(self, event_id: str) -> tuple[RunRow, int]:
        return self.runs[event_id], self.now()

    def save_run(self, row: RunRow) -> None:
        self.runs[row.event_id] = row

    def store_verdict(self, command: c.FinishRun) -> bool:
        row, verdict = self.runs.get(command.key), command.verdict
        if row is None or row.epoch != command.lease.epoch:
            return False
        if row.status is not None or row.attempt > verdict.attempt:
            return False
        self.runs[command.key] = row._replace(
            attempt=verdict.attempt,
            status=verdict.status,
            reason=verdict.reason,
            result=verdict.result,
            dead_letter=verdict.dead_letter,
            published=False,
            finished_at=self.now(),
        )
        return True

    def swap_verdict(self, command: c.ReplaceVerdict) -> bool:
        row, stored, verdict = self.runs.get(command.key), command.stored, command.verdict
        if row is None or row.published or row.epoch != command.lease.epoch:
            return False
        if (row.attempt, row.status, row.result) != (stored.attempt, stored.status, stored.result):
            return False
        self.runs[command.key] = row._replace(
            status=verdict.status,
            reason=verdict.reason,
            result=verdict.result,
            dead_letter=verdict.dead_letter,
        )
        return True

    def store_retry(self, command: c.ScheduleRetry) -> bool:
        row = self.runs.get(command.key)
        if row is None or row.epoch != command.lease.epoch:
            return False
        retry_at = self.now() + command.delay_ms
        self.runs[command.key] = row._replace(retry_count=command.retry_count, retry_at=retry_at)
        return True

    def renew(self, command: c.RenewLeases) -> Mapping[UUID, LeaseState]:
        kept: dict[UUID, LeaseState] = {}
        for lease in command.leases:
            row = self.runs.get(id_text(lease.event_id))
            if row is not None and row.epoch == lease.epoch:
                self.runs[row.event_id] = row._replace(lease_until=self.now() + command.lease_ms)
                kept[lease.event_id] = LeaseState(row.attempt, row.deadline_ms)
        return kept

    def mark_published(self, command: c.MarkPublished) -> None:
        row = self.runs.get(command.key)
        if row is None or row.status is None or row.epoch != command.lease.epoch:
            return
        if row.attempt == command.attempt:
            self.runs[command.key] = row._replace(published=True)

    def release(self, command: c.ReleaseRun) -> None:
        row = self.runs.get(command.key)
        if row is not None and not row.published and row.epoch == command.lease.epoch:
            self.runs[command.key] = row._replace(
                epoch=row.epoch + 1,
                owner=None,
                lease_until=0,
                claims=row.claims - 1 if row.status is None else row.claims,
            )

    def find_verdicts(self, query: c.FindVerdicts) -> Mapping[UUID, StoredVerdict]:
        rows = ((event_id, self.runs.get(str(event_id))) for event_id in query.event_ids)
        return {event_id: row.verdict for event_id, row in rows if row is not None and row.verdict}

    def put_checkpoint(self, command: c.PutCheckpoint) -> None:
        row = command.row
        self._check(row.thread_id, row.epoch)
        thread = self.checkpoints.setdefault(row.thread_id, {})
        thread[row.checkpoint_ns, row.checkpoint_id] = row

    def put_writes(self, command: c.PutWrites) -> None:
        self._check(command.key, command.rows[0].epoch)
        thread = self.writes.setdefault(command.key, {})
        for row in command.rows:
            kept = thread.setdefault((row.checkpoint_ns, row.checkpoint_id), {})
            if row.idx < 0 or (row.task_id, row.idx) not in kept:
                kept[row.task_id, row.idx] = row

    def load_checkpoint(self, query: c.LoadCheckpoint) -> c.StoredCheckpoint | None:
        thread = self.checkpoints.get(query.thread_id, {})
        checkpoint_id = query.checkpoint_id
        if checkpoint_id is None:
            ids = (id_ for ns, id_ in thread if ns == query.checkpoint_ns)
            checkpoint_id = max(ids, default="")
        row = thread.get((query.checkpoint_ns, checkpoint_id))
        return None if row is None else self._with_writes(row)

    def list_checkpoints(self, query: c.ListCheckpoints) -> Sequence[c.StoredCheckpoint]:
        threads = self.checkpoints if query.thread_id is None else (query.thread_id,)
        rows = [row for thread in threads for row in self.checkpoints.get(thread, {}).values()]
        wanted = [row for row in rows if _is_listed(row, query)]
        wanted.sort(key=_mark, reverse=True)
        return [self._with_writes(row) for row in wanted[: query.page_size]]

    def delete_threads(self, command: c.DeleteThreads) -> None:
        for thread_id in command.thread_ids:
            self.checkpoints.pop(thread_id, None)
            self.writes.pop(thread_id, None)

    def delete_for_runs(self, command: c.DeleteForRuns) -> None:
        doomed = set(command.run_ids)
        rows = [row for thread in self.checkpoints.values() for row in thread.values()]
        self._drop([row[:3] for row in rows if row.run_id in doomed])

    def delete_checkpoints(self, command: c.DeleteCheckpoints) -> None:
        self._drop(command.marks)

    def copy_thread(self, command: c.CopyThread) -> None:
        target = self.checkpoints.setdefault(command.target, {})
        for key, row in self.checkpoints.get(command.source, {}).items():
            target[key] = row._replace(thread_id=command.target, epoch=None)
        writes = self.writes.setdefault(command.target, {})
        for key, by_task in self.writes.get(command.source, {}).items():
            writes[key] = {
                task: write._replace(thread_id=command.target, epoch=None) for task, write in by_task.items()
            }

    def sweep(self, command: c.Sweep) -> c.SweepCount:
        old, stale = self._sweepable(command.keep_runs, command.keep_checkpoints)
        old, stale = old[: command.limit], stale[: command.limit]
        doomed = {row.event_id for row in (*old, *stale)}
        count = self._count(len(old), doomed)
        self.delete_threads(c.DeleteThreads(tuple(doomed)))
        for row in stale:
            self.runs[row.event_id] = row._replace(has_state=False)
        for row in old:
            del self.runs[row.event_id]
        return count._replace(touched=len(doomed))

    def count_sweepable(self, query: c.CountSweepable) -> c.SweepCount:
        old, stale = self._sweepable(query.keep_runs, query.keep_checkpoints)
        return self._count(len(old), {row.event_id for row in (*old, *stale)})

    def _sweepable(self, runs: timedelta, checkpoints: timedelta) -> tuple[list[RunRow], list[RunRow]]:
        now = self.now()
        finished = [row for row in self.runs.values() if row.finished_at is not None]
        old = [row for row in finished if row.published and _age(row, now) >= runs]
        stale = [row for row in finished if row.has_state and _age(row, now) >= checkpoints]
        return old, stale

    def _count(self, runs: int, threads: set[str]) -> c.SweepCount:
        checkpoints = sum(len(self.checkpoints.get(thread, {})) for thread in threads)
        by_checkpoint = [kept for thread in threads for kept in self.writes.get(thread, {}).values()]
        return c.SweepCount(runs, checkpoints, sum(len(kept) for kept in by_checkpoint))

    def _check(self, thread_id: str, epoch: int | None) -> None:
        row = self.runs.get(thread_id)
        if epoch is not None and (row is None or row.epoch != epoch):
            raise lease_lost(thread_id, epoch)

    def _with_writes(self, row: c.CheckpointRow) -> c.StoredCheckpoint:
        kept = self.writes.get(row.thread_id, {}).get((row.checkpoint_ns, row.checkpoint_id), {})
        writes = sorted(kept.values(), key=lambda write: (write.task_path, write.task_id, write.idx))
        return c.StoredCheckpoint(row, writes)

    def _drop(self, marks: Sequence[tuple[str, str, str]]) -> None:
        for thread_id, checkpoint_ns, checkpoint_id in marks:
            self.checkpoints.get(thread_id, {}).pop((checkpoint_ns, checkpoint_id), None)
            self.writes.get(thread_id, {}).pop((checkpoint_ns, checkpoint_id), None)


class MemoryBackend:
    """Answers at once: there is nothing to wait for."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database
        self._closed = False

    @property
    def store_id(self) -> str:
        return self._database.store_id

    async def run(self, command: c.Command[c.T]) -> c.T:
        return self.run_blocking(command)

    def run_blocking(self, command: c.Command[c.T]) -> c.T:
        if self._closed:
            raise StoreUnavailable("the store is closed")
        with self._database.lock:
            answer: c.T = self._database.apply(command)
            return answer

    async def close(self, timeout: timedelta) -> None:
        self._closed = True


def _mark(row: c.CheckpointRow) -> c.PageMark:
    return c.PageMark(row.checkpoint_id, row.thread_id, row.checkpoint_ns)


def _is_listed(row: c.CheckpointRow, query: c.ListCheckpoints) -> bool:
    return (
        (query.checkpoint_ns is None or row.checkpoint_ns == query.checkpoint_ns)
        and (query.checkpoint_id is None or row.checkpoint_id == query.checkpoint_id)
        and (query.before is None or row.checkpoint_id < query.before)
        and (query.after_page is None or _mark(row) < query.after_page)
    )


def _age(row: RunRow, now: int) -> timedelta:
    return timedelta(milliseconds=now - (row.finished_at or now))
