"""A PostgreSQL server that is gone, read-only, or kills connections: everyone is told, and it heals."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg
import pytest

from langgraph_integration.pipeline.ledger import Granted
from langgraph_integration.store import open_store
from langgraph_integration.store.postgres_connection import PostgresConnection
from tests.contract.asks import ask, granted, verdict
from tests.contract.graphs import five_steps, thread
from workflow_events.errors import StoreUnavailable

pytestmark = pytest.mark.postgres

MINUTE = timedelta(minutes=1)


class Server:
    """The superuser's hand on one database."""

    def __init__(self, dsn: str) -> None:
        parts = urlsplit(dsn)
        self.database = parts.path.removeprefix("/")
        self.maintenance = urlunsplit(parts._replace(path="/postgres"))

    def run(self, statement: str) -> None:
        with psycopg.connect(self.maintenance, autocommit=True) as connection:
            connection.execute(statement.encode())

    def cut(self) -> None:
        """End every connection to the database, as a restart does."""
        self.run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{self.database}'")

    @contextmanager
    def setting(self, on: str, off: str) -> Iterator[None]:
        """The database altered, and every connection made anew, before and after."""
        self.run(f'ALTER DATABASE "{self.database}" {on}')
        self.cut()
        yield
        self.run(f'ALTER DATABASE "{self.database}" {off}')


async def test_a_connection_that_died_while_idle_is_not_noticed(postgres_dsn: str) -> None:
    """Nothing was under way, so the batch is simply carried out on a new connection."""
    wanted = ask()
    async with open_store(postgres_dsn, owner="a", lease_time=MINUTE) as store:
        grant = await granted(store, wanted)
        await store.ledger.verdicts([wanted.event_id])
        Server(postgres_dsn).cut()
        await store.ledger.finish(grant.lease, verdict())
        assert await store.ledger.verdicts([wanted.event_id]) == {wanted.event_id: verdict()}


@pytest.mark.parametrize(
    ("on", "off"),
    [
        ("ALLOW_CONNECTIONS false", "ALLOW_CONNECTIONS true"),
        ("SET default_transaction_read_only = on", "RESET default_transaction_read_only"),
    ],
)
async def test_a_database_that_is_gone_or_read_only_heals(postgres_dsn: str, on: str, off: str) -> None:
    """All callers hear of it, nothing is half-written, and the next call after its return works."""
    asks = [ask(offset=n) for n in range(20)]
    async with open_store(postgres_dsn, owner="a", lease_time=MINUTE) as store:
        with Server(postgres_dsn).setting(on, off):
            outcomes = await asyncio.gather(*map(store.ledger.claim, asks), return_exceptions=True)
            assert {type(outcome) for outcome in outcomes} == {StoreUnavailable}
        assert not any([(await granted(store, each)).resumed for each in asks])


async def test_connections_cut_under_load_lose_nothing_acknowledged(postgres_dsn: str) -> None:
    """Runs end or hear `StoreUnavailable`, and those that hear it resume to the same end."""
    ids, cuts = [uuid4() for _ in range(40)], 0
    async with open_store(postgres_dsn, owner="a", lease_time=MINUTE) as store:
        graph = five_steps(store.saver)

        async def run(event_id: object) -> None:
            start: dict[str, list[str]] | None = {"log": []}
            while True:
                try:
                    state = await graph.ainvoke(start, thread(event_id), durability="sync")
                except StoreUnavailable:
                    found = (await _patiently(graph, event_id)).created_at
                    start = None if found else {"log": []}
                    continue
                assert state["log"] == list("abcde")
                return

        runs = asyncio.gather(*map(run, ids))
        while not runs.done() and cuts < 5:
            await asyncio.to_thread(Server(postgres_dsn).cut)
            cuts += 1
        await runs
    assert cuts > 0


async def test_a_value_that_cannot_be_stored_fails_alone(postgres_dsn: str) -> None:
    """An offset beyond 64 bits is one caller's mistake; the others of its batch are served."""
    good, bad = [ask(offset=n) for n in range(10)], ask(offset=2**70)
    async with open_store(postgres_dsn, owner="a", lease_time=MINUTE) as store:
        outcomes = await asyncio.gather(*map(store.ledger.claim, [bad, *good]), return_exceptions=True)
    assert isinstance(outcomes[0], psycopg.DataError)
    assert all(isinstance(outcome, Granted) for outcome in outcomes[1:])


@pytest.mark.slow
async def test_a_process_stopped_inside_a_transaction_holds_nobody_up(postgres_dsn: str) -> None:
    """The server ends the transaction of an owner that fell silent, before others give up waiting for it."""
    wanted = ask()
    async with open_store(postgres_dsn, owner="dead", lease_time=timedelta(0)) as store:
        await granted(store, wanted)
    stopped, _ = PostgresConnection(postgres_dsn, writer=True)._connect()
    stopped.execute("SELECT * FROM runs FOR UPDATE")
    async with open_store(postgres_dsn, owner="b", lease_time=MINUTE) as store:
        assert (await granted(store, wanted)).resumed
    stopped.close()


async def test_a_server_that_is_not_there_is_told_at_the_start() -> None:
    """With the address that was tried, and without the password."""
    dsn = "postgresql://me:secret@127.0.0.1:1/nothing"
    with pytest.raises(StoreUnavailable, match=r"127\.0\.0\.1") as refused:
        async with open_store(dsn, owner="a", lease_time=MINUTE):
            pass
    assert "secret" not in str(refused.value)


async def _patiently(graph: Any, event_id: object) -> Any:
    while True:
        try:
            return await graph.aget_state(thread(event_id))
        except StoreUnavailable:
            continue


async def test_a_store_opens_beside_one_that_writes(postgres_dsn: str) -> None:
    """A second worker asks for no lock on tables that are there: the two would end in a deadlock."""
    async with open_store(postgres_dsn, owner="a", lease_time=MINUTE) as store:
        await granted(store, ask())
        with psycopg.connect(postgres_dsn, options="-c search_path=langgraph_kafka") as writing:
            for table in ("runs", "checkpoints", "checkpoint_writes"):
                writing.execute(f"DELETE FROM {table}".encode())
            async with (
                asyncio.timeout(10),
                open_store(postgres_dsn, owner="b", lease_time=MINUTE) as other,
            ):
                assert other.ledger.store_id == store.ledger.store_id
            writing.rollback()
