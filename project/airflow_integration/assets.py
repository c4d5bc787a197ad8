"""DAGs that start when a result comes, without asking for it."""

from typing import Any, Protocol

from workflow_events.codec import read_result
from workflow_events.errors import InvalidRecord


class _Message(Protocol):
    """What is used of confluent-kafka's message."""

    def value(self) -> bytes | None: ...

    def topic(self) -> str | None: ...

    def partition(self) -> int | None: ...

    def offset(self) -> int | None: ...


def finished_run(
    message: _Message, workflow_id: str | None = None, status: str | None = "success"
) -> dict[str, Any] | None:
    """The `apply_function` of the Kafka provider's triggers: says which run a record is the result of,
    and where the result stands (`WorkflowKafkaHook.read_result` reads it).

    None, which the trigger passes over, for another workflow or status (None = any) and for records
    that are no results.
    """
    try:
        event, _ = read_result(message.value())
    except InvalidRecord:
        return None
    if workflow_id not in (None, event.workflow_id) or status not in (None, event.status):
        return None
    return {
        "event_id": str(event.correlation_id),
        "workflow_id": event.workflow_id,
        "workflow_run_id": event.workflow_run_id,
        "status": event.status,
        "error": event.error,
        "reference": {
            "topic": message.topic(),
            "partition": message.partition(),
            "offset": message.offset(),
        },
    }
