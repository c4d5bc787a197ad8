"""The tables of the PostgreSQL store, in a schema of their own, made at the first open."""

from typing import LiteralString
from uuid import uuid4

from psycopg import Connection

from langgraph_integration.store.sql import SCHEMA_VERSION, check_version

SCHEMA = "langgraph_kafka"
NOW = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
"""The database's clock, not the transaction's: a transaction that waited for a lock must not see the past."""

_LOCK = 7_310_579_112_400_161
"""The advisory lock of those who create tables; any number nobody else uses."""

# COLLATE "C": ids and paths are compared as bytes, as LangGraph compares them.
TABLES: tuple[LiteralString, ...] = (
    "CREATE SCHEMA IF NOT EXISTS langgraph_kafka",
    "CREATE TABLE meta (name text PRIMARY KEY, value text NOT NULL)",
    """CREATE TABLE runs (
        event_id text COLLATE "C" PRIMARY KEY,
        epoch bigint NOT NULL,
        owner text,
        lease_until bigint NOT NULL,
        attempt bigint NOT NULL,
        claims bigint NOT NULL,
        retry_count bigint NOT NULL,
        retry_at bigint NOT NULL,
        deadline_ms bigint,
        payload_hash text NOT NULL,
        workflow_id text NOT NULL,
        workflow_run_id text NOT NULL,
        graph text,
        record_topic text NOT NULL,
        record_partition bigint NOT NULL,
        record_offset bigint NOT NULL,
        asks text NOT NULL,
        status text,
        reason text,
        result bytea,
        dead_letter bytea,
        published boolean NOT NULL,
        has_state boolean NOT NULL,
        created_at bigint NOT NULL,
        finished_at bigint) WITH (fillfactor = 70)""",
    "CREATE INDEX runs_finished ON runs (finished_at) WHERE finished_at IS NOT NULL",
    """CREATE TABLE checkpoints (
        thread_id text COLLATE "C" NOT NULL,
        checkpoint_ns text COLLATE "C" NOT NULL,
        checkpoint_id text COLLATE "C" NOT NULL,
        parent_id text COLLATE "C",
        run_id text,
        epoch bigint,
        kind text NOT NULL,
        state bytea NOT NULL,
        PRIMARY KEY (thread_id, checkpoint_ns, checkpoint_id))""",
    "CREATE INDEX checkpoints_run ON checkpoints (run_id) WHERE run_id IS NOT NULL",
    """CREATE TABLE checkpoint_writes (
        thread_id text COLLATE "C" NOT NULL,
        checkpoint_ns text COLLATE "C" NOT NULL,
        checkpoint_id text COLLATE "C" NOT NULL,
        task_id text COLLATE "C" NOT NULL,
        idx integer NOT NULL,
        task_path text COLLATE "C" NOT NULL,
        channel text NOT NULL,
        epoch bigint,
        kind text NOT NULL,
        value bytea NOT NULL,
        PRIMARY KEY (thread_id, checkpoint_ns, checkpoint_id, task_id, idx))""",
)


def create_schema(connection: Connection) -> str:
    """Make the tables unless they are there, one process at a time, and return the store id.

    Where they are, nothing is made again: also an index that exists asks for a lock on its table, and with a
    worker that writes into two of them that ends in a deadlock.
    """
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        if connection.execute("SELECT to_regclass(%s) IS NULL", (f"{SCHEMA}.meta",)).fetchone() == (True,):
            _make(connection)
        meta: dict[str, str] = dict(connection.execute("SELECT name, value FROM meta").fetchall())
    check_version(meta["schema_version"])
    return meta["store_id"]


def _make(connection: Connection) -> None:
    for table in TABLES:
        connection.execute(table)
    for name, value in (("schema_version", str(SCHEMA_VERSION)), ("store_id", str(uuid4()))):
        connection.execute("INSERT INTO meta VALUES (%s, %s)", (name, value))


def read_store_id(connection: Connection) -> str:
    """The store id of a database that has its tables already."""
    with connection.transaction():
        found = connection.execute("SELECT value FROM meta WHERE name = 'store_id'").fetchone()
    assert found is not None
    return str(found[0])
