"""A connection to the SQLite file that heals: a fault closes it, the next batch opens it again."""

import os
import sqlite3
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from langgraph_integration.store.group_commit import Pending, fail_all
from langgraph_integration.store.sqlite_schema import create_schema, read_store_id
from langgraph_integration.store.sqlite_session import SqliteSession
from langgraph_integration.store.sqlite_turns import Turns
from workflow_events.errors import ConfigurationError, LeaseLost, StoreUnavailable

_OWN_FAULTS = (
    sqlite3.DataError,
    sqlite3.IntegrityError,
    sqlite3.InterfaceError,
    sqlite3.NotSupportedError,
    sqlite3.ProgrammingError,
)
"""Errors of one command (a value too big, an integer out of range): the others of its batch go on."""


class Live(NamedTuple):
    """What an open connection consists of. Readers need no turns: they wait for nobody."""

    connection: sqlite3.Connection
    session: SqliteSession
    turns: Turns | None


class SqliteConnection:
    """Executes batches for a lane; everything happens in that lane's thread.

    The writer's first open makes the file and its tables, and from then on it is this file or none: SQLite
    would go on writing into a deleted one, and would apply the log of the old one to another in its place.
    """

    def __init__(self, path: Path, *, writer: bool, busy_timeout_ms: int) -> None:
        self._path = path
        self._writer = writer
        self._busy_timeout_ms = busy_timeout_ms
        self._live: Live | None = None
        self._file: tuple[int, int] | None = None
        self._store_id: str | None = None

    def execute(self, batch: Sequence[Pending]) -> None:
        """See `group_commit.Executor`."""
        try:
            self._transact(batch)
        except ConfigurationError as error:
            for pending in batch:
                pending.error = error
            self.close()
        except (sqlite3.Error, OSError, StoreUnavailable) as error:
            fail_all(batch, f"SQLite store {self._path}: {error}", error)
            self.close()

    def close(self) -> None:
        """Disconnect, undoing a transaction that is open. The next batch connects again."""
        live, self._live = self._live, None
        if live is not None:
            with suppress(sqlite3.Error):
                live.connection.close()
            if live.turns is not None:
                live.turns.close()

    def _transact(self, batch: Sequence[Pending]) -> None:
        live = self._open()
        with nullcontext() if live.turns is None else live.turns.mine():
            self._in_turn(live.connection, live.session, batch)

    def _in_turn(
        self, connection: sqlite3.Connection, session: SqliteSession, batch: Sequence[Pending]
    ) -> None:
        self._begin(connection, session, batch)
        try:
            for pending in batch:
                _apply(session, pending)
            session.flush()
        except Exception as error:
            if _is_fault(error):
                raise
            connection.execute("ROLLBACK")
            self._begin(connection, session, batch)
            for pending in batch:
                self._apply_apart(connection, session, pending)
        connection.execute("COMMIT")

    def _begin(
        self, connection: sqlite3.Connection, session: SqliteSession, batch: Sequence[Pending]
    ) -> None:
        """Taking the write lock at once: a transaction that reads first could not be promoted later."""
        connection.execute("BEGIN IMMEDIATE" if self._writer else "BEGIN")
        session.begin(pending.command for pending in batch)

    def _apply_apart(self, connection: sqlite3.Connection, session: SqliteSession, pending: Pending) -> None:
        """One command that cannot spoil the others. Slower, so only after a batch has failed."""
        connection.execute("SAVEPOINT apart")
        try:
            _apply(session, pending)
            session.flush()
        except Exception as error:
            if _is_fault(error):
                raise
            connection.execute("ROLLBACK TO apart")
            session.discard()
            pending.error = error
        connection.execute("RELEASE apart")

    def _open(self) -> Live:
        if self._file is not None and self._file != _identity(self._path):
            raise StoreUnavailable("another file stands in its place")
        if self._live is None:
            self._live = self._connect()
        return self._live

    def _connect(self) -> Live:
        first = self._store_id is None and self._writer
        if first:
            _make_file(self._path)
        identity = _identity(self._path)
        connection = sqlite3.connect(
            f"file:{quote(str(self._path))}?mode=rw",
            uri=True,
            isolation_level=None,
            timeout=self._busy_timeout_ms / 1000,
            cached_statements=256,
        )
        try:
            _configure(connection, writer=self._writer)
            found = create_schema(connection) if first else read_store_id(connection)
            if self._store_id not in (None, found):
                raise StoreUnavailable("its content was replaced by another store's")
        except BaseException:
            connection.close()
            raise
        self._store_id, self._file = found, identity
        turns = Turns(self._path, self._busy_timeout_ms) if self._writer else None
        return Live(connection, SqliteSession(connection, found), turns)


def _apply(session: SqliteSession, pending: Pending) -> None:
    pending.value = pending.error = None
    try:
        pending.value = session.apply(pending.command)
    except LeaseLost as error:
        pending.error = error


def _configure(connection: sqlite3.Connection, *, writer: bool) -> None:
    if not writer:
        connection.execute("PRAGMA query_only = ON")
        return
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise ConfigurationError("WORKFLOW_STATE_URL: SQLite needs a local file system, this one has no WAL")
    # FULL syncs the log at every commit; NORMAL could lose acknowledged commits when the power fails.
    connection.execute("PRAGMA synchronous = FULL")


def _make_file(path: Path) -> None:
    """For our eyes only: it will hold payloads and states."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


def _identity(path: Path) -> tuple[int, int]:
    """The file itself, whatever its name is now."""
    found = path.stat()
    return found.st_dev, found.st_ino


def _is_fault(error: Exception) -> bool:
    return isinstance(error, (sqlite3.Error, OSError)) and not isinstance(error, _OWN_FAULTS)
