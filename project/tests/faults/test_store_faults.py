"""Rows 11 and 12 of the fault table: the database is full, locked, read-only, gone, damaged or hostile."""

from __future__ import annotations

import os
import resource
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import ormsgpack
import psycopg
import pytest
from langgraph.checkpoint.base import empty_checkpoint

from kafka_devbroker import Broker
from langgraph_integration.store.serde import sealed
from tests.faults.bench import SESSION_S, Bench, Worker, held, run_of
from tests.support import wait_until_sync
from tests.support.postgres import running_server

pytestmark = [pytest.mark.apache, pytest.mark.slow, pytest.mark.timeout(150)]

OUTAGE_S = 30.0
SHORT_OUTAGE_S = float(os.environ.get("STORE_FAULT_SECONDS") or 5)
ONCE = {"a": 1, "b": 1, "c": 1}

_SHUTDOWN_S = 4.0
_ROOM_FOR_LOGS = 8192
_WRITE_VERSION_AT = 18
_WAL_VERSION = 2
_NEWER_VERSION = 3
_TABLES = ("runs", "checkpoints", "checkpoint_writes")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of eight megabytes."""
    folder = tmp_path / "small-disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(
            f"LEFT OUT: a disk that is full, for want of the right to mount: {mounted.stderr.strip()}"
        )
    yield folder
    # lazily: a worker that is being killed may still have its files open
    subprocess.run(["umount", "--lazy", folder], check=True)


def _goes_on_by_itself(
    bench: Bench,
    worker: Worker,
    take: Callable[[], None],
    give_back: Callable[[], None],
    *,
    seconds: float = SHORT_OUTAGE_S,
) -> None:
    """Events before, during and after: intake pauses, all are answered, none by a dead letter or twice."""
    before, during, after = ([run_of(b=0.5) for _ in range(5)] for _ in range(3))
    bench.publish(before)
    bench.in_node(before[0].event_id, "b")
    with held(take, give_back):
        taken = time.monotonic()
        bench.publish(during)
        worker.wait_for("intake_paused")
        wait_until_sync(lambda: time.monotonic() - taken >= seconds, seconds + 5)
    bench.publish(after)
    for each in (*before, *during, *after):
        answer = bench.verdict(each.event_id, 60)
        assert (answer.status, answer.path) == ("success", ("a", "b", "c"))
    assert bench.letters(0) == []
    assert worker.life.code is None
    wait_until_sync(lambda: bench.committed() == 15, 20, "all offsets to be committed")
    assert [bench.runs_of(each.event_id) for each in (*before, *during, *after)] == [ONCE] * 15
    assert len({answer.digest for answer in bench.answers(15)}) == len(bench.answers(15)) == 15


def test_row_11_a_disk_that_is_full(bench: Bench, small_disk: Path) -> None:
    """A file system of its own without a free block, which is SQLITE_FULL."""
    worker = bench.worker(WORKFLOW_STATE_URL=f"sqlite:{small_disk / 'state.db'}")
    ballast = small_disk / "ballast"
    _goes_on_by_itself(bench, worker, lambda: _fill(ballast), ballast.unlink)
    assert "database or disk is full" in worker.log_file.read_text()


def test_row_11_files_that_may_not_grow(bench: Bench) -> None:
    """None of the worker's may: a quota, which SQLite tells as SQLITE_IOERR_WRITE."""
    worker = bench.worker()

    def limit(size: int) -> None:
        resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    _goes_on_by_itself(
        bench,
        worker,
        lambda: limit(worker.log_file.stat().st_size + _ROOM_FOR_LOGS),
        lambda: limit(resource.RLIM_INFINITY),
    )


def test_row_11_a_database_that_another_process_locks(bench: Bench) -> None:
    """For longer than a write waits for a lock."""
    worker = bench.worker()
    other = sqlite3.connect(bench.database, isolation_level=None, check_same_thread=False, timeout=10)
    _goes_on_by_itself(
        bench,
        worker,
        lambda: _do(other, "BEGIN IMMEDIATE"),
        lambda: _do(other, "ROLLBACK"),
        seconds=OUTAGE_S,
    )
    other.close()


def test_row_11_a_database_file_that_is_gone(bench: Bench) -> None:
    """Moved away and back, with its log: nothing is written in its place."""
    worker = bench.worker()
    elsewhere = bench.folder / "elsewhere"
    elsewhere.mkdir()
    names = [f"{bench.database.name}{end}" for end in ("", "-wal", "-shm")]

    def move(source: Path, target: Path, names: Sequence[str]) -> None:
        for name in names:
            if (source / name).exists():
                (source / name).rename(target / name)

    _goes_on_by_itself(
        bench,
        worker,
        lambda: move(bench.folder, elsewhere, names),
        # the log before the file: who finds the file alone begins another log
        lambda: move(elsewhere, bench.folder, names[::-1]),
        seconds=OUTAGE_S,
    )


def test_row_11_a_database_file_that_is_read_only(bench: Bench) -> None:
    """Its header says that this SQLite is too old to write it, which tells it as read-only."""
    worker = bench.worker()
    _goes_on_by_itself(
        bench,
        worker,
        lambda: _only_newer_versions_may_write(bench.database),
        lambda: _write_version(bench.database, _WAL_VERSION),
    )


@pytest.mark.postgres
def test_row_11_a_database_server_that_is_read_only(
    make_bench: Callable[..., Bench], quick_broker: Broker, postgres_dsn: str
) -> None:
    """As after a failover to a standby."""
    bench = make_bench(quick_broker, state_url=postgres_dsn)
    worker = bench.worker()
    _goes_on_by_itself(
        bench, worker, lambda: _read_only(postgres_dsn, "on"), lambda: _read_only(postgres_dsn, "off")
    )


@pytest.mark.postgres
def test_row_11_a_database_server_whose_disk_is_full(
    make_bench: Callable[..., Bench], quick_broker: Broker, postgres_dsn: str
) -> None:
    """Every new row and every change of one is refused with the server's own code for it."""
    bench = make_bench(quick_broker, state_url=postgres_dsn)
    worker = bench.worker()
    _goes_on_by_itself(bench, worker, lambda: _full(postgres_dsn), lambda: _room_again(postgres_dsn))


@pytest.mark.postgres
def test_row_11_a_database_server_that_is_killed(
    make_bench: Callable[..., Bench], quick_broker: Broker
) -> None:
    """And comes back half a minute later."""
    with running_server() as server:
        bench = make_bench(quick_broker, state_url=server.dsn)
        worker = bench.worker()
        _goes_on_by_itself(bench, worker, server.kill, server.restart, seconds=OUTAGE_S)
        bench.close()


@pytest.mark.postgres
def test_row_11_a_signal_while_the_database_server_is_gone(
    make_bench: Callable[..., Bench], quick_broker: Broker
) -> None:
    """Runs that wait for it hold up no stop; the next worker goes on with them."""
    with running_server() as server:
        bench = make_bench(quick_broker, state_url=server.dsn)
        asked = [run_of(b=1.0) for _ in range(5)]
        worker = bench.worker(WORKFLOW_SHUTDOWN_TIMEOUT=str(_SHUTDOWN_S))
        bench.publish(asked)
        bench.in_node(asked[0].event_id, "b")
        server.kill()
        worker.wait_for("intake_paused")
        began = time.monotonic()
        worker.signal(signal.SIGTERM)
        code, took = worker.exit_code(), time.monotonic() - began
        server.restart()
        bench.worker()

        assert (code, took <= _SHUTDOWN_S + 5) == (0, True)
        for each in asked:
            assert bench.verdict(each.event_id).status == "success"
        bench.close()


@pytest.mark.parametrize("damage", ["flipped", "hostile"])
@pytest.mark.parametrize("place", ["state", "pending write"])
def test_row_12_a_checkpoint_that_is_damaged_or_hostile(bench: Bench, place: str, damage: str) -> None:
    """Nothing of it is executed; the event ends as a dead letter, the next one is answered."""
    asked, good = run_of(b=30.0), run_of()
    bench.publish([asked])
    first = bench.worker()
    bench.in_node(asked.event_id, "b")
    first.kill()
    victim = bench.folder / "executed"
    state = _with_one_bit_flipped if damage == "flipped" else lambda _: _calls_touch(str(victim))
    _damage(bench.database, place, state)
    bench.worker()
    bench.publish([good])

    assert bench.verdict(asked.event_id, SESSION_S + 30).status == "error"
    (letter,) = bench.letters(1)
    assert (letter.reason, letter.error.type) == ("permanent", "StateCorrupt")
    assert bench.verdict(good.event_id).status == "success"
    assert not victim.exists()


def _damage(database: Path, place: str, damaged: Callable[[bytes], bytes]) -> None:
    """All states, or a pending write of each checkpoint, which a crash in the middle of a step leaves."""
    connection = sqlite3.connect(database, isolation_level=None)
    states = connection.execute("SELECT checkpoint_id, state FROM checkpoints").fetchall()
    assert states
    statement = "UPDATE checkpoints SET state = ? WHERE checkpoint_id = ?"
    if place == "pending write":
        statement = (
            "INSERT INTO checkpoint_writes SELECT thread_id, checkpoint_ns, checkpoint_id, 'task', 0, '',"
            " 'b', epoch, kind, ? FROM checkpoints WHERE checkpoint_id = ?"
        )
    connection.executemany(statement, [(damaged(state), checkpoint) for checkpoint, state in states])
    connection.close()


def _with_one_bit_flipped(state: bytes) -> bytes:
    half = len(state) // 2
    return state[:half] + bytes([state[half] ^ 1]) + state[half + 1 :]


def _fill(ballast: Path) -> None:
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))


def _do(connection: sqlite3.Connection, statement: str) -> None:
    connection.execute(statement)


def _only_newer_versions_may_write(database: Path) -> None:
    """Until that is so: a worker may have written the header's page into the log again in between."""

    def done() -> bool:
        connection = sqlite3.connect(database, isolation_level=None, timeout=10)
        try:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.execute("BEGIN IMMEDIATE")
            _write_version(database, _NEWER_VERSION)
            # any change makes the others read the header again
            connection.execute("INSERT OR REPLACE INTO meta VALUES ('read_only_since', ?)", (time.time(),))
            connection.execute("COMMIT")
        except sqlite3.OperationalError as error:
            return "readonly" in str(error)
        finally:
            connection.close()
        return False

    wait_until_sync(done, 20, "the file to be read-only")


def _write_version(database: Path, version: int) -> None:
    file = os.open(database, os.O_WRONLY)
    try:
        os.pwrite(file, bytes([version]), _WRITE_VERSION_AT)
    finally:
        os.close(file)


def _full(dsn: str) -> None:
    _execute(
        dsn,
        "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN RAISE EXCEPTION USING ERRCODE = ''disk_full'', MESSAGE = ''no space left on device''; END'",
        *(
            f"CREATE TRIGGER full_disk BEFORE INSERT OR UPDATE ON {table} EXECUTE FUNCTION full_disk()"
            for table in _TABLES
        ),
    )


def _room_again(dsn: str) -> None:
    _execute(dsn, "DROP FUNCTION full_disk CASCADE")


def _execute(dsn: str, *statements: str) -> None:
    with psycopg.connect(dsn, options="-c search_path=langgraph_kafka") as connection:
        for statement in statements:
            connection.execute(statement.encode())


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
    return sealed("msgpack", ormsgpack.packb((checkpoint, {})))
