"""Guide: Best Practices 1 to 3 and Shutdown Features. Number 4 is in test_01_configuration.py."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any

import pytest

from kafka_devbroker import running_broker
from langgraph_integration.config import ConsumerConfig
from langgraph_integration.consumer import LangGraphKafkaConsumer
from langgraph_integration.processor import WorkflowProcessor
from tests.fundamentals.asking import RECORDS, answer, ask
from tests.support import wait_until
from workflow_events import WorkflowEvent
from workflow_events.settings import TopicNames

logger = logging.getLogger(__name__)


async def end_after_one_answer(consumer: LangGraphKafkaConsumer) -> None:
    """An end for an endless loop."""
    await wait_until(lambda: consumer.running, 30, "a started consumer")
    event = await ask("find the trend", records=RECORDS)
    assert (await answer(event.event_id))["status"] == "success"
    consumer.running = False


async def test_good_async_pattern(kafka_environment: TopicNames) -> None:
    """Best Practices 1 ✅."""
    consumer = LangGraphKafkaConsumer()
    asker = asyncio.create_task(end_after_one_answer(consumer))

    # ✅ Good: Async pattern
    await consumer.start()
    await consumer.consume_and_process()

    await asker
    await consumer.stop()


async def test_bad_blocking_pattern(kafka_environment: TopicNames) -> None:
    """Best Practices 1 ❌: a start that is not awaited starts nothing, and Python says so."""
    consumer = LangGraphKafkaConsumer()

    with pytest.warns(RuntimeWarning, match=r"start' was never awaited"):
        # ❌ Bad: Blocking pattern
        consumer.start()  # type: ignore[unused-coroutine]  # the mistake that is shown

    assert consumer.consumer is None
    assert consumer.running is False
    with pytest.raises(RuntimeError, match="Consumer not started"):
        await consumer.consume_and_process()


class OneBadEvent(WorkflowProcessor):
    """Fails for the events of one workflow."""

    async def process_workflow_event(self, event: WorkflowEvent) -> dict[str, Any]:
        if event.workflow_id == "bad":
            raise ValueError("bad event")
        return await super().process_workflow_event(event)


@pytest.fixture
def events(event: WorkflowEvent) -> list[WorkflowEvent]:
    """A bad event, then a good one."""
    return [event.model_copy(update={"workflow_id": "bad"}), event]


async def test_good_error_handling(events: list[WorkflowEvent], caplog: pytest.LogCaptureFixture) -> None:
    """Best Practices 2 ✅, in a caller's own loop: the event after the bad one is processed."""
    completed: list[str] = []
    processor = OneBadEvent()

    async def process_workflow_event(event: WorkflowEvent) -> None:
        state = await processor.process_workflow_event(event)
        completed.append(state["metadata"]["workflow_id"])

    for event in events:
        # ✅ Good: Continue processing on error
        try:
            await process_workflow_event(event)
        except Exception as e:
            logger.error(f"Error: {e}", exc_info=True)
            # Continue processing other events

    assert completed == ["test_workflow"]
    assert "Error: bad event" in caplog.text


async def test_bad_error_handling(events: list[WorkflowEvent]) -> None:
    """Best Practices 2 ❌: raising stops the caller's loop before the good event."""
    completed: list[str] = []
    processor = OneBadEvent()

    async def process_workflow_event(event: WorkflowEvent) -> None:
        state = await processor.process_workflow_event(event)
        completed.append(state["metadata"]["workflow_id"])

    async def loop() -> None:
        for event in events:
            # ❌ Bad: Stop consumer on error
            try:
                await process_workflow_event(event)
            except Exception as e:
                raise  # Stops consumer

    with pytest.raises(ValueError, match="bad event"):
        await loop()
    assert completed == []


async def test_good_graceful_shutdown(kafka_environment: TopicNames) -> None:
    """Best Practices 3, the first ✅."""
    consumer = LangGraphKafkaConsumer()
    asker = asyncio.create_task(end_after_one_answer(consumer))

    # ✅ Good: Graceful shutdown with timeout protection
    try:
        await consumer.start()
        await consumer.consume_and_process()
    finally:
        # stop() has built-in 5-second timeout to prevent infinite offset-commit retries
        await consumer.stop()

    await asker
    assert consumer.consumer is None
    assert consumer.last_stop.committed is True


async def test_good_manual_cancellation(kafka_environment: TopicNames) -> None:
    """Best Practices 3, the second ✅; a second `stop` is harmless."""
    consumer = LangGraphKafkaConsumer()

    # ✅ Good: Manual cancellation support
    try:
        await consumer.start()
        consume_task = asyncio.create_task(consumer.consume_and_process())

        # ... do other work ...
        event = await ask("find the trend", records=RECORDS)
        result = await answer(event.event_id)

        # Stop consumer cleanly
        consumer.running = False
        consume_task.cancel()
        try:
            await consume_task
        except asyncio.CancelledError:
            pass

        await consumer.stop()
    finally:
        await consumer.stop()

    assert result["status"] == "success"
    assert consume_task.done()


async def test_bad_no_cleanup(kafka_environment: TopicNames) -> None:
    """Best Practices 3 ❌: the membership, both producers and the Kafka thread are left behind."""
    consumer = LangGraphKafkaConsumer()
    asker = asyncio.create_task(end_after_one_answer(consumer))
    threads_before = threading.active_count()

    # ❌ Bad: No cleanup
    await consumer.start()
    await consumer.consume_and_process()
    # Consumer not stopped - resources leaked

    await asker
    leaked = (consumer.consumer, consumer.dlq.producer, consumer.result_producer.producer)
    assert None not in leaked
    assert threading.active_count() > threads_before

    await consumer.stop()
    assert (consumer.consumer, consumer.dlq.producer, consumer.result_producer.producer) == (None, None, None)


@pytest.mark.broker
async def test_stop_keeps_its_time_although_the_broker_is_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    """The list Shutdown Features: 5 s for the last commit and 2 s to close by force, at the most."""
    clock = asyncio.get_running_loop()
    with running_broker() as broker:
        config = ConsumerConfig(
            bootstrap_servers=broker.bootstrap_servers,
            session_timeout_ms=6000,
            heartbeat_interval_ms=1000,
        )
        consumer = LangGraphKafkaConsumer(config=config)
        await consumer.start()
        broker.kill()

        began = clock.time()
        await consumer.stop()

        assert clock.time() - began < 7
        left = (consumer.consumer, consumer.dlq.producer, consumer.result_producer.producer)
        assert left == (None, None, None)
