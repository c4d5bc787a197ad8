"""Header names are bytes to Kafka and librdkafka; no record may end a worker because they are not UTF-8."""

from __future__ import annotations

import asyncio

import pytest
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from langgraph_integration.broker.header_names import _Records
from langgraph_integration.pipeline.delivery import Partition
from tests.contract.event_sources import KafkaHarness, Listener, take
from tests.langgraph_integration.conftest import MakeConfig
from tests.langgraph_integration.events import event, value_of
from tests.langgraph_integration.running import consuming
from tests.langgraph_integration.topics import Raw, read_letters, read_results
from tests.support import wait_until
from tests.support.brokers import TestBroker
from tests.support.strange_headers import batch_with_a_strange_header, produce_batch
from workflow_events.settings import TopicNames

GZIP, SNAPPY, LZ4, ZSTD = 1, 2, 3, 4


@pytest.mark.each_broker
async def test_a_header_name_that_is_not_utf_8_is_escaped_and_nothing_around_it_is_lost(
    broker: TestBroker,
) -> None:
    """The record comes with its key, value and place; so do those before and after it, once each."""
    harness = KafkaHarness(broker)
    await harness.write(Raw(b"before"), Raw(b"beside", partition=1))
    await produce_batch(
        broker.bootstrap_servers,
        harness.topic,
        0,
        batch_with_a_strange_header([b"first", b"strange", b"third"]),
    )
    await harness.write(Raw(b"after"))
    async with harness.member(Listener()) as source:
        # few at a time: what is read leniently ends in the middle of the batch, too
        found = await take(source, 6, max_records=2)
        await source.commit({Partition(harness.topic, 0): 5})

    by_place = {(each.position.partition, each.position.offset): each for each in found}
    assert len(found) == len(by_place) == 6
    values = [by_place[0, offset].value for offset in range(5)]
    assert values == [b"before", b"first", b"strange", b"third", b"after"]
    assert by_place[1, 0].value == b"beside"
    assert by_place[0, 2].headers == (("N\\xffME", b"1"), ("empty", None))
    assert by_place[0, 2].key == b"key"


@pytest.mark.topics(partitions=1)
async def test_such_a_record_is_judged_by_its_value(
    make_config: MakeConfig, broker: TestBroker, topics: TopicNames
) -> None:
    """An event is answered like any other, and what is none becomes a dead letter with all its headers."""
    asked = event()
    for values in ([b"", b"no event"], [value_of(event()), value_of(asked)]):
        await produce_batch(broker.bootstrap_servers, topics.events, 0, batch_with_a_strange_header(values))
    async with consuming(make_config()) as consumer:
        results = await asyncio.to_thread(read_results, broker.bootstrap_servers, topics.results, 2)
        letters = await asyncio.to_thread(read_letters, broker.bootstrap_servers, topics.dead_letters, 2)
        engine = consumer.engine
        assert engine is not None
        (partition,) = engine.tracker.partitions
        await wait_until(lambda: engine.tracker.watermark(partition) == 4, description="all to be settled")

    assert asked.event_id in {each.correlation_id for each in results if each.status == "success"}
    (strange,) = [each for each in letters if each.origin is not None and each.origin.offset == 1]
    assert strange.reason == "invalid"
    assert strange.origin is not None
    assert strange.origin.headers == [("N\\xffME", "MQ=="), ("empty", None)]


@pytest.mark.parametrize("compression", [GZIP, SNAPPY, LZ4, ZSTD])
def test_compressed_batches_are_read_leniently_too(compression: int) -> None:
    """Whatever the producer chose. (The names in here are whole: packed bytes cannot be spoilt.)"""
    builder = DefaultRecordBatchBuilder(2, compression, 0, -1, -1, -1, 1024 * 1024)
    for number in range(50):
        builder.append(number, 0, None, b"v" * 100, [("é", None)])
    records = _Records(bytes(builder.build()))
    batch = records.next_batch()

    assert batch.validate_crc()
    assert [(each.value, each.headers) for each in batch] == [(b"v" * 100, [("é", None)])] * 50
    assert not records.has_next()
