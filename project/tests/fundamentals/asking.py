"""The other side of the wire, set by the environment: ask for a run, read its answer, look at a topic."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any
from uuid import UUID

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from airflow_integration.result_poller import WorkflowResultPoller
from workflow_events import (
    EventSource,
    EventType,
    WorkflowEvent,
    WorkflowEventMetadata,
    WorkflowEventPayload,
    WorkflowEventProducer,
)
from workflow_events.settings import KafkaSettings

RECORDS = [{"month": month, "sales": 100 + 7 * month} for month in range(1, 13)]
"""A table with a trend that can be checked by hand: 7 a month."""


def publish(task: str = "process_data", **data: Any) -> WorkflowEvent:
    """Publish one `workflow.triggered` event; `data` is what is worked on."""
    with WorkflowEventProducer() as producer:
        return producer.publish_workflow_event(
            event_type=EventType.WORKFLOW_TRIGGERED,
            source=EventSource.AIRFLOW,
            workflow_id="fundamentals",
            workflow_run_id="run_1",
            payload={"data": {"task": task, "data": data}},
        )


def publish_for_graph(name: str) -> WorkflowEvent:
    """Publish one `workflow.triggered` event that names its graph."""
    event = WorkflowEvent(
        event_type=EventType.WORKFLOW_TRIGGERED,
        source=EventSource.AIRFLOW,
        workflow_id="fundamentals",
        workflow_run_id="run_1",
        payload=WorkflowEventPayload(data={}),
        metadata=WorkflowEventMetadata(environment="dev"),
        graph=name,
    )
    with WorkflowEventProducer() as producer:
        producer.publish(event)
    return event


async def ask(task: str = "process_data", **data: Any) -> WorkflowEvent:
    """`publish` without blocking the event loop."""
    return await asyncio.to_thread(publish, task, **data)


async def answer(event_id: UUID | str, timeout: float = 30) -> dict[str, Any]:
    """The result record of an event; AssertionError if there is none in time (s)."""
    poller = WorkflowResultPoller(timeout=timeout)
    found = await asyncio.to_thread(poller.poll_for_result, event_id)
    assert found is not None, f"no result for {event_id} within {timeout:g} s"
    return found


async def records_on(topic: str, number: int, timeout: float = 20) -> list[dict[str, Any]]:
    """The JSON values of all records on the topic, once there are `number` of them: one too many is seen."""
    return await asyncio.to_thread(_read, topic, number, timeout)


def _read(topic: str, number: int, timeout: float) -> list[dict[str, Any]]:
    settings = KafkaSettings.from_env().librdkafka()
    reader = Consumer({**settings, "group.id": "reads-without-a-group", "enable.auto.commit": False})
    try:
        partitions = reader.list_topics(topic, timeout=10).topics[topic].partitions
        assigned = [TopicPartition(topic, each, OFFSET_BEGINNING) for each in partitions]
        reader.assign(assigned)
        found: list[dict[str, Any]] = []
        deadline = time.monotonic() + timeout
        _read_until(reader, topic, found, number, deadline)
        _read_until(reader, topic, found, _held(reader, assigned), deadline)
        return found
    finally:
        reader.close()


def _read_until(
    reader: Consumer, topic: str, found: list[dict[str, Any]], number: int, deadline: float
) -> None:
    while len(found) < number:
        assert time.monotonic() < deadline, f"{len(found)} of {number} records on {topic}"
        message = reader.poll(0.2)
        if message is not None and message.error() is None:
            found.append(json.loads(message.value() or b"null"))


def _held(reader: Consumer, partitions: list[TopicPartition]) -> int:
    """How many records the partitions hold now."""
    watermarks = [reader.get_watermark_offsets(each, timeout=10) for each in partitions]
    return sum(end - begin for begin, end in watermarks)
