"""KafkaEventSource beyond the contract of all sources: connections that fail, staying alive unread."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress
from typing import cast

import pytest
from aiokafka.consumer.fetcher import FetchError
from aiokafka.errors import TopicAuthorizationFailedError

from langgraph_integration.broker.clients import consumer_arguments
from langgraph_integration.broker.source import KafkaEventSource
from langgraph_integration.broker.thread import KafkaThread
from langgraph_integration.pipeline.delivery import Delivery, Partition
from tests.contract.event_sources import KafkaHarness, Listener, take
from tests.langgraph_integration.topics import Raw, send
from tests.support import wait_until
from tests.support.brokers import TestBroker
from tests.support.topics import make_anew, unique_name
from workflow_events.errors import BrokerUnavailable
from workflow_events.settings import KafkaSettings

GONE = "127.0.0.1:1"


async def test_a_broker_that_is_not_there_is_named() -> None:
    """And nothing is left running on the Kafka thread."""
    thread = KafkaThread()
    thread.start()
    settings = KafkaSettings(bootstrap_servers=GONE)
    arguments = consumer_arguments(
        settings,
        group_id="group",
        session_timeout_ms=6000,
        heartbeat_interval_ms=1000,
        rebalance_timeout_ms=10_000,
        group_instance_id=None,
    )
    harness_source = KafkaEventSource(
        thread,
        arguments,
        settings=settings,
        topic="events",
        start_at="earliest",
        store_id=None,
        listener=Listener(),
        revoke_budget_s=1,
    )
    try:
        with pytest.raises(BrokerUnavailable, match=GONE):
            await harness_source.start()
        assert await harness_source.stop()
    finally:
        thread.stop()


@pytest.mark.apache
async def test_a_topic_that_is_made_after_the_start_is_read_from_its_beginning(broker: TestBroker) -> None:
    """Whatever is on it was published while the service was there; `latest` is about what was before."""
    topic, settings = unique_name("late"), KafkaSettings(bootstrap_servers=broker.bootstrap_servers)
    arguments = consumer_arguments(
        settings,
        group_id=unique_name("group"),
        session_timeout_ms=6000,
        heartbeat_interval_ms=1000,
        rebalance_timeout_ms=10_000,
        group_instance_id=None,
    )
    thread = KafkaThread()
    thread.start()
    source = KafkaEventSource(
        thread,
        {**arguments, "metadata_max_age_ms": 500},
        settings=settings,
        topic=topic,
        start_at="latest",
        store_id="store",
        listener=Listener(),
        revoke_budget_s=1,
    )
    try:
        await source.start()
        await asyncio.to_thread(send, broker.bootstrap_servers, topic, [Raw(b"first")])
        found: list[Delivery] = []

        async def read() -> bool:
            # until the topic is known it is told that there is none
            with suppress(BrokerUnavailable):
                found.extend(await source.poll(100, 0.2))
            return bool(found)

        await wait_until(read, 30, "the first record")
    finally:
        await source.stop()
        thread.stop()

    assert [(each.value, each.position.offset) for each in found] == [(b"first", 0)]


async def test_a_source_that_was_stopped_says_so(broker: TestBroker) -> None:
    """Stopping it twice is harmless."""
    harness = KafkaHarness(broker)
    async with harness.member(Listener()) as source:
        assert isinstance(source, KafkaEventSource)
        joined = source.joined
        first, second = await source.stop(), await source.stop()
        for call in (source.poll(1, 0.1), source.commit({Partition(harness.topic, 0): 0}), source.pause([])):
            with pytest.raises(BrokerUnavailable, match="not connected"):
                await call

    assert (joined, first, second) == (True, True, True)


async def test_a_member_that_wants_nothing_for_long_still_counts_as_polling(broker: TestBroker) -> None:
    """Once a minute it polls with everything paused: nothing is taken, nothing is lost."""
    harness = KafkaHarness(broker)
    await harness.write(Raw(b"x"), Raw(b"y", partition=1))
    async with harness.member(Listener()) as source:
        assert isinstance(source, KafkaEventSource)
        await source.pause([Partition(harness.topic, 1)])
        source._polled_at -= 61
        nothing = await source.poll(0, 0.0)
        client = source._running_client
        paused = {each.partition for each in client.paused()}
        deliveries = await take(source, 1)

    assert nothing == []
    assert paused == {1}
    assert [each.value for each in deliveries] == [b"x"]


async def test_a_fetch_that_failed_leaves_nothing_paused(broker: TestBroker) -> None:
    """The keep-alive meets what an earlier fetch was refused, says so, and the next poll reads on."""
    harness = KafkaHarness(broker)
    await harness.write(Raw(b"x"))
    async with harness.member(Listener()) as source:
        assert isinstance(source, KafkaEventSource)
        client = source._running_client
        where = next(iter(client.assignment()))
        refused = FetchError(error=TopicAuthorizationFailedError(where.topic), backoff=0)
        client._fetcher._records[where] = refused
        source._polled_at -= 61
        with pytest.raises(BrokerUnavailable):
            await source.poll(0, 0.0)
        paused = client.paused()
        deliveries = await take(source, 1)

    assert paused == set()
    assert [each.value for each in deliveries] == [b"x"]


@pytest.mark.apache
async def test_two_stores_that_begin_a_group_at_once_do_not_both_take_records(broker: TestBroker) -> None:
    """Each finds no commit of the other when it comes, and looks again when it has made its own. (Tansu keeps
    no metadata of commits.)
    """
    harness = KafkaHarness(broker)
    async with AsyncExitStack() as stack:
        members = [harness.member(Listener(), store_id=name) for name in ("one", "another")]
        sources = await asyncio.gather(*map(stack.enter_async_context, members))
        strangers = [cast(KafkaEventSource, source).policy.foreign_store for source in sources]

    assert any(strangers)


async def test_a_topic_that_was_made_anew_is_neither_read_nor_committed(broker: TestBroker) -> None:
    """Its offsets are not those of the old one, although they look alike."""
    harness = KafkaHarness(broker)
    await harness.write(Raw(b"old"), Raw(b"old"))
    async with harness.member(Listener()) as source:
        assert isinstance(source, KafkaEventSource)
        await take(source, 2)
        await asyncio.to_thread(make_anew, broker.bootstrap_servers, harness.topic, partitions=2)
        source._incarnation._looked_at -= 11

        async def seen() -> bool:
            with suppress(BrokerUnavailable):
                await source.poll(0, 0.1)
            return source._incarnation._found != source._incarnation.placed

        await wait_until(seen, 30, "the new topic's id to be seen")
        await harness.write(*[Raw(b"new")] * 5)
        for call in (source.poll(10, 0.2), source.commit({Partition(harness.topic, 0): 2})):
            with pytest.raises(BrokerUnavailable, match="made anew"):
                await call
