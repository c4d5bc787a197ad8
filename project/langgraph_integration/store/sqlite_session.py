"""The commands in SQLite's words: the ledger's half."""

import json
import sqlite3
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from langgraph_integration.pipeline.ledger import LeaseState, StoredVerdict
from langgraph_integration.store import commands as c
from langgraph_integration.store import sql
from langgraph_integration.store.positions import ASKS_KEPT
from langgraph_integration.store.runs import RunRow, Taken
from langgraph_integration.store.sqlite_checkpoints import SqliteCheckpoints
from langgraph_integration.store.sqlite_schema import NOW


def dialect(statement: str) -> str:
    """A common statement for SQLite."""
    return statement.format(
        p="?",
        now=NOW,
        greatest="max",
        same="IS",
        contains=f"instr(runs.asks, {sql.POSITION.format('excluded')}) > 0",
        remembered=f"substr(runs.asks || {sql.POSITION.format('runs')}, -{ASKS_KEPT})",
    )


GRANT_RUN = dialect(sql.GRANT_RUN)
LOAD_RUN = dialect(sql.LOAD_RUN)
SAVE_RUN = dialect(sql.SAVE_RUN)
FINISH_RUN = dialect(sql.FINISH_RUN)
REPLACE_VERDICT = dialect(sql.REPLACE_VERDICT)
SCHEDULE_RETRY = dialect(sql.SCHEDULE_RETRY)
MARK_PUBLISHED = dialect(sql.MARK_PUBLISHED)
RELEASE_RUN = dialect(sql.RELEASE_RUN)
RENEW = f"""
UPDATE runs SET lease_until = {NOW} + ?
WHERE (event_id, epoch) IN (
    SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?))
RETURNING event_id, attempt, deadline_ms
"""
FIND_VERDICTS = """
SELECT event_id, attempt, status, result, dead_letter, reason FROM runs
WHERE status IS NOT NULL AND event_id IN (SELECT value FROM json_each(?))
"""


class SqliteSession(SqliteCheckpoints):
    """Lives in the thread that owns the connection."""

    def __init__(self, connection: sqlite3.Connection, store_id: str) -> None:
        super().__init__(connection)
        self._store_id = store_id

    def open_database(self, command: c.OpenDatabase) -> str:
        return self._store_id

    def try_grant(self, command: c.ClaimRun) -> Taken | None:
        found = self._connection.execute(GRANT_RUN, sql.grant_parameters(command)).fetchall()
        return Taken(*found[0]) if found else None

    def find_run(self, event_id: str) -> RunRow | None:
        found = self._connection.execute(LOAD_RUN, (event_id,)).fetchone()
        return None if found is None else _row(found)[0]

    def load_run(self, event_id: str) -> tuple[RunRow, int]:
        return _row(self._connection.execute(LOAD_RUN, (event_id,)).fetchone())

    def save_run(self, row: RunRow) -> None:
        self._connection.execute(SAVE_RUN, sql.save_parameters(row))

    def store_verdict(self, command: c.FinishRun) -> bool:
        return self._connection.execute(FINISH_RUN, sql.finish_parameters(command)).rowcount == 1

    def swap_verdict(self, command: c.ReplaceVerdict) -> bool:
        return self._connection.execute(REPLACE_VERDICT, sql.replace_parameters(command)).rowcount == 1

    def store_retry(self, command: c.ScheduleRetry) -> bool:
        parameters = (command.retry_count, command.delay_ms, command.key, command.lease.epoch)
        return self._connection.execute(SCHEDULE_RETRY, parameters).rowcount == 1

    def renew(self, command: c.RenewLeases) -> Mapping[UUID, LeaseState]:
        wanted = json.dumps([(str(lease.event_id), lease.epoch) for lease in command.leases])
        kept = self._connection.execute(RENEW, (command.lease_ms, wanted)).fetchall()
        return {UUID(event_id): LeaseState(attempt, deadline) for event_id, attempt, deadline in kept}

    def mark_published(self, command: c.MarkPublished) -> None:
        self._connection.execute(MARK_PUBLISHED, (command.key, command.lease.epoch, command.attempt))

    def release(self, command: c.ReleaseRun) -> None:
        self._connection.execute(RELEASE_RUN, (command.key, command.lease.epoch))

    def find_verdicts(self, query: c.FindVerdicts) -> Mapping[UUID, StoredVerdict]:
        wanted = json.dumps([str(event_id) for event_id in query.event_ids])
        found = self._connection.execute(FIND_VERDICTS, (wanted,)).fetchall()
        return {UUID(event_id): StoredVerdict(*verdict) for event_id, *verdict in found}


def _row(found: tuple[Any, ...]) -> tuple[RunRow, int]:
    """SQLite has no booleans: the two flags come back as 0 and 1."""
    row = RunRow(*found[:-1])
    return row._replace(published=bool(row.published), has_state=bool(row.has_state)), found[-1]
