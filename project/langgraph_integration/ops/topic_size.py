"""How many records a topic holds, looked up now and then in a thread of its own."""

import logging
import threading
from collections.abc import Callable
from typing import Final, Self

from confluent_kafka import Consumer, KafkaException, TopicPartition

from workflow_events.librdkafka import LastError, client_options
from workflow_events.settings import KafkaSettings

log = logging.getLogger(__name__)

EVERY_S: Final = 30.0
_ANSWER_S: Final = 5.0
_STOP_S: Final = 1.0


class TopicSize:
    """The number of records between a topic's first and last offset, at most `every_s` seconds old.

    Compaction and transactions make it an upper bound. A topic or broker that cannot be reached is
    unknown, never an error.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        topic: str,
        *,
        every_s: float = EVERY_S,
        on_look: Callable[[], None] = lambda: None,
    ) -> None:
        self._settings = settings
        self._topic = topic
        self._every_s = every_s
        self._on_look = on_look
        self._size: int | None = None
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def latest(self) -> int | None:
        """The last size found; `None` before the first look, or while the topic cannot be read."""
        return self._size

    def start(self) -> None:
        """Begin to look."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._look_again_and_again, name="topic-size", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Stop looking; waits at most a second for a request under way."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(_STOP_S)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _look_again_and_again(self) -> None:
        options = client_options(self._settings, LastError())
        consumer = Consumer({**options, "group.id": "langgraph-kafka-size", "enable.auto.commit": False})
        try:
            while True:
                self._size = self._look(consumer)
                self._on_look()
                if self._ended.wait(self._every_s):
                    return
        finally:
            consumer.close()

    def _look(self, consumer: Consumer) -> int | None:
        try:
            metadata = consumer.list_topics(self._topic, timeout=_ANSWER_S).topics[self._topic]
            if metadata.error is not None:
                return None
            size = 0
            for number in metadata.partitions:
                low, high = consumer.get_watermark_offsets(
                    TopicPartition(self._topic, number), timeout=_ANSWER_S, cached=False
                )
                size += high - low
        except (KafkaException, KeyError, TypeError) as error:
            log.debug("topic size unknown: %s", error, extra={"action": "topic_size_unknown"})
            return None
        return size
