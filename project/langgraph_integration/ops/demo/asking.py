"""Publishing the batch, and gathering its answers as they come."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from confluent_kafka import Consumer, TopicPartition

from workflow_events import WorkflowEvent, WorkflowEventProducer
from workflow_events.codec import parse_json
from workflow_events.dead_letter import DeadLetterEvent
from workflow_events.exchange import ReceivedResult, ResultExchange, StartPoint
from workflow_events.librdkafka import LastError, client_options
from workflow_events.settings import KafkaSettings


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for an event. `found` is `None` if nothing did; `latency_s` from publishing to here."""

    event: WorkflowEvent
    found: ReceivedResult | None
    latency_s: float


def ask_all(
    settings: KafkaSettings,
    events: Sequence[WorkflowEvent],
    timeout_s: float,
    on_answer: Callable[[Answer], None],
) -> list[Answer]:
    """Publish all, then wait for all; the answers in the order of the events."""
    with ResultExchange(settings=settings) as exchange, WorkflowEventProducer(settings=settings) as producer:
        since = exchange.note()
        published = []
        for event in events:
            began = time.monotonic()
            producer.publish(event)
            published.append((event, began))
        return asyncio.run(_gather(exchange, since, published, timeout_s, on_answer))


async def _gather(
    exchange: ResultExchange,
    since: StartPoint,
    published: Sequence[tuple[WorkflowEvent, float]],
    timeout_s: float,
    on_answer: Callable[[Answer], None],
) -> list[Answer]:
    async def one(event: WorkflowEvent, began: float) -> Answer:
        found = await exchange.wait_async(event.event_id, timeout_s, since=since)
        answer = Answer(event, found, time.monotonic() - began)
        on_answer(answer)
        return answer

    return list(await asyncio.gather(*(one(event, began) for event, began in published)))


def find_dead_letter(
    settings: KafkaSettings, topic: str, event_id: str, timeout_s: float
) -> DeadLetterEvent | None:
    """The dead letter of an event, or `None` if it does not show in time. Reads the whole topic."""
    consumer = Consumer(
        {
            **client_options(settings, LastError()),
            "group.id": "langgraph-kafka-demo",
            "enable.auto.commit": False,
            "enable.partition.eof": False,
        }
    )
    deadline = time.monotonic() + timeout_s
    try:
        partitions = consumer.list_topics(topic, timeout=timeout_s).topics[topic].partitions
        consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
        while (left := deadline - time.monotonic()) > 0:
            message = consumer.poll(min(left, 0.2))
            if message is None or message.error() is not None or message.key() != event_id.encode():
                continue
            value = message.value()
            return None if value is None else DeadLetterEvent.model_validate(parse_json(value))
        return None
    finally:
        consumer.close()
