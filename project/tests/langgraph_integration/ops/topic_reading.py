"""Reads and writes records as somebody else would."""

import os
import time
from uuid import uuid4

from confluent_kafka import Consumer, Message, Producer, TopicPartition

from workflow_events.codec import encode
from workflow_events.headers import RecordHeaders
from workflow_events.schema import ResultStatus, WorkflowResultEvent


def only_record(topic: str, timeout: float = 10.0) -> Message:
    """The first record of a topic. `timeout` in seconds."""
    consumer = Consumer(
        {
            "bootstrap.servers": os.environ["KAFKA_BOOTSTRAP_SERVERS"],
            "group.id": uuid4().hex,
            "enable.auto.commit": False,
        }
    )
    deadline = time.monotonic() + timeout
    try:
        partitions = consumer.list_topics(topic, timeout=timeout).topics[topic].partitions
        consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
        while time.monotonic() < deadline:
            message = consumer.poll(0.1)
            if message is not None and message.error() is None:
                return message
    finally:
        consumer.close()
    raise AssertionError(f"no record on {topic} within {timeout:g} s")


def publish_result(topic: str, status: ResultStatus, result: dict[str, object]) -> str:
    """The id of an event that now has this result."""
    event_id = uuid4()
    record = WorkflowResultEvent(
        correlation_id=event_id,
        workflow_id="w",
        workflow_run_id="r",
        result=result,
        status=status,
        error=None if status == "success" else "it went wrong",
    )
    producer = Producer({"bootstrap.servers": os.environ["KAFKA_BOOTSTRAP_SERVERS"]})
    headers: list[tuple[str, str | bytes | None]] = [*RecordHeaders(str(event_id)).to_list()]
    producer.produce(topic, encode(record), str(event_id).encode(), headers=headers)
    assert producer.flush(10) == 0
    return str(event_id)
