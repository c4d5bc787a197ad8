"""Many inputs, one workflow each, and an answer even when some of them fail.

airflow dags trigger langgraph_fan_out_dag --conf '{"inputs": [{...}, ...], "enough": 3}'
"""

from datetime import datetime
from typing import Any

from airflow.providers.common.compat.sdk import AirflowFailException, Param, TriggerRule, dag, task

from airflow_integration.langgraph_trigger import trigger_langgraph_workflow

INPUTS = [
    {"task": "summarise", "records": [{"city": "A", "sales": 3}, {"city": "B", "sales": 5}]},
    {"task": "summarise", "records": [{"city": "C", "sales": 8}, {"city": "D", "sales": 13}]},
    # Asks for a column that is not there: the workflow says so, and the others go on.
    {"task": "summarise", "records": [{"city": "E"}], "columns": ["profit"]},
]


@dag(
    dag_id="langgraph_fan_out_dag",
    start_date=datetime(2025, 1, 1),
    schedule=None,
    catchup=False,
    params={
        "inputs": Param(INPUTS, type="array", description="One workflow for each"),
        "enough": Param(2, type="integer", minimum=1, description="How many must succeed"),
    },
    tags=["langgraph"],
)
def langgraph_fan_out_dag() -> None:
    """inputs >> one run each >> gather."""

    @task
    def inputs(**context: Any) -> list[dict[str, Any]]:
        """From the run's parameters."""
        given: list[dict[str, Any]] = context["params"]["inputs"]
        return given

    @task(trigger_rule=TriggerRule.ALL_DONE)
    def gather(asked: Any, **context: Any) -> dict[str, Any]:
        """The results there are, by index, and which are missing. Fails if they are not enough."""
        answers = context["ti"].xcom_pull(
            task_ids="analyse", map_indexes=list(range(len(asked))), include_prior_dates=False
        )
        results = {index: answer for index, answer in enumerate(answers) if answer is not None}
        failed = [
            {"index": index, "input": asked[index]} for index in range(len(asked)) if index not in results
        ]
        enough = context["params"]["enough"]
        if len(results) < enough:
            raise AirflowFailException(f"{len(results)} of {len(asked)} succeeded, {enough} needed: {failed}")
        return {"succeeded": len(results), "of": len(asked), "results": results, "failed": failed}

    asked = inputs()
    answered = (
        trigger_langgraph_workflow.override(task_id="analyse").partial(timeout=300).expand(task_data=asked)
    )
    gathered = gather(asked)
    answered >> gathered


langgraph_fan_out_dag()
