"""The sources that the `EventSource` contract is tested on, with a way to write and to look behind them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

from confluent_kafka import Consumer, TopicPartition

from langgraph_integration.broker.clients import consumer_arguments
from langgraph_integration.broker.source import KafkaEventSource
from langgraph_integration.broker.thread import KafkaThread
from langgraph_integration.pipeline.delivery import Delivery, Partition
from langgraph_integration.pipeline.ports import EventSource
from tests.langgraph_integration.memory_source import MemorySource, MemoryTopic
from tests.langgraph_integration.topics import Raw, send
from tests.support.brokers import TestBroker
from tests.support.topics import create_topics, unique_name
from workflow_events.settings import KafkaSettings


@dataclass
class Listener:
    """Notes what it is told."""

    assigned: list[tuple[list[Partition], int]] = field(default_factory=list)
    revoked: list[list[Partition]] = field(default_factory=list)

    async def partitions_assigned(self, partitions: Sequence[Partition], generation: int) -> None:
        self.assigned.append((sorted(partitions, key=lambda each: each.number), generation))

    async def partitions_revoked(self, partitions: Sequence[Partition]) -> None:
        self.revoked.append(sorted(partitions, key=lambda each: each.number))


class Harness(Protocol):
    """One topic of two partitions, and members of one group that read it."""

    topic: str

    def member(
        self, listener: Listener, *, start_at: str = "earliest"
    ) -> AbstractAsyncContextManager[EventSource]:
        """A started member; it leaves at the end."""

    async def write(self, *records: Raw) -> None:
        """Append records; a partition of -1 means the first."""

    async def committed(self) -> Mapping[Partition, int]:
        """What the group has committed."""


class MemoryHarness:
    """Everything in this process."""

    def __init__(self) -> None:
        self._topic = MemoryTopic(partitions=2)
        self.topic = self._topic.name

    @asynccontextmanager
    async def member(self, listener: Listener, *, start_at: str = "earliest") -> AsyncIterator[EventSource]:
        source = MemorySource(self._topic, listener, start_at=start_at)
        await source.start()
        yield source
        await source.stop()

    async def write(self, *records: Raw) -> None:
        for record in records:
            headers = [(name, value) for name, value in record.headers if value is not None]
            partition = max(0, record.partition)
            self._topic.append(record.value, key=record.key, headers=headers, partition=partition)

    async def committed(self) -> Mapping[Partition, int]:
        return dict(self._topic.committed)


class KafkaHarness:
    """A topic and a group on a real broker."""

    def __init__(self, broker: TestBroker) -> None:
        self._broker = broker
        self.topic = unique_name("source")
        self._group_id = unique_name("group")
        create_topics(broker.bootstrap_servers, [self.topic], partitions=2)

    @asynccontextmanager
    async def member(
        self, listener: Listener, *, start_at: str = "earliest", store_id: str = "store"
    ) -> AsyncIterator[EventSource]:
        thread = KafkaThread()
        thread.start()
        settings = KafkaSettings(bootstrap_servers=self._broker.bootstrap_servers)
        source = KafkaEventSource(
            thread,
            consumer_arguments(
                settings,
                group_id=self._group_id,
                session_timeout_ms=self._broker.session_timeout_ms,
                heartbeat_interval_ms=self._broker.heartbeat_interval_ms,
                rebalance_timeout_ms=10_000,
                group_instance_id=None,
            ),
            settings=settings,
            topic=self.topic,
            start_at=start_at,
            store_id=store_id,
            listener=listener,
            revoke_budget_s=5,
        )
        try:
            await source.start()
            yield source
        finally:
            await source.stop()
            thread.stop()

    async def write(self, *records: Raw) -> None:
        placed = [
            Raw(each.value, each.key, each.headers, max(0, each.partition), each.timestamp_ms)
            for each in records
        ]
        await asyncio.to_thread(send, self._broker.bootstrap_servers, self.topic, placed)

    async def committed(self) -> Mapping[Partition, int]:
        return await asyncio.to_thread(self._committed)

    def _committed(self) -> Mapping[Partition, int]:
        client = Consumer({"bootstrap.servers": self._broker.bootstrap_servers, "group.id": self._group_id})
        try:
            found = client.committed([TopicPartition(self.topic, number) for number in range(2)], timeout=20)
        finally:
            client.close()
        return {Partition(self.topic, each.partition): each.offset for each in found if each.offset >= 0}


async def take(source: EventSource, number: int, *, max_records: int = 100) -> list[Delivery]:
    """Poll until that many records have come."""
    found: list[Delivery] = []
    async with asyncio.timeout(30):
        while len(found) < number:
            found.extend(await source.poll(max_records, 0.2))
    return found
