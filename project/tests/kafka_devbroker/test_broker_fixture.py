"""The fixtures other tests rely on."""

from __future__ import annotations

import psycopg
import pytest
from confluent_kafka import Consumer, Producer

from tests.support.brokers import TestBroker
from tests.support.waiting import wait_until_sync
from workflow_events.settings import TopicNames


@pytest.mark.each_broker
@pytest.mark.topics(partitions=2)
def test_a_record_of_five_megabytes_passes_through_a_topic_of_the_test(
    broker: TestBroker, topics: TopicNames, group_id: str
) -> None:
    """Topics take 8 MiB, as the tests with oversized events need."""
    value = b"x" * 5_000_000
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers, "message.max.bytes": 8_000_000})
    producer.produce(topics.events, value, partition=1)
    assert producer.flush(20) == 0
    consumer = Consumer(
        {
            "bootstrap.servers": broker.bootstrap_servers,
            "group.id": group_id,
            "auto.offset.reset": "earliest",
            "session.timeout.ms": broker.session_timeout_ms,
        }
    )
    consumer.subscribe([topics.events])
    try:
        record = wait_until_sync(lambda: consumer.poll(0.5), 30, "the record")
    finally:
        consumer.close()

    assert (record.value(), record.partition()) == (value, 1)


def test_each_test_gets_an_empty_database(postgres_dsn: str) -> None:
    """The database has no table of anybody else."""
    with psycopg.connect(postgres_dsn) as connection:
        tables = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()

    assert tables == (0,)
