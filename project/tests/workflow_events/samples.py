"""Events and results for tests, and a way to put records on a topic as anybody might."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from confluent_kafka import KafkaError, Message, Producer

from workflow_events.codec import encode
from workflow_events.headers import CORRELATION_ID
from workflow_events.ids import new_event_id
from workflow_events.schema import ResultStatus, WorkflowEvent, WorkflowResultEvent

EVENT_FIELDS: dict[str, Any] = {
    "event_type": "workflow.triggered",
    "source": "airflow",
    "workflow_id": "quarterly-report",
    "workflow_run_id": "run-1",
    "payload": {"data": {"task": "analyse"}},
    "metadata": {"environment": "dev"},
}


def an_event(**changes: Any) -> WorkflowEvent:
    """A valid event; `changes` replace its fields."""
    return WorkflowEvent.model_validate({**EVENT_FIELDS, **changes})


def a_result(
    correlation_id: UUID | None = None, status: ResultStatus = "success", **changes: Any
) -> WorkflowResultEvent:
    """A valid result; `changes` replace its fields."""
    fields = {
        "correlation_id": correlation_id or new_event_id(),
        "workflow_id": "quarterly-report",
        "workflow_run_id": "run-1",
        "result": {"completed": status == "success"},
        "status": status,
        "error": None if status == "success" else "it went wrong",
    }
    return WorkflowResultEvent.model_validate({**fields, **changes})


class TopicWriter:
    """Writes records to one topic. `flush` returns when the broker has them."""

    def __init__(self, bootstrap_servers: str, topic: str) -> None:
        self._producer = Producer({"bootstrap.servers": bootstrap_servers, "linger.ms": 0})
        self._topic = topic
        self._refused: list[KafkaError] = []

    def put(
        self,
        value: bytes | None,
        key: bytes | None = None,
        headers: Mapping[str, bytes] | None = None,
        partition: int = -1,
    ) -> None:
        """One record, exactly as given."""
        self._producer.produce(
            self._topic, value, key, partition, on_delivery=self._report, headers=dict(headers or {})
        )
        self._producer.poll(0)

    def _report(self, error: KafkaError | None, _: Message) -> None:
        if error is not None:
            self._refused.append(error)

    def put_result(self, result: WorkflowResultEvent, partition: int = -1) -> None:
        """A result as our service writes it: keyed by its id, which a header repeats."""
        key = str(result.correlation_id).encode()
        self.put(encode(result), key, {CORRELATION_ID: key}, partition)

    def flush(self) -> None:
        assert self._producer.flush(10) == 0
        assert self._refused == []
