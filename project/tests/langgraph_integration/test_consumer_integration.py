"""The consumer on a real broker: events in, results out, and what the guide promises in between."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import pytest

from langgraph_integration.consumer import LangGraphKafkaConsumer
from tests.langgraph_integration.conftest import MakeConfig
from tests.langgraph_integration.events import event
from tests.langgraph_integration.running import consuming
from tests.langgraph_integration.topics import Raw, publish, read, read_results, send
from tests.support import wait_until
from tests.support.brokers import TestBroker
from tests.support.status import status
from workflow_events import EventType, WorkflowEvent
from workflow_events.settings import TopicNames


async def _results(broker: TestBroker, topics: TopicNames, number: int) -> Any:
    return await asyncio.to_thread(read_results, broker.bootstrap_servers, topics.results, number)


async def test_an_event_is_answered_by_the_multi_agent_graph(
    make_config: MakeConfig, broker: TestBroker, topics: TopicNames
) -> None:
    """The whole way: published, consumed, run, answered under the event's id."""
    asked = event({"task": "summary", "data": {"records": [{"x": 1}, {"x": 2}, {"x": 3}]}})
    publish(broker.bootstrap_servers, topics.events, [asked])
    status.info("published %s", asked.event_id)
    async with consuming(make_config()):
        (result,) = await _results(broker, topics, 1)

    assert (result.status, result.correlation_id, result.error) == ("success", asked.event_id, None)
    assert result.result["completed"] is True
    assert result.result["metadata"]["event_id"] == str(asked.event_id)
    assert set(result.result["agent_results"]) >= {"data", "analysis"}


@pytest.mark.each_broker
async def test_many_events_on_many_partitions_are_each_answered_once(
    make_config: MakeConfig, broker: TestBroker, topics: TopicNames
) -> None:
    """Other event types among them ask for nothing."""
    events = [event() for _ in range(30)]
    others = [event(event_type=EventType.WORKFLOW_COMPLETED) for _ in range(10)]
    publish(broker.bootstrap_servers, topics.events, [*events, *others])
    async with consuming(make_config()) as consumer:
        results = await _results(broker, topics, 30)
        engine = consumer.engine
        assert engine is not None
        await wait_until(
            lambda: sum(engine.tracker.unsettled(each) for each in engine.tracker.partitions) == 0
        )

    assert sorted(result.correlation_id for result in results) == sorted(each.event_id for each in events)
    assert {result.status for result in results} == {"success"}


async def test_a_caller_may_wrap_the_processor(
    make_config: MakeConfig, broker: TestBroker, topics: TopicNames
) -> None:
    """`processor.process_workflow_event` is looked up for each event."""
    captured: list[UUID] = []
    async with consuming(make_config()) as consumer:
        original = consumer.processor.process_workflow_event

        async def capture(asked: WorkflowEvent) -> dict[str, Any]:
            captured.append(asked.event_id)
            return await original(asked)

        consumer.processor.process_workflow_event = capture  # type: ignore[method-assign,assignment]  # as callers do
        asked = event()
        publish(broker.bootstrap_servers, topics.events, [asked])
        (result,) = await _results(broker, topics, 1)

    assert captured == [asked.event_id]
    assert result.status == "success"


@pytest.mark.apache  # Tansu answers a group that comes back only after twice the session timeout
async def test_after_a_restart_the_group_goes_on_where_it_was(
    make_config: MakeConfig, broker: TestBroker, topics: TopicNames
) -> None:
    """The same object starts again; nothing is answered twice, nothing that came meanwhile is missed."""
    before, meanwhile, after = event(), event(), event()
    consumer = LangGraphKafkaConsumer(make_config())
    publish(broker.bootstrap_servers, topics.events, [before])
    await _one_life(consumer, broker, topics, 1)
    publish(broker.bootstrap_servers, topics.events, [meanwhile])
    await _one_life(consumer, broker, topics, 2)
    publish(broker.bootstrap_servers, topics.events, [after])
    await _one_life(consumer, broker, topics, 3)

    messages = await asyncio.to_thread(read, broker.bootstrap_servers, topics.results, 3)
    answered = sorted(message.key() or b"" for message in messages)
    assert answered == sorted(str(each.event_id).encode() for each in (before, meanwhile, after))


async def _one_life(
    consumer: LangGraphKafkaConsumer, broker: TestBroker, topics: TopicNames, results: int
) -> None:
    await consumer.start()
    task = asyncio.create_task(consumer.consume_and_process())
    await _results(broker, topics, results)
    consumer.running = False
    await asyncio.wait_for(task, 5)
    await consumer.stop()
    assert consumer.consumer is None
    assert consumer.last_stop.committed


@pytest.mark.apache
async def test_a_new_group_begins_at_the_end_by_default(
    make_config: MakeConfig, broker: TestBroker, topics: TopicNames
) -> None:
    """Old events are not run; everything after `start` is, also what comes before the first commit."""
    old, new = event(), event()
    publish(broker.bootstrap_servers, topics.events, [old])
    consumer = LangGraphKafkaConsumer(make_config(auto_offset_reset="latest"))
    await consumer.start()
    publish(broker.bootstrap_servers, topics.events, [new])
    await consumer.stop()
    async with consuming(make_config(auto_offset_reset="latest")):
        (result,) = await _results(broker, topics, 1)

    assert result.correlation_id == new.event_id


@pytest.mark.parametrize("codec", ["gzip", "lz4", "snappy", "zstd"])
async def test_compressed_events_are_read(
    codec: str, make_config: MakeConfig, broker: TestBroker, topics: TopicNames
) -> None:
    """Whatever the producers of others are set to."""
    asked = event({"task": "x" * 2000})
    record = Raw(asked.model_dump_json().encode(), str(asked.event_id).encode())
    send(broker.bootstrap_servers, topics.events, [record], **{"compression.type": codec})
    async with consuming(make_config()):
        (result,) = await _results(broker, topics, 1)

    assert (result.correlation_id, result.status) == (asked.event_id, "success")


async def test_without_auto_commit_the_caller_commits_what_is_settled(
    make_config: MakeConfig, broker: TestBroker, topics: TopicNames
) -> None:
    """Until then a restart brings the event again, and its stored verdict is not published twice."""
    publish(broker.bootstrap_servers, topics.events, [event()])
    async with consuming(make_config(enable_auto_commit=False)) as consumer:
        await _results(broker, topics, 1)
        engine = consumer.engine
        assert engine is not None
        await wait_until(lambda: any(engine.tracker.committable().values()), description="a settled offset")
        assert await consumer.commit()
        assert engine.tracker.committable() == {}
