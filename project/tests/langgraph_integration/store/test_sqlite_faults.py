"""A SQLite file that is full, locked, read-only or gone: everyone is told, nothing is lost, and it heals."""

from __future__ import annotations

import asyncio
import resource
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from langgraph_integration.pipeline.ledger import Granted
from langgraph_integration.store import Store, open_store
from langgraph_integration.store.sqlite import open_sqlite
from tests.contract.asks import ask, granted, verdict
from workflow_events.errors import ConfigurationError, StoreUnavailable

MINUTE = timedelta(minutes=1)


@asynccontextmanager
async def impatient_store(path: Path) -> AsyncIterator[Store]:
    """A store that waits 50 ms for a lock instead of 5 s."""
    backend = await open_sqlite(path, busy_timeout=timedelta(milliseconds=50))
    yield Store(backend, owner="a", lease_time=MINUTE)
    await backend.close(MINUTE)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another process in the middle of a write."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    yield
    other.execute("ROLLBACK")
    other.close()


async def test_everyone_hears_of_a_lock_and_goes_on_after_it(tmp_path: Path) -> None:
    """All callers of a batch get `StoreUnavailable`; when the lock is gone the next call works."""
    path, asks = tmp_path / "state.db", [ask(offset=n) for n in range(20)]
    async with impatient_store(path) as store:
        with locked(path):
            outcomes = await asyncio.gather(*map(store.ledger.claim, asks), return_exceptions=True)
            assert {type(outcome) for outcome in outcomes} == {StoreUnavailable}
        for each in asks:
            assert not (await granted(store, each)).resumed


async def test_readers_do_not_wait_for_a_writer(tmp_path: Path) -> None:
    """Reads go on while another process holds the write lock."""
    path, wanted = tmp_path / "state.db", ask()
    async with impatient_store(path) as store:
        grant = await granted(store, wanted)
        await store.ledger.finish(grant.lease, verdict())
        with locked(path):
            assert wanted.event_id in await store.ledger.verdicts([wanted.event_id])


async def test_a_full_disk_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """When the file cannot grow writes fail, all of a batch together, until there is room again."""
    path = tmp_path / "state.db"
    async with impatient_store(path) as store:
        first = await granted(store, ask())
        with no_room_above(300_000):
            big = {"configurable": {"thread_id": "big", "checkpoint_ns": ""}}
            with pytest.raises(StoreUnavailable):
                await _put(store, big, b"x" * 1_000_000)
        assert await store.saver.aget_tuple(big) is None  # type: ignore[arg-type] # a plain dict
        await _put(store, big, b"x" * 1_000_000)
        assert await store.ledger.renew([first.lease]) != {}


async def test_a_file_that_vanished_is_missed_and_not_made_anew(tmp_path: Path) -> None:
    """Writes into a deleted file would be lost silently, so each batch looks first. Its return is noticed."""
    path, wanted = tmp_path / "state.db", ask()
    async with impatient_store(path) as store:
        await granted(store, wanted)
        path.rename(tmp_path / "elsewhere.db")
        with pytest.raises(StoreUnavailable):
            await store.ledger.claim(ask())
        with pytest.raises(StoreUnavailable):
            await store.ledger.verdicts([wanted.event_id])
        assert not path.exists()
        (tmp_path / "elsewhere.db").rename(path)
        assert not isinstance(await store.ledger.claim(wanted), Granted)


async def test_another_store_in_its_place_is_refused(tmp_path: Path) -> None:
    """Two files never count as one store, whatever their name."""
    path, other = tmp_path / "state.db", tmp_path / "other.db"
    async with impatient_store(other):
        pass
    async with impatient_store(path) as store:
        path.rename(tmp_path / "elsewhere.db")
        other.rename(path)
        with pytest.raises(StoreUnavailable, match="another file"):
            await store.ledger.claim(ask())
        with pytest.raises(StoreUnavailable, match="another file"):
            await store.ledger.verdicts([uuid4()])


@pytest.mark.parametrize("pragma", ["query_only = ON", "max_page_count = 1"])
async def test_a_database_that_takes_no_writes_heals(tmp_path: Path, pragma: str) -> None:
    """SQLITE_READONLY and SQLITE_FULL are told as `StoreUnavailable` and end with their cause."""
    path = tmp_path / "state.db"
    backend = await open_sqlite(path)
    store = Store(backend, owner="a", lease_time=MINUTE)
    connection = backend._writers[0]._execute.__self__  # type: ignore[attr-defined] # a bound method
    begin = connection._begin

    def troubled(live: sqlite3.Connection, *rest: Any) -> None:
        live.execute(f"PRAGMA {pragma}")
        begin(live, *rest)

    connection._begin = troubled
    with pytest.raises(StoreUnavailable):
        await _put(store, {"configurable": {"thread_id": "t", "checkpoint_ns": ""}}, b"x" * 100_000)
    connection._begin = begin
    await granted(store, ask())
    await backend.close(MINUTE)


async def test_a_file_that_is_no_database_is_told_at_the_start(tmp_path: Path) -> None:
    """Opening something else by mistake changes nothing of it."""
    path = tmp_path / "letter.txt"
    path.write_text("Dear reader, " * 100)
    with pytest.raises(StoreUnavailable, match="not a database"):
        async with open_store(f"sqlite:{path}", owner="a", lease_time=MINUTE):
            pass
    assert path.read_text().startswith("Dear reader")


async def test_tables_of_a_newer_release_are_left_alone(tmp_path: Path) -> None:
    """A store of another schema version is refused by name."""
    path = tmp_path / "state.db"
    async with impatient_store(path):
        pass
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE meta SET value = '99' WHERE name = 'schema_version'")
    connection.close()
    with pytest.raises(ConfigurationError, match="schema version 99"):
        async with impatient_store(path):
            pass


async def test_the_file_is_private(tmp_path: Path) -> None:
    """Payloads and states are nobody else's business."""
    async with open_store(f"sqlite:{tmp_path / 'new' / 'state.db'}", owner="a", lease_time=MINUTE):
        assert (tmp_path / "new" / "state.db").stat().st_mode & 0o777 == 0o600
        assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700


@contextmanager
def no_room_above(size: int) -> Iterator[None]:
    """No file of this process can grow beyond `size` bytes: what a full disk does, for one process."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def _put(store: Store, config: Any, value: bytes) -> None:
    from langgraph.checkpoint.base import empty_checkpoint

    checkpoint = empty_checkpoint()
    checkpoint["channel_values"] = {"value": value}
    await store.saver.aput(config, checkpoint, {}, {})


async def test_a_value_that_cannot_be_stored_fails_alone(tmp_path: Path) -> None:
    """An offset beyond 64 bits is one caller's mistake; the others of its batch are served."""
    good, bad = [ask(offset=n) for n in range(10)], ask(offset=2**70)
    async with impatient_store(tmp_path / "state.db") as store:
        outcomes = await asyncio.gather(*map(store.ledger.claim, [bad, *good]), return_exceptions=True)
    assert isinstance(outcomes[0], OverflowError)
    assert all(isinstance(outcome, Granted) for outcome in outcomes[1:])


async def test_processes_that_share_a_file_write_in_turn(tmp_path: Path) -> None:
    """One that always has something to write lets the others in: nobody waits for more than a few batches."""
    url, turns = f"sqlite:{tmp_path / 'state.db'}", {"greedy": 0, "modest": 0}

    async def write(store: Store, name: str, enough: asyncio.Event) -> None:
        while not enough.is_set():
            await granted(store, ask())
            turns[name] += 1
            if turns["modest"] == 60:
                enough.set()

    enough = asyncio.Event()
    async with open_store(url, owner="a", lease_time=MINUTE) as greedy:
        async with open_store(url, owner="b", lease_time=MINUTE) as modest:
            await asyncio.gather(
                *(write(greedy, "greedy", enough) for _ in range(50)), write(modest, "modest", enough)
            )
    assert turns["greedy"] < 60 * 50 * 2
