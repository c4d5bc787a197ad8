"""Which run a task means, without an Airflow: tries and clears as Airflow counts them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_integration.identity import ClearPolicy, TaskIdentity, next_call, run_identity


class _Named:
    """An object with these attributes."""

    def __init__(self, **names: Any) -> None:
        self.__dict__.update(names)


def context(
    *,
    try_number: int = 1,
    max_tries: int | None = None,
    retries: int = 0,
    task_id: str = "ask",
    run_id: str = "run",
    map_index: int = -1,
    ti_id: str = "1",
) -> dict[str, Any]:
    """What Airflow gives a task: `max_tries` is `retries` until the task is cleared."""
    task = _Named(retries=retries)
    ti = _Named(
        id=ti_id,
        task_id=task_id,
        try_number=try_number,
        max_tries=retries if max_tries is None else max_tries,
        map_index=map_index,
        task=task,
    )
    return {"dag": _Named(dag_id="dag"), "dag_run": _Named(run_id=run_id), "ti": ti, "task": task}


@pytest.mark.parametrize("policy", ["rerun", "reattach"])
def test_a_retry_means_the_same_run(policy: ClearPolicy) -> None:
    """Same id, next attempt."""
    first = run_identity(context(try_number=1, retries=2), policy)
    second = run_identity(context(try_number=2, retries=2), policy)

    assert first.event_id == second.event_id
    assert (first.attempt, second.attempt) == (1, 2)


def test_a_clear_means_another_run_by_default() -> None:
    """Airflow sets `max_tries` to tries so far + retries; the attempts count from 1 again."""
    before = run_identity(context(try_number=2, retries=2))
    cleared = run_identity(context(try_number=3, retries=2, max_tries=2 + 2))
    retried = run_identity(context(try_number=4, retries=2, max_tries=2 + 2))

    assert cleared.event_id != before.event_id
    assert (cleared.attempt, retried.attempt) == (1, 2)
    assert retried.event_id == cleared.event_id


def test_a_clear_means_the_same_run_where_that_is_declared() -> None:
    """With a later attempt, which revokes a cancel of the earlier ones."""
    before = run_identity(context(try_number=1), "reattach")
    cleared = run_identity(context(try_number=2, max_tries=1), "reattach")

    assert cleared.event_id == before.event_id
    assert (before.attempt, cleared.attempt) == (1, 2)


@pytest.mark.parametrize(
    "other",
    [{"task_id": "other"}, {"run_id": "other"}, {"map_index": 0}, {"map_index": 1}],
    ids=str,
)
def test_other_tasks_runs_and_map_indexes_mean_other_runs(other: dict[str, Any]) -> None:
    """Each part counts."""
    assert run_identity(context(**other)).event_id != run_identity(context()).event_id


def test_the_id_is_written_in_stone() -> None:
    """A new release must not begin anew what an older one's tries have started."""
    assert run_identity(context()).event_id == UUID("9576f8e2-b69c-56b9-aacf-d03d862a70db")


@given(st.integers(1, 50), st.integers(0, 10), st.integers(0, 50))
def test_attempts_count_from_one_whatever_airflow_says(tries: int, retries: int, extra: int) -> None:
    """Also when somebody edits `retries` between two tries."""
    found = TaskIdentity.of(context(try_number=tries, retries=retries, max_tries=retries + extra))

    assert found is not None
    assert found.attempt >= 1
    assert found.generation >= 0


def test_a_context_without_a_task_instance_gets_a_new_run() -> None:
    """As a caller with a context made by hand has it."""
    by_hand = {"dag": _Named(dag_id="dag"), "dag_run": _Named(run_id="run")}

    assert run_identity(by_hand).event_id != run_identity(by_hand).event_id
    assert run_identity(by_hand).attempt == 1


def test_calls_of_one_try_are_counted() -> None:
    """The second call in a task is another run; a retry counts from the beginning, to mean the same ones."""
    first_try, retry = (
        context(run_id="counted"),
        context(run_id="counted", try_number=2, ti_id="2", retries=1),
    )

    assert [next_call(first_try), next_call(first_try), next_call(retry), next_call(first_try)] == [
        0,
        1,
        0,
        2,
    ]
    task = TaskIdentity.of(first_try)
    assert task is not None
    assert task.event_id(0) != task.event_id(1)
