"""A connection to PostgreSQL that heals: a fault closes it, the next batch connects again."""

from collections.abc import Sequence
from contextlib import suppress

import psycopg
from psycopg import Connection, IsolationLevel, errors
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from langgraph_integration.store.group_commit import Pending, fail_all
from langgraph_integration.store.postgres_batch import HOT, PostgresBatch
from langgraph_integration.store.postgres_schema import SCHEMA, create_schema, read_store_id
from langgraph_integration.store.postgres_session import PostgresSession
from workflow_events.errors import ConfigurationError, StoreUnavailable

ATTEMPTS = 3
"""Tries of a batch that the server undid for reasons of its own, before its callers hear of it."""

_OWN_FAULTS = (
    psycopg.DataError,
    psycopg.IntegrityError,
    psycopg.NotSupportedError,
    errors.ProgramLimitExceeded,
)
"""Errors of one command (a value that does not fit): the others of its batch go on."""

_DEFAULTS: dict[str, str | int] = {
    # A server that is gone without a word is noticed in seconds, not in the two hours of TCP's own patience.
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    "application_name": "langgraph-kafka",
    # A database made with the C locale and no encoding would hand texts out as bytes.
    "client_encoding": "utf8",
}

# A process that is stopped inside a transaction holds locks on its runs: others must get past it.
_SETTINGS = f"""
SET search_path = {SCHEMA};
SET lock_timeout = '10s';
SET statement_timeout = '30s';
SET idle_in_transaction_session_timeout = '5s'
""".encode()


class PostgresConnection:
    """Executes batches for a lane; everything happens in that lane's thread."""

    def __init__(self, dsn: str, *, writer: bool) -> None:
        given = conninfo_to_dict(dsn)
        ours = {name: value for name, value in _DEFAULTS.items() if name not in given}
        self._dsn = make_conninfo(dsn, **ours)
        self._writer = writer
        self._live: tuple[Connection, PostgresSession] | None = None
        self._store_id: str | None = None
        self._in_doubt = False

    def execute(self, batch: Sequence[Pending]) -> None:
        """See `group_commit.Executor`."""
        try:
            self._patiently(batch)
        except ConfigurationError as error:
            for pending in batch:
                pending.error = error
        except (psycopg.Error, OSError, StoreUnavailable) as error:
            fail_all(batch, f"PostgreSQL store: {type(error).__name__}: {error}".strip(), error)
            self.close()

    def close(self) -> None:
        """Disconnect, undoing a transaction that is open. The next batch connects again."""
        live, self._live = self._live, None
        if live is not None:
            with suppress(psycopg.Error):
                live[0].close()

    def _patiently(self, batch: Sequence[Pending]) -> None:
        """Again where that is safe: after a deadlock, and when the connection broke before the commit."""
        for attempt in range(1, ATTEMPTS + 1):
            reused = self._live is not None
            try:
                self._transact(batch)
                return
            except _OWN_FAULTS as error:
                self.close()
                self._apart(batch, error)
                return
            except psycopg.OperationalError as error:
                undone = isinstance(error, (errors.DeadlockDetected, errors.SerializationFailure))
                broke_idle = reused and not self._in_doubt and self._is_broken()
                self.close()
                if attempt == ATTEMPTS or not (undone or broke_idle):
                    raise

    def _apart(self, batch: Sequence[Pending], error: Exception) -> None:
        """Each command in a transaction of its own. Slower, so only after the batch has failed."""
        if len(batch) == 1:
            batch[0].error = error
            return
        for pending in batch:
            self.execute([pending])

    def _transact(self, batch: Sequence[Pending]) -> None:
        self._in_doubt = False
        connection, session = self._open()
        for pending in batch:
            pending.value = pending.error = None
        hot = [pending for pending in batch if isinstance(pending.command, HOT)]
        if hot:
            PostgresBatch(connection, hot).run()
        for pending in batch:
            if not isinstance(pending.command, HOT):
                pending.value = session.apply(pending.command)
        self._in_doubt = self._writer
        connection.commit()

    def _is_broken(self) -> bool:
        return self._live is not None and self._live[0].broken

    def _open(self) -> tuple[Connection, PostgresSession]:
        if self._live is None:
            self._live = self._connect()
        return self._live

    def _connect(self) -> tuple[Connection, PostgresSession]:
        first = self._store_id is None and self._writer
        connection = psycopg.connect(self._dsn, autocommit=True)
        try:
            connection.execute(_SETTINGS)
            connection.autocommit = False
            found = create_schema(connection) if first else read_store_id(connection)
            if self._store_id not in (None, found):
                raise StoreUnavailable("another store's database answers in its place")
            if not self._writer:
                # One snapshot for all queries of a batch, taken after they were asked.
                connection.isolation_level = IsolationLevel.REPEATABLE_READ
                connection.read_only = True
        except BaseException:
            connection.close()
            raise
        self._store_id = found
        return connection, PostgresSession(connection, found)
