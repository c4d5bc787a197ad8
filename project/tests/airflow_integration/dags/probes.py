"""DAGs whose workflow does what their run's `conf` tells it (see `graphs/probe.py`)."""

from datetime import datetime, timedelta
from typing import Any

from airflow.providers.common.compat.sdk import dag, task

from airflow_integration.identity import ClearPolicy
from airflow_integration.langgraph_trigger import trigger_langgraph_workflow
from airflow_integration.operators import LangGraphWorkflowOperator

TOLD = "{{ dag_run.conf['told'] }}"


def probe(
    dag_id: str,
    *,
    retries: int = 0,
    timeout: float = 60,
    deferrable: bool = True,
    on_clear: ClearPolicy = "rerun",
    cancel_on_timeout: bool = False,
) -> None:
    """One task that hands `conf["told"]` to the workflow."""

    @dag(
        dag_id=dag_id,
        start_date=datetime(2025, 1, 1),
        schedule=None,
        render_template_as_native_obj=True,
        default_args={"retries": retries, "retry_delay": timedelta(seconds=1)},
    )
    def built() -> None:
        LangGraphWorkflowOperator(
            task_id="ask",
            task_data=TOLD,
            workflow_id="probe",
            conn_id="kafka_default",
            timeout=timeout,
            deferrable=deferrable,
            on_clear=on_clear,
            cancel_on_timeout=cancel_on_timeout,
        )

    built()


probe("probe")
probe("probe_blocking", deferrable=False, retries=1)
probe("probe_reattach", on_clear="reattach")
probe("probe_impatient", retries=2, timeout=4)
probe("probe_cancelling", timeout=4, cancel_on_timeout=True)
probe("probe_retrying", retries=1)


@dag(
    dag_id="probe_stumbling",
    start_date=datetime(2025, 1, 1),
    schedule=None,
    default_args={"retries": 1, "retry_delay": timedelta(seconds=1)},
)
def probe_stumbling() -> None:
    """Its task has its result and fails all the same, once."""

    @task
    def ask_and_stumble(**context: Any) -> Any:
        told = context["dag_run"].conf["told"]
        result = trigger_langgraph_workflow(task_data=told, workflow_id="probe", timeout=60, **context)
        if context["ti"].try_number == 1:
            raise RuntimeError("stumbled after the result was there")
        return result

    ask_and_stumble()


probe_stumbling()


@dag(dag_id="probe_calling", start_date=datetime(2025, 1, 1), schedule=None)
def probe_calling() -> None:
    """The guide's way: a call inside a task."""

    @task
    def ask(**context: Any) -> Any:
        told = context["dag_run"].conf["told"]
        return trigger_langgraph_workflow(task_data=told, workflow_id="probe", timeout=60, **context)

    ask()


probe_calling()


@dag(dag_id="probe_mapped", start_date=datetime(2025, 1, 1), schedule=None, max_active_tasks=500)
def probe_mapped() -> None:
    """One workflow for each of `conf["all"]`."""

    @task
    def inputs(**context: Any) -> list[dict[str, Any]]:
        given: list[dict[str, Any]] = context["dag_run"].conf["all"]
        return given

    trigger_langgraph_workflow.override(task_id="ask").partial(workflow_id="probe", timeout=3600).expand(
        task_data=inputs()
    )


probe_mapped()
