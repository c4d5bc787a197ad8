"""What aiokafka's fetch leaves undone when it fails: nothing is passed over, and the membership goes on."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest

from kafka_devbroker import running_broker
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
        # the good one first, both before anybody takes them; a fetch from before the pause has ended by then
        await harness.write(Raw(b"good"))
        await wait_until(lambda: len(client._fetcher._records) == 1, 20, "the good one to be fetched")
        await harness.write(Raw(b"rotten", partition=1))
        _rot(harness.topic, 1)
        await source.resume([Partition(harness.topic, 1)])
        await wait_until(lambda: len(client._fetcher._records) == 2, 20, "both to be fetched")
        with pytest.raises(BrokerUnavailable, match="CRC"):
            await source.poll(100, 0.2)
        under_way = client._subscription._fetch_count
        await harness.write(Raw(b"later"))
        found = await _take(source, 2)

    assert [(each.value, each.position.offset) for each in found] == [(b"good", 0), (b"later", 1)]
    assert under_way == 0


@pytest.mark.broker
@pytest.mark.timeout(120)
async def test_brokers_that_go_away_in_a_rebalance_keep_no_poll() -> None:
    """The client waits for its assignment without a limit. A poll returns, and says why in time."""
    with running_broker("tansu") as own:
        harness = KafkaHarness(TestBroker(own.bootstrap_servers, "tansu"))
        await harness.write(Raw(b"before"))
        async with harness.member(Listener()) as source:
            assert isinstance(source, KafkaEventSource)
            client, fetching = source._running_client, source._fetching
            assert fetching is not None

            async def rejoin() -> None:
                client._coordinator.request_rejoin()

            own.pause()
            await source._thread.call(rejoin())
            await wait_until(lambda: client._subscription.reassignment_in_progress, 20, "a rebalance")
            async with asyncio.timeout(10):
                nothing = await source.poll(10, 0.2)
            fetching._began_at -= 31
            with pytest.raises(BrokerUnavailable, match="assigned no partitions"):
                await source.poll(10, 0.2)
            idle_s = client._subscription.fetcher_idle_time
            own.resume()
            (found,) = await _take(source, 1)

    assert (nothing, found.value) == ([], b"before")
    assert idle_s == 0
