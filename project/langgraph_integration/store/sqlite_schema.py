"""The tables of the SQLite store, made at the first open."""

import sqlite3
from uuid import uuid4

from langgraph_integration.store.sql import SCHEMA_VERSION, check_version

NOW = "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"
"""The database's clock in milliseconds; `unixepoch('subsec')` would need SQLite 3.42."""

TABLES = (
    "CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL)",
    """CREATE TABLE IF NOT EXISTS runs (
        event_id TEXT PRIMARY KEY NOT NULL,
        epoch INTEGER NOT NULL,
        owner TEXT,
        lease_until INTEGER NOT NULL,
        attempt INTEGER NOT NULL,
        claims INTEGER NOT NULL,
        retry_count INTEGER NOT NULL,
        retry_at INTEGER NOT NULL,
        deadline_ms INTEGER,
        payload_hash TEXT NOT NULL,
        workflow_id TEXT NOT NULL,
        workflow_run_id TEXT NOT NULL,
        graph TEXT,
        record_topic TEXT NOT NULL,
        record_partition INTEGER NOT NULL,
        record_offset INTEGER NOT NULL,
        asks TEXT NOT NULL,
        status TEXT,
        reason TEXT,
        result BLOB,
        dead_letter BLOB,
        published INTEGER NOT NULL,
        has_state INTEGER NOT NULL,
        created_at INTEGER NOT NULL,
        finished_at INTEGER)""",
    "CREATE INDEX IF NOT EXISTS runs_finished ON runs (finished_at) WHERE finished_at IS NOT NULL",
    """CREATE TABLE IF NOT EXISTS checkpoints (
        thread_id TEXT NOT NULL,
        checkpoint_ns TEXT NOT NULL,
        checkpoint_id TEXT NOT NULL,
        parent_id TEXT,
        run_id TEXT,
        epoch INTEGER,
        kind TEXT NOT NULL,
        state BLOB NOT NULL,
        PRIMARY KEY (thread_id, checkpoint_ns, checkpoint_id))""",
    "CREATE INDEX IF NOT EXISTS checkpoints_run ON checkpoints (run_id) WHERE run_id IS NOT NULL",
    """CREATE TABLE IF NOT EXISTS checkpoint_writes (
        thread_id TEXT NOT NULL,
        checkpoint_ns TEXT NOT NULL,
        checkpoint_id TEXT NOT NULL,
        task_id TEXT NOT NULL,
        idx INTEGER NOT NULL,
        task_path TEXT NOT NULL,
        channel TEXT NOT NULL,
        epoch INTEGER,
        kind TEXT NOT NULL,
        value BLOB NOT NULL,
        PRIMARY KEY (thread_id, checkpoint_ns, checkpoint_id, task_id, idx))""",
)


def create_schema(connection: sqlite3.Connection) -> str:
    """Make what is missing, in one transaction, and return the store id."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        for table in TABLES:
            connection.execute(table)
        defaults = {"schema_version": str(SCHEMA_VERSION), "store_id": str(uuid4())}
        connection.executemany("INSERT OR IGNORE INTO meta VALUES (?, ?)", defaults.items())
        meta: dict[str, str] = dict(connection.execute("SELECT name, value FROM meta"))
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    check_version(meta["schema_version"])
    return meta["store_id"]


def read_store_id(connection: sqlite3.Connection) -> str:
    """The store id of a database that has its tables already."""
    store_id: str = connection.execute("SELECT value FROM meta WHERE name = 'store_id'").fetchone()[0]
    return store_id
