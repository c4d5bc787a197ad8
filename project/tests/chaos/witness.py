"""Threads that look on: what lies on the topics, and which offsets the group has committed."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from tests.chaos.evidence import Answer, Letter, Sample
from tests.support import wait_until_sync

_TIMEOUT = 20.0  # seconds


class TopicWatcher(threading.Thread):
    """Reads a topic from its beginning, through every outage, until told to end."""

    def __init__(self, bootstrap_servers: str, topic: str, take: Callable[[Message], None]) -> None:
        super().__init__(name=f"watch-{topic}", daemon=True)
        self._take = take
        self._done = threading.Event()
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap_servers,
                "group.id": "witness",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": 100,
                "log_level": 0,
            }
        )
        partitions: list[int] = []

        def known() -> bool:
            # a broker of three may not know yet what another has just made
            partitions[:] = self._consumer.list_topics(topic, timeout=_TIMEOUT).topics[topic].partitions
            return bool(partitions)

        wait_until_sync(known, _TIMEOUT, f"the partitions of {topic}")
        self._consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
        self._next: dict[int, int] = dict.fromkeys(partitions, 0)
        self._topic = topic

    def run(self) -> None:
        while not self._done.is_set():
            self._read(0.1)

    def _read(self, timeout: float) -> None:
        for message in self._consumer.consume(500, timeout):
            if message.error() is None:
                self._next[_partition(message)] = (message.offset() or 0) + 1
                self._take(message)

    def end(self) -> None:
        """Read up to the end of the topic as it is now, and stop."""
        self._done.set()
        self.join(_TIMEOUT)
        deadline = time.monotonic() + _TIMEOUT
        for number in self._next:
            end = self._consumer.get_watermark_offsets(TopicPartition(self._topic, number), _TIMEOUT)[1]
            while self._next[number] < end:
                assert time.monotonic() < deadline, f"{self._topic} cannot be read to its end"
                self._read(0.2)
        self._consumer.close()


class CommitWatcher(threading.Thread):
    """Samples the committed offsets of the group and the ends of the partitions."""

    def __init__(
        self, bootstrap_servers: str, topic: str, group_id: str, partitions: int, *, every: float = 0.05
    ) -> None:
        super().__init__(name="watch-commits", daemon=True)
        # It never joins. An admin client would do too, were it not for librdkafka's assertions in outages.
        self._consumer = Consumer(
            {"bootstrap.servers": bootstrap_servers, "group.id": group_id, "log_level": 0}
        )
        self._partitions = [TopicPartition(topic, number) for number in range(partitions)]
        self._every = every
        self._ends: dict[int, int] = {}
        self._done = threading.Event()
        self.samples: list[Sample] = []

    def run(self) -> None:
        looked = 0
        while not self._done.is_set():
            began = time.monotonic()
            try:
                if looked % 10 == 0:
                    self._look_at_ends()
                self._look()
                looked += 1
            except KafkaException:
                # the broker is down; there is nothing to be seen
                self._done.wait(0.2)
            self._done.wait(max(0.0, self._every - (time.monotonic() - began)))

    def _look_at_ends(self) -> None:
        for where in self._partitions:
            self._ends[where.partition] = self._consumer.get_watermark_offsets(where, 2.0)[1]

    def _look(self) -> None:
        found = self._consumer.committed(self._partitions, 2.0)
        committed = {each.partition: each.offset for each in found if each.offset >= 0}
        self.samples.append(Sample(time.time(), committed, dict(self._ends)))

    def fresh(self) -> Sample | None:
        """A sample of now, or None while the broker is down."""
        try:
            self._look_at_ends()
            self._look()
        except KafkaException:
            return None
        return self.samples[-1]

    def end(self) -> None:
        self._done.set()
        self.join(_TIMEOUT)
        self.fresh()
        self._consumer.close()


def answer_of(message: Message) -> Answer:
    """A result record."""
    value = message.value() or b""
    record: Mapping[str, Any] = json.loads(value)
    return Answer(
        event_id=record["correlation_id"],
        attempt=record["attempt"],
        status=record["status"],
        result_id=record["result_id"],
        digest=hashlib.sha256(value).hexdigest()[:16],
        time=appended_at(message),
        path=tuple(record["result"].get("path", ())),
        error=record["error"],
        tokens=tuple(record["result"].get("tokens", ())),
    )


def letter_of(message: Message) -> Letter:
    """A dead letter."""
    value = message.value() or b""
    record: Mapping[str, Any] = json.loads(value)
    original = record["original_event"] or {}
    key = message.key()
    return Letter(
        dlq_id=record["dlq_id"],
        event_id=original.get("event_id") or (key.decode(errors="replace") if key else None),
        attempt=record["attempt"],
        reason=record["reason"],
        partition=record["origin"]["partition"],
        offset=record["origin"]["offset"],
        digest=hashlib.sha256(value).hexdigest()[:16],
        time=appended_at(message),
    )


def appended_at(message: Message) -> float:
    """When the broker appended it; the topics are made with LogAppendTime."""
    return message.timestamp()[1] / 1000


def _partition(message: Message) -> int:
    number = message.partition()
    assert number is not None
    return number
