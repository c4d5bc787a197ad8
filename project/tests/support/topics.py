"""Topics of a test's own."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import uuid4

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType
from confluent_kafka.cimpl import NewTopic

from tests.support.waiting import wait_until_sync
from workflow_events.settings import TopicNames

EIGHT_MIB = 8 * 1024 * 1024
_TIMEOUT = 20.0  # seconds


def unique_name(prefix: str) -> str:
    """A name nobody else uses: topics, groups and databases of two tests never meet."""
    return f"{prefix}-{uuid4().hex[:12]}"


def create_topics(
    bootstrap_servers: str,
    names: Iterable[str],
    *,
    partitions: int = 1,
    replicas: int = 1,
    config: dict[str, str] | None = None,
) -> None:
    """Create topics and return when the broker has them. They take 8 MiB unless `config` says otherwise."""
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    settings = {"max.message.bytes": str(EIGHT_MIB)} | (config or {})
    new = [
        NewTopic(name, num_partitions=partitions, replication_factor=replicas, config=settings)
        for name in names
    ]
    for created in admin.create_topics(new, operation_timeout=_TIMEOUT, request_timeout=_TIMEOUT).values():
        created.result(_TIMEOUT)
    for topic in new:
        wait_for_partitions(admin, topic.topic, partitions)


def set_topic_config(bootstrap_servers: str, topic: str, name: str, value: str) -> None:
    """Change one setting of a topic, and leave the others."""
    entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    for done in admin.incremental_alter_configs([resource]).values():
        done.result(_TIMEOUT)


def wait_for_partitions(admin: AdminClient, topic: str, partitions: int) -> None:
    """The controller has them when it says so; what brokers tell clients follows a moment later."""
    wait_until_sync(
        lambda: len(admin.list_topics(topic, _TIMEOUT).topics[topic].partitions) == partitions,
        _TIMEOUT,
        f"{partitions} partitions of the topic {topic}",
    )


def create_workflow_topics(
    bootstrap_servers: str, *, partitions: int = 1, config: dict[str, str] | None = None
) -> TopicNames:
    """Fresh topics for events, results and dead letters."""
    suffix = unique_name("t")
    topics = TopicNames(
        events=f"events-{suffix}", results=f"results-{suffix}", dead_letters=f"dead-letters-{suffix}"
    )
    create_topics(
        bootstrap_servers,
        [topics.events, topics.results, topics.dead_letters],
        partitions=partitions,
        config=config,
    )
    return topics


def make_anew(bootstrap_servers: str, name: str, *, partitions: int = 1) -> None:
    """Delete the topic and create it again: the same name, another topic."""
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    admin.delete_topics([name])[name].result(_TIMEOUT)

    def made() -> bool:
        try:
            create_topics(bootstrap_servers, [name], partitions=partitions)
        except KafkaException:
            # the old one is still being deleted
            return False
        return True

    wait_until_sync(made, _TIMEOUT, f"the topic {name} to be made anew")
