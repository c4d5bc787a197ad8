"""The backlog: events published before a contestant starts."""

from collections.abc import Callable
from typing import Any

from confluent_kafka import Producer

from benchmarks.task import Task
from workflow_events import EventSource, EventType, WorkflowEvent, WorkflowEventMetadata, WorkflowEventPayload
from workflow_events.codec import encode


def event(number: int, data: dict[str, Any] | None = None) -> WorkflowEvent:
    """The event of one run: its number is what the graph gets."""
    return WorkflowEvent(
        event_type=EventType.WORKFLOW_TRIGGERED,
        source=EventSource.AIRFLOW,
        workflow_id="benchmark",
        workflow_run_id=f"run-{number}",
        payload=WorkflowEventPayload(data={"x": number} if data is None else data),
        metadata=WorkflowEventMetadata(environment="dev"),
    )


def publish_backlog(task: Task, *, first: int = 0, make: Callable[[int], WorkflowEvent] = event) -> list[str]:
    """Publish the task's events, keyed by their ids as our producers do; return the ids."""
    ids = []
    producer = Producer({"bootstrap.servers": task.servers, "linger.ms": 20})
    for number in range(first, first + task.count):
        made = make(number)
        ids.append(str(made.event_id))
        while True:
            try:
                producer.produce(task.events, value=encode(made), key=ids[-1])
                break
            except BufferError:
                producer.poll(0.1)
    producer.flush()
    return ids
