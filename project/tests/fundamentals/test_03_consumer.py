"""Guide: LangGraphKafkaConsumer, Basic Consumer Usage, Event Consumption, Consumer Error Handling."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer

from kafka_devbroker import Broker
from langgraph_integration.config import ConsumerConfig
from langgraph_integration.consumer import LangGraphKafkaConsumer
from langgraph_integration.retry import RetryConfig
from tests.fundamentals.asking import RECORDS, answer, ask, publish, publish_for_graph, records_on
from tests.support import wait_until
from workflow_events import (
    EventSource,
    EventType,
    WorkflowEvent,
    WorkflowEventProducer,
)
from workflow_events.settings import TopicNames

Serving = Callable[[LangGraphKafkaConsumer], Awaitable[None]]


async def ask_when_running(consumer: LangGraphKafkaConsumer) -> dict[str, Any]:
    """The end of an endless loop: ask, and set `running` False once the answer is there."""
    await wait_until(lambda: consumer.running, 30, "a started consumer")
    event = await ask("find the trend", records=RECORDS)
    found = await answer(event.event_id)
    consumer.running = False
    return found


@pytest.mark.broker
@pytest.mark.xdist_group("localhost:9092")
async def test_a_consumer_starts_consumes_and_stops(localhost_9092: Broker) -> None:
    """The listing of LangGraphKafkaConsumer, word for word; the loop is ended by setting `running`."""
    from langgraph_integration.config import ConsumerConfig
    from langgraph_integration.consumer import LangGraphKafkaConsumer

    # Create consumer with configuration
    config = ConsumerConfig(
        bootstrap_servers="localhost:9092",
        topic="workflow-events",
        group_id="langgraph-consumer-group",
    )
    consumer = LangGraphKafkaConsumer(config=config)
    asker = asyncio.create_task(ask_when_running(consumer))

    # Start consumer
    await consumer.start()

    # Consume and process events (runs indefinitely)
    await consumer.consume_and_process()

    # Stop consumer gracefully
    await consumer.stop()

    result = await asker
    assert result["status"] == "success"
    assert result["result"]["agent_results"]["analysis"]["analysis"]["headline"].startswith("sales")


async def test_the_usual_program_around_a_consumer(
    kafka_environment: TopicNames, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The listing Basic Consumer Usage, word for word, as a program; ended as by Ctrl-C."""
    monkeypatch.setenv("KAFKA_AUTO_OFFSET_RESET", "earliest")
    event = await ask("find the trend", records=RECORDS)
    program = await asyncio.create_subprocess_exec(
        sys.executable, Path(__file__).with_name("basic_consumer_usage.py"), stderr=asyncio.subprocess.PIPE
    )
    try:
        assert (await answer(event.event_id))["status"] == "success"
        program.send_signal(signal.SIGINT)
        _, said = await asyncio.wait_for(program.communicate(), 20)
    finally:
        if program.returncode is None:
            program.kill()

    assert said.decode().splitlines()[-1] == "KeyboardInterrupt"
    assert "Unclosed" not in said.decode()


async def test_a_caller_may_read_events_by_hand(kafka_environment: TopicNames) -> None:
    """The listing Event Consumption, as a caller's code: aiokafka, JSON values, one task per event."""
    first = await ask("one", records=RECORDS)
    second = await ask("two", records=RECORDS)
    await asyncio.to_thread(_announce_completion)
    processed: list[WorkflowEvent] = []

    async def process_workflow_event(event: WorkflowEvent) -> None:
        processed.append(event)
        consumer.running = len(processed) < 2

    consumer = AIOKafkaConsumer(
        kafka_environment.events,
        bootstrap_servers=ConsumerConfig().bootstrap_servers,
        auto_offset_reset="earliest",
        value_deserializer=json.loads,
    )
    consumer.running = True
    await consumer.start()

    # Internal implementation uses getmany() with timeout for cancellation support
    while consumer.running:
        messages = await consumer.getmany(timeout_ms=1000, max_records=10)

        for topic_partition, partition_messages in messages.items():
            for message in partition_messages:
                event_data = message.value
                event = WorkflowEvent(**event_data)

                if event.event_type == EventType.WORKFLOW_TRIGGERED:
                    # Process event asynchronously
                    asyncio.create_task(process_workflow_event(event))

    await consumer.stop()
    assert {event.event_id for event in processed} == {first.event_id, second.event_id}


def _announce_completion() -> None:
    with WorkflowEventProducer() as producer:
        producer.publish_workflow_event(
            event_type=EventType.WORKFLOW_COMPLETED,
            source=EventSource.LANGGRAPH,
            workflow_id="fundamentals",
            workflow_run_id="run_1",
            payload={"data": {}},
        )


async def test_setting_running_to_false_ends_the_loop_and_the_task(kafka_environment: TopicNames) -> None:
    """The list Key Implementation Details: clean cancellation via `consumer.running = False`."""
    consumer = LangGraphKafkaConsumer()
    await consumer.start()
    consuming = asyncio.create_task(consumer.consume_and_process())

    consumer.running = False
    await asyncio.wait_for(consuming, 2)

    await consumer.stop()
    assert consumer.consumer is None


async def test_only_triggered_events_run(kafka_environment: TopicNames, serving: Serving) -> None:
    """Events of other types on the topic are passed over and leave no trace."""
    consumer = LangGraphKafkaConsumer()
    await serving(consumer)

    await asyncio.to_thread(_announce_completion)
    event = await ask("find the trend", records=RECORDS)

    assert (await answer(event.event_id))["status"] == "success"
    [only] = await records_on(kafka_environment.results, 1)
    assert only["correlation_id"] == str(event.event_id)


async def test_a_consumer_retries_and_writes_dead_letters_by_itself(kafka_environment: TopicNames) -> None:
    """The listing Consumer Error Handling: three events, of which one fails now and then and one always."""
    config = ConsumerConfig()
    calls: dict[str, int] = {}

    # Consumer automatically uses retry and DLQ
    consumer = LangGraphKafkaConsumer(config=config)

    consumer.retry_config = RetryConfig(initial_delay=0.01)
    shipped = consumer.processor.process_workflow_event

    async def fails_at_times(event: WorkflowEvent) -> dict[str, Any]:
        task = event.payload.data["task"]
        calls[task] = calls.get(task, 0) + 1
        if task == "flaky" and calls[task] < 3:
            raise ConnectionError("the model is away")
        if task == "broken":
            raise ValueError("this can never work")
        return await shipped(event)

    # A caller may wrap the method: it is looked up for every event.
    consumer.processor.process_workflow_event = fails_at_times  # type: ignore[method-assign]  # a caller's wrapper
    asker = asyncio.create_task(_three_asks(consumer))

    # Start consumer (starts DLQ producer automatically)
    await consumer.start()

    queue_while_running = consumer.dlq.producer

    # Process events with automatic retry and DLQ
    # - Transient errors are retried with exponential backoff
    # - Permanent errors fail immediately
    # - Failed events after retries are sent to DLQ
    # - Error results are published to result topic
    await consumer.consume_and_process()

    # Stop consumer (stops DLQ producer automatically)
    await consumer.stop()

    assert queue_while_running is not None
    assert consumer.dlq.producer is None
    results = await asker
    assert calls == {"good": 1, "flaky": 3, "broken": 1}
    assert {task: result["status"] for task, result in results.items()} == {
        "good": "success",
        "flaky": "success",
        "broken": "error",
    }
    assert results["broken"]["error"] == "Processing failed after retries: this can never work"
    [letter] = await records_on(kafka_environment.dead_letters, 1)
    assert letter["error"]["type"] == "ValueError"
    assert letter["retry_count"] == 0
    assert letter["original_event"]["event_id"] == results["broken"]["correlation_id"]


async def _three_asks(consumer: LangGraphKafkaConsumer) -> dict[str, dict[str, Any]]:
    await wait_until(lambda: consumer.running, 30, "a started consumer")
    events = {task: await asyncio.to_thread(publish, task) for task in ("broken", "flaky", "good")}
    found = {task: await answer(event.event_id) for task, event in events.items()}
    consumer.running = False
    return found


async def test_an_error_does_not_stop_the_consumer(kafka_environment: TopicNames, serving: Serving) -> None:
    """The list Error Handling Flow, last step: the consumer goes on with the next event."""
    consumer = LangGraphKafkaConsumer()
    await serving(consumer)

    bad = await asyncio.to_thread(publish_for_graph, "no_such_graph")
    good = await ask("find the trend", records=RECORDS)

    assert (await answer(bad.event_id))["status"] == "error"
    assert (await answer(good.event_id))["status"] == "success"


async def test_a_consumer_that_is_not_started_says_so() -> None:
    """`consume_and_process` before `start` is a mistake of the caller, not a wait without end."""
    consumer = LangGraphKafkaConsumer()

    with pytest.raises(RuntimeError, match="Consumer not started"):
        await consumer.consume_and_process()
    await consumer.stop()
