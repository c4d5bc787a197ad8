"""Publishing events."""

import json
import math
import os
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from confluent_kafka import Consumer, TopicPartition
from pydantic import ValidationError

from kafka_devbroker import running_broker
from kafka_devbroker.net import free_ports
from tests.support.brokers import TestBroker
from tests.support.topics import create_topics, unique_name
from tests.workflow_events.samples import EVENT_FIELDS, an_event
from workflow_events import EventSource, EventType, WorkflowEventPayload, WorkflowEventProducer
from workflow_events.codec import decode_event, encode
from workflow_events.errors import ConfigurationError, NotJson, PublishFailed, RecordTooLarge
from workflow_events.headers import RecordHeaders
from workflow_events.settings import KafkaSettings, TopicNames

Record = tuple[bytes | None, bytes | None, RecordHeaders]


@pytest.fixture
def producer(
    broker: TestBroker, topics: TopicNames, monkeypatch: pytest.MonkeyPatch
) -> Iterator[WorkflowEventProducer]:
    """A producer whose events topic is the test's own."""
    monkeypatch.setenv("KAFKA_WORKFLOW_EVENTS_TOPIC", topics.events)
    with WorkflowEventProducer(broker.bootstrap_servers) as producer:
        yield producer


def published(broker: TestBroker, topic: str, count: int) -> list[Record]:
    """The first records of a topic of three partitions."""
    options: dict[str, Any] = {
        "bootstrap.servers": broker.bootstrap_servers,
        "group.id": "x",
        "auto.offset.reset": "earliest",
    }
    found: list[Record] = []
    with Consumer(options) as consumer:
        consumer.assign([TopicPartition(topic, partition, 0) for partition in range(3)])
        deadline = time.monotonic() + 10
        while len(found) < count and time.monotonic() < deadline:
            message = consumer.poll(0.2)
            if message is not None and message.error() is None:
                headers = message.headers()
                assert isinstance(headers, list)
                pairs = [(name, value if isinstance(value, bytes) else None) for name, value in headers]
                found.append((message.key(), message.value(), RecordHeaders.parse(pairs)))
    return found


def test_an_event_is_written_under_its_id(
    broker: TestBroker, topics: TopicNames, producer: WorkflowEventProducer
) -> None:
    """Key and header name it, the value is the event, and True means that the broker has it."""
    event = an_event()

    assert producer.publish_event(event, topic=topics.events) is True

    [(key, value, headers)] = published(broker, topics.events, 1)
    assert key == str(event.event_id).encode()
    assert decode_event(value) == event
    assert headers == RecordHeaders(str(event.event_id), attempt=1)


def test_a_workflow_event_is_made_and_published_in_one_call(
    broker: TestBroker, topics: TopicNames, producer: WorkflowEventProducer
) -> None:
    """The guide's call; what is returned is what was written."""
    event = producer.publish_workflow_event(
        event_type=EventType.WORKFLOW_TRIGGERED,
        source=EventSource.AIRFLOW,
        workflow_id="dag",
        workflow_run_id="run",
        payload={"data": {"task": "process_data"}},
    )

    assert isinstance(event.event_id, UUID)
    assert event.metadata.model_dump() == {"environment": "dev", "version": "1.0"}
    [(_, value, _)] = published(broker, topics.events, 1)
    assert decode_event(value) == event


def test_everything_about_an_event_can_be_said(
    broker: TestBroker, topics: TopicNames, producer: WorkflowEventProducer
) -> None:
    """Id, graph, attempt, deadline and trace context, for askers who know them."""
    event_id = uuid4()
    event = producer.publish_workflow_event(
        "workflow.triggered",
        "fastapi",
        "w",
        "r",
        WorkflowEventPayload(data={}),
        {"environment": "prod", "version": "1.2"},
        topics.dead_letters,
        5,
        event_id=event_id,
        graph="mine",
        attempt=3,
        deadline_ms=1_900_000_000_000,
        traceparent="00-a-b-01",
    )

    [(_, value, headers)] = published(broker, topics.dead_letters, 1)
    assert decode_event(value) == event
    assert (event.event_id, event.graph, event.metadata.environment) == (event_id, "mine", "prod")
    assert headers == RecordHeaders(str(event_id), 3, 1_900_000_000_000, "00-a-b-01")


def test_metadata_comes_from_the_environment(
    broker: TestBroker, topics: TopicNames, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it is when the producer is made."""
    monkeypatch.setenv("ENVIRONMENT", "staging")
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", broker.bootstrap_servers)
    with WorkflowEventProducer() as producer:
        monkeypatch.setenv("ENVIRONMENT", "prod")
        event = producer.publish_workflow_event(**EVENT_FIELDS | {"metadata": None, "topic": topics.events})

    assert event.metadata.environment == "staging"
    assert producer.bootstrap_servers == broker.bootstrap_servers


def test_a_number_that_json_cannot_carry_is_an_error_before_anything_is_sent(
    broker: TestBroker, topics: TopicNames, producer: WorkflowEventProducer
) -> None:
    """It names the path; the next event is the first on the topic."""
    bad = an_event(payload={"data": {"rows": [math.nan]}})

    with pytest.raises(NotJson, match=r"payload\.data\.rows\[0\]"):
        producer.publish_event(bad, topics.events)
    with pytest.raises(NotJson):
        producer.publish_workflow_event(**EVENT_FIELDS | {"payload": bad.payload})
    good = an_event()
    producer.publish_event(good, topics.events)

    [(_, value, _)] = published(broker, topics.events, 1)
    assert decode_event(value) == good


def test_bad_fields_are_errors_of_the_schema(producer: WorkflowEventProducer) -> None:
    """Nothing is published."""
    with pytest.raises(ValidationError, match="environment"):
        producer.publish_workflow_event(**EVENT_FIELDS | {"metadata": {"environment": "test"}})


def test_many_threads_may_share_a_producer(
    broker: TestBroker, topics: TopicNames, producer: WorkflowEventProducer
) -> None:
    """Each call answers for its own event."""
    events = [an_event() for _ in range(40)]
    outcomes: list[bool] = []

    def publish(part: int) -> None:
        outcomes.extend(producer.publish_event(event, topics.events) for event in events[part::4])

    threads = [threading.Thread(target=publish, args=(part,)) for part in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert outcomes == [True] * 40
    found = {json.loads(value or b"")["event_id"] for _, value, _ in published(broker, topics.events, 40)}
    assert found == {str(event.event_id) for event in events}


@pytest.mark.each_broker
def test_an_event_too_large_for_its_topic_is_an_error_that_says_so(broker: TestBroker) -> None:
    """Or, where the broker has no limit (Tansu), it is simply written."""
    topic = unique_name("small")
    create_topics(broker.bootstrap_servers, [topic], config={"max.message.bytes": "10000"})
    large = an_event(payload={"data": {"text": os.urandom(20_000).hex()}})

    with WorkflowEventProducer(broker.bootstrap_servers) as producer:
        if broker.backend == "tansu":
            producer.publish(large, topic)
        else:
            with pytest.raises(RecordTooLarge, match=str(large.event_id)):
                producer.publish(large, topic)


@pytest.mark.expect_errors
def test_without_a_broker_the_answer_is_no_in_time(caplog: pytest.LogCaptureFixture) -> None:
    """False and a log line, or the error itself, with the reason and what it means."""
    with WorkflowEventProducer(f"127.0.0.1:{free_ports(1)[0]}") as producer:
        began = time.monotonic()
        assert producer.publish_event(an_event(), timeout=0.5) is False
        assert time.monotonic() - began < 2
        with pytest.raises(PublishFailed, match=r"taken back.*refused"):
            producer.publish_workflow_event(**EVENT_FIELDS, timeout=0.5)
        assert producer.flush(0) == 0

    assert "not published" in caplog.text


def test_one_threads_timeout_does_not_cut_short_anothers() -> None:
    """What it takes back of theirs goes into the queue again."""
    waited: dict[float, float] = {}
    with WorkflowEventProducer(f"127.0.0.1:{free_ports(1)[0]}") as producer:

        def publish(timeout: float) -> None:
            began = time.monotonic()
            with pytest.raises(PublishFailed):
                producer.publish(an_event(), timeout=timeout)
            waited[timeout] = time.monotonic() - began

        threads = [threading.Thread(target=publish, args=(timeout,)) for timeout in (0.3, 1.2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert 0.3 <= waited[0.3] < 1.2
    assert waited[1.2] >= 1.2


@pytest.mark.slow
def test_what_was_not_confirmed_is_not_sent_later() -> None:
    """A caller who was told "no" may publish again; what was still queued does not come on top."""
    with running_broker("tansu") as broker:
        topic = unique_name("events")
        create_topics(broker.bootstrap_servers, [topic], partitions=3)
        with WorkflowEventProducer(broker.bootstrap_servers) as producer:
            producer.publish(an_event(), topic)
            broker.kill()
            with pytest.raises(PublishFailed):
                producer.publish(an_event(), topic, timeout=0.5)
            broker.restart()
            create_topics(broker.bootstrap_servers, [topic], partitions=3)  # Tansu keeps nothing
            last = an_event()
            producer.publish(last, topic, timeout=20)
            assert producer.flush(5) == 0

        running = TestBroker(broker.bootstrap_servers, broker.backend)
        [(_, value, _)] = published(running, topic, 1)
        assert decode_event(value) == last


def test_ctrl_c_ends_a_wait() -> None:
    """At once, and nothing is left behind that would be sent."""
    with WorkflowEventProducer(f"127.0.0.1:{free_ports(1)[0]}") as producer:
        interrupt = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
        interrupt.start()
        began = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            producer.publish(an_event(), timeout=30)
        interrupt.join()

        assert time.monotonic() - began < 5
        assert producer.flush(0) == 0


def test_a_closed_producer_says_so() -> None:
    """Closing twice is fine, using it is a clear error."""
    producer = WorkflowEventProducer("127.0.0.1:9092")
    seen = [producer.producer is None]
    producer.close()
    producer.close()
    seen.append(producer.producer is None)

    assert seen == [False, True]
    for use in (lambda: producer.publish_event(an_event()), producer.flush):
        with pytest.raises(RuntimeError, match="closed"):
            use()


def test_the_guides_arguments_are_taken() -> None:
    """By the names of the guide's original, and its bootstrap servers by position."""
    with WorkflowEventProducer(
        "one:9092,two:9092",
        acks="all",
        retries=3,
        max_in_flight_requests_per_connection=1,
        request_timeout_ms=30000,
        delivery_timeout_ms=120000,
    ) as producer:
        assert producer.bootstrap_servers == "one:9092,two:9092"
    with WorkflowEventProducer(settings=KafkaSettings("three:1")) as producer:
        assert producer.bootstrap_servers == "three:1"
    with pytest.raises(ConfigurationError, match="acks"):
        WorkflowEventProducer(acks="some")


def test_sizes_do_not_change_on_the_way(
    broker: TestBroker, topics: TopicNames, producer: WorkflowEventProducer
) -> None:
    """A megabyte passes where the topic takes it."""
    event = an_event(payload={"data": {"text": "x" * 1_200_000}})

    producer.publish(event)

    [(_, value, _)] = published(broker, topics.events, 1)
    assert value == encode(event)
