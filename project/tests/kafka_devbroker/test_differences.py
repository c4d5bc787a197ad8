"""Where Tansu is not Apache Kafka: the table in DESIGN.md, row by row. A row that fails here has changed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from tests.support import wait_until
from tests.support.brokers import TestBroker
from tests.support.topics import create_topics, unique_name

pytestmark = pytest.mark.each_broker


def topic_on(broker: TestBroker, **config: str) -> str:
    """A fresh topic of one partition."""
    name = unique_name("difference")
    create_topics(broker.bootstrap_servers, [name], config=config or None)
    return name


def produced(broker: TestBroker, topic: str, value: bytes) -> str | None:
    """What the broker said to a record: None if it took it, else the name of the error."""
    said: list[str | None] = []
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
    producer.produce(topic, value, on_delivery=lambda error, _: said.append(error.name() if error else None))
    producer.flush(20)
    return said[0]


async def seconds_to_join(broker: TestBroker, group: str, topic: str) -> float:
    """How long a member with a session of 6 s waits for its partitions."""
    member = AIOKafkaConsumer(
        topic,
        bootstrap_servers=broker.bootstrap_servers,
        group_id=group,
        session_timeout_ms=broker.session_timeout_ms,
        heartbeat_interval_ms=broker.heartbeat_interval_ms,
        enable_auto_commit=False,
    )
    began = time.monotonic()
    await member.start()
    try:
        await wait_until(member.assignment, 30, "the partitions")
        return time.monotonic() - began
    finally:
        await member.stop()


@pytest.mark.slow
async def test_a_group_waits_for_its_first_join_on_tansu(broker: TestBroker) -> None:
    """Half of the session timeout; and up to twice of it when the group comes back."""
    topic, group = topic_on(broker), unique_name("group")
    first = await seconds_to_join(broker, group, topic)
    again = await seconds_to_join(broker, group, topic)

    if broker.backend == "tansu":
        assert 2.5 < first < 6
        assert 6 < again < 14
    else:
        assert first < 6
        assert again < 6


def test_metadata_of_commits_is_dropped_by_tansu(broker: TestBroker) -> None:
    """So that workers with different stores are not noticed there."""
    topic = topic_on(broker)
    member = Consumer({"bootstrap.servers": broker.bootstrap_servers, "group.id": unique_name("group")})
    try:
        member.commit(offsets=[TopicPartition(topic, 0, 0, "metadata")], asynchronous=False)
        (committed,) = member.committed([TopicPartition(topic, 0)], timeout=10)
    finally:
        member.close()

    assert (committed.metadata or "") == ("" if broker.backend == "tansu" else "metadata")


def test_the_limit_of_a_record_is_not_kept_by_tansu(broker: TestBroker) -> None:
    """Our producers look at the topic's setting before they send."""
    topic = topic_on(broker, **{"max.message.bytes": "2000"})

    assert produced(broker, topic, b"x" * 5000) == (
        None if broker.backend == "tansu" else "MSG_SIZE_TOO_LARGE"
    )


def test_the_end_of_a_topic_is_too_low_on_tansu(broker: TestBroker) -> None:
    """A batch of several records counts as one there, so a reader from the end may see some of it again."""
    topic = topic_on(broker)
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers, "linger.ms": 200})
    for value in (b"a", b"b", b"c"):
        producer.produce(topic, value)
    producer.flush(20)

    reader = Consumer({"bootstrap.servers": broker.bootstrap_servers, "group.id": unique_name("group")})
    _, end = reader.get_watermark_offsets(TopicPartition(topic, 0), timeout=10, cached=False)
    reader.close()
    assert end == (1 if broker.backend == "tansu" else 3)


def test_a_topic_made_by_its_first_record_has_four_partitions_on_tansu(broker: TestBroker) -> None:
    """And one on Apache Kafka, unless it is told otherwise."""
    topic = unique_name("made-by-use")
    assert produced(broker, topic, b"x") is None

    admin = Producer({"bootstrap.servers": broker.bootstrap_servers})
    partitions = admin.list_topics(topic, timeout=10).topics[topic].partitions
    assert len(partitions) == (4 if broker.backend == "tansu" else 1)


async def test_the_idempotent_producer_of_aiokafka_is_refused_by_tansu(broker: TestBroker) -> None:
    """librdkafka's works on both, and is the one we use."""
    producer = AIOKafkaProducer(bootstrap_servers=broker.bootstrap_servers, enable_idempotence=True)
    try:
        await asyncio.wait_for(producer.start(), 20)
        refused = False
    except KafkaError:
        refused = True
    finally:
        await producer.stop()

    assert refused is (broker.backend == "tansu")


def test_an_aborted_record_is_seen_on_tansu(broker: TestBroker) -> None:
    """Although its reader asks for committed ones."""
    topic = topic_on(broker)
    writer = Producer(
        {"bootstrap.servers": broker.bootstrap_servers, "transactional.id": unique_name("transaction")}
    )
    writer.init_transactions(20)
    _transaction(writer, topic, b"aborted", writer.abort_transaction)
    _transaction(writer, topic, b"committed", writer.commit_transaction)

    seen = _committed_records(broker, topic)
    assert seen == ([b"aborted", b"committed"] if broker.backend == "tansu" else [b"committed"])


def _transaction(writer: Producer, topic: str, value: bytes, end: Callable[[float], object]) -> None:
    writer.begin_transaction()
    writer.produce(topic, value)
    writer.flush(10)
    end(20)


def _committed_records(broker: TestBroker, topic: str) -> list[bytes]:
    reader = Consumer(
        {
            "bootstrap.servers": broker.bootstrap_servers,
            "group.id": unique_name("group"),
            "isolation.level": "read_committed",
        }
    )
    try:
        reader.assign([TopicPartition(topic, 0, 0)])
        seen: list[bytes] = []
        deadline = time.monotonic() + 20
        while b"committed" not in seen:
            assert time.monotonic() < deadline, seen
            message = reader.poll(0.2)
            if message is not None and message.error() is not None:
                raise KafkaException(message.error())
            if message is not None:
                seen.append(message.value() or b"")
        return seen
    finally:
        reader.close()
