"""How large a record each topic takes, as its configuration says."""

import logging
from collections.abc import Sequence

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from workflow_events.librdkafka import LastError, client_options
from workflow_events.settings import KafkaSettings

log = logging.getLogger(__name__)

_ASK_S = 3.0


def read_limits(settings: KafkaSettings, topics: Sequence[str]) -> dict[str, int]:
    """`max.message.bytes` by topic. Topics that are not there, or may not be described, are left out."""
    if not topics:
        return {}
    admin = AdminClient(client_options(settings, LastError()))
    asked = admin.describe_configs(
        [ConfigResource(ResourceType.TOPIC, topic) for topic in topics], request_timeout=_ASK_S
    )
    limits: dict[str, int] = {}
    for resource, answer in asked.items():
        try:
            entry = answer.result(_ASK_S + 1.0).get("max.message.bytes")
            if entry is not None and entry.value is not None:
                limits[resource.name] = int(entry.value)
        except (KafkaException, TimeoutError, ValueError) as error:
            log.info(
                "the size limit of %s cannot be read, the broker will tell: %s",
                resource.name,
                error,
                extra={"action": "topic_limit_unknown"},
            )
    return limits
