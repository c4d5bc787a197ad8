"""The commands in SQLite's words: the saver's half, and sweeping."""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from langgraph_integration.store import commands as c
from langgraph_integration.store import sql
from langgraph_integration.store.listing import list_statement
from langgraph_integration.store.session import Session, lease_lost
from langgraph_integration.store.sqlite_schema import NOW


def _plain(statement: str) -> str:
    return statement.format(p="?", now=NOW)


PUT_CHECKPOINT = _plain(sql.PUT_CHECKPOINT)
PUT_WRITE = _plain(sql.PUT_WRITE)
LOAD_NAMED = _plain(sql.LOAD_NAMED)
LOAD_NEWEST = _plain(sql.LOAD_NEWEST)
LOAD_WRITES = _plain(sql.LOAD_WRITES)
COPY_CHECKPOINTS = _plain(sql.COPY_CHECKPOINTS)
COPY_WRITES = _plain(sql.COPY_WRITES)
DELETE_CHECKPOINT = _plain(sql.DELETE_CHECKPOINT)
OLD_RUN = _plain(sql.OLD_RUN)
STALE_RUN = _plain(sql.STALE_RUN)
LOAD_EPOCHS = "SELECT event_id, epoch FROM runs WHERE event_id IN (SELECT value FROM json_each(?))"
FENCED = (c.PutCheckpoint, c.PutWrites)
DOOMED = f"SELECT event_id FROM runs WHERE {OLD_RUN} UNION SELECT event_id FROM runs WHERE {STALE_RUN}"


class SqliteCheckpoints(Session):
    """Puts are collected and written by `flush`, many with one statement; whoever applies another command
    or commits flushes first. Whoever begins a transaction calls `begin`, which looks the fences up.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__()
        self._connection = connection
        self._epochs: dict[str, int] = {}
        self._checkpoints: list[c.CheckpointRow] = []
        self._writes: list[c.WriteRow] = []

    def begin(self, commands: Iterable[c.Command[Any]]) -> None:
        """Start over, and look up the fences of these commands at once."""
        self.discard()
        fenced = json.dumps(list({command.key for command in commands if isinstance(command, FENCED)}))
        self._epochs = dict(self._connection.execute(LOAD_EPOCHS, (fenced,))) if fenced != "[]" else {}

    def flush(self) -> None:
        if self._checkpoints:
            self._connection.executemany(PUT_CHECKPOINT, self._checkpoints)
            self._checkpoints.clear()
        if self._writes:
            self._connection.executemany(PUT_WRITE, self._writes)
            self._writes.clear()

    def discard(self) -> None:
        """Forget what was collected and not written."""
        self._checkpoints.clear()
        self._writes.clear()

    def apply(self, command: c.Command[Any]) -> Any:
        if not isinstance(command, FENCED):
            self.flush()
        return super().apply(command)

    def put_checkpoint(self, command: c.PutCheckpoint) -> None:
        self._check(command.key, command.row.epoch)
        self._checkpoints.append(command.row)

    def put_writes(self, command: c.PutWrites) -> None:
        self._check(command.key, command.rows[0].epoch)
        self._writes += command.rows

    def load_checkpoint(self, query: c.LoadCheckpoint) -> c.StoredCheckpoint | None:
        key: tuple[str, ...] = (query.thread_id, query.checkpoint_ns)
        statement = LOAD_NEWEST
        if query.checkpoint_id is not None:
            key, statement = (*key, query.checkpoint_id), LOAD_NAMED
        found = self._connection.execute(statement, key).fetchone()
        return None if found is None else self._with_writes(c.CheckpointRow(*found))

    def list_checkpoints(self, query: c.ListCheckpoints) -> Sequence[c.StoredCheckpoint]:
        statement, parameters = list_statement(query, parameter="?")
        found = self._connection.execute(statement, parameters).fetchall()
        return [self._with_writes(c.CheckpointRow(*row)) for row in found]

    def delete_threads(self, command: c.DeleteThreads) -> None:
        keys = [(thread_id,) for thread_id in command.thread_ids]
        self._connection.executemany("DELETE FROM checkpoints WHERE thread_id = ?", keys)
        self._connection.executemany("DELETE FROM checkpoint_writes WHERE thread_id = ?", keys)

    def delete_for_runs(self, command: c.DeleteForRuns) -> None:
        marks: list[tuple[str, str, str]] = []
        for run_id in command.run_ids:
            marks += self._connection.execute(
                "SELECT thread_id, checkpoint_ns, checkpoint_id FROM checkpoints WHERE run_id = ?", (run_id,)
            ).fetchall()
        self.delete_checkpoints(c.DeleteCheckpoints(marks))

    def delete_checkpoints(self, command: c.DeleteCheckpoints) -> None:
        for table in ("checkpoints", "checkpoint_writes"):
            self._connection.executemany(DELETE_CHECKPOINT.format(table=table), command.marks)

    def copy_thread(self, command: c.CopyThread) -> None:
        for statement in (COPY_CHECKPOINTS, COPY_WRITES):
            self._connection.execute(statement, (command.target, command.source))

    def sweep(self, command: c.Sweep) -> c.SweepCount:
        old = self._ids(OLD_RUN, command.keep_runs, command.limit)
        stale = self._ids(STALE_RUN, command.keep_checkpoints, command.limit)
        doomed = sorted({*old, *stale})
        checkpoints = self._each("DELETE FROM checkpoints WHERE thread_id = ?", doomed)
        writes = self._each("DELETE FROM checkpoint_writes WHERE thread_id = ?", doomed)
        self._each("UPDATE runs SET has_state = FALSE WHERE event_id = ?", stale)
        runs = self._each("DELETE FROM runs WHERE event_id = ?", old)
        return c.SweepCount(runs, checkpoints, writes, touched=len(doomed))

    def count_sweepable(self, query: c.CountSweepable) -> c.SweepCount:
        ages = (sql.milliseconds(query.keep_runs), sql.milliseconds(query.keep_checkpoints))
        runs = self._count(f"SELECT count(*) FROM runs WHERE {OLD_RUN}", ages[:1])
        checkpoints = self._count(f"SELECT count(*) FROM checkpoints WHERE thread_id IN ({DOOMED})", ages)
        writes = self._count(f"SELECT count(*) FROM checkpoint_writes WHERE thread_id IN ({DOOMED})", ages)
        return c.SweepCount(runs, checkpoints, writes)

    def _check(self, thread_id: str, epoch: int | None) -> None:
        if epoch is not None and self._epochs.get(thread_id) != epoch:
            raise lease_lost(thread_id, epoch)

    def _with_writes(self, row: c.CheckpointRow) -> c.StoredCheckpoint:
        writes = self._connection.execute(LOAD_WRITES, row[:3]).fetchall()
        return c.StoredCheckpoint(row, [c.WriteRow(*write) for write in writes])

    def _ids(self, condition: str, age: timedelta, limit: int) -> Sequence[str]:
        statement = f"SELECT event_id FROM runs WHERE {condition} LIMIT ?"
        return [row[0] for row in self._connection.execute(statement, (sql.milliseconds(age), limit))]

    def _each(self, statement: str, ids: Sequence[str]) -> int:
        return self._connection.executemany(statement, [(id_,) for id_ in ids]).rowcount if ids else 0

    def _count(self, statement: str, parameters: tuple[int, ...]) -> int:
        count: int = self._connection.execute(statement, parameters).fetchone()[0]
        return count
