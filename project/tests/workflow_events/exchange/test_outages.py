"""Waiting while the broker is away."""

import asyncio
import time
from collections.abc import Iterator

import pytest
from confluent_kafka import KafkaError, KafkaException

from kafka_devbroker import Broker, running_broker
from kafka_devbroker.net import free_ports
from tests.support.topics import create_topics, unique_name
from tests.support.waiting import wait_until
from tests.workflow_events.samples import TopicWriter, a_result
from workflow_events.errors import BrokerUnavailable
from workflow_events.exchange import ResultExchange, ResultsUnavailable
from workflow_events.ids import new_event_id
from workflow_events.librdkafka import LastError

pytestmark = pytest.mark.slow


@pytest.fixture
def own_broker() -> Iterator[Broker]:
    """A broker that a test may kill. It forgets everything when it dies."""
    with running_broker("tansu") as broker:
        yield broker


def nobody() -> str:
    return f"127.0.0.1:{free_ports(1)[0]}"


async def test_waits_outlive_an_outage(own_broker: Broker) -> None:
    """Whoever still has time is answered when the broker is back; whoever has not is told why not."""
    topic = unique_name("results")
    create_topics(own_broker.bootstrap_servers, [topic], partitions=2)
    patient, impatient = new_event_id(), new_event_id()
    with ResultExchange(own_broker.bootstrap_servers, topic) as exchange:
        waits = asyncio.create_task(exchange.wait_async(patient, 50))
        assert await exchange.wait_async(new_event_id(), 0.5) is None
        own_broker.kill()

        with pytest.raises(ResultsUnavailable, match=topic):
            await exchange.wait_async(impatient, 5)
        assert not waits.done()

        own_broker.restart()
        create_topics(own_broker.bootstrap_servers, [topic], partitions=2)
        writer = TopicWriter(own_broker.bootstrap_servers, topic)
        writer.put_result(a_result(patient))
        writer.flush()
        found = await waits

    assert found is not None
    assert found.event.correlation_id == patient


async def test_looking_back_outlives_an_outage(own_broker: Broker) -> None:
    """Also for those who ask while the broker is away."""
    topic, event_id = unique_name("results"), new_event_id()
    create_topics(own_broker.bootstrap_servers, [topic])
    writer = TopicWriter(own_broker.bootstrap_servers, topic)
    writer.put_result(a_result())
    writer.flush()
    with ResultExchange(own_broker.bootstrap_servers, topic) as exchange:
        since = exchange.note()
        assert await exchange.wait_async(new_event_id(), 0.5, since=since) is None
        own_broker.kill()
        waits = asyncio.create_task(exchange.wait_async(event_id, 50))
        with pytest.raises(ResultsUnavailable):
            await exchange.wait_async(new_event_id(), 4)
        own_broker.restart()
        create_topics(own_broker.bootstrap_servers, [topic])
        back = TopicWriter(own_broker.bootstrap_servers, topic)
        # An error alone ends a wait only when all that stood before has been read.
        back.put_result(a_result(event_id, "error"))
        back.flush()
        found = await waits

    assert found is not None
    assert found.event.status == "error"


async def test_a_wait_may_begin_before_there_is_a_broker() -> None:
    """It connects when it can."""
    topic, event_id = unique_name("results"), new_event_id()
    with running_broker("tansu") as broker:
        broker.kill()
        with ResultExchange(broker.bootstrap_servers, topic, poll_interval=0.1) as exchange:
            waits = asyncio.create_task(exchange.wait_async(event_id, 50))
            await wait_until(lambda: exchange.waiting == 1)
            broker.restart()
            create_topics(broker.bootstrap_servers, [topic], partitions=2)
            writer = TopicWriter(broker.bootstrap_servers, topic)
            writer.put_result(a_result(event_id))
            writer.flush()
            assert await waits is not None


def test_without_a_broker_nobody_is_told_that_there_is_no_result() -> None:
    """The error is ours and the client's own, and comes at the timeout."""
    with ResultExchange(nobody(), "results") as exchange:
        began = time.monotonic()
        with pytest.raises(BrokerUnavailable, match="cannot be read") as caught:
            exchange.wait(new_event_id(), 1)
        assert time.monotonic() - began < 3
        assert isinstance(caught.value, KafkaException)
        with pytest.raises(ResultsUnavailable):
            exchange.note(0.5)
        with pytest.raises(ResultsUnavailable):
            exchange.read_at(0, 0, 0.5)


def test_who_wants_errors_at_once_does_not_wait_for_the_timeout() -> None:
    """Ten seconds without any broker are enough."""
    with ResultExchange(nobody(), "results") as exchange:
        began = time.monotonic()
        with pytest.raises(ResultsUnavailable):
            exchange.wait(new_event_id(), 60, fail_fast=True)

        assert 9 < time.monotonic() - began < 20


def test_a_refused_topic_stays_refused_until_a_record_comes() -> None:
    """Who may not read may still ask for metadata; that says nothing."""
    last_error = LastError()
    last_error(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED, "not allowed"))
    last_error.clear()
    seen = [last_error.refused]
    assert last_error.hint == "", "nothing is wrong now that would have to be looked into at once"
    last_error.clear(topic_too=True)
    seen.append(last_error.refused)

    assert seen == ["not allowed", None]


def test_a_refusal_is_told_rather_than_that_the_brokers_are_down() -> None:
    """The second follows from the first, and sends an operator to the wrong place."""
    last_error = LastError()
    last_error(KafkaError(KafkaError._AUTHENTICATION, "wrong password"))
    last_error(KafkaError(KafkaError._ALL_BROKERS_DOWN, "1/1 brokers are down"))

    assert last_error.hint == " (last error: wrong password)"


def test_a_refusal_is_remembered_until_something_goes_well() -> None:
    """Wrong credentials are not mended by waiting, a lost connection is."""
    last_error = LastError()
    seen = [(last_error.hint, last_error.refused)]
    last_error(KafkaError(KafkaError._TRANSPORT, "connection lost"))
    seen.append((last_error.hint, last_error.refused))
    last_error(KafkaError(KafkaError._AUTHENTICATION, "wrong password"))
    seen.append((last_error.hint, last_error.refused))
    last_error.clear()
    seen.append((last_error.hint, last_error.refused))

    assert seen == [
        ("", None),
        (" (last error: connection lost)", None),
        (" (last error: wrong password)", "wrong password"),
        ("", None),
    ]
