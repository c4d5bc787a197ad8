"""A new group starts at the end of every partition, whoever of its members is first."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest
from confluent_kafka import Consumer, TopicPartition

from langgraph_integration.broker.new_group import start_at_end
from tests.contract.event_sources import KafkaHarness, Listener
from tests.langgraph_integration.topics import Raw
from tests.support.brokers import TestBroker
from tests.support.topics import create_topics, unique_name
from workflow_events.errors import BrokerUnavailable
from workflow_events.settings import KafkaSettings


@pytest.mark.each_broker
async def test_two_members_that_start_together_begin_at_the_end(broker: TestBroker) -> None:
    """Neither takes the commits of the other for those of an old group."""
    harness = KafkaHarness(broker)
    await harness.write(Raw(b"old"), Raw(b"old", partition=1))
    await harness.write(Raw(b"old", partition=1))  # apart, for Tansu counts a batch as one record
    async with AsyncExitStack() as stack:
        members = [harness.member(Listener(), start_at="latest") for _ in range(2)]
        await asyncio.gather(*[stack.enter_async_context(member) for member in members])
        committed = await harness.committed()

    assert sorted(committed.values()) == [1, 2]


@pytest.mark.each_broker
def test_a_group_with_commits_is_left_as_it_is(broker: TestBroker) -> None:
    """Also the partitions in which it has none: those are new, and read from their beginning."""
    settings, topic, group = KafkaSettings(broker.bootstrap_servers), unique_name("t"), unique_name("g")
    create_topics(broker.bootstrap_servers, [topic], partitions=2)
    reader = Consumer({"bootstrap.servers": broker.bootstrap_servers, "group.id": group})
    try:
        assert start_at_end(settings, group_id=group, topic=topic, metadata="") is True
        assert start_at_end(settings, group_id=group, topic=topic, metadata="") is False
        other = unique_name("g")
        second = Consumer({"bootstrap.servers": broker.bootstrap_servers, "group.id": other})
        second.commit(offsets=[TopicPartition(topic, 0, 0)], asynchronous=False)
        assert start_at_end(settings, group_id=other, topic=topic, metadata="") is False
        (untouched,) = second.committed([TopicPartition(topic, 1)], timeout=10)
        second.close()
    finally:
        reader.close()

    assert untouched.offset < 0


@pytest.mark.each_broker
def test_a_topic_that_is_not_there_is_not_made(broker: TestBroker) -> None:
    """The service creates nothing."""
    settings = KafkaSettings(broker.bootstrap_servers)

    assert start_at_end(settings, group_id=unique_name("g"), topic=unique_name("none"), metadata="") is False


@pytest.mark.slow
def test_a_broker_that_does_not_answer_is_named() -> None:
    """As everywhere."""
    with pytest.raises(BrokerUnavailable, match="localhost:1"):
        start_at_end(KafkaSettings("localhost:1"), group_id="g", topic="t", metadata="")
