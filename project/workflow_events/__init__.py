"""What travels, and how to ask: the contract between both sides.

The schema needs no Kafka client; the producer loads its own on first use.
"""

from typing import TYPE_CHECKING, Any

from workflow_events.schema import (
    EventSource,
    EventType,
    WorkflowEvent,
    WorkflowEventMetadata,
    WorkflowEventPayload,
    WorkflowResultEvent,
)

if TYPE_CHECKING:
    from workflow_events.producer import WorkflowEventProducer

__all__ = [
    "EventSource",
    "EventType",
    "WorkflowEvent",
    "WorkflowEventMetadata",
    "WorkflowEventPayload",
    "WorkflowEventProducer",
    "WorkflowResultEvent",
]


def __getattr__(name: str) -> Any:
    if name == "WorkflowEventProducer":
        from workflow_events.producer import WorkflowEventProducer

        return WorkflowEventProducer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
