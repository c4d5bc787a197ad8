"""What has to be asked of the brokers before reading: partitions, ends, and offsets at a time.

Everything here raises confluent-kafka's KafkaException when no broker answers in time.
"""

from collections.abc import Collection, Mapping
from operator import methodcaller
from typing import Any, Final

from confluent_kafka import (
    OFFSET_BEGINNING,
    OFFSET_END,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from workflow_events.exchange.start import StartPoint
from workflow_events.librdkafka import LastError, client_options
from workflow_events.settings import KafkaSettings

_LATEST: Final = -1  # ListOffsets' own word for the end of a partition

_HEADERS = methodcaller("headers")
"""confluent-kafka returns a broken list and leaves an error behind. A plain call that the interpreter has
specialised does not look for errors, and the list ends the process."""

_READER_OPTIONS: Final[dict[str, Any]] = {
    "group.id": "langgraph-kafka-results",  # librdkafka wants one; assign() without commits never joins it
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "earliest",
    "allow.auto.create.topics": False,
    "enable.partition.eof": True,
    "fetch.error.backoff.ms": 100,
    "queued.max.messages.kbytes": 16384,
}


def open_consumer(settings: KafkaSettings, last_error: LastError, fetch_wait_ms: int = 100) -> Consumer:
    """A consumer without a group. Connects in the background.

    A new assignment waits for the fetch under way: who jumps about wants a short `fetch_wait_ms`.
    """
    options = client_options(settings, last_error)
    ours = _READER_OPTIONS | {"fetch.wait.max.ms": fetch_wait_ms}
    if "group.id" in options:  # an Airflow connection's own; groups may be named in access rules
        del ours["group.id"]
    return Consumer({**options, **ours})


def partitions_of(consumer: Consumer, topic: str, timeout: float) -> list[int]:
    """The topic's partitions; empty while it does not exist."""
    found = consumer.list_topics(topic, timeout=timeout).topics[topic]
    if found.error is not None:
        if found.error.code() in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.LEADER_NOT_AVAILABLE):
            return []
        raise KafkaException(found.error)
    return sorted(found.partitions)


def end_offsets(
    consumer: Consumer, topic: str, partitions: Collection[int], timeout: float
) -> dict[int, int]:
    """The offset that the next record of each partition gets (some brokers answer with less)."""
    return _list_offsets(consumer, topic, dict.fromkeys(partitions, _LATEST), timeout)


def start_offsets(
    consumer: Consumer, topic: str, since: StartPoint, ends: Mapping[int, int], timeout: float
) -> dict[int, int]:
    """Where to begin reading each partition of `ends`."""
    if since.noted:
        return {partition: since.offsets.get(partition, 0) for partition in ends}
    if since.time_ms is None:
        return dict.fromkeys(ends, 0)
    found = _list_offsets(consumer, topic, dict.fromkeys(ends, since.time_ms), timeout)
    return {partition: ends[partition] if offset < 0 else offset for partition, offset in found.items()}


def assign(consumer: Consumer, topic: str, positions: Mapping[int, int]) -> None:
    """Read these partitions from these offsets and no others."""
    consumer.assign(
        [
            TopicPartition(topic, partition, offset or OFFSET_BEGINNING)
            for partition, offset in positions.items()
        ]
    )


def headers_of(message: Message) -> list[tuple[str, bytes | str | None]]:
    """A record's headers as they came; none where a name is not UTF-8, which Kafka takes."""
    try:
        headers = _HEADERS(message)
    except SystemError:
        # confluent-kafka's way to say that a name cannot be decoded
        return []
    return headers if isinstance(headers, list) else []


def known_end(consumer: Consumer, topic: str, partition: int) -> int:
    """The partition's end as the last fetch saw it; negative if there was none. Asks nobody."""
    watermarks: tuple[int, int] | None = consumer.get_watermark_offsets(
        TopicPartition(topic, partition), cached=True
    )
    return watermarks[1] if watermarks else -1


def _list_offsets(
    consumer: Consumer, topic: str, wanted: Mapping[int, int], timeout: float
) -> dict[int, int]:
    if not wanted:
        return {}
    asked = [TopicPartition(topic, partition, moment) for partition, moment in wanted.items()]
    answers = consumer.offsets_for_times(asked, timeout=timeout)
    for answer in answers:
        if answer.error is not None:
            raise KafkaException(answer.error)
    return {answer.partition: -1 if answer.offset == OFFSET_END else answer.offset for answer in answers}
