"""Rows 1, 2, 6 and 15 of the fault table: processes that end, or stop, at the worst moment."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from kafka_devbroker import Broker
from langgraph_integration.pipeline.faults import FAULT_POINTS
from tests.faults.bench import SESSION_S, Bench, run_of
from tests.support import wait_until_sync

pytestmark = [pytest.mark.apache, pytest.mark.slow]

_VERDICTS = "SELECT event_id, published FROM runs WHERE status IS NOT NULL"
_BEFORE_A_VERDICT = ("after-claim", "before-finish")
_BESIDE_A_RUN = ("before-commit", "after-commit")
_AFTER_A_MARK = ("after-published", *_BESIDE_A_RUN)


@pytest.mark.parametrize("at_once", [1, 10])
@pytest.mark.parametrize("point", FAULT_POINTS)
def test_row_01_killed_at_a_fault_point(bench: Bench, point: str, at_once: int) -> None:
    """Whatever was done by then counts, the rest is made up for by the next owner; nothing is done twice.

    Neither is a node: only the one that a run was in, or had no checkpoint of yet, may the heir run again.
    """
    good, broken = [run_of() for _ in range(3)], run_of("broken")
    asked = [*good, broken]
    bench.publish(asked)
    mortal = bench.worker(joined=False, WORKFLOW_FAULT_POINT=point, WORKFLOW_MAX_CONCURRENCY=str(at_once))
    assert mortal.exit_code() == -signal.SIGKILL
    settled = {event_id: bool(sent) for event_id, sent in bench.rows(_VERDICTS)}
    assert bool(settled) or point in _BEFORE_A_VERDICT
    assert any(settled.values()) or point not in _AFTER_A_MARK
    bench.worker()

    verdicts = {each.event_id: bench.verdict(each.event_id) for each in asked}
    wait_until_sync(lambda: bench.committed() == 4, 20, "all offsets to be committed")
    assert [verdicts[each.event_id].status for each in good] == ["success"] * 3
    assert verdicts[broken.event_id].status == "error"
    assert {letter.reason for letter in bench.letters(1)} == {"permanent"}
    assert all(verdicts[each.event_id].path == ("a", "b", "c") for each in good)
    sent = Counter(answer.event_id for answer in bench.answers(4))
    assert len({answer.digest for answer in bench.answers(4)}) == 4
    for each in asked:
        event_id = str(each.event_id)
        nodes = ["a", "b"] if each is broken else ["a", "b", "c"]
        mine, theirs = _begun_by(bench, mortal.pid, event_id)
        allowed = _left_over(nodes, len(mine), ended=event_id in settled)
        if at_once == 1 and mine and point not in _BESIDE_A_RUN:
            # it is the run that came to the point: all that it did is in the store
            allowed = [["b"]] if each is broken and event_id not in settled else [[]]
        assert mine == nodes[: len(mine)]
        assert theirs in allowed, (mine, theirs)
        # the mark was set: what was sent once is not sent again
        unmarked = settled.get(event_id) is False
        assert sent[event_id] == 1 or unmarked
        assert each is not broken or len(bench.letters(1)) == 1 or unmarked


def _begun_by(bench: Bench, pid: int, event_id: str) -> tuple[list[str], list[str]]:
    """The nodes of the event that the process began, and those that others did."""
    steps = [step for step in bench.steps() if (step.event_id, step.what) == (event_id, "start")]
    return (
        [step.node for step in steps if step.pid == pid],
        [step.node for step in steps if step.pid != pid],
    )


def _left_over(nodes: list[str], begun: int, *, ended: bool) -> list[list[str]]:
    """What the heir may run of an event of which so many nodes were begun."""
    return [[]] if ended else [nodes[begun:], nodes[max(begun - 1, 0) :]]


def test_row_01_killed_in_the_middle_of_a_node(bench: Bench) -> None:
    """The finished node before it does not run again, the node itself does."""
    asked = run_of(b=30.0)
    bench.publish([asked])
    first = bench.worker()
    bench.in_node(asked.event_id, "b")
    first.kill()
    bench.worker()
    wait_until_sync(lambda: bench.runs_of(asked.event_id).get("b") == 2, 20, "node b to run again")

    assert bench.runs_of(asked.event_id) == {"a": 1, "b": 2}


@pytest.mark.parametrize("store", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_row_02_a_zombie_writes_nothing(
    make_bench: Callable[..., Bench], quick_broker: Broker, store: str, request: pytest.FixtureRequest
) -> None:
    """Stopped in a node past its session and taken over, it wakes, and no table gets a row of its epoch."""
    dsn = request.getfixturevalue("postgres_dsn") if store == "postgres" else None
    bench = make_bench(quick_broker, state_url=dsn)
    asked = run_of(b=1.5, c=1.0)
    bench.publish([asked])
    zombie = bench.worker()
    bench.in_node(asked.event_id, "b")
    zombie.signal(signal.SIGSTOP)
    heir = bench.worker()
    wait_until_sync(
        lambda: any(step.pid == heir.pid for step in bench.steps(asked.event_id)), 20, "the heir to take over"
    )
    before = _rows_of_epoch_1(bench, dsn)
    assert before["checkpoints"]
    zombie.signal(signal.SIGCONT)
    answer = bench.verdict(asked.event_id)
    zombie.wait_for("lease_lost")
    # both workers at rest: what the zombie wanted to write it has tried to write
    for worker in (zombie, heir):
        worker.signal(signal.SIGTERM)
        assert worker.exit_code() == 0

    assert (answer.status, answer.path) == ("success", ("a", "b", "c"))
    assert len(bench.answers(1)) == 1
    assert bench.committed() == 1
    assert _rows_of_epoch_1(bench, dsn) == before
    # the old run goes no further; its process may own the run again by then, and do node c for the heir
    assert bench.runs_of(asked.event_id) == {"a": 1, "b": 2, "c": 1}


def _rows_of_epoch_1(bench: Bench, dsn: str | None) -> dict[str, set[tuple[Any, ...]]]:
    """By table, whole rows: one that was written over is another one."""
    statements = {
        table: f"SELECT * FROM {table} WHERE epoch = 1"
        for table in ("runs", "checkpoints", "checkpoint_writes")
    }
    if dsn is None:
        return {table: set(bench.rows(statement)) for table, statement in statements.items()}
    with psycopg.connect(dsn, options="-c search_path=langgraph_kafka") as connection:
        return {
            table: set(connection.execute(statement.encode()).fetchall())
            for table, statement in statements.items()
        }


def test_row_06_an_event_that_kills_its_process_is_given_up(bench: Bench) -> None:
    """After the allowed number of claims it is a dead letter, and its neighbours are answered."""
    deadly, neighbours = run_of("crash-loop", a=0.5), [run_of(b=0.7) for _ in range(5)]
    bench.publish([deadly, *neighbours])
    deaths = 0
    while not bench.is_answered(deadly.event_id):
        worker = bench.worker(joined=False, WORKFLOW_MAX_CLAIMS="4")
        wait_until_sync(
            lambda worker=worker: worker.life.code is not None or bench.is_answered(deadly.event_id),  # type: ignore[misc]  # mypy cannot infer a default argument
            30,
            "the worker to die, or the event to be given up",
        )
        deaths += worker.life.code is not None

    (letter,) = bench.letters(1)
    assert (bench.verdict(deadly.event_id).status, letter.reason) == ("error", "crash-loop")
    assert deaths == 4
    assert [bench.verdict(each.event_id).status for each in neighbours] == ["success"] * 5
    assert len(bench.letters(1)) == 1


def test_row_15_one_slow_run_among_many_short_ones(bench: Bench) -> None:
    """Killed with 300 answers above the uncommitted offset: only the slow one runs again."""
    slow, short = run_of(b=60.0), [run_of(a=0.0, b=0.0, c=0.0) for _ in range(300)]
    bench.publish([slow])
    first = bench.worker()
    bench.in_node(slow.event_id, "b")
    bench.publish(short)
    bench.answers(300)
    first.kill()
    second = bench.worker()
    wait_until_sync(lambda: bench.runs_of(slow.event_id)["b"] == 2, SESSION_S + 20, "the slow one to go on")

    assert bench.runs_of(slow.event_id) == {"a": 1, "b": 2}
    assert {step.event_id for step in bench.steps() if step.pid == second.pid} == {str(slow.event_id)}
    assert len(bench.answers(300)) == 300


def test_logs_are_files_of_the_test(bench: Bench, tmp_path: Path) -> None:
    """Workers of the bench write nowhere else."""
    assert bench.worker().log_file.is_relative_to(tmp_path)
