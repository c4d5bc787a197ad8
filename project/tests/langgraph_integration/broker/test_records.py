"""A producer that is beyond repair, as librdkafka's own test of fatal errors makes it; and large batches."""

from __future__ import annotations

import asyncio
import ctypes
from pathlib import Path

import confluent_kafka
import pytest
from confluent_kafka import KafkaError, Producer

from langgraph_integration.broker.delivery_reports import DeliveryReports
from langgraph_integration.broker.records import RecordProducer, producer_options
from langgraph_integration.pipeline.gate import IntakeGate
from langgraph_integration.pipeline.trace import TraceContext, current_trace
from langgraph_integration.result_producer import ResultProducer
from tests.langgraph_integration.topics import read
from tests.support import wait_until
from tests.support.brokers import TestBroker
from tests.support.topics import set_topic_config
from workflow_events.errors import BrokerUnavailable, RecordTooLarge
from workflow_events.settings import KafkaSettings, TopicNames

GONE = "127.0.0.1:1"


def _end(client: Producer) -> None:
    """Let librdkafka meet a fatal error, as an idempotent producer does whose records went out of order."""
    found = Path(confluent_kafka.__file__).parent.with_name("confluent_kafka.libs").glob("librdkafka*")
    library = ctypes.CDLL(str(next(found)))
    library.rd_kafka_test_fatal_error.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p]
    # the handle is the first field behind the head of the Python object
    handle = ctypes.cast(id(client) + object.__basicsize__, ctypes.POINTER(ctypes.c_void_p))[0]
    code = KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER
    assert library.rd_kafka_test_fatal_error(handle, code, b"by a test") == 0


def _unanswered() -> RecordProducer:
    """A producer whose broker does not answer."""
    producer = RecordProducer(KafkaSettings(bootstrap_servers=GONE))
    client = Producer(producer_options(producer._settings, producer._last_error))
    producer._client, producer._reports = client, DeliveryReports(client, asyncio.get_running_loop())
    return producer


async def test_a_producer_that_is_beyond_repair_is_replaced(broker: TestBroker, topics: TopicNames) -> None:
    """A fatal error ends an idempotent producer of librdkafka; the next record goes through a new one."""
    producer = RecordProducer(KafkaSettings(bootstrap_servers=broker.bootstrap_servers))
    await producer.start([topics.results])
    before = producer._client
    assert before is not None
    _end(before)
    refused = 0
    async with asyncio.timeout(20):
        while producer._client is before:
            with pytest.raises(BrokerUnavailable):
                await producer.send(topics.results, b"key", b"value")
            refused += 1
        await producer.send(topics.results, b"key", b"value")
    await producer.stop()

    assert refused == 1
    assert len(await asyncio.to_thread(read, broker.bootstrap_servers, topics.results, 1)) == 1


async def test_what_was_in_flight_when_a_producer_ended_fails_with_the_reason() -> None:
    """Its senders send it again. All of them meet the error, and one new producer takes its place."""
    producer = _unanswered()
    ended, client = producer._reports, producer._client
    assert ended is not None
    assert client is not None
    sending = [asyncio.create_task(producer.send("results", b"key", b"value")) for _ in range(5)]
    await wait_until(lambda: len(client) == 5, description="five records on their way")
    _end(client)
    async with asyncio.timeout(10):
        errors = await asyncio.gather(*sending, return_exceptions=True)
    replacement = producer._client
    late = await producer._failed("results", 1, KafkaError(KafkaError._FATAL), ended)
    kept = producer._client
    await wait_until(lambda: not ended._thread.is_alive(), description="the end of the old one's thread")
    await producer.stop()

    assert [type(each) for each in errors] == [BrokerUnavailable] * 5
    assert "by a test" in str(errors[0])
    assert isinstance(late, BrokerUnavailable)
    assert replacement is not client
    assert kept is replacement


@pytest.mark.apache
@pytest.mark.topics(config={"max.message.bytes": "3000"})
@pytest.mark.parametrize("known", [True, False], ids=["limit known", "limit unknown"])
async def test_small_records_are_not_refused_with_their_batch(
    broker: TestBroker, topics: TopicNames, known: bool
) -> None:
    """The topic's limit is one for batches: what is sent at once goes in as many as are needed."""
    producer = RecordProducer(KafkaSettings(bootstrap_servers=broker.bootstrap_servers))
    await producer.start([topics.results] if known else [])
    gate = IntakeGate()

    async def send(value: bytes) -> None:
        await gate.insist("publish", lambda: producer.send(topics.results, b"key", value))

    await asyncio.gather(*(send(bytes(500)) for _ in range(100)))
    with pytest.raises(RecordTooLarge):
        await send(bytes(3000))
    await send(bytes(500))
    await producer.stop()

    assert len(await asyncio.to_thread(read, broker.bootstrap_servers, topics.results, 101)) == 101


@pytest.mark.apache
@pytest.mark.topics(config={"max.message.bytes": "3000"})
async def test_the_largest_value_fits_with_any_key_and_trace(broker: TestBroker, topics: TopicNames) -> None:
    """What was written to fit is sent under every id and for every asker: nobody could write it smaller."""
    producer = ResultProducer(broker.bootstrap_servers, topics.results)
    await producer.start()
    current_trace.set(TraceContext("0" * 55, "s" * 512))
    for key in (b"k" * 128, b"\xff" * 128):
        await producer.publish_record(key, b"x" * producer.limit_bytes, attempt=2**31 - 1)
    await producer.stop()

    assert len(await asyncio.to_thread(read, broker.bootstrap_servers, topics.results, 2)) == 2


@pytest.mark.apache
@pytest.mark.topics(config={"max.message.bytes": "3000"})
async def test_a_limit_that_was_raised_is_found(broker: TestBroker, topics: TopicNames) -> None:
    """A result waits for it: nobody has to restart the service as well."""
    settings = KafkaSettings(bootstrap_servers=broker.bootstrap_servers)
    producer = RecordProducer(settings, limits_again_s=0.1)
    await producer.start([topics.results])
    with pytest.raises(RecordTooLarge):
        await producer.send(topics.results, b"key", bytes(5000))
    await asyncio.to_thread(
        set_topic_config, broker.bootstrap_servers, topics.results, "max.message.bytes", "9000"
    )
    await wait_until(lambda: producer.limit_bytes(topics.results) > 5000, description="the new limit")
    await producer.send(topics.results, b"key", bytes(5000))
    await producer.stop()
