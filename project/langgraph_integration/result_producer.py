"""ResultProducer: publishes workflow results to the results topic."""

from typing import Any
from uuid import UUID

from langgraph_integration.broker.records import RecordProducer
from workflow_events import WorkflowResultEvent
from workflow_events.codec import encode
from workflow_events.headers import RecordHeaders
from workflow_events.ids import result_id
from workflow_events.schema import ResultStatus
from workflow_events.settings import KafkaSettings, TopicNames


class ResultProducer:
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
        self._settings = settings or KafkaSettings.from_env(bootstrap_servers=bootstrap_servers)
        self.bootstrap_servers = bootstrap_servers or self._settings.bootstrap_servers
        self.topic = TopicNames.from_env(results=topic).results
        self.producer: RecordProducer | None = None

    async def start(self) -> None:
        """Connect. Raises `BrokerUnavailable` when no broker answers. Harmless when started already."""
        if self.producer is None:
            producer = RecordProducer(self._settings)
            await producer.start([self.topic])
            self.producer = producer

    async def stop(self) -> None:
        """Flush and disconnect within two seconds. Never raises, may be called again."""
        producer, self.producer = self.producer, None
        if producer is not None:
            await producer.stop()

    @property
    def limit_bytes(self) -> int:
        """The largest result that the topic takes, as far as known."""
        return self._started.limit_bytes(self.topic)

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

    async def publish_record(self, key: bytes | None, value: bytes, attempt: int = 1) -> None:
        """Publish an encoded result as it is; raises like `publish_result`."""
        correlation_id = key.decode("ascii", errors="replace") if key else None
        headers = RecordHeaders(correlation_id=correlation_id, attempt=attempt).to_list()
        await self._started.send(self.topic, key, value, headers)

    @property
    def _started(self) -> RecordProducer:
        if self.producer is None:
            raise RuntimeError("Producer not started. Call start() first.")
        return self.producer
