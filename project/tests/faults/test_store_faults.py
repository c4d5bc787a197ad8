"""Rows 11 and 12 of the fault table: the database is full, locked, read-only, gone, damaged or hostile."""

from __future__ import annotations

import resource
import sqlite3
from collections.abc import Callable

import ormsgpack
import psycopg
import pytest
from langgraph.checkpoint.base import empty_checkpoint

from kafka_devbroker import Broker
from tests.faults.bench import SESSION_S, Bench, Worker, held, run_of
from tests.support import wait_until_sync
from tests.support.postgres import running_server

pytestmark = [pytest.mark.apache, pytest.mark.slow, pytest.mark.timeout(150)]


def _goes_on_by_itself(
    bench: Bench, worker: Worker, take: Callable[[], None], give_back: Callable[[], None]
) -> None:
    """Events before, during and after: intake pauses, no dead letter, all are answered."""
    before, during, after = ([run_of(b=0.5) for _ in range(5)] for _ in range(3))
    bench.publish(before)
    bench.in_node(before[0].event_id, "b")
    with held(take, give_back):
        bench.publish(during)
        worker.wait_for("intake_paused")
    bench.publish(after)
    for each in (*before, *during, *after):
        answer = bench.verdict(each.event_id, 60)
        assert (answer.status, answer.path) == ("success", ("a", "b", "c"))
    assert bench.letters(0) == []
    assert worker.life.code is None
    wait_until_sync(lambda: bench.committed() == 15, 20, "all offsets to be committed")


def test_row_11_a_disk_that_is_full(bench: Bench) -> None:
    """No file of the worker may grow: that is what a full disk looks like to SQLite."""
    worker = bench.worker()

    def limit(size: int) -> None:
        resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    _goes_on_by_itself(bench, worker, lambda: limit(4096), lambda: limit(resource.RLIM_INFINITY))


def test_row_11_a_database_that_another_process_locks(bench: Bench) -> None:
    """For longer than a write waits for a lock."""
    worker = bench.worker()
    other = sqlite3.connect(bench.database, isolation_level=None, check_same_thread=False, timeout=10)
    _goes_on_by_itself(bench, worker, lambda: _do(other, "BEGIN IMMEDIATE"), lambda: _do(other, "ROLLBACK"))
    other.close()


@pytest.mark.postgres
def test_row_11_a_database_that_is_read_only(
    make_bench: Callable[..., Bench], quick_broker: Broker, postgres_dsn: str
) -> None:
    """As after a failover to a standby."""
    bench = make_bench(quick_broker, state_url=postgres_dsn)
    worker = bench.worker()
    _goes_on_by_itself(
        bench, worker, lambda: _read_only(postgres_dsn, "on"), lambda: _read_only(postgres_dsn, "off")
    )


@pytest.mark.postgres
def test_row_11_a_database_server_that_is_killed(
    make_bench: Callable[..., Bench], quick_broker: Broker
) -> None:
    """And comes back some seconds later."""
    with running_server() as server:
        bench = make_bench(quick_broker, state_url=server.dsn)
        worker = bench.worker()
        _goes_on_by_itself(bench, worker, server.kill, server.restart)
        bench.close()


@pytest.mark.parametrize("damage", ["flipped", "hostile"])
def test_row_12_a_checkpoint_that_is_damaged_or_hostile(bench: Bench, damage: str) -> None:
    """Nothing of it is executed; the event ends as a dead letter, the next one is answered."""
    asked, good = run_of(b=30.0), run_of()
    bench.publish([asked])
    first = bench.worker()
    bench.in_node(asked.event_id, "b")
    first.kill()
    victim = bench.folder / "executed"
    state = b"\xc1\xff" * 50 if damage == "flipped" else _calls_touch(str(victim))
    connection = sqlite3.connect(bench.database)
    changed = connection.execute("UPDATE checkpoints SET state = ?", (state,)).rowcount
    connection.commit()
    connection.close()
    assert changed > 0
    bench.worker()
    bench.publish([good])

    assert bench.verdict(asked.event_id, SESSION_S + 30).status == "error"
    (letter,) = bench.letters(1)
    assert (letter.reason, letter.error.type) == ("permanent", "StateCorrupt")
    assert bench.verdict(good.event_id).status == "success"
    assert not victim.exists()


def _do(connection: sqlite3.Connection, statement: str) -> None:
    connection.execute(statement)


def _read_only(dsn: str, value: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("SET default_transaction_read_only = off")
        name = connection.info.dbname
        connection.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = {value}'.encode())
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def _calls_touch(path: str) -> bytes:
    """A checkpoint whose decoding would run a command, were it allowed to."""
    call = ormsgpack.Ext(0, ormsgpack.packb(("os", "system", f"touch {path}")))
    checkpoint = dict(empty_checkpoint()) | {"channel_values": {"x": call}}
    return ormsgpack.packb((checkpoint, {}))
