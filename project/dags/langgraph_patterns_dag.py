"""Every way to ask, one task each. All of them are deferred while they wait, except the call in a task."""

from datetime import datetime, timedelta
from typing import Any

from airflow.providers.common.compat.sdk import dag, task

from airflow_integration.langgraph_trigger import trigger_langgraph_workflow
from airflow_integration.operators import LangGraphWorkflowOperator
from airflow_integration.sensors import WorkflowResultSensor

QUESTION = {"task": "summarise", "records": [{"x": 1, "y": 2}, {"x": 2, "y": 4}, {"x": 3, "y": 7}]}


@dag(
    dag_id="langgraph_patterns_dag",
    start_date=datetime(2025, 1, 1),
    schedule=None,
    catchup=False,
    default_args={"retries": 1, "retry_delay": timedelta(seconds=10)},
    tags=["langgraph"],
)
def langgraph_patterns_dag() -> None:
    """Independent of each other."""
    LangGraphWorkflowOperator(task_id="operator", task_data=QUESTION, timeout=timedelta(minutes=5))

    LangGraphWorkflowOperator(task_id="blocking_operator", task_data=QUESTION, deferrable=False)

    @task.langgraph(timeout=300)
    def decorated() -> dict[str, Any]:
        """Returns what the workflow gets; the task's value is what it answers."""
        return QUESTION

    decorated()

    @task
    def called_inside(**context: Any) -> Any:
        """Waits in the worker: between two calls it may do something else."""
        first = trigger_langgraph_workflow(task_data=QUESTION, timeout=300, **context)
        return first["agent_results"]["data"]["result"]

    called_inside()

    # Ask now, wait elsewhere: other tasks may run in between.
    asked = LangGraphWorkflowOperator(task_id="ask", task_data=QUESTION, wait=False)
    WorkflowResultSensor(task_id="wait_elsewhere", ticket=asked.output, timeout=300)


langgraph_patterns_dag()
