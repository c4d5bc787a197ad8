"""The store in a SQLite file: one thread writes, another reads."""

from datetime import timedelta
from pathlib import Path

from langgraph_integration.store.backend import LaneBackend
from langgraph_integration.store.group_commit import Lane
from langgraph_integration.store.sqlite_connection import SqliteConnection

BUSY_TIMEOUT = timedelta(seconds=5)
"""How long a batch waits for another process's transaction before it counts as a fault."""


async def open_sqlite(path: Path, *, busy_timeout: timedelta = BUSY_TIMEOUT) -> LaneBackend:
    """Make the file if need be. Raises `StoreUnavailable`, or `ConfigurationError` for tables not ours."""
    busy_timeout_ms = round(busy_timeout / timedelta(milliseconds=1))
    writing = SqliteConnection(path, writer=True, busy_timeout_ms=busy_timeout_ms)
    reading = SqliteConnection(path, writer=False, busy_timeout_ms=busy_timeout_ms)
    writer = Lane("store-writer", writing.execute, writing.close)
    reader = Lane("store-reader", reading.execute, reading.close)
    backend = LaneBackend([writer], [reader])
    await backend.open()
    return backend
