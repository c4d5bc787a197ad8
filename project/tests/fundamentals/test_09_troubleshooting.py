"""Guide: Troubleshooting. Each case with what error, log and command show (docs/troubleshooting.md)."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from langgraph_integration.config import ConsumerConfig
from langgraph_integration.consumer import LangGraphKafkaConsumer
from langgraph_integration.processor import WorkflowProcessor
from tests.fundamentals.asking import RECORDS, answer, ask, publish_for_graph, records_on
from tests.support import wait_until
from workflow_events import WorkflowEvent
from workflow_events.errors import BrokerUnavailable, ConfigurationError
from workflow_events.settings import KafkaSettings, TopicNames

Serving = Callable[[LangGraphKafkaConsumer], Awaitable[None]]

NOWHERE = "localhost:1"
COMMAND = Path(sys.executable).with_name("langgraph-kafka")


@pytest.mark.slow
async def test_consumer_not_starting_names_the_servers() -> None:
    """Consumer Not Starting: `start` fails at once with the address it tried, and leaves nothing open."""
    consumer = LangGraphKafkaConsumer(ConsumerConfig(bootstrap_servers=NOWHERE))

    with pytest.raises(BrokerUnavailable, match=f"Kafka at {NOWHERE}"):
        await consumer.start()
    assert consumer.consumer is None
    await consumer.stop()


@pytest.mark.slow
def test_consumer_not_starting_is_seen_by_a_command_too() -> None:
    """Consumer Not Starting: `langgraph-kafka topics` answers in one line, exit code 1."""
    shown = subprocess.run(
        [COMMAND, "topics", "--bootstrap-servers", NOWHERE], capture_output=True, text=True, check=False
    )

    assert shown.returncode == 1
    assert f"Kafka at {NOWHERE} does not answer" in shown.stderr
    assert "KAFKA_BOOTSTRAP_SERVERS" in shown.stderr
    assert "Traceback" not in shown.stderr


def test_consumer_not_starting_for_a_setting_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Consumer Not Starting: a setting that cannot be used is named with what is accepted."""
    monkeypatch.setenv("KAFKA_ENABLE_AUTO_COMMIT", "sometimes")

    with pytest.raises(ConfigurationError, match=r"KAFKA_ENABLE_AUTO_COMMIT is 'sometimes'; .*true or false"):
        ConsumerConfig()


async def test_an_event_that_does_not_match_the_schema_is_answered_and_kept(
    kafka_environment: TopicNames, serving: Serving
) -> None:
    """Events Not Processed: the result names the field, the dead letter has the record byte for byte."""
    await serving(LangGraphKafkaConsumer())
    event_id = "0198a3f0-5d5e-7b63-9c3e-2f6f4f7d9c11"
    value = f'{{"event_id": "{event_id}", "event_type": "workflow.triggered"}}'.encode()

    await asyncio.to_thread(_produce, kafka_environment.events, value)
    result = await answer(event_id)
    [letter] = await records_on(kafka_environment.dead_letters, 1)

    assert result["status"] == "error"
    assert result["error"].startswith("Invalid event: source: Field required")
    assert (letter["reason"], letter["error"]["type"]) == ("invalid", "InvalidEvent")
    assert letter["original_event"] == {"event_id": event_id, "event_type": "workflow.triggered"}


async def test_an_event_for_a_graph_that_is_not_there_is_told_which_are(
    kafka_environment: TopicNames, serving: Serving
) -> None:
    """Events Not Processed: the result names the graphs that the service knows, and a dead letter is kept."""
    await serving(LangGraphKafkaConsumer())

    event = await asyncio.to_thread(publish_for_graph, "nope")
    result = await answer(event.event_id)
    [letter] = await records_on(kafka_environment.dead_letters, 1)

    assert result["status"] == "error"
    assert result["error"] == "Invalid event: unknown graph 'nope'; known: multi_agent"
    assert letter["original_event"]["event_id"] == str(event.event_id)


def _produce(topic: str, value: bytes) -> None:
    producer = Producer(KafkaSettings.from_env().librdkafka())
    producer.produce(topic, value)
    producer.flush(10)


async def test_a_new_group_begins_at_the_end_unless_told_otherwise(
    kafka_environment: TopicNames, serving: Serving, caplog: pytest.LogCaptureFixture
) -> None:
    """Events Not Processed: what was published before a group's first start is read with `earliest` only."""
    caplog.set_level(logging.INFO, "langgraph_integration")
    before = await ask("find the trend", records=RECORDS)

    await serving(LangGraphKafkaConsumer(ConsumerConfig(group_id=f"{kafka_environment.events}-latest")))
    assert "new group starts at the end of 3 partitions" in caplog.text

    await serving(
        LangGraphKafkaConsumer(
            ConsumerConfig(
                group_id=f"{kafka_environment.events}-earliest",
                auto_offset_reset="earliest",
                state_url="memory:",
            )
        )
    )
    assert "group starts at the beginning of 3 partitions" in caplog.text
    assert (await answer(before.event_id))["status"] == "success"


class Held(WorkflowProcessor):
    """A processor whose runs wait until they are let go, and that knows how many wait at once."""

    def __init__(self) -> None:
        super().__init__()
        self.let_go = asyncio.Event()
        self.running = self.most_running = 0

    async def process_workflow_event(self, event: WorkflowEvent) -> dict[str, Any]:
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        await self.let_go.wait()
        self.running -= 1
        return await super().process_workflow_event(event)


async def test_memory_is_bounded_by_the_number_of_slots(
    kafka_environment: TopicNames, serving: Serving
) -> None:
    """High Memory Usage: never more runs at once than `max_concurrency`, however many events wait."""
    consumer = LangGraphKafkaConsumer(ConsumerConfig(max_concurrency=2, max_poll_records=5))
    consumer.processor = held = Held()
    await serving(consumer)

    events = [await ask("find the trend", records=RECORDS) for _ in range(8)]
    await wait_until(lambda: held.running == 2, 20, "two runs in flight")
    held.let_go.set()
    results = [await answer(event.event_id) for event in events]

    assert {result["status"] for result in results} == {"success"}
    assert held.most_running == 2
