"""LangGraphKafkaConsumer: its life, as the guide tells it."""

from __future__ import annotations

import asyncio
import time

import pytest

from langgraph_integration import ConsumerConfig, LangGraphKafkaConsumer, WorkflowProcessor
from langgraph_integration.dead_letter import DeadLetterQueue
from langgraph_integration.result_producer import ResultProducer
from langgraph_integration.retry import RetryConfig
from tests.langgraph_integration.conftest import MakeConfig
from tests.support import wait_until
from workflow_events.errors import BrokerUnavailable, ConfigurationError

GONE = "127.0.0.1:1"


def test_a_new_consumer_has_its_parts_and_no_connection() -> None:
    """Everything the guide names is there and may be replaced."""
    config = ConsumerConfig(bootstrap_servers="kafka:1", dlq_topic="letters", results_topic="answers")
    consumer = LangGraphKafkaConsumer(config=config)

    assert (consumer.config, consumer.consumer, consumer.running) == (config, None, False)
    assert isinstance(consumer.processor, WorkflowProcessor)
    assert isinstance(consumer.dlq, DeadLetterQueue)
    assert isinstance(consumer.result_producer, ResultProducer)
    assert consumer.retry_config == RetryConfig()
    assert (consumer.dlq.bootstrap_servers, consumer.dlq.topic) == ("kafka:1", "letters")
    assert (consumer.result_producer.bootstrap_servers, consumer.result_producer.topic) == (
        "kafka:1",
        "answers",
    )
    assert consumer.processor.result_producer is None
    assert consumer.engine is None


def test_without_a_config_the_environment_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the consumer is made."""
    monkeypatch.setenv("KAFKA_WORKFLOW_EVENTS_TOPIC", "mine")

    assert LangGraphKafkaConsumer().config.topic == "mine"


async def test_consuming_before_start_is_refused() -> None:
    """With the guide's words."""
    with pytest.raises(RuntimeError, match="Consumer not started"):
        await LangGraphKafkaConsumer().consume_and_process()
    with pytest.raises(RuntimeError, match="Consumer not started"):
        await LangGraphKafkaConsumer().commit()


async def test_stop_is_harmless_without_start_and_twice() -> None:
    """A finally block may always call it."""
    consumer = LangGraphKafkaConsumer()
    await consumer.stop()
    await consumer.stop()

    assert consumer.consumer is None
    assert consumer.status().running is False


@pytest.mark.slow
async def test_a_broker_that_is_not_there_is_an_error_at_start_and_nothing_stays_open() -> None:
    """Of the consumer and of each producer: soon, and naming the address."""
    consumer = LangGraphKafkaConsumer(ConsumerConfig(bootstrap_servers=GONE, state_url="memory:"))
    dlq, results = DeadLetterQueue(GONE), ResultProducer(GONE)
    began = time.monotonic()
    errors = await asyncio.gather(consumer.start(), dlq.start(), results.start(), return_exceptions=True)

    assert time.monotonic() - began < 30
    assert [type(error) for error in errors] == [BrokerUnavailable] * 3
    assert all(GONE in str(error) for error in errors)
    assert (consumer.consumer, consumer.running) == (None, False)
    producers = [each.producer for each in (consumer.dlq, consumer.result_producer, dlq, results)]
    assert producers == [None] * 4
    with pytest.raises(RuntimeError, match="not started"):
        await dlq.publish_failed_event({}, ValueError(), 0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"state_url": "mongodb://somewhere"},
        {"graphs_file": "/no/such/langgraph.json"},
        {"dead_letter_limit": "much", "state_url": "memory:"},
    ],
)
async def test_settings_that_cannot_be_used_end_the_start(
    wrong: dict[str, str], make_config: MakeConfig
) -> None:
    """Before anything is taken from the topic."""
    consumer = LangGraphKafkaConsumer(make_config(**wrong))
    with pytest.raises(ConfigurationError):
        await consumer.start()

    assert consumer.consumer is None


async def test_the_consumer_starts_and_stops_with_all_its_parts(make_config: MakeConfig) -> None:
    """Cancelling the task is as good as `running = False`; stop cleans up either way."""
    consumer = LangGraphKafkaConsumer(make_config())
    await consumer.start()
    await consumer.start()
    started = (consumer.running, consumer.consumer is not None, consumer.status().joined)
    connected = [each.producer is not None for each in (consumer.dlq, consumer.result_producer)]
    task = asyncio.create_task(consumer.consume_and_process())
    await wait_until(lambda: consumer.status().last_poll_age_s is not None, description="the first poll")
    consumer.running = False
    await asyncio.wait_for(task, 3)
    consumer.running = True
    task = asyncio.create_task(consumer.consume_and_process())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    began = time.monotonic()
    await consumer.stop()

    assert started == (True, True, True)
    assert connected == [True, True]
    assert time.monotonic() - began < 7
    assert (consumer.consumer, consumer.running, consumer.engine) == (None, False, None)
    assert (consumer.dlq.producer, consumer.result_producer.producer) == (None, None)
    assert consumer.last_stop.committed
