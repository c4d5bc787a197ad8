"""The guide's pipeline in a real Airflow: Airflow -> Kafka -> LangGraph -> Kafka -> Airflow.

    pytest project/tests/integration/test_airflow_langgraph_integration.py -v -s

Airflow runs in its own environment (`make airflow`), the service in this one, Kafka beside them. The first
seven tests are the guide's acceptance criteria; the others run every DAG that it prints or that we ship. All
runs are started first, and then each is looked at.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.airflow_chain import Chain
from tests.support.status import status
from tests.support.waiting import wait_until_sync
from workflow_events import EventSource, EventType, WorkflowEvent, WorkflowResultEvent

pytestmark = [pytest.mark.airflow, pytest.mark.slow, pytest.mark.timeout(120)]

GUIDE_DAG = "langgraph_integration_dag"
LISTINGS = {
    "guide_publishing": "trigger_langgraph_workflow",
    "langgraph_workflow_dag": "trigger_and_wait_for_result",
    "my_workflow": "process_result",
}
"""The DAGs of the guide's listings, each with the task that leaves what it promises."""

QUESTIONS = [f"question {n}" for n in range(4)]
PERMANENT = "the ledger has no page 7"
OTHERS = (*LISTINGS, "langgraph_patterns_dag", "langgraph_fan_out_dag")


@pytest.fixture(scope="module")
def runs(airflow_chain: Chain) -> dict[str, str]:
    """The runs of this module, all started: by DAG, those of `probe` by what they were told."""
    airflow = airflow_chain.airflow
    for dag_id in (GUIDE_DAG, "probe", "langgraph_started_by_result_dag", *OTHERS):
        airflow.wait_for_dag(dag_id)
    started = {GUIDE_DAG: airflow.trigger(GUIDE_DAG)}
    started[PERMANENT] = airflow.trigger("probe", {"told": {"fail": PERMANENT}})
    started |= {each: airflow.trigger("probe", {"told": {"echo": each}}) for each in QUESTIONS}
    return started | {dag_id: airflow.trigger(dag_id) for dag_id in OTHERS}


@pytest.fixture(scope="module")
def finished_run(airflow_chain: Chain, runs: dict[str, str]) -> str:
    """A run of the guide's DAG that has ended well."""
    assert airflow_chain.airflow.finish(GUIDE_DAG, runs[GUIDE_DAG]) == "success"
    return runs[GUIDE_DAG]


@pytest.fixture(scope="module")
def event_id(airflow_chain: Chain, finished_run: str) -> str:
    """The id of the event which that run published, from its task's XCom."""
    found = airflow_chain.airflow.xcom(
        GUIDE_DAG, finished_run, "trigger_langgraph_workflow", "langgraph_event_id"
    )
    assert isinstance(found, str)
    return found


def test_1_the_airflow_task_publishes_an_event(
    airflow_chain: Chain, finished_run: str, event_id: str
) -> None:
    """The event is on the topic, keyed by its id, and names the DAG and its run."""
    (ask,) = airflow_chain.asks(event_id)

    assert ask.body["event_type"] == "workflow.triggered"
    assert (ask.body["workflow_id"], ask.body["workflow_run_id"]) == (GUIDE_DAG, finished_run)
    assert ask.headers.attempt == 1
    assert ask.headers.deadline_ms is not None
    status.info("published %s", event_id)


def test_2_the_service_consumes_it(airflow_chain: Chain, event_id: str) -> None:
    """The service says in its log that it settled this event, once."""

    def settled() -> list[str]:
        lines = (airflow_chain.folder / "service.log").read_text().splitlines()
        return [line for line in lines if event_id in line and '"action":"settled"' in line]

    assert len(wait_until_sync(settled, 10, "the service's line about the event")) == 1


def test_3_the_workflow_runs_with_the_events_data(airflow_chain: Chain, event_id: str) -> None:
    """The data agent read the records that the task sent."""
    (result,) = airflow_chain.results(event_id)

    data = result.body["result"]["agent_results"]["data"]["data"]
    assert (data["processed"], data["rows"], data["columns"][0]) == (True, 15, "year")
    assert result.body["result"]["task"] == "Is there a trend in the flow of the Nile?"


def test_4_the_result_comes_back_to_airflow(airflow_chain: Chain, finished_run: str, event_id: str) -> None:
    """The task's XCom is the very result that is on the topic, and the next task used it."""
    (result,) = airflow_chain.results(event_id)
    airflow = airflow_chain.airflow

    assert airflow.xcom(GUIDE_DAG, finished_run, "trigger_langgraph_workflow") == result.body["result"]
    assert airflow.xcom(GUIDE_DAG, finished_run, "process_result")["completed"] is True


def test_5_an_error_reaches_the_task_at_once(airflow_chain: Chain, runs: dict[str, str]) -> None:
    """A workflow that fails permanently fails its task with its own words, long before the timeout."""
    airflow, run = airflow_chain.airflow, runs[PERMANENT]

    assert airflow.finish("probe", run) == "failed"
    assert airflow.run("probe", run)["duration"] < 50, "its timeout is 60 s"
    assert "Workflow failed" in airflow.log("probe", run, "ask")
    assert PERMANENT in airflow.log("probe", run, "ask")
    event_id = airflow.xcom("probe", run, "ask", "langgraph_event_id")
    letters = airflow_chain.records(airflow_chain.topics.dead_letters)
    assert [letter.body["reason"] for letter in letters if event_id in str(letter.body)] == ["permanent"]


def test_6_events_and_results_keep_to_the_schema(airflow_chain: Chain, event_id: str) -> None:
    """Both records are what the models of the guide write and read."""
    (ask,) = airflow_chain.asks(event_id)
    (result,) = airflow_chain.results(event_id)
    event, answer = WorkflowEvent(**ask.body), WorkflowResultEvent(**result.body)

    assert (event.event_type, event.source) == (EventType.WORKFLOW_TRIGGERED, EventSource.AIRFLOW)
    assert set(event.payload.data) == {"task", "data"}
    assert answer.correlation_id == event.event_id
    assert (answer.status, answer.error, answer.attempt) == ("success", None, 1)
    assert {"completed", "agent_results", "task", "metadata"} <= set(answer.result)


def test_7_many_runs_end_to_end_each_with_its_own_answer(airflow_chain: Chain, runs: dict[str, str]) -> None:
    """Four runs at a time through the whole chain: none gets another's result."""
    for question in QUESTIONS:
        assert airflow_chain.airflow.finish("probe", runs[question]) == "success"
        assert airflow_chain.airflow.xcom("probe", runs[question], "ask")["echo"] == question


@pytest.mark.parametrize("dag_id", LISTINGS)
def test_the_guides_listings_run_as_printed(airflow_chain: Chain, runs: dict[str, str], dag_id: str) -> None:
    """Its three Airflow examples, with their names and imports, leave what they promise in XCom."""
    airflow, run, task_id = airflow_chain.airflow, runs[dag_id], LISTINGS[dag_id]

    assert airflow.finish(dag_id, run) == "success", airflow.log(dag_id, run, task_id)
    left = airflow.xcom(dag_id, run, task_id)
    assert (left["completed"] is True) if isinstance(left, dict) else left


def test_every_way_to_ask_works(airflow_chain: Chain, runs: dict[str, str]) -> None:
    """Operator deferred and blocking, decorator, call inside a task, and asking here, waiting there."""
    dag_id, airflow = "langgraph_patterns_dag", airflow_chain.airflow
    run = runs[dag_id]

    assert airflow.finish(dag_id, run) == "success"
    for task_id in ("operator", "blocking_operator", "decorated", "wait_elsewhere"):
        assert airflow.xcom(dag_id, run, task_id)["completed"] is True
    assert airflow.xcom(dag_id, run, "called_inside") == "data_processed"


def test_a_fan_out_gives_partial_results_and_names_the_failures(
    airflow_chain: Chain, runs: dict[str, str]
) -> None:
    """Two of three inputs are good: the DAG has two results and says which one is missing."""
    dag_id, airflow = "langgraph_fan_out_dag", airflow_chain.airflow
    run = runs[dag_id]

    airflow.finish(dag_id, run)
    gathered = airflow.xcom(dag_id, run, "gather")
    assert (gathered["succeeded"], gathered["of"]) == (2, 3)
    assert [failed["index"] for failed in gathered["failed"]] == [2]
    assert sorted(gathered["results"]) == ["0", "1"]


def test_a_result_starts_a_dag(airflow_chain: Chain, finished_run: str) -> None:
    """The run of one DAG starts another one, through an asset watcher, which gets the result."""
    dag_id, airflow = "langgraph_started_by_result_dag", airflow_chain.airflow
    airflow.wait_for_dag(dag_id)

    def succeeded() -> list[dict[str, Any]]:
        return [run for run in airflow.get(f"dags/{dag_id}/dagRuns")["dag_runs"] if run["state"] == "success"]

    found = airflow.wait_for(succeeded, description="a run of the started DAG")
    used = [each for run in found for each in airflow.xcom(dag_id, run["dag_run_id"], "use_result")]
    assert finished_run in [each["workflow_run_id"] for each in used]
    assert all(each["result"]["completed"] for each in used)


def test_the_task_links_to_its_run(airflow_chain: Chain, finished_run: str, event_id: str) -> None:
    """A person gets from the task to the page that the configuration names."""
    links = airflow_chain.airflow.links(GUIDE_DAG, finished_run, "trigger_langgraph_workflow")

    assert links["LangGraph run"] == f"https://runs.example.com/?id={event_id}"


def test_nothing_of_ours_failed_to_import(airflow_chain: Chain) -> None:
    """Every DAG that we ship parses in this Airflow."""
    shipped = {path.stem for path in (Path(__file__).parents[2] / "dags").glob("*_dag.py")}
    for dag_id in shipped:
        airflow_chain.airflow.wait_for_dag(dag_id)

    assert airflow_chain.airflow.get("importErrors")["total_entries"] == 0
