"""Raw records to and from topics, as any producer and any reader in the world has them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition

from tests.langgraph_integration.events import headers_of, value_of
from tests.support import wait_until_sync
from tests.support.topics import EIGHT_MIB
from workflow_events import WorkflowEvent, WorkflowResultEvent
from workflow_events.codec import decode_result, parse_json
from workflow_events.dead_letter import DeadLetterEvent


@dataclass(frozen=True, slots=True)
class Raw:
    """One record for a topic."""

    value: bytes | None
    key: bytes | None = None
    headers: Sequence[tuple[str, bytes | None]] = ()
    partition: int = -1
    timestamp_ms: int = 0


def raw(asked: WorkflowEvent, *, attempt: int = 1, deadline_ms: int | None = None) -> Raw:
    """The record of an event, as our producers write it."""
    headers: list[tuple[str, bytes | None]] = [*headers_of(asked, attempt=attempt, deadline_ms=deadline_ms)]
    return Raw(value_of(asked), str(asked.event_id).encode(), headers)


def send(bootstrap_servers: str, topic: str, records: Iterable[Raw], **settings: str) -> None:
    """Write records and return when the broker has all of them."""
    producer = Producer(
        {
            "bootstrap.servers": bootstrap_servers,
            "partitioner": "murmur2_random",
            "message.max.bytes": EIGHT_MIB,
            **settings,
        }
    )
    failed: list[str] = []

    def delivered(error: object, _: Message) -> None:
        if error is not None:
            failed.append(str(error))

    for record in records:
        producer.produce(
            topic,
            value=record.value,
            key=record.key,
            headers=list(record.headers),
            partition=record.partition,
            timestamp=record.timestamp_ms,
            on_delivery=delivered,
        )
        producer.poll(0)
    left = producer.flush(30)
    assert (left, failed) == (0, [])


def publish(bootstrap_servers: str, topic: str, events: Iterable[WorkflowEvent]) -> None:
    """Write events as their producers do."""
    send(bootstrap_servers, topic, [raw(each) for each in events])


class TopicReader:
    """Everything that a topic holds, from its beginning; reads on with each call."""

    def __init__(self, bootstrap_servers: str, topic: str) -> None:
        self._topic = topic
        self._consumer = Consumer(
            {"bootstrap.servers": bootstrap_servers, "group.id": "reader", "fetch.wait.max.ms": 50}
        )
        partitions = self._consumer.list_topics(topic, timeout=20).topics[topic].partitions
        self._consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
        self.messages: list[Message] = []

    def read(self, number: int, timeout: float = 30.0) -> list[Message]:
        """All messages so far, once there are `number` of them (seconds); AssertionError after that."""
        deadline = time.monotonic() + timeout
        while len(self.messages) < number:
            if time.monotonic() > deadline:
                raise AssertionError(
                    f"{self._topic}: {len(self.messages)} of {number} records after {timeout} s"
                )
            self._take(0.2)
        return self.messages

    def rest(self) -> list[Message]:
        """All messages up to the end of the topic as it is now."""
        ends: list[int] = []

        def known() -> bool:
            # a broker that has been away or frozen may not lead anything yet
            with suppress(KafkaException):
                ends[:] = [self._consumer.get_watermark_offsets(each)[1] for each in places]
            return bool(ends)

        places = self._consumer.assignment()
        wait_until_sync(known, 30, "the ends of the topic")
        self.read(sum(ends))
        return self.messages

    def close(self) -> None:
        self._consumer.close()

    def _take(self, timeout: float) -> None:
        for message in self._consumer.consume(500, timeout):
            if (error := message.error()) is not None:
                raise KafkaException(error)
            self.messages.append(message)


def headers_in(message: Message) -> list[tuple[str, str | bytes | None]]:
    """The headers of a record, in its order."""
    headers = message.headers() or []
    return list(headers.items()) if isinstance(headers, dict) else headers


def read_results(
    bootstrap_servers: str, topic: str, number: int, timeout: float = 30.0
) -> list[WorkflowResultEvent]:
    """The first results of a topic, once there are that many."""
    return [decode_result(message.value()) for message in read(bootstrap_servers, topic, number, timeout)]


def read_letters(
    bootstrap_servers: str, topic: str, number: int, timeout: float = 30.0
) -> list[DeadLetterEvent]:
    """The dead letters of a topic, once there are that many."""
    return [letter_of(message) for message in read(bootstrap_servers, topic, number, timeout)]


def letter_of(message: Message) -> DeadLetterEvent:
    """The dead letter in a record."""
    value = message.value()
    assert value is not None
    return DeadLetterEvent.model_validate(parse_json(value))


def read(bootstrap_servers: str, topic: str, number: int, timeout: float = 30.0) -> list[Message]:
    """The records of a topic, once there are that many, and whatever follows them at once."""
    reader = TopicReader(bootstrap_servers, topic)
    try:
        reader.read(number, timeout)
        return reader.rest()
    finally:
        reader.close()
