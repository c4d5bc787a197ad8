"""The three topics: looked at, created, and warned of."""

from dataclasses import replace
from datetime import timedelta

import pytest

from kafka_devbroker.net import free_ports
from langgraph_integration.ops.topic_size import TopicSize
from langgraph_integration.ops.topics import (
    FOREVER,
    TopicFacts,
    create_topics,
    duration,
    inspect_topics,
    startup_warnings,
    warnings_of,
)
from tests.support import wait_until_sync
from tests.support.brokers import TestBroker
from tests.support.topics import unique_name
from workflow_events import EventSource, EventType, WorkflowEventProducer
from workflow_events.errors import BrokerUnavailable, ConfigurationError
from workflow_events.settings import KafkaSettings, TopicNames

DAY_MS = 86_400_000
EVENTS = TopicFacts("events", "e", 3, 1, 7 * DAY_MS, 1_000_000)
RESULTS = TopicFacts("results", "r", 3, 1, 7 * DAY_MS, 1_000_000)
DEAD_LETTERS = TopicFacts("dead letters", "d", 3, 1, 14 * DAY_MS, 8_000_000)


def test_topics_that_fit_each_other_give_no_warning() -> None:
    """Results and dead letters take as large records as events, and keep them as long."""
    assert warnings_of([EVENTS, RESULTS, DEAD_LETTERS]) == []


def test_a_missing_topic_is_named_with_the_way_out() -> None:
    """The service creates nothing."""
    (warning,) = warnings_of([EVENTS, replace(RESULTS, partitions=0), DEAD_LETTERS])

    assert warning == "topic r (results) does not exist; `langgraph-kafka topics --create` makes it"


@pytest.mark.parametrize("other", [RESULTS, DEAD_LETTERS])
def test_smaller_records_than_events_are_warned_of(other: TopicFacts) -> None:
    """A result or dead letter of a large event would not fit."""
    small = replace(other, max_message_bytes=1000)
    facts = [small if each is other else each for each in (EVENTS, RESULTS, DEAD_LETTERS)]

    (warning,) = warnings_of(facts)
    assert f"topic {other.name} takes 1000 bytes a record" in warning
    assert "max.message.bytes" in warning


@pytest.mark.parametrize("other", [RESULTS, DEAD_LETTERS])
def test_a_shorter_retention_than_that_of_events_is_warned_of(other: TopicFacts) -> None:
    """The answer would vanish before the question."""
    short = replace(other, retention_ms=DAY_MS)
    facts = [short if each is other else each for each in (EVENTS, RESULTS, DEAD_LETTERS)]

    (warning,) = warnings_of(facts)
    assert f"topic {other.name} keeps {other.role} 1 day, e keeps events 7 days" in warning


def test_events_kept_longer_than_the_ledger_are_warned_of() -> None:
    """A replay from the beginning would run them again."""
    long = replace(EVENTS, retention_ms=30 * DAY_MS)
    kept = [replace(each, retention_ms=FOREVER) for each in (RESULTS, DEAD_LETTERS)]

    (warning,) = warnings_of([long, *kept])
    assert "keeps events 30 days, the run ledger 14 days" in warning
    assert warnings_of([long, *kept], ledger_retention=timedelta(days=31)) == []


def test_events_kept_for_ever_outlast_everything() -> None:
    """-1 is more than any number."""
    warnings = warnings_of([replace(EVENTS, retention_ms=FOREVER), RESULTS, DEAD_LETTERS])

    assert len(warnings) == 3
    assert all("for ever" in each for each in warnings)


def test_what_the_broker_does_not_say_gives_no_warning() -> None:
    """Unknown is not wrong."""
    unknown = [replace(each, retention_ms=None, max_message_bytes=None) for each in (RESULTS, DEAD_LETTERS)]

    assert warnings_of([EVENTS, *unknown]) == []


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (None, "unknown"),
        (FOREVER, "for ever"),
        (7 * DAY_MS, "7 days"),
        (DAY_MS, "1 day"),
        (36 * 3_600_000, "1.5 days"),
        (3_600_000, "1 hour"),
        (90_000, "1.5 minutes"),
        (500, "500 ms"),
    ],
)
def test_a_retention_reads_well(ms: int | None, text: str) -> None:
    """Nobody divides by 86,400,000 in the head."""
    assert duration(ms) == text


def fresh_names() -> TopicNames:
    """Names that no broker has yet."""
    return TopicNames(unique_name("events"), unique_name("results"), unique_name("dead"))


@pytest.mark.each_broker
def test_created_topics_are_found_as_they_were_asked_for(broker: TestBroker) -> None:
    """Partitions, retention and size, on every broker; and they fit each other."""
    settings, names = KafkaSettings(broker.bootstrap_servers), fresh_names()

    created = create_topics(settings, names, partitions=2)
    facts = inspect_topics(settings, names)

    assert created == [names.events, names.results, names.dead_letters]
    assert [each.partitions for each in facts] == [2, 2, 2]
    assert [each.max_message_bytes for each in facts] == [1 << 20, 8 << 20, 8 << 20]
    assert [duration(each.retention_ms) for each in facts] == ["7 days", "7 days", "14 days"]
    assert warnings_of(facts) == []


@pytest.mark.each_broker
def test_creating_twice_leaves_what_exists(broker: TestBroker) -> None:
    """The command may be run again and again, and adds what is missing."""
    settings, names = KafkaSettings(broker.bootstrap_servers), fresh_names()
    create_topics(settings, names, partitions=1)

    assert create_topics(settings, names, partitions=5) == []
    assert [each.partitions for each in inspect_topics(settings, names)] == [1, 1, 1]


def test_missing_topics_are_facts_too(broker: TestBroker) -> None:
    """Looking does not create them."""
    settings, names = KafkaSettings(broker.bootstrap_servers), fresh_names()

    assert [each.exists for each in inspect_topics(settings, names)] == [False, False, False]
    assert [each.exists for each in inspect_topics(settings, names)] == [False, False, False]


@pytest.mark.apache
def test_more_replicas_than_brokers_are_a_clear_error(broker: TestBroker) -> None:
    """One broker cannot hold three copies."""
    with pytest.raises(ConfigurationError, match="refuses to create topic"):
        create_topics(KafkaSettings(broker.bootstrap_servers), fresh_names(), replicas=3)


def test_no_partitions_are_refused_before_anybody_is_asked() -> None:
    """The option is named."""
    with pytest.raises(ConfigurationError, match="--partitions is 0"):
        create_topics(KafkaSettings(), fresh_names(), partitions=0)


def test_a_broker_that_is_away_is_named() -> None:
    """With the setting that says where it is."""
    servers = f"127.0.0.1:{free_ports(1)[0]}"

    with pytest.raises(BrokerUnavailable, match=f"{servers}.*KAFKA_BOOTSTRAP_SERVERS"):
        inspect_topics(KafkaSettings(servers), TopicNames(), timeout_s=0.5)


def test_start_up_warnings_never_raise() -> None:
    """A broker that is away is for those to tell who need it."""
    servers = f"127.0.0.1:{free_ports(1)[0]}"

    (warning,) = startup_warnings(KafkaSettings(servers), TopicNames(), timeout_s=0.5)
    assert "could not be looked at" in warning


@pytest.mark.each_broker
def test_the_size_of_a_topic_follows_its_records(broker: TestBroker) -> None:
    """Over all partitions."""
    settings, names = KafkaSettings(broker.bootstrap_servers), fresh_names()
    create_topics(settings, names, partitions=3)

    with TopicSize(settings, names.events, every_s=0.05) as size:
        wait_until_sync(lambda: size.latest() == 0, description="an empty topic")
        with WorkflowEventProducer(settings=settings) as producer:
            for number in range(4):
                producer.publish_workflow_event(
                    EventType.WORKFLOW_TRIGGERED,
                    EventSource.AIRFLOW,
                    "w",
                    str(number),
                    {"data": {}},
                    topic=names.events,
                )
        wait_until_sync(lambda: size.latest() == 4, description="four records")


def test_the_size_of_a_missing_topic_is_unknown(broker: TestBroker) -> None:
    """Zero would say that there are no dead letters."""
    looks: list[None] = []
    settings = KafkaSettings(broker.bootstrap_servers)

    with TopicSize(settings, unique_name("none"), every_s=0.05, on_look=lambda: looks.append(None)) as size:
        wait_until_sync(lambda: len(looks) > 1, description="two looks")
        assert size.latest() is None
