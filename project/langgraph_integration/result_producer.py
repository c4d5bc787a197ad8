"""ResultProducer: publishes workflow results to the results topic."""

from typing import Any
from uuid import UUID

from langgraph_integration.broker.topic_publisher import TopicPublisher
from workflow_events import WorkflowResultEvent
from workflow_events.codec import encode
from workflow_events.ids import result_id
from workflow_events.schema import ResultStatus
from workflow_events.settings import KafkaSettings, TopicNames


class ResultProducer(TopicPublisher):
    """An asynchronous producer of `WorkflowResultEvent` records, acknowledged by every in-sync replica.

    `bootstrap_servers` and `topic`: `None` takes `KAFKA_BOOTSTRAP_SERVERS` and
    `KAFKA_WORKFLOW_RESULTS_TOPIC`. `producer` is `None` before `start` and after `stop`.
    """

    def __init__(
        self,
        bootstrap_servers: str | None = None,
        topic: str | None = None,
        *,
        settings: KafkaSettings | None = None,
    ) -> None:
        super().__init__(bootstrap_servers, TopicNames.from_env(results=topic).results, settings)

    async def publish_result(
        self,
        correlation_id: UUID,
        workflow_id: str,
        workflow_run_id: str,
        result: dict[str, Any],
        status: ResultStatus = "success",
        error: str | None = None,
        *,
        attempt: int = 1,
    ) -> None:
        """Publish one result; returns once the broker has acknowledged it.

        Raises RuntimeError before `start`, `NotJson` naming the path of a value that JSON cannot carry,
        `RecordTooLarge`, and `BrokerUnavailable`, after which publishing again is safe: the `result_id` is
        the same.
        """
        event = WorkflowResultEvent(
            correlation_id=correlation_id,
            workflow_id=workflow_id,
            workflow_run_id=workflow_run_id,
            result=result,
            status=status,
            error=error,
            attempt=attempt,
            result_id=result_id(UUID(str(correlation_id)), attempt, status),
        )
        await self.publish_record(str(event.correlation_id).encode(), encode(event), attempt)
