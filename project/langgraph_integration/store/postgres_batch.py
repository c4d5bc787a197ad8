"""What runs do all the time, for all of them at once: a few statements for each batch, not for each command.

All rows of the ledger that the batch is about are locked first, in the order of their ids, so that no two
batches can wait for each other; the epochs found then fence the checkpoints. Ledger statements go out in
one pipeline, checkpoints and writes as one statement each.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from psycopg import Connection, Cursor

from langgraph_integration.store import commands as c
from langgraph_integration.store import sql
from langgraph_integration.store.group_commit import Pending
from langgraph_integration.store.positions import ASKS_KEPT
from langgraph_integration.store.postgres_schema import NOW
from langgraph_integration.store.runs import RunRow, Taken, explain, granted
from langgraph_integration.store.session import lease_lost
from workflow_events.errors import StoreUnavailable

HOT = (
    c.ClaimRun,
    c.FinishRun,
    c.ReplaceVerdict,
    c.MarkPublished,
    c.ScheduleRetry,
    c.ReleaseRun,
    c.PutCheckpoint,
    c.PutWrites,
)


def dialect(statement: str) -> bytes:
    """A common statement for PostgreSQL. Bytes, because it is our own text and no outside value is in it."""
    return statement.format(
        p="%s",
        now=NOW,
        greatest="greatest",
        same="IS NOT DISTINCT FROM",
        contains=f"strpos(runs.asks, {sql.POSITION.format('excluded')}) > 0",
        remembered=f"right(runs.asks || {sql.POSITION.format('runs')}, {ASKS_KEPT})",
    ).encode()


def _arrays(statement: str, row: str, types: Sequence[str]) -> bytes:
    """An INSERT of one row turned into one of many: a parameter is the array of a column's values."""
    columns = ", ".join(f"%{'b' if kind == 'bytea' else 's'}::{kind}[]" for kind in types)
    return dialect(statement.replace(row, f"SELECT * FROM unnest({columns})"))


LOCK_RUNS = b"SELECT event_id, epoch FROM runs WHERE event_id = ANY(%s) ORDER BY event_id FOR NO KEY UPDATE"
LOAD_RUNS = dialect(f"SELECT {sql.RUN_COLUMNS}, {{now}} FROM runs WHERE event_id = ANY({{p}})")
GRANT_RUN = dialect(sql.GRANT_RUN)
FINISH_RUN = dialect(sql.FINISH_RUN)
REPLACE_VERDICT = dialect(sql.REPLACE_VERDICT)
SCHEDULE_RETRY = dialect(sql.SCHEDULE_RETRY)
MARK_PUBLISHED = dialect(sql.MARK_PUBLISHED)
RELEASE_RUN = dialect(sql.RELEASE_RUN)
SAVE_RUN = dialect(sql.SAVE_RUN)
_TEXTS = ("text",) * 4
_CHECKPOINT_TYPES = (*_TEXTS, "text", "bigint", "text", "bytea")
_WRITE_TYPES = (*_TEXTS, "integer", "text", "text", "bigint", "text", "bytea")
PUT_CHECKPOINTS = _arrays(sql.PUT_CHECKPOINT, sql.CHECKPOINT_ROW, _CHECKPOINT_TYPES)
PUT_WRITES = _arrays(sql.PUT_WRITE, sql.WRITE_ROW, _WRITE_TYPES)


class Sent(NamedTuple):
    """A statement on its way, and who wants to know."""

    pending: Pending
    cursor: Cursor[Any]


class PostgresBatch:
    """One batch in one open transaction. Raises what psycopg raises; refused commands get their error."""

    def __init__(self, connection: Connection, batch: Sequence[Pending]) -> None:
        self._connection = connection
        self._batch = sorted(batch, key=lambda pending: pending.command.key)
        self._epochs: dict[str, int] = {}
        self._sent: list[Sent] = []
        self._checkpoints: dict[tuple[str, ...], c.CheckpointRow] = {}
        self._writes: dict[tuple[str | int, ...], c.WriteRow] = {}

    def run(self) -> None:
        """Write everything and set every value and error. The caller commits."""
        self._lock()
        with self._connection.pipeline():
            for pending in self._batch:
                self._send(pending)
            for statement, rows in ((PUT_CHECKPOINTS, self._checkpoints), (PUT_WRITES, self._writes)):
                if rows:
                    columns = [list(column) for column in zip(*rows.values(), strict=True)]
                    self._connection.execute(statement, columns)
        self._explain([sent.pending for sent in self._sent if not _answered(sent)])

    def _lock(self) -> None:
        keys = {pending.command.key for pending in self._batch if _is_about_a_run(pending.command)}
        if keys:
            self._epochs = dict(self._connection.execute(LOCK_RUNS, (sorted(keys),)).fetchall())

    def _send(self, pending: Pending) -> None:
        match pending.command:
            case c.PutCheckpoint(row):
                if self._may_write(pending, row.epoch):
                    self._checkpoints[row[:3]] = row
            case c.PutWrites(rows):
                if self._may_write(pending, rows[0].epoch):
                    self._collect(rows)
            case ledger:
                statement, parameters = _STATEMENTS[type(ledger)](ledger)
                self._sent.append(Sent(pending, self._connection.execute(statement, parameters)))

    def _may_write(self, pending: Pending, epoch: int | None) -> bool:
        key = pending.command.key
        if epoch is None or self._epochs.get(key) == epoch:
            return True
        pending.error = lease_lost(key, epoch)
        return False

    def _collect(self, rows: Sequence[c.WriteRow]) -> None:
        """One statement may not meet a row twice, so what it would do with a second one is done here."""
        for row in rows:
            key = row[:5]
            if row.idx < 0:
                self._writes[key] = row
            else:
                self._writes.setdefault(key, row)

    def _explain(self, refused: Sequence[Pending]) -> None:
        """Say why, for the claims that took nothing and the writes that met no row of theirs."""
        if not refused:
            return
        keys = list({pending.command.key for pending in refused})
        found = self._connection.execute(LOAD_RUNS, (keys,)).fetchall()
        now = found[0][-1] if found else 0
        before = {row[0]: RunRow(*row[:-1]) for row in found}
        after = dict(before)
        for pending in refused:
            row = after.get(pending.command.key)
            match pending.command:
                case c.ClaimRun() as claim if row is not None:
                    pending.value, after[row.event_id] = explain(row, claim, now)
                case c.FinishRun(lease) if row is not None and row.epoch == lease.epoch:
                    pending.value = row.attempt
                case c.FinishRun(lease) | c.ReplaceVerdict(lease) | c.ScheduleRetry(lease):
                    pending.error = lease_lost(pending.command.key, lease.epoch)
                case _:
                    pending.error = StoreUnavailable("the run was deleted while it was asked for")
        changed = [row for key, row in after.items() if row is not before[key]]
        if changed:
            self._connection.cursor().executemany(SAVE_RUN, [sql.save_parameters(row) for row in changed])


def _is_about_a_run(command: c.Command[Any]) -> bool:
    """Whether the ledger's row matters: not for checkpoints of threads that nobody leases."""
    match command:
        case c.PutCheckpoint(row):
            return row.epoch is not None
        case c.PutWrites(rows):
            return rows[0].epoch is not None
        case _:
            return True


def _answered(sent: Sent) -> bool:
    """Whether the statement did what was wanted; sets the value then."""
    match sent.pending.command:
        case c.ClaimRun(ask, owner):
            found = sent.cursor.fetchone()
            if found is not None:
                sent.pending.value = granted(ask.event_id, owner, Taken(*found))
            return found is not None
        case c.FinishRun(_, verdict):
            sent.pending.value = verdict.attempt
            return sent.cursor.rowcount == 1
        case c.ReplaceVerdict() | c.ScheduleRetry():
            return sent.cursor.rowcount == 1
        case _:
            return True


def _grant(command: c.ClaimRun) -> tuple[bytes, Sequence[object]]:
    return GRANT_RUN, sql.grant_parameters(command)


def _finish(command: c.FinishRun) -> tuple[bytes, Sequence[object]]:
    return FINISH_RUN, sql.finish_parameters(command)


def _replace(command: c.ReplaceVerdict) -> tuple[bytes, Sequence[object]]:
    return REPLACE_VERDICT, sql.replace_parameters(command)


def _retry(command: c.ScheduleRetry) -> tuple[bytes, Sequence[object]]:
    return SCHEDULE_RETRY, (command.retry_count, command.delay_ms, command.key, command.lease.epoch)


def _mark(command: c.MarkPublished) -> tuple[bytes, Sequence[object]]:
    return MARK_PUBLISHED, (command.key, command.lease.epoch, command.attempt)


def _release(command: c.ReleaseRun) -> tuple[bytes, Sequence[object]]:
    return RELEASE_RUN, (command.key, command.lease.epoch)


_STATEMENTS: dict[type, Callable[[Any], tuple[bytes, Sequence[object]]]] = {
    c.ClaimRun: _grant,
    c.FinishRun: _finish,
    c.ReplaceVerdict: _replace,
    c.ScheduleRetry: _retry,
    c.MarkPublished: _mark,
    c.ReleaseRun: _release,
}
