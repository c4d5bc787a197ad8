"""What SQLite and PostgreSQL have in common: columns, and the statements both understand.

Statements use `{p}` for a parameter, `{now}` for the database's clock in milliseconds since 1970,
`{greatest}` for the larger of two numbers and `{same}` for an equality that holds of two NULLs; `dialect`
fills them in.
"""

from collections.abc import Sequence
from datetime import timedelta

from langgraph_integration.store.commands import CheckpointRow, ClaimRun, FinishRun, ReplaceVerdict, WriteRow
from langgraph_integration.store.runs import RunRow
from workflow_events.errors import ConfigurationError

SCHEMA_VERSION = 2

RUN_COLUMNS = ", ".join(RunRow._fields)
CHECKPOINT_COLUMNS = ", ".join(CheckpointRow._fields)
WRITE_COLUMNS = ", ".join(WriteRow._fields)

CHECKPOINT_ROW = f"VALUES ({', '.join(['{p}'] * len(CheckpointRow._fields))})"
WRITE_ROW = f"VALUES ({', '.join(['{p}'] * len(WriteRow._fields))})"

POSITION = "'|' || {0}.record_topic || '/' || {0}.record_partition || '/' || {0}.record_offset || '|'"
"""`encode_position` of the record that asks (`excluded`) or of the one that drives the run (`runs`)."""

_DRIVES = """(excluded.record_topic = runs.record_topic AND excluded.record_partition = runs.record_partition
    AND excluded.record_offset = runs.record_offset)"""
_KNOWN = f"({_DRIVES} OR {{contains}})"

GRANT_RUN = f"""
INSERT INTO runs (event_id, epoch, owner, lease_until, attempt, claims, retry_count, retry_at, deadline_ms,
    payload_hash, workflow_id, workflow_run_id, graph, record_topic, record_partition, record_offset, asks,
    published, has_state, created_at)
VALUES ({{p}}, 1, {{p}}, {{now}} + {{p}}, {{p}}, 1, 0, 0, {{p}}, {{p}}, {{p}}, {{p}}, {{p}},
    {{p}}, {{p}}, {{p}}, '', FALSE, TRUE, {{now}})
ON CONFLICT (event_id) DO UPDATE SET
    epoch = runs.epoch + 1,
    owner = excluded.owner,
    lease_until = excluded.lease_until,
    claims = CASE WHEN excluded.attempt > runs.attempt THEN 1
        WHEN runs.owner = excluded.owner THEN runs.claims ELSE runs.claims + 1 END,
    retry_count = CASE WHEN excluded.attempt > runs.attempt THEN 0 ELSE runs.retry_count END,
    retry_at = CASE WHEN excluded.attempt > runs.attempt THEN 0 ELSE runs.retry_at END,
    deadline_ms = CASE WHEN excluded.attempt < runs.attempt OR {_KNOWN}
        THEN runs.deadline_ms ELSE excluded.deadline_ms END,
    attempt = {{greatest}}(runs.attempt, excluded.attempt),
    asks = CASE WHEN {_DRIVES} THEN runs.asks ELSE {{remembered}} END,
    record_topic = excluded.record_topic, record_partition = excluded.record_partition,
    record_offset = excluded.record_offset,
    status = NULL, reason = NULL, result = NULL, dead_letter = NULL, published = FALSE,
    has_state = TRUE, finished_at = NULL
WHERE (runs.payload_hash = excluded.payload_hash OR {_KNOWN}) AND (
    runs.status IS NULL AND (runs.lease_until <= {{now}} OR runs.owner = excluded.owner AND NOT {{p}})
    OR runs.status IN ('error', 'failure') AND runs.published AND excluded.attempt > runs.attempt)
RETURNING epoch, attempt, claims, retry_count, retry_at, deadline_ms, {{now}}
"""

LOAD_RUN = f"SELECT {RUN_COLUMNS}, {{now}} FROM runs WHERE event_id = {{p}}"

SAVE_RUN = """
UPDATE runs SET epoch = {p}, owner = {p}, lease_until = {p}, attempt = {p}, claims = {p}, retry_count = {p},
    retry_at = {p}, deadline_ms = {p}, published = {p}, asks = {p}
WHERE event_id = {p}
"""

FINISH_RUN = """
UPDATE runs SET attempt = {p}, status = {p}, reason = {p}, result = {p}, dead_letter = {p},
    published = FALSE, finished_at = {now}
WHERE event_id = {p} AND epoch = {p} AND status IS NULL AND attempt <= {p}
"""

REPLACE_VERDICT = """
UPDATE runs SET status = {p}, reason = {p}, result = {p}, dead_letter = {p}
WHERE event_id = {p} AND epoch = {p} AND NOT published
    AND attempt = {p} AND status = {p} AND result {same} {p}
"""

SCHEDULE_RETRY = """
UPDATE runs SET retry_count = {p}, retry_at = {now} + {p} WHERE event_id = {p} AND epoch = {p}
"""

MARK_PUBLISHED = """
UPDATE runs SET published = TRUE
WHERE event_id = {p} AND epoch = {p} AND attempt = {p} AND status IS NOT NULL
"""

RELEASE_RUN = """
UPDATE runs SET epoch = epoch + 1, owner = NULL, lease_until = 0,
    claims = CASE WHEN status IS NULL THEN claims - 1 ELSE claims END
WHERE event_id = {p} AND epoch = {p} AND NOT published
"""

PUT_CHECKPOINT = f"""
INSERT INTO checkpoints ({CHECKPOINT_COLUMNS}) {CHECKPOINT_ROW}
ON CONFLICT (thread_id, checkpoint_ns, checkpoint_id) DO UPDATE SET parent_id = excluded.parent_id,
    run_id = excluded.run_id, epoch = excluded.epoch, kind = excluded.kind, state = excluded.state
"""

PUT_WRITE = f"""
INSERT INTO checkpoint_writes ({WRITE_COLUMNS})
{WRITE_ROW}
ON CONFLICT (thread_id, checkpoint_ns, checkpoint_id, task_id, idx) DO UPDATE SET
    task_path = excluded.task_path, channel = excluded.channel, epoch = excluded.epoch,
    kind = excluded.kind, value = excluded.value
WHERE excluded.idx < 0
"""

LOAD_NAMED = f"""
SELECT {CHECKPOINT_COLUMNS} FROM checkpoints
WHERE thread_id = {{p}} AND checkpoint_ns = {{p}} AND checkpoint_id = {{p}}
"""

LOAD_NEWEST = f"""
SELECT {CHECKPOINT_COLUMNS} FROM checkpoints WHERE thread_id = {{p}} AND checkpoint_ns = {{p}}
ORDER BY checkpoint_id DESC LIMIT 1
"""

LOAD_WRITES = f"""
SELECT {WRITE_COLUMNS} FROM checkpoint_writes
WHERE thread_id = {{p}} AND checkpoint_ns = {{p}} AND checkpoint_id = {{p}}
ORDER BY task_path, task_id, idx
"""

COPY_CHECKPOINTS = """
INSERT INTO checkpoints (thread_id, checkpoint_ns, checkpoint_id, parent_id, run_id, epoch, kind, state)
SELECT {p}, checkpoint_ns, checkpoint_id, parent_id, run_id, NULL, kind, state
FROM checkpoints WHERE thread_id = {p}
"""

COPY_WRITES = """
INSERT INTO checkpoint_writes
    (thread_id, checkpoint_ns, checkpoint_id, task_id, idx, task_path, channel, epoch, kind, value)
SELECT {p}, checkpoint_ns, checkpoint_id, task_id, idx, task_path, channel, NULL, kind, value
FROM checkpoint_writes WHERE thread_id = {p}
"""

DELETE_CHECKPOINT = """
DELETE FROM {{table}} WHERE thread_id = {p} AND checkpoint_ns = {p} AND checkpoint_id = {p}
"""

OLD_RUN = "finished_at <= {now} - {p} AND published"
STALE_RUN = "finished_at <= {now} - {p} AND has_state"


def grant_parameters(command: ClaimRun) -> Sequence[object]:
    """For `GRANT_RUN`."""
    ask = command.ask
    return (
        command.key,
        command.owner,
        command.lease_ms,
        ask.attempt,
        ask.deadline_ms,
        ask.payload_hash,
        ask.workflow_id,
        ask.workflow_run_id,
        ask.graph,
        ask.position.topic,
        ask.position.partition,
        ask.position.offset,
        command.held,
    )


def finish_parameters(command: FinishRun) -> Sequence[object]:
    """For `FINISH_RUN`."""
    verdict = command.verdict
    stored = (verdict.attempt, verdict.status, verdict.reason, verdict.result, verdict.dead_letter)
    return (*stored, command.key, command.lease.epoch, verdict.attempt)


def replace_parameters(command: ReplaceVerdict) -> Sequence[object]:
    """For `REPLACE_VERDICT`."""
    verdict, stored = command.verdict, command.stored
    written = (verdict.status, verdict.reason, verdict.result, verdict.dead_letter)
    return (*written, command.key, command.lease.epoch, stored.attempt, stored.status, stored.result)


def save_parameters(row: RunRow) -> Sequence[object]:
    """For `SAVE_RUN`."""
    lease = (row.epoch, row.owner, row.lease_until)
    counters = (row.attempt, row.claims, row.retry_count, row.retry_at)
    return (*lease, *counters, row.deadline_ms, row.published, row.asks, row.event_id)


def milliseconds(time: timedelta) -> int:
    """The clock's unit."""
    return round(time / timedelta(milliseconds=1))


def check_version(found: str) -> None:
    """Raises ConfigurationError if the tables are of another version than this code."""
    if found != str(SCHEMA_VERSION):
        raise ConfigurationError(
            f"WORKFLOW_STATE_URL names a store of schema version {found}, this release reads version"
            f" {SCHEMA_VERSION}: use the release that wrote it, or another store"
        )
