"""Whole DAG runs in this process: the same DAGs on Airflow 3.3 and on 2.11."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG, dag, task

from airflow_integration import LangGraphWorkflowOperator, WorkflowResultSensor, trigger_langgraph_workflow
from airflow_integration.airflow_compat import AIRFLOW_3
from airflow_integration.hooks import WorkflowKafkaHook
from tests.airflow_integration.in_airflow.conftest import Runner
from tests.support.topics import unique_name

START = datetime(2025, 1, 1)
DAGS = Path(__file__).parents[3] / "dags"
TEST_DAGS = Path(__file__).parents[1] / "dags"

pytestmark = [pytest.mark.slow, pytest.mark.broker, pytest.mark.timeout(120)]


@pytest.mark.parametrize("folder", [DAGS, TEST_DAGS], ids=["ours", "of the tests"])
def test_every_dag_parses(database: None, folder: Path) -> None:
    """Neither an import error nor a file without a DAG (but for the one that needs Airflow 3)."""
    if AIRFLOW_3:
        from airflow.dag_processing.dagbag import DagBag
    else:
        from airflow.models.dagbag import DagBag

    bag = DagBag(dag_folder=str(folder))

    assert bag.import_errors == {}
    if folder == DAGS:
        expected = {path.stem for path in DAGS.glob("*_dag.py")}
        assert set(bag.dags) == expected - (set() if AIRFLOW_3 else {"langgraph_started_by_result_dag"})


def test_in_the_body_of_a_dag_it_is_a_task(run_dag: Runner) -> None:
    """It takes other tasks' output, and gives its own to others."""

    @dag(dag_id=unique_name("body"), start_date=START, schedule=None)
    def built() -> None:
        @task
        def prepare() -> dict[str, Any]:
            return {"echo": "hello"}

        @task
        def after(result: dict[str, Any]) -> Any:
            return result["echo"]

        after(trigger_langgraph_workflow(task_data=prepare(), workflow_id="probe", timeout=60))

    finished = run_dag(built())

    assert finished.state == "success"
    assert finished.values["after"] == "hello"


def test_override_changes_the_task_as_with_any_other(run_dag: Runner) -> None:
    """Task id and retries; a second call in the same DAG gets a name of its own."""

    @dag(dag_id=unique_name("override"), start_date=START, schedule=None)
    def built() -> None:
        asking = trigger_langgraph_workflow.override(retries=3, task_id="asking")
        asking(task_data={"echo": 1}, workflow_id="probe")
        asking(task_data={"echo": 2}, workflow_id="probe")

    made = built()
    finished = run_dag(made)

    assert {one.task_id: one.retries for one in made.tasks} == {"asking": 3, "asking__1": 3}
    assert [finished.values[name]["echo"] for name in ("asking", "asking__1")] == [1, 2]


@pytest.mark.parametrize("with_context", [True, False], ids=["with context", "without"])
def test_inside_a_running_task_it_is_a_call(run_dag: Runner, with_context: bool) -> None:
    """It returns the result itself."""

    @dag(dag_id=unique_name("inside"), start_date=START, schedule=None)
    def built() -> None:
        @task
        def ask(**context: Any) -> Any:
            passed = context if with_context else {}
            return trigger_langgraph_workflow({"echo": "inside"}, workflow_id="probe", timeout=60, **passed)[
                "echo"
            ]

        ask()

    assert run_dag(built()).values["ask"] == "inside"


def test_two_calls_in_one_task_are_two_runs(run_dag: Runner) -> None:
    """Each has its own answer."""

    @dag(dag_id=unique_name("twice"), start_date=START, schedule=None)
    def built() -> None:
        @task
        def ask() -> list[Any]:
            return [trigger_langgraph_workflow({"echo": n}, workflow_id="probe")["echo"] for n in (1, 2)]

        ask()

    assert run_dag(built()).values["ask"] == [1, 2]


def test_a_dag_built_inside_a_running_task_gets_a_task(run_dag: Runner) -> None:
    """The DAG that is being built wins over the task that builds it."""

    @dag(dag_id=unique_name("factory"), start_date=START, schedule=None)
    def built() -> None:
        @task
        def build() -> list[str]:
            with DAG(dag_id="inner", start_date=START, schedule=None) as inner:
                trigger_langgraph_workflow(task_data={"echo": "never"})
            return [one.task_id for one in inner.tasks]

        build()

    assert run_dag(built()).values["build"] == ["trigger_langgraph_workflow"]


def test_elsewhere_it_says_where_it_works() -> None:
    """Neither a DAG nor a task: a ValueError, not a puzzle."""
    with pytest.raises(ValueError, match="Airflow context not available"):
        trigger_langgraph_workflow(task_data={})
    with pytest.raises(ValueError, match=r"body of a DAG alone.*call trigger_langgraph_workflow once"):
        trigger_langgraph_workflow.expand(task_data=[{}])
    with pytest.raises(ValueError, match="body of a DAG alone"):
        trigger_langgraph_workflow.partial(workflow_id="probe").expand_kwargs([{}])


def test_a_call_in_a_task_honours_what_override_gave_it(run_dag: Runner) -> None:
    """Or says that it cannot, and asks nobody."""

    @dag(dag_id=unique_name("override"), start_date=START, schedule=None)
    def built() -> None:
        @task
        def call() -> list[str]:
            told = []
            for given in ({"conn_id": "no_such_connection"}, {"large_result": "reference"}):
                try:
                    trigger_langgraph_workflow.override(**given)(task_data={}, workflow_id="probe")
                except Exception as error:  # noqa: BLE001 - what it says is what is looked at
                    told.append(str(error))
            return told

        call()

    (no_connection, not_here) = run_dag(built()).values["call"]

    assert "no_such_connection" in no_connection
    assert "large_result: for tasks in the body of a DAG" in not_here


def test_mapped_over_many_inputs_each_gets_its_own(run_dag: Runner) -> None:
    """`.expand` in both spellings."""

    @dag(dag_id=unique_name("mapped"), start_date=START, schedule=None)
    def built() -> None:
        many = trigger_langgraph_workflow.override(task_id="many").partial(workflow_id="probe")
        many.expand(task_data=[{"echo": n} for n in range(3)])
        one_by_one = trigger_langgraph_workflow.override(task_id="kwargs")
        one_by_one.expand_kwargs([{"task_data": {"echo": n}, "workflow_id": "probe"} for n in (7, 8)])

    finished = run_dag(built())

    assert [each["echo"] for each in finished.values["many"]] == [0, 1, 2]
    assert [each["echo"] for each in finished.values["kwargs"]] == [7, 8]


@pytest.mark.parametrize("deferrable", [True, False], ids=["deferred", "blocking"])
def test_the_operator_renders_its_templates(run_dag: Runner, deferrable: bool) -> None:
    """The input may come from the run's configuration."""

    @dag(dag_id=unique_name("operator"), start_date=START, schedule=None, render_template_as_native_obj=True)
    def built() -> None:
        LangGraphWorkflowOperator(
            task_id="ask",
            task_data={"echo": "{{ dag_run.conf['number'] }}"},
            workflow_id="{{ dag_run.conf['workflow'] }}",
            deferrable=deferrable,
        )

    finished = run_dag(built(), {"number": 42, "workflow": "probe-templated"})

    assert finished.values["ask"]["echo"] == 42


def test_a_quick_workflow_may_be_awaited_inline(run_dag: Runner) -> None:
    """`inline_wait`: the task never leaves its worker."""

    @dag(dag_id=unique_name("inline"), start_date=START, schedule=None)
    def built() -> None:
        LangGraphWorkflowOperator(task_id="ask", task_data={"echo": 1}, workflow_id="probe", inline_wait=30)

    assert run_dag(built()).values["ask"]["echo"] == 1


def test_the_decorator_sends_what_its_function_returns(run_dag: Runner) -> None:
    """`@task.langgraph` with an argument, a context and an option of the operator."""

    @dag(dag_id=unique_name("decorated"), start_date=START, schedule=None)
    def built() -> None:
        @task.langgraph(workflow_id="probe", timeout=60)
        def ask(x: int, **context: Any) -> dict[str, Any]:
            return {"echo": [x, context["dag_run"].run_id]}

        ask(5)

    finished = run_dag(built())

    assert finished.values["ask"]["echo"][0] == 5


def test_asking_here_and_waiting_there(run_dag: Runner) -> None:
    """The ticket is enough for a sensor, and so is the event id alone."""

    @dag(dag_id=unique_name("sensor"), start_date=START, schedule=None)
    def built() -> None:
        asked = LangGraphWorkflowOperator(
            task_id="ask", task_data={"echo": "later"}, workflow_id="probe", wait=False
        )
        WorkflowResultSensor(task_id="by_ticket", ticket=asked.output)
        WorkflowResultSensor(task_id="blocking", ticket=asked.output, deferrable=False)
        by_id = WorkflowResultSensor(task_id="by_id", ticket="{{ ti.xcom_pull(task_ids='ask')['event_id'] }}")
        asked >> by_id

    finished = run_dag(built())

    assert [finished.values[name]["echo"] for name in ("by_ticket", "blocking", "by_id")] == ["later"] * 3


def test_a_sensor_that_may_fail_softly_is_skipped(run_dag: Runner) -> None:
    """`soft_fail`, for a workflow that failed and for one that never answers."""

    @dag(dag_id=unique_name("soft"), start_date=START, schedule=None)
    def built() -> None:
        asked = LangGraphWorkflowOperator(
            task_id="ask", task_data={"fail": "no"}, workflow_id="probe", wait=False
        )
        WorkflowResultSensor(task_id="failed", ticket=asked.output, soft_fail=True)
        WorkflowResultSensor(
            task_id="silent",
            ticket="00000000-0000-4000-8000-000000000000",
            timeout=1,
            soft_fail=True,
        )

    finished = run_dag(built())

    assert (finished.states["failed"], finished.states["silent"]) == ("skipped", "skipped")


def test_a_failed_workflow_fails_its_task(run_dag: Runner) -> None:
    """And with it the run."""

    @dag(dag_id=unique_name("failing"), start_date=START, schedule=None)
    def built() -> None:
        trigger_langgraph_workflow.override(task_id="ask")(task_data={"fail": "broken"}, workflow_id="probe")

    finished = run_dag(built())

    assert (finished.state, finished.states["ask"]) == ("failed", "failed")


def test_a_result_too_large_for_xcom_fails_or_becomes_a_reference(run_dag: Runner) -> None:
    """A reference is enough to read the result where it is needed."""

    @dag(dag_id=unique_name("large"), start_date=START, schedule=None)
    def built() -> None:
        told = {"bytes": 5000}
        LangGraphWorkflowOperator(
            task_id="strict", task_data=told, workflow_id="probe", max_result_bytes=1000
        )
        by_reference = LangGraphWorkflowOperator(
            task_id="by_reference",
            task_data=told,
            workflow_id="probe",
            max_result_bytes=1000,
            large_result="reference",
        )

        @task
        def read(reference: dict[str, Any]) -> int:
            return len(WorkflowKafkaHook().read_result(reference).event.result["padding"])

        read(by_reference.output)

    finished = run_dag(built())

    assert finished.states["strict"] == "failed"
    assert finished.values["by_reference"]["bytes"] > 5000
    assert finished.values["read"] == 5000


def test_data_that_is_no_json_is_refused_before_anything_is_sent(run_dag: Runner) -> None:
    """The error names the path."""

    @dag(dag_id=unique_name("notjson"), start_date=START, schedule=None)
    def built() -> None:
        @task
        def ask() -> str:
            try:
                trigger_langgraph_workflow({"rows": [1, {2, 3}]}, workflow_id="probe")
            except ValueError as error:
                return str(error)
            return "was sent"

        ask()

    assert "rows[1]" in run_dag(built()).values["ask"]
