"""Where a new group starts, committed for the whole topic before anybody joins."""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from workflow_events.errors import BrokerUnavailable
from workflow_events.librdkafka import LastError, client_options
from workflow_events.settings import KafkaSettings

log = logging.getLogger(__name__)

T = TypeVar("T")

_ANSWER_S = 10.0
_AGAIN_S = 0.2
_COORDINATOR_MOVES = frozenset(
    {
        KafkaError.NOT_COORDINATOR,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    }
)
_OTHERS_ARE_IN = frozenset(
    {KafkaError.UNKNOWN_MEMBER_ID, KafkaError.ILLEGAL_GENERATION, KafkaError.REBALANCE_IN_PROGRESS}
)


def start_at_end(settings: KafkaSettings, *, group_id: str, topic: str, metadata: str) -> bool:
    """Commit the end of every partition if the group has no commit yet. Whether it did so. Blocks.

    Members see their own partitions alone: of two that start together the second would take the first
    one's commits for those of an old group, and read its own partitions from the beginning. Kafka takes
    commits from outside while the group is empty; a refusal means that somebody has joined, who did the
    same before. Nothing is done for a topic that is not there. Raises `BrokerUnavailable`.
    """
    # the end as the group's members see it, who read uncommitted records too
    own = {"group.id": group_id, "enable.auto.commit": False, "isolation.level": "read_uncommitted"}
    consumer = Consumer({**client_options(settings, LastError()), **own})
    try:
        ends = _once_coordinated(lambda: _begun(consumer, topic, metadata))
    except KafkaException as error:
        if error.args[0].code() in _OTHERS_ARE_IN:
            return False
        raise BrokerUnavailable(
            f"Kafka at {settings.bootstrap_servers}: the start of group {group_id} cannot be committed: "
            f"{error.args[0].str()}"
        ) from error
    finally:
        consumer.close()
    if ends:
        log.info(
            "new group starts at the end of %d partitions",
            len(ends),
            extra={"action": "partitions_started", "group_id": group_id},
        )
    return bool(ends)


def _begun(consumer: Consumer, topic: str, metadata: str) -> list[TopicPartition]:
    ends = _ends_of_a_new_group(consumer, topic, metadata)
    if ends:
        consumer.commit(offsets=ends, asynchronous=False)
    return ends


def _once_coordinated(call: Callable[[], T]) -> T:
    """What the call returns, repeated while the group's coordinator is being found or is loading."""
    deadline = time.monotonic() + _ANSWER_S
    while True:
        try:
            return call()
        except KafkaException as error:
            if error.args[0].code() not in _COORDINATOR_MOVES or time.monotonic() > deadline:
                raise
            time.sleep(_AGAIN_S)


def _ends_of_a_new_group(consumer: Consumer, topic: str, metadata: str) -> list[TopicPartition]:
    """The ends to commit; none for a group with commits, or a topic that is not there."""
    found = consumer.list_topics(topic, timeout=_ANSWER_S).topics[topic]
    if found.error is not None:
        return []
    everywhere = [TopicPartition(topic, number) for number in sorted(found.partitions)]
    if any(each.offset >= 0 for each in consumer.committed(everywhere, timeout=_ANSWER_S)):
        return []
    return [TopicPartition(topic, each.partition, _end(consumer, each), metadata) for each in everywhere]


def _end(consumer: Consumer, where: TopicPartition) -> int:
    _, end = consumer.get_watermark_offsets(where, timeout=_ANSWER_S, cached=False)
    return int(end)
