"""ResultProducer on a real broker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from pydantic import ValidationError

from langgraph_integration.result_producer import ResultProducer
from tests.langgraph_integration.topics import TopicReader, headers_in, read
from tests.support.brokers import TestBroker
from workflow_events import WorkflowResultEvent
from workflow_events.codec import decode_result
from workflow_events.errors import NotJson, RecordTooLarge
from workflow_events.headers import RecordHeaders
from workflow_events.ids import new_event_id, result_id
from workflow_events.settings import TopicNames

GONE = "127.0.0.1:1"


@asynccontextmanager
async def _producer(broker: TestBroker, topics: TopicNames) -> AsyncIterator[ResultProducer]:
    producer = ResultProducer(broker.bootstrap_servers, topics.results)
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


async def _results(broker: TestBroker, topics: TopicNames, number: int) -> list[WorkflowResultEvent]:
    messages = await asyncio.to_thread(read, broker.bootstrap_servers, topics.results, number)
    return [decode_result(message.value()) for message in messages]


def test_names_come_from_argument_environment_or_the_guide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read when the object is made."""
    plain = ResultProducer()
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "kafka:1")
    monkeypatch.setenv("KAFKA_WORKFLOW_RESULTS_TOPIC", "answers")
    from_environment = ResultProducer()
    explicit = ResultProducer("kafka:2", "mine")

    assert (plain.bootstrap_servers, plain.topic) == ("localhost:9092", "workflow-results")
    assert (from_environment.bootstrap_servers, from_environment.topic) == ("kafka:1", "answers")
    assert (explicit.bootstrap_servers, explicit.topic) == ("kafka:2", "mine")
    assert plain.producer is None


async def test_publishing_before_start_is_refused() -> None:
    """With the guide's words."""
    with pytest.raises(RuntimeError, match="Producer not started"):
        await ResultProducer().publish_result(uuid4(), "dag", "run", {})


async def test_stop_is_harmless_without_start_and_twice() -> None:
    """It never raises."""
    producer = ResultProducer(GONE)
    await producer.stop()
    await producer.stop()

    assert producer.producer is None


@pytest.mark.each_broker
async def test_a_result_travels_with_key_headers_and_a_repeatable_id(
    broker: TestBroker, topics: TopicNames
) -> None:
    """A reader finds its own by key or header without opening the others."""
    event_id = new_event_id()
    async with _producer(broker, topics) as producer:
        await producer.publish_result(
            correlation_id=event_id,
            workflow_id="dag",
            workflow_run_id="run-1",
            result={"completed": True, "agent_results": {}, "task": "t", "metadata": {}},
            attempt=2,
        )
    (message,) = await asyncio.to_thread(read, broker.bootstrap_servers, topics.results, 1)
    result = decode_result(message.value())

    assert message.key() == str(event_id).encode()
    assert RecordHeaders.parse(headers_in(message)) == RecordHeaders(str(event_id), attempt=2)
    assert (result.correlation_id, result.workflow_id, result.workflow_run_id) == (event_id, "dag", "run-1")
    assert (result.status, result.error, result.attempt) == ("success", None, 2)
    assert result.result_id == result_id(event_id, 2, "success")
    assert result.result["task"] == "t"


@pytest.mark.parametrize("status", ["success", "failure", "error"])
async def test_every_status_travels(status: str, broker: TestBroker, topics: TopicNames) -> None:
    """With its error text where there is one."""
    async with _producer(broker, topics) as producer:
        await producer.publish_result(uuid4(), "dag", "run", {}, status, error="why")  # type: ignore[arg-type]  # one of the three
    (result,) = await _results(broker, topics, 1)

    assert (result.status, result.error) == (status, "why")


async def test_another_status_is_refused(broker: TestBroker, topics: TopicNames) -> None:
    """Readers know three."""
    async with _producer(broker, topics) as producer:
        with pytest.raises(ValidationError):
            await producer.publish_result(uuid4(), "dag", "run", {}, "perhaps")  # type: ignore[arg-type]  # what is refused


async def test_values_that_json_has_a_form_for_are_written(broker: TestBroker, topics: TopicNames) -> None:
    """Times and ids as strings."""
    moment, some_id = datetime(2025, 1, 27, 12, tzinfo=UTC), uuid4()
    async with _producer(broker, topics) as producer:
        await producer.publish_result(uuid4(), "dag", "run", {"at": moment, "id": some_id, "n": 2**70})
    (result,) = await _results(broker, topics, 1)

    assert result.result == {"at": moment.isoformat(), "id": str(some_id), "n": 2**70}


@pytest.mark.parametrize("value", [float("nan"), object(), b"bytes", {1: "number as key"}])
async def test_values_that_json_has_no_form_for_are_named(
    value: object, broker: TestBroker, topics: TopicNames
) -> None:
    """By their path, and nothing is sent."""
    async with _producer(broker, topics) as producer:
        with pytest.raises(NotJson, match=r"result\.x"):
            await producer.publish_result(uuid4(), "dag", "run", {"x": [value]})


@pytest.mark.each_broker
@pytest.mark.topics(config={"max.message.bytes": "20000"})
async def test_a_result_above_the_topics_limit_is_refused_and_the_next_one_sent(
    broker: TestBroker, topics: TopicNames
) -> None:
    """aiokafka's producer would be out of order after a refused batch; ours is as good as before."""
    async with _producer(broker, topics) as producer:
        with pytest.raises(RecordTooLarge):
            await producer.publish_result(uuid4(), "dag", "run", {"x": "y" * 10_000_000})
        await producer.publish_result(uuid4(), "dag", "run", {"x": "y" * 10_000})

    assert len(await _results(broker, topics, 1)) == 1


async def test_many_results_at_once_all_arrive(broker: TestBroker, topics: TopicNames) -> None:
    """Each call returns when its own record is acknowledged."""
    ids = [new_event_id() for _ in range(500)]
    async with _producer(broker, topics) as producer:
        await asyncio.gather(*(producer.publish_result(each, "dag", "run", {}) for each in ids))
        reader = await asyncio.to_thread(TopicReader, broker.bootstrap_servers, topics.results)
        messages = await asyncio.to_thread(reader.rest)
        reader.close()

    assert sorted(message.key() or b"" for message in messages) == sorted(str(each).encode() for each in ids)
