"""Events for tests, and the headers and bytes that carry them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from workflow_events import EventSource, EventType, WorkflowEvent, WorkflowEventMetadata, WorkflowEventPayload
from workflow_events.codec import encode
from workflow_events.headers import RecordHeaders
from workflow_events.ids import new_event_id


def event(
    data: dict[str, Any] | None = None,
    *,
    event_id: UUID | None = None,
    event_type: EventType = EventType.WORKFLOW_TRIGGERED,
    graph: str | None = None,
    workflow_id: str = "dag",
    workflow_run_id: str = "run-1",
    version: str = "1.0",
) -> WorkflowEvent:
    """A `workflow.triggered` event with `data` as its payload."""
    return WorkflowEvent(
        event_id=event_id or new_event_id(),
        event_type=event_type,
        source=EventSource.AIRFLOW,
        workflow_id=workflow_id,
        workflow_run_id=workflow_run_id,
        payload=WorkflowEventPayload(data={"task": "test"} if data is None else data),
        metadata=WorkflowEventMetadata(environment="dev", version=version),
        graph=graph,
    )


def value_of(asked: WorkflowEvent) -> bytes:
    """The event as it travels."""
    return encode(asked)


def headers_of(
    asked: WorkflowEvent, *, attempt: int = 1, deadline_ms: int | None = None
) -> list[tuple[str, bytes]]:
    """The headers that its producer sends along."""
    return RecordHeaders(str(asked.event_id), attempt=attempt, deadline_ms=deadline_ms).to_list()
