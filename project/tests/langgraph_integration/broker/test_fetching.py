"""What aiokafka's fetch leaves undone when it fails: nothing is passed over, and the membership goes on."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path

import pytest

from langgraph_integration.broker.source import KafkaEventSource
from langgraph_integration.pipeline.delivery import Delivery, Partition
from tests.contract.event_sources import KafkaHarness, Listener
from tests.langgraph_integration.topics import Raw
from tests.support import wait_until
from tests.support.brokers import TestBroker
from workflow_events.errors import BrokerUnavailable


async def _take(source: KafkaEventSource, number: int) -> list[Delivery]:
    """Poll as the service does, which goes on after an error, until that many records have come."""
    found: list[Delivery] = []

    async def enough() -> bool:
        with suppress(BrokerUnavailable):
            found.extend(await source.poll(100, 0.2))
        return len(found) >= number

    await wait_until(enough, 30, f"{number} records")
    return found


def _rot(topic: str, partition: int) -> None:
    """Flip a bit of the partition's last record on Kafka's disk."""
    segments = Path(tempfile.gettempdir()).glob(f"kafka-devbroker-apache-*/node-*/{topic}-{partition}/*.log")
    (segment,) = [each for each in segments if each.stat().st_size]
    with segment.open("r+b") as file:
        file.seek(-1, 2)
        (last,) = file.read(1)
        file.seek(-1, 2)
        file.write(bytes([last ^ 1]))


@pytest.mark.apache
async def test_a_batch_that_rotted_takes_nothing_of_other_partitions_with_it(broker: TestBroker) -> None:
    """What the failed fetch had taken of them comes again; the call that failed does not count for ever."""
    harness = KafkaHarness(broker)
    async with harness.member(Listener()) as source:
        assert isinstance(source, KafkaEventSource)
        client = source._running_client
        await source.pause([Partition(harness.topic, 1)])
        await harness.write(Raw(b"good"), Raw(b"rotten", partition=1))
        _rot(harness.topic, 1)
        # the good one first, both before anybody takes them
        await wait_until(lambda: len(client._fetcher._records) == 1, 20, "the good one to be fetched")
        await source.resume([Partition(harness.topic, 1)])
        await wait_until(lambda: len(client._fetcher._records) == 2, 20, "both to be fetched")
        with pytest.raises(BrokerUnavailable, match="CRC"):
            await source.poll(100, 0.2)
        under_way = client._subscription._fetch_count
        await harness.write(Raw(b"later"))
        found = await _take(source, 2)

    assert [(each.value, each.position.offset) for each in found] == [(b"good", 0), (b"later", 1)]
    assert under_way == 0
