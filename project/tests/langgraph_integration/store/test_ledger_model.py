"""Random histories: the databases must agree with the rules written in plain Python, row for row."""

from __future__ import annotations

import concurrent.futures
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol, cast
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from langgraph_integration.pipeline.ledger import Ask, Busy, Granted, Lease, Position, StoredVerdict
from langgraph_integration.store import MemoryDatabase, sql
from langgraph_integration.store import commands as c
from langgraph_integration.store.group_commit import Pending
from langgraph_integration.store.runs import RunRow
from langgraph_integration.store.sqlite_connection import SqliteConnection
from workflow_events.errors import LeaseLost

IDS = [UUID(int=number) for number in range(1, 5)]
HOUR_MS = 3_600_000
COLUMNS = {
    "runs": sql.RUN_COLUMNS,
    "checkpoints": sql.CHECKPOINT_COLUMNS,
    "checkpoint_writes": sql.WRITE_COLUMNS,
}
CLOCK_COLUMNS = frozenset({"lease_until", "retry_at", "created_at", "finished_at"})


class Executor(Protocol):
    """A connection of either database."""

    def execute(self, batch: Sequence[Pending]) -> None: ...

    def close(self) -> None: ...


class Subject:
    """A database under test, and a second connection to look at it and to turn its clock."""

    def __init__(self, executor: Executor, side: Any) -> None:
        self.executor = executor
        self.side = side  # a DB-API connection in autocommit

    def run(self, commands: Sequence[c.Command[Any]]) -> list[Any]:
        batch = [Pending(command, concurrent.futures.Future(), None) for command in commands]
        self.executor.execute(batch)
        return [_outcome(pending.value, pending.error) for pending in batch]

    def rows(self, table: str) -> list[tuple[Any, ...]]:
        found = self.side.execute(f"SELECT {COLUMNS[table]} FROM {table}").fetchall()
        return sorted((tuple(row) for row in found), key=repr)


def _outcome(value: Any, error: BaseException | None) -> Any:
    """Comparable: an error by its type, times by whether there is any left."""
    if error is not None:
        return type(error)
    match value:
        case Granted():
            return value, value.retry_in > timedelta(minutes=1)
        case Busy(owner, left, same_record, attempt):
            return "busy", owner, left > timedelta(0), same_record, attempt
        case _:
            return value


def _comparable(outcome: Any) -> Any:
    match outcome:
        case (Granted() as grant, waits):
            return grant.lease, grant.attempt, grant.claims, grant.retry_count, grant.deadline_ms, waits
        case _:
            return outcome


numbers = st.integers(1, 4)
offsets = st.integers(0, 3)
asks = st.builds(
    Ask,
    event_id=st.just(IDS[0]),
    attempt=numbers,
    payload_hash=st.sampled_from(["h", "h", "h", "other"]),
    position=st.builds(Position, st.just("events"), st.just(0), offsets),
    workflow_id=st.just("dag"),
    workflow_run_id=st.just("run"),
    graph=st.none(),
    deadline_ms=st.none() | st.integers(1, 9),
)
verdicts = st.builds(
    StoredVerdict,
    attempt=numbers,
    status=st.sampled_from(["success", "error", "failure"]),
    result=st.sampled_from([None, b"", b"\x00a"]),
    dead_letter=st.none() | st.binary(max_size=4),
    reason=st.none() | st.sampled_from(["permanent", "timeout"]),
)


@st.composite
def commands_for(draw: st.DrawFn, event_id: UUID) -> c.Command[Any]:
    """Anything that may be asked about one run, with right epochs and wrong ones."""
    lease = Lease(event_id, draw(st.integers(1, 4)), "a")
    kinds = ("claim", "claim", "finish", "replace", "mark", "retry", "release", "put", "writes")
    kind = draw(st.sampled_from(kinds))
    key = str(event_id)
    match kind:
        case "claim":
            wanted = replace(draw(asks), event_id=event_id)
            return c.ClaimRun(wanted, draw(st.sampled_from(["a", "b"])), HOUR_MS, draw(st.booleans()))
        case "finish":
            return c.FinishRun(lease, draw(verdicts))
        case "replace":
            return c.ReplaceVerdict(lease, draw(verdicts), draw(verdicts))
        case "mark":
            return c.MarkPublished(lease, draw(numbers))
        case "retry":
            return c.ScheduleRetry(lease, draw(numbers), draw(st.sampled_from([0, HOUR_MS])))
        case "release":
            return c.ReleaseRun(lease)
        case "put":
            epoch = draw(st.none() | st.just(lease.epoch))
            id_ = draw(st.sampled_from(["c1", "c2"]))
            return c.PutCheckpoint(
                c.CheckpointRow(key, "", id_, None, None, epoch, "msgpack", draw(st.binary(max_size=3)))
            )
        case _:
            epoch = draw(st.none() | st.just(lease.epoch))
            values = draw(st.lists(st.tuples(st.integers(-2, 2), st.binary(max_size=3)), min_size=1))
            return c.PutWrites(
                [
                    c.WriteRow(key, "", "c1", "task", idx, "path", "log", epoch, "bytes", value)
                    for idx, value in values
                ]
            )


batches = st.lists(st.sampled_from(IDS), unique=True, min_size=1).flatmap(
    lambda ids: st.tuples(*(commands_for(event_id) for event_id in ids))
)


class LedgerMachine(RuleBasedStateMachine):
    """One batch of commands after the other, on the model one by one and on the subject all at once."""

    subject: Subject

    def __init__(self) -> None:
        super().__init__()
        self.model = MemoryDatabase()

    @initialize()
    def empty(self) -> None:
        for table in ("runs", "checkpoints", "checkpoint_writes"):
            self.subject.side.execute(f"DELETE FROM {table}")

    @rule(batch=batches)
    def run(self, batch: Sequence[c.Command[Any]]) -> None:
        expected = []
        for command in batch:
            try:
                expected.append(_outcome(self.model.apply(command), None))
            except LeaseLost as error:
                expected.append(_outcome(None, error))
        found = self.subject.run(batch)
        assert [*map(_comparable, found)] == [*map(_comparable, expected)]

    @rule(epochs=st.lists(st.integers(1, 4), min_size=len(IDS), max_size=len(IDS)))
    def renew(self, epochs: list[int]) -> None:
        leases = [Lease(event_id, epoch, "a") for event_id, epoch in zip(IDS, epochs, strict=True)]
        command = c.RenewLeases(leases, HOUR_MS)
        assert self.subject.run([command]) == [self.model.apply(command)]

    @rule(event_id=st.sampled_from(IDS))
    def lapse(self, event_id: UUID) -> None:
        row = self.model.runs.get(str(event_id))
        if row is not None:
            self.model.runs[row.event_id] = row._replace(lease_until=0)
        self.subject.side.execute(f"UPDATE runs SET lease_until = 0 WHERE event_id = '{event_id}'")

    @rule()
    def find_verdicts(self) -> None:
        query = c.FindVerdicts(IDS)
        assert self.subject.run([query]) == [self.model.apply(query)]

    @rule(runs=st.sampled_from([timedelta(0), timedelta(1)]))
    def sweep(self, runs: timedelta) -> None:
        query = c.CountSweepable(runs, timedelta(0))
        assert self.subject.run([query]) == [self.model.apply(query)]
        command = c.Sweep(runs, timedelta(0), 1000)
        assert self.subject.run([command]) == [self.model.apply(command)]

    @invariant()
    def rows_are_the_same(self) -> None:
        places = [place for place, name in enumerate(RunRow._fields) if name not in CLOCK_COLUMNS]
        found = [tuple(row[place] for place in places) for row in self.subject.rows("runs")]
        model = [tuple(row[place] for place in places) for row in self.model.runs.values()]
        assert sorted(found) == sorted(model)
        checkpoints = [tuple(row) for thread in self.model.checkpoints.values() for row in thread.values()]
        assert self.subject.rows("checkpoints") == sorted(checkpoints, key=repr)
        kept = [
            tuple(row)
            for thread in self.model.writes.values()
            for by_task in thread.values()
            for row in by_task.values()
        ]
        assert self.subject.rows("checkpoint_writes") == sorted(kept, key=repr)


def _explore(subject: Subject, examples: int) -> None:
    machine = cast(Any, type("Machine", (LedgerMachine,), {"subject": subject}))
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_sqlite_follows_the_model() -> None:
    """Answers and tables of SQLite equal those of the memory database after every step."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "state.db"
        connection = SqliteConnection(path, writer=True, busy_timeout_ms=5000)
        subject = Subject(connection, None)
        subject.run([c.OpenDatabase()])
        with closing(sqlite3.connect(path, isolation_level=None)) as side:
            side.execute("PRAGMA synchronous = OFF")
            subject.side = side
            _explore(subject, examples=50)
        connection.close()


@pytest.mark.postgres
def test_postgres_follows_the_model(postgres_dsn: str) -> None:
    """The same for PostgreSQL, whose batches lock, pipeline and explain in another order."""
    import psycopg

    from langgraph_integration.store.postgres_connection import PostgresConnection

    connection = PostgresConnection(postgres_dsn, writer=True)
    subject = Subject(connection, None)
    subject.run([c.OpenDatabase()])
    with closing(psycopg.connect(postgres_dsn, autocommit=True)) as side:
        side.execute("SET search_path = langgraph_kafka")
        subject.side = side
        _explore(subject, examples=25)
    connection.close()
