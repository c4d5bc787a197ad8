"""Opening the store that a URL names."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from langgraph_integration.pipeline.ledger import RunLedger
from langgraph_integration.store.backend import Backend
from langgraph_integration.store.ledger import StoreLedger
from langgraph_integration.store.memory import MemoryBackend, MemoryDatabase
from langgraph_integration.store.retention import Retention, SweepReport, sweep
from langgraph_integration.store.saver import LedgerSaver
from langgraph_integration.store.sqlite import open_sqlite
from langgraph_integration.store.urls import MemoryUrl, PostgresUrl, SqliteUrl, StoreUrl, parse_url
from workflow_events.errors import ConfigurationError

CLOSE_TIMEOUT = timedelta(seconds=5)
"""How long closing waits for what is still being written."""


class Store:
    """A run ledger and a checkpoint saver in one database, so that one transaction may bind them."""

    def __init__(self, backend: Backend, *, owner: str, lease_time: timedelta) -> None:
        self._backend = backend
        self.saver = LedgerSaver(backend)
        self.ledger: RunLedger = StoreLedger(backend, self.saver, owner=owner, lease_time=lease_time)

    @property
    def store_id(self) -> str:
        """Identifies the database, for ever."""
        return self._backend.store_id

    @property
    def durable(self) -> bool:
        """Whether it outlives the process; a memory is another store after each start."""
        return not isinstance(self._backend, MemoryBackend)

    async def gc(self, retention: Retention | None = None, *, dry_run: bool = False) -> SweepReport:
        """Delete finished runs and their checkpoints when they are old enough, in small transactions."""
        return await sweep(self._backend, retention or Retention(), dry_run=dry_run)


@asynccontextmanager
async def open_store(
    url: str | None,
    *,
    owner: str,
    lease_time: timedelta,
    memory: MemoryDatabase | None = None,
) -> AsyncIterator[Store]:
    """The store named by `url`, made if it is not there: None or `memory:`, `sqlite:<path>`, `postgresql://...`.

    `owner` names this process in its leases and differs from every other's. `lease_time` is how long a
    crashed owner's runs stay its own. `memory` shares one in-process database among several stores.
    Raises `ConfigurationError` for a URL that cannot be used, `StoreUnavailable` if the database cannot be
    reached. Closing writes what is pending, for at most 5 s.
    """
    backend = await _open(parse_url(url), memory)
    try:
        yield Store(backend, owner=owner, lease_time=lease_time)
    finally:
        await backend.close(CLOSE_TIMEOUT)


async def _open(url: StoreUrl, memory: MemoryDatabase | None) -> Backend:
    match url:
        case MemoryUrl():
            return MemoryBackend(memory or MemoryDatabase())
        case SqliteUrl(path):
            return await open_sqlite(path)
        case PostgresUrl(dsn):
            return await _open_postgres(dsn)


async def _open_postgres(dsn: str) -> Backend:
    """Its client is an extra, so it is imported only here."""
    try:
        from langgraph_integration.store.postgres import open_postgres
    except ImportError as error:
        raise ConfigurationError(
            "WORKFLOW_STATE_URL names PostgreSQL, but psycopg is not installed: pip install"
            " 'langgraph-kafka[postgres]'"
        ) from error
    return await open_postgres(dsn)
