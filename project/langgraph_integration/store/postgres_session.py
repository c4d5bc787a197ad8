"""The commands in PostgreSQL's words: queries, and what is asked for rarely."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from psycopg import Connection

from langgraph_integration.pipeline.ledger import LeaseState, StoredVerdict
from langgraph_integration.store import commands as c
from langgraph_integration.store import sql
from langgraph_integration.store.listing import list_statement
from langgraph_integration.store.postgres_batch import dialect

RENEW = dialect("""
UPDATE runs SET lease_until = {now} + {p}
FROM (
    SELECT event_id FROM runs JOIN unnest({p}::text[], {p}::bigint[]) AS wanted (id, held)
        ON event_id = id AND epoch = held
    ORDER BY event_id FOR NO KEY UPDATE OF runs
) AS kept
WHERE runs.event_id = kept.event_id
RETURNING runs.event_id, attempt, deadline_ms
""")
FIND_VERDICTS = b"""
SELECT event_id, attempt, status, result, dead_letter, reason FROM runs
WHERE status IS NOT NULL AND event_id = ANY(%s)
"""
LOAD_NAMED = dialect(sql.LOAD_NAMED)
LOAD_NEWEST = dialect(sql.LOAD_NEWEST)
LOAD_WRITES = dialect(sql.LOAD_WRITES)
COPY_CHECKPOINTS = dialect(sql.COPY_CHECKPOINTS)
COPY_WRITES = dialect(sql.COPY_WRITES)
_TABLES = ("checkpoints", "checkpoint_writes")
DELETE_THREADS = [f"DELETE FROM {table} WHERE thread_id = ANY(%s)".encode() for table in _TABLES]
DELETE_CHECKPOINT = [dialect(sql.DELETE_CHECKPOINT.replace("{{table}}", table)) for table in _TABLES]
_SWEEPABLE = "SELECT event_id FROM runs WHERE {condition} LIMIT {{p}} FOR NO KEY UPDATE SKIP LOCKED"
OLD_RUNS = dialect(_SWEEPABLE.format(condition=sql.OLD_RUN))
STALE_RUNS = dialect(_SWEEPABLE.format(condition=sql.STALE_RUN))
COUNT_OLD = dialect(f"SELECT count(*) FROM runs WHERE {sql.OLD_RUN}")
COUNT_DOOMED = [
    dialect(
        f"SELECT count(*) FROM {table} WHERE thread_id IN (SELECT event_id FROM runs WHERE {sql.OLD_RUN}"
        f" UNION SELECT event_id FROM runs WHERE {sql.STALE_RUN})"
    )
    for table in _TABLES
]


class PostgresSession:
    """Carries one command out in the transaction that is open."""

    def __init__(self, connection: Connection, store_id: str) -> None:
        self._connection = connection
        self._store_id = store_id
        self._methods: Mapping[type, Callable[[Any], Any]] = {
            c.OpenDatabase: lambda _: self._store_id,
            c.RenewLeases: self.renew,
            c.FindVerdicts: self.find_verdicts,
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

    def renew(self, command: c.RenewLeases) -> Mapping[UUID, LeaseState]:
        ids = [str(lease.event_id) for lease in command.leases]
        epochs = [lease.epoch for lease in command.leases]
        kept = self._connection.execute(RENEW, (command.lease_ms, ids, epochs)).fetchall()
        return {UUID(event_id): LeaseState(attempt, deadline) for event_id, attempt, deadline in kept}

    def find_verdicts(self, query: c.FindVerdicts) -> Mapping[UUID, StoredVerdict]:
        ids = [str(event_id) for event_id in query.event_ids]
        found = self._connection.execute(FIND_VERDICTS, (ids,)).fetchall()
        return {UUID(event_id): StoredVerdict(*verdict) for event_id, *verdict in found}

    def load_checkpoint(self, query: c.LoadCheckpoint) -> c.StoredCheckpoint | None:
        key: tuple[str, ...] = (query.thread_id, query.checkpoint_ns)
        statement = LOAD_NEWEST
        if query.checkpoint_id is not None:
            key, statement = (*key, query.checkpoint_id), LOAD_NAMED
        found = self._connection.execute(statement, key, binary=True).fetchone()
        return None if found is None else self._with_writes(c.CheckpointRow(*found))

    def list_checkpoints(self, query: c.ListCheckpoints) -> Sequence[c.StoredCheckpoint]:
        statement, parameters = list_statement(query, parameter="%s")
        found = self._connection.execute(statement.encode(), parameters, binary=True).fetchall()
        return [self._with_writes(c.CheckpointRow(*row)) for row in found]

    def delete_threads(self, command: c.DeleteThreads) -> None:
        for statement in DELETE_THREADS:
            self._connection.execute(statement, (list(command.thread_ids),))

    def delete_for_runs(self, command: c.DeleteForRuns) -> None:
        marks = self._connection.execute(
            b"SELECT thread_id, checkpoint_ns, checkpoint_id FROM checkpoints WHERE run_id = ANY(%s)",
            (list(command.run_ids),),
        ).fetchall()
        self.delete_checkpoints(c.DeleteCheckpoints(marks))

    def delete_checkpoints(self, command: c.DeleteCheckpoints) -> None:
        for statement in DELETE_CHECKPOINT:
            self._connection.cursor().executemany(statement, command.marks)

    def copy_thread(self, command: c.CopyThread) -> None:
        for statement in (COPY_CHECKPOINTS, COPY_WRITES):
            self._connection.execute(statement, (command.target, command.source))

    def sweep(self, command: c.Sweep) -> c.SweepCount:
        old = self._ids(OLD_RUNS, sql.milliseconds(command.keep_runs), command.limit)
        stale = self._ids(STALE_RUNS, sql.milliseconds(command.keep_checkpoints), command.limit)
        doomed = sorted({*old, *stale})
        checkpoints, writes = (
            self._connection.execute(statement, (doomed,)).rowcount for statement in DELETE_THREADS
        )
        self._connection.execute(b"UPDATE runs SET has_state = FALSE WHERE event_id = ANY(%s)", (stale,))
        runs = self._connection.execute(b"DELETE FROM runs WHERE event_id = ANY(%s)", (old,)).rowcount
        return c.SweepCount(runs, checkpoints, writes, touched=len(doomed))

    def count_sweepable(self, query: c.CountSweepable) -> c.SweepCount:
        ages = (sql.milliseconds(query.keep_runs), sql.milliseconds(query.keep_checkpoints))
        runs = self._count(COUNT_OLD, ages[:1])
        checkpoints, writes = (self._count(statement, ages) for statement in COUNT_DOOMED)
        return c.SweepCount(runs, checkpoints, writes)

    def _with_writes(self, row: c.CheckpointRow) -> c.StoredCheckpoint:
        writes = self._connection.execute(LOAD_WRITES, row[:3], binary=True).fetchall()
        return c.StoredCheckpoint(row, [c.WriteRow(*write) for write in writes])

    def _ids(self, statement: bytes, age_ms: int, limit: int) -> Sequence[str]:
        return [row[0] for row in self._connection.execute(statement, (age_ms, limit)).fetchall()]

    def _count(self, statement: bytes, parameters: Sequence[int]) -> int:
        found = self._connection.execute(statement, parameters).fetchone()
        return int(found[0]) if found else 0
