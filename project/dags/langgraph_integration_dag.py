"""The complete example: prepare data, let LangGraph analyse it, use the result.

`trigger_langgraph_workflow` stands in the DAG's body here: it is a task of its own, deferred while the
workflow runs. (`langgraph_patterns_dag.py` shows the other ways to ask.) Start it with

    airflow dags trigger langgraph_integration_dag
"""

from datetime import datetime, timedelta
from typing import Any

from airflow.providers.common.compat.sdk import dag, task

from airflow_integration.langgraph_trigger import trigger_langgraph_workflow

FLOW_OF_THE_NILE = [1120, 1160, 963, 1210, 1160, 1160, 813, 1230, 1370, 1140, 774, 840, 874, 694, 940]


@dag(
    dag_id="langgraph_integration_dag",
    start_date=datetime(2025, 1, 1),
    schedule=None,
    catchup=False,
    default_args={"retries": 1, "retry_delay": timedelta(seconds=10)},
    tags=["langgraph"],
)
def langgraph_integration_dag() -> None:
    """prepare_data >> trigger_langgraph_workflow >> process_result."""

    @task
    def prepare_data() -> dict[str, Any]:
        """A question and a table."""
        records = [{"year": 1871 + n, "volume": volume} for n, volume in enumerate(FLOW_OF_THE_NILE)]
        return {"task": "Is there a trend in the flow of the Nile?", "records": records}

    @task
    def process_result(workflow_result: dict[str, Any]) -> dict[str, Any]:
        """What a next task does with the answer."""
        return {"completed": workflow_result["completed"], "conclusion": workflow_result["conclusion"]}

    result = trigger_langgraph_workflow(task_data=prepare_data(), timeout=300)
    process_result(result)


langgraph_integration_dag()
