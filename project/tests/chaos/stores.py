"""The two databases of a run, and how each is taken away for a while."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal, Protocol

import psycopg

from tests.support.postgres import PostgresServer, fresh_database, running_server

StoreName = Literal["sqlite", "postgres"]


class HurtableStore(Protocol):
    """A database that workers share."""

    @property
    def url(self) -> str: ...

    def hurt(self, seconds: float) -> None:
        """Take it away for so long."""

    def claims(self) -> dict[str, int]:
        """How many claims the runs have that ended as crash loops."""


_CRASH_LOOPS = "SELECT event_id, claims FROM runs WHERE reason = 'crash-loop'"


class SqliteFile:
    """Hurt by another process's write transaction that does not end: every write finds it locked."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.url = f"sqlite:{path}"

    def hurt(self, seconds: float) -> None:
        connection = sqlite3.connect(self._path, isolation_level=None, timeout=10)
        try:
            connection.execute("BEGIN IMMEDIATE")
            time.sleep(seconds)
            connection.execute("ROLLBACK")
        except sqlite3.OperationalError:
            time.sleep(seconds)
        finally:
            connection.close()

    def claims(self) -> dict[str, int]:
        connection = sqlite3.connect(self._path)
        try:
            return dict(connection.execute(_CRASH_LOOPS).fetchall())
        finally:
            connection.close()


class PostgresDatabase:
    """Hurt by kill -9 of the whole server, which comes back after a while."""

    def __init__(self, server: PostgresServer, dsn: str) -> None:
        self._server = server
        self.url = dsn

    def hurt(self, seconds: float) -> None:
        self._server.kill()
        time.sleep(seconds)
        self._server.restart()

    def claims(self) -> dict[str, int]:
        with psycopg.connect(self.url, options="-c search_path=langgraph_kafka") as connection:
            return {str(event_id): claims for event_id, claims in connection.execute(_CRASH_LOOPS)}


@contextmanager
def running_store(name: StoreName, folder: Path) -> Iterator[HurtableStore]:
    """A fresh one, gone with the block."""
    if name == "sqlite":
        yield SqliteFile(folder / "state.db")
        return
    with running_server() as server:
        database = fresh_database(server.dsn)
        dsn = database.__enter__()
        try:
            yield PostgresDatabase(server, dsn)
        finally:
            with suppress(psycopg.Error):
                database.__exit__(None, None, None)
