"""A DAG that nobody starts: it runs whenever a workflow has succeeded (Airflow 3).

It watches the results topic through the Kafka provider, so it needs an Airflow connection `kafka_default`
whose extras name a consumer group of its own, for example

    {"bootstrap.servers": "localhost:9092", "group.id": "airflow-results", "auto.offset.reset": "earliest",
     "enable.auto.commit": false}

Airflow delivers such messages at least once as far as it keeps them; whoever must not miss a result asks
for the run and waits, as the other DAGs do.
"""

from datetime import datetime
from typing import Any

from airflow.providers.common.compat.sdk import AirflowFailException, dag, task

from airflow_integration.airflow_compat import AIRFLOW_3
from airflow_integration.hooks import WorkflowKafkaHook
from workflow_events.settings import TopicNames

if AIRFLOW_3:
    from airflow.providers.apache.kafka.triggers.msg_queue import KafkaMessageQueueTrigger
    from airflow.sdk import Asset, AssetWatcher

    finished = Asset(
        "langgraph_results",
        watchers=[
            AssetWatcher(
                name="langgraph_results",
                trigger=KafkaMessageQueueTrigger(
                    topics=[TopicNames.from_env().results],
                    apply_function="airflow_integration.assets.finished_run",
                    apply_function_kwargs={"workflow_id": "langgraph_integration_dag"},
                    poll_interval=0,
                ),
            )
        ],
    )

    @dag(
        dag_id="langgraph_started_by_result_dag",
        start_date=datetime(2025, 1, 1),
        schedule=[finished],
        catchup=False,
        tags=["langgraph"],
    )
    def langgraph_started_by_result_dag() -> None:
        """One run for each result of `langgraph_integration_dag`."""

        @task
        def use_result(**context: Any) -> list[dict[str, Any]]:
            """What came in, the results read from where they stand."""
            events = [event for found in context["triggering_asset_events"].values() for event in found]
            if not events:
                raise AirflowFailException("this DAG is started by results")
            runs = [event.extra["payload"] for event in events]
            return [{"workflow_run_id": run["workflow_run_id"], "result": _result_of(run)} for run in runs]

        use_result()

    def _result_of(run: dict[str, Any]) -> dict[str, Any]:
        return WorkflowKafkaHook("kafka_default").read_result(run).event.result

    langgraph_started_by_result_dag()
