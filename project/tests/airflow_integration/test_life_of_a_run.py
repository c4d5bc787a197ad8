"""One run through Airflow's life: retries, clears, kills and marks, in a real Airflow.

The workflow writes a line into a journal for every step that it really executes, so that these tests count
runs and do not believe records. Most of their time they wait, so the stories among them run side by side.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.airflow_chain import Chain, SeenRecord
from tests.support.stories import Stories, begun, story
from tests.support.waiting import wait_until_sync

pytestmark = [pytest.mark.airflow, pytest.mark.slow, pytest.mark.timeout(300)]

TASK = "ask"


@pytest.fixture(scope="module")
def stories(
    request: pytest.FixtureRequest, airflow_chain: Chain, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stories]:
    """Those of this module that are to be run, all begun."""
    here = [item for item in request.session.items if isinstance(item, pytest.Function)]
    chosen = [item.function for item in here if item.module is request.module]
    with begun(chosen, airflow_chain, tmp_path_factory.mktemp("stories")) as running:
        yield running


def steps(journal: Path) -> Counter[str]:
    """How often each step was executed, over all runs that were told this journal."""
    return (
        Counter(line.split()[0] for line in journal.read_text().splitlines())
        if journal.exists()
        else Counter()
    )


def begin(chain: Chain, dag_id: str, told: dict[str, Any]) -> str:
    """Start a DAG run with this told to its workflow."""
    chain.airflow.wait_for_dag(dag_id)
    return chain.airflow.trigger(dag_id, {"told": told})


def id_of(chain: Chain, dag_id: str, run: str) -> str:
    """The event id of the task's present run."""
    found = chain.airflow.xcom(dag_id, run, TASK, "langgraph_event_id")
    assert isinstance(found, str)
    return found


def written(chain: Chain, event_id: str) -> list[tuple[str, int]]:
    """What was asked of the service for a run, in order: event types and attempts."""
    return [(ask.body["event_type"], ask.headers.attempt) for ask in chain.asks(event_id)]


def cancels(chain: Chain, event_id: str) -> list[SeenRecord]:
    """The cancel records of a run."""
    return [ask for ask in chain.asks(event_id) if ask.body["event_type"] == "workflow.cancel"]


@story
def test_a_task_that_fails_after_its_result_is_retried_without_another_run(
    chain: Chain, folder: Path
) -> None:
    """The second try gets the finished result: nothing runs, and nothing is paid, twice."""
    journal = folder / "journal"
    airflow, dag_id = chain.airflow, "probe_stumbling"
    run = begin(chain, dag_id, {"journal": str(journal), "echo": "once"})

    assert airflow.finish(dag_id, run) == "success"
    assert airflow.task(dag_id, run, "ask_and_stumble")["try_number"] == 2
    assert airflow.xcom(dag_id, run, "ask_and_stumble")["echo"] == "once"
    assert steps(journal) == {"begin": 1, "work": 1}


@story
def test_a_retry_goes_on_with_the_run_that_is_still_there(chain: Chain, folder: Path) -> None:
    """A try that gave up waiting is followed by one that takes the same run's result."""
    journal = folder / "journal"
    airflow, dag_id = chain.airflow, "probe_impatient"
    gate = folder / "gate"
    run = begin(chain, dag_id, {"journal": str(journal), "gate": str(gate)})
    airflow.wait_for_task(dag_id, run, TASK, "deferred")
    event_id = id_of(chain, dag_id, run)
    airflow.wait_for(lambda: len(chain.asks(event_id)) >= 2, description="the second try to ask")
    gate.touch()

    assert airflow.finish(dag_id, run) == "success"
    assert written(chain, event_id)[:2] == [("workflow.triggered", 1), ("workflow.triggered", 2)]
    assert "Workflow result not received within 4 s" in airflow.log(dag_id, run, TASK, 1)
    assert steps(journal)["begin"] == 1


@story
def test_a_retry_never_takes_the_failure_of_the_try_before(chain: Chain, folder: Path) -> None:
    """The first try's error is on the topic; the second try waits for its own verdict and gets a success,
    from a run that was resumed and not begun again.
    """
    journal = folder / "journal"
    airflow, dag_id = chain.airflow, "probe_retrying"
    mended = folder / "mended"
    run = begin(chain, dag_id, {"journal": str(journal), "fail_until": str(mended)})
    airflow.wait_for_task(dag_id, run, TASK, "up_for_retry")
    mended.touch()

    assert airflow.finish(dag_id, run) == "success"
    results = chain.results(id_of(chain, dag_id, run))
    assert [(each.body["status"], each.body["attempt"]) for each in results] == [("error", 1), ("success", 2)]
    assert steps(journal) == {"begin": 1, "work": 2}


@story
def test_a_cleared_task_runs_anew_by_default(chain: Chain, folder: Path) -> None:
    """`on_clear="rerun"`: a person who clears a task wants it done again."""
    journal = folder / "journal"
    airflow, dag_id = chain.airflow, "probe"
    run = begin(chain, dag_id, {"journal": str(journal)})
    assert airflow.finish(dag_id, run) == "success"
    before = id_of(chain, dag_id, run)
    airflow.clear(dag_id, run, TASK)
    airflow.wait_for(lambda: airflow.task(dag_id, run, TASK)["try_number"] == 2, 60, "the second try")

    assert airflow.finish(dag_id, run) == "success"
    after = id_of(chain, dag_id, run)
    assert after != before
    assert written(chain, after) == [("workflow.triggered", 1)]
    assert steps(journal) == {"begin": 2, "work": 2}


@story
def test_a_cleared_task_takes_the_same_run_if_it_says_so(chain: Chain, folder: Path) -> None:
    """`on_clear="reattach"`: the finished result is taken again, nothing is executed."""
    journal = folder / "journal"
    airflow, dag_id = chain.airflow, "probe_reattach"
    run = begin(chain, dag_id, {"journal": str(journal)})
    assert airflow.finish(dag_id, run) == "success"
    before = id_of(chain, dag_id, run)
    airflow.clear(dag_id, run, TASK)
    airflow.wait_for(lambda: airflow.task(dag_id, run, TASK)["try_number"] == 2, 60, "the second try")

    assert airflow.finish(dag_id, run) == "success"
    assert id_of(chain, dag_id, run) == before
    assert written(chain, before) == [("workflow.triggered", 1), ("workflow.triggered", 2)]
    assert steps(journal) == {"begin": 1, "work": 1}


def test_a_task_marked_failed_sends_a_cancel(airflow_chain: Chain, stories: Stories, tmp_path: Path) -> None:
    """Within five seconds the events topic says which run is to end, for which attempt, and why."""
    stories.wait_for_all()
    airflow, dag_id = airflow_chain.airflow, "probe"
    gate = tmp_path / "gate"
    run = begin(airflow_chain, dag_id, {"gate": str(gate)})
    airflow.wait_for_task(dag_id, run, TASK, "deferred")
    event_id = id_of(airflow_chain, dag_id, run)
    _wait_for_triggerer(airflow_chain, dag_id, run)
    airflow.mark(dag_id, run, TASK, "failed")
    (cancel,) = wait_until_sync(lambda: cancels(airflow_chain, event_id), 5, "the cancel")
    gate.touch()

    assert cancel.body["payload"]["data"]["event_id"] == event_id
    assert cancel.body["payload"]["data"]["attempt"] == 1
    assert cancel.body["payload"]["data"]["reason"]


@story
def test_a_cleared_task_revokes_the_cancel_of_its_earlier_try(chain: Chain, folder: Path) -> None:
    """Cleared while it waited, with "reattach": the cancel counts for the first attempt, and the second
    one's ask follows it in the same partition, so that the run goes on for it.
    """
    journal = folder / "journal"
    airflow, dag_id = chain.airflow, "probe_reattach"
    gate = folder / "gate"
    run = begin(chain, dag_id, {"journal": str(journal), "gate": str(gate)})
    airflow.wait_for_task(dag_id, run, TASK, "deferred")
    event_id = id_of(chain, dag_id, run)
    _wait_for_triggerer(chain, dag_id, run)
    airflow.clear(dag_id, run, TASK)
    airflow.wait_for(lambda: cancels(chain, event_id), 60, "the cancel")
    airflow.wait_for(lambda: ("workflow.triggered", 2) in written(chain, event_id), 60, "the second ask")
    gate.touch()

    assert airflow.finish(dag_id, run) == "success"
    assert set(written(chain, event_id)) == {
        ("workflow.triggered", 1),
        ("workflow.cancel", 1),
        ("workflow.triggered", 2),
    }
    assert len({ask.offset[0] for ask in chain.asks(event_id)}) == 1
    assert steps(journal)["begin"] == 1


@story
def test_a_timeout_sends_a_cancel_only_if_told_so(chain: Chain, folder: Path) -> None:
    """`cancel_on_timeout=True`: nobody will come back for the run."""
    airflow, dag_id = chain.airflow, "probe_cancelling"
    gate = folder / "gate"
    run = begin(chain, dag_id, {"gate": str(gate)})

    assert airflow.finish(dag_id, run) == "failed"
    gate.touch()
    (cancel,) = cancels(chain, id_of(chain, dag_id, run))
    assert cancel.body["payload"]["data"]["reason"] == "timeout"


@story
def test_an_operator_that_is_killed_in_its_worker_sends_a_cancel(chain: Chain, folder: Path) -> None:
    """With `deferrable=False`, marked failed while it waits there."""
    _mark_failed_in_worker(chain, folder, "probe_blocking")


@story
def test_a_call_that_is_killed_in_its_worker_sends_a_cancel(chain: Chain, folder: Path) -> None:
    """The guide's call inside a task, whose task is marked failed while it waits there."""
    _mark_failed_in_worker(chain, folder, "probe_calling")


def _mark_failed_in_worker(chain: Chain, folder: Path, dag_id: str) -> None:
    airflow = chain.airflow
    gate = folder / "gate"
    run = begin(chain, dag_id, {"gate": str(gate)})
    event_id = _asked(chain, dag_id, run)
    airflow.mark(dag_id, run, TASK, "failed")
    (cancel,) = airflow.wait_for(lambda: cancels(chain, event_id), 60, "the cancel")
    gate.touch()

    assert cancel.body["payload"]["data"]["reason"] == "task killed while it ran"


@story
def test_a_worker_that_crashes_leaves_the_run_to_the_next_try(chain: Chain, folder: Path) -> None:
    """SIGKILL for the task's process, where no hook runs: the retry goes on with the same run."""
    journal = folder / "journal"
    airflow, dag_id = chain.airflow, "probe_blocking"
    gate = folder / "gate"
    run = begin(chain, dag_id, {"journal": str(journal), "gate": str(gate)})
    event_id = _asked(chain, dag_id, run)
    os.kill(airflow.task(dag_id, run, TASK)["pid"], signal.SIGKILL)
    airflow.wait_for(lambda: len(chain.asks(event_id)) == 2, description="the second try to ask")
    gate.touch()

    assert airflow.finish(dag_id, run) == "success"
    assert written(chain, event_id) == [("workflow.triggered", 1), ("workflow.triggered", 2)]
    assert steps(journal) == {"begin": 1, "work": 1}


def test_a_broker_that_does_not_answer_fails_the_task_loudly(
    airflow_chain: Chain, stories: Stories, tmp_path: Path
) -> None:
    """The try says why it could not publish; the next one, with the broker back, runs the workflow once."""
    stories.wait_for_all()
    journal = tmp_path / "journal"
    airflow, dag_id = airflow_chain.airflow, "probe_retrying"
    airflow.wait_for_dag(dag_id)
    airflow_chain.broker.pause()
    try:
        run = begin(airflow_chain, dag_id, {"journal": str(journal)})
        airflow.wait_for_task(dag_id, run, TASK, "up_for_retry", "failed")
    finally:
        airflow_chain.broker.resume()

    assert airflow.finish(dag_id, run) == "success"
    log = airflow.log(dag_id, run, TASK, 1)
    assert "nothing was published" in log
    assert airflow_chain.broker.bootstrap_servers in log
    assert steps(journal) == {"begin": 1, "work": 1}


@story
def test_what_the_workflow_cannot_do_is_not_tried_again(chain: Chain, folder: Path) -> None:
    """A `failure` is the workflow's own no: Airflow does not retry although retries are left."""
    journal = folder / "journal"
    airflow, dag_id = chain.airflow, "probe_retrying"
    run = begin(chain, dag_id, {"journal": str(journal), "unfulfilled": "there is no such city"})

    assert airflow.finish(dag_id, run) == "failed"
    assert airflow.task(dag_id, run, TASK)["try_number"] == 1
    assert "there is no such city" in airflow.log(dag_id, run, TASK)
    assert steps(journal) == {"begin": 1, "work": 1}


@story
def test_a_result_never_passes_through_airflows_logs(chain: Chain, folder: Path) -> None:
    """900 KB of answer reach XCom; the trigger's event, which Airflow writes into its database and the
    task's log, is a claim check.
    """
    airflow, dag_id = chain.airflow, "probe"
    run = begin(chain, dag_id, {"bytes": 900_000})

    assert airflow.finish(dag_id, run) == "success"
    assert len(airflow.xcom(dag_id, run, TASK)["padding"]) == 900_000
    assert len(airflow.log(dag_id, run, TASK)) < 100_000


def _asked(chain: Chain, dag_id: str, run: str) -> str:
    """Wait until a task that waits in its worker has asked. The event id."""
    chain.airflow.wait_for_task(dag_id, run, TASK, "running")

    def new() -> str:
        for record in chain.records(chain.topics.events):
            if record.body["workflow_run_id"] == run:
                return record.key
        return ""

    return chain.airflow.wait_for(new, 60, "the task to ask")


def _wait_for_triggerer(chain: Chain, dag_id: str, run: str) -> None:
    """Until a triggerer has picked the wait up there is nobody who could hear of a mark or a clear."""
    chain.airflow.wait_for(lambda: chain.airflow.task(dag_id, run, TASK)["triggerer_job"], 60, "a triggerer")
