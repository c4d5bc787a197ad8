"""From the service's answer to whoever waits for it."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest

from airflow_integration.result_poller import WorkflowResultPoller
from tests.langgraph_integration.conftest import MakeConfig
from tests.langgraph_integration.events import event
from tests.langgraph_integration.running import consuming
from tests.langgraph_integration.topics import publish, read_results
from tests.support.brokers import TestBroker
from tests.support.status import status
from workflow_events import WorkflowEventProducer
from workflow_events.ids import new_event_id
from workflow_events.settings import TopicNames


def _poller(broker: TestBroker, topics: TopicNames, timeout: float = 30) -> WorkflowResultPoller:
    return WorkflowResultPoller(broker.bootstrap_servers, topics.results, timeout=timeout, poll_interval=0.2)


async def test_a_published_event_is_waited_for(
    make_config: MakeConfig, broker: TestBroker, topics: TopicNames
) -> None:
    """The guide's round trip: producer, service, poller."""
    async with consuming(make_config()):
        with WorkflowEventProducer(broker.bootstrap_servers) as producer:
            asked = event({"task": "process_data", "input": "test"})
            assert await asyncio.to_thread(producer.publish_event, asked, topic=topics.events)
        found = await asyncio.to_thread(_poller(broker, topics).poll_for_result, asked.event_id, "dag")

    assert found is not None
    assert (found["status"], found["correlation_id"]) == ("success", str(asked.event_id))
    assert found["result"]["completed"] is True
    assert found["result"]["task"] == "process_data"


async def test_an_error_is_found_like_a_success(
    make_config: MakeConfig, broker: TestBroker, topics: TopicNames
) -> None:
    """The poller gives the record, whatever its status."""
    asked = event(graph="nope")
    publish(broker.bootstrap_servers, topics.events, [asked])
    async with consuming(make_config()):
        found = await asyncio.to_thread(_poller(broker, topics).poll_for_result, asked.event_id)

    assert found is not None
    assert (found["status"], found["result"]) == ("error", {})
    assert "unknown graph" in found["error"]


@pytest.mark.each_broker
async def test_a_result_published_before_anybody_polls_is_found_also_twice(
    make_config: MakeConfig, broker: TestBroker, topics: TopicNames
) -> None:
    """With ids of ours, which carry a time, and with any other."""
    events = [event(), event(event_id=UUID("11111111-1111-4111-8111-111111111111"))]
    publish(broker.bootstrap_servers, topics.events, events)
    async with consuming(make_config()):
        await asyncio.to_thread(read_results, broker.bootstrap_servers, topics.results, 2)
    poller = _poller(broker, topics)
    for asked in (*events, *events):
        found = await asyncio.to_thread(poller.poll_for_result, asked.event_id)
        assert found is not None
        assert found["correlation_id"] == str(asked.event_id)


@pytest.mark.slow
async def test_fifty_pollers_at_once_each_get_their_own(
    make_config: MakeConfig, broker: TestBroker, topics: TopicNames
) -> None:
    """All of them wait before the first event is published."""
    events = [event({"task": f"task {number}"}) for number in range(50)]

    def poll(event_id: UUID) -> dict[str, Any] | None:
        return _poller(broker, topics, timeout=45).poll_for_result(event_id)

    loop = asyncio.get_running_loop()
    async with consuming(make_config()):
        with ThreadPoolExecutor(50) as threads:
            polls = [loop.run_in_executor(threads, poll, asked.event_id) for asked in events]
            await asyncio.to_thread(publish, broker.bootstrap_servers, topics.events, events)
            found = await asyncio.gather(*polls)
    mine = [
        record is not None and record["correlation_id"] == str(asked.event_id)
        for record, asked in zip(found, events, strict=True)
    ]
    status.info("bar: 50 pollers at once, %d got their own result", sum(mine))

    assert all(mine)
    assert [record["result"]["task"] for record in found if record] == [f"task {n}" for n in range(50)]


async def test_nobodys_result_is_none_at_the_timeout(broker: TestBroker, topics: TopicNames) -> None:
    """Not an error: the caller decides."""
    assert await asyncio.to_thread(_poller(broker, topics, 0.5).poll_for_result, new_event_id()) is None
