"""Where the topic ends now, asked on a connection of its own."""

import threading
import time
from types import MappingProxyType

from confluent_kafka import Consumer

from workflow_events.exchange.partitions import end_offsets, open_consumer, partitions_of
from workflow_events.exchange.start import StartPoint
from workflow_events.librdkafka import LastError
from workflow_events.settings import KafkaSettings


class Noter:
    """Answers any thread. It shares no consumer with the readers: two threads in one consumer of
    confluent-kafka 2.16 wait for each other, and a reader's next `poll` always comes first.
    """

    def __init__(self, settings: KafkaSettings, topic: str) -> None:
        self._settings = settings
        self._topic = topic
        self._lock = threading.Lock()
        self._consumer: Consumer | None = None
        self.last_error = LastError()

    def note(self, timeout: float) -> StartPoint:
        """The topic's end, without positions while it does not exist. Raises KafkaException if no broker
        answers within `timeout` seconds.
        """
        deadline = time.monotonic() + timeout
        with self._lock:
            consumer = self._consumer = self._consumer or open_consumer(self._settings, self.last_error)
            try:
                partitions = partitions_of(consumer, self._topic, timeout)
                left = max(0.1, deadline - time.monotonic())
                ends = end_offsets(consumer, self._topic, partitions, left)
            finally:
                consumer.poll(0)  # serves error_cb
            self.last_error.clear()
        return StartPoint(MappingProxyType(ends), int(time.time() * 1000))

    def close(self) -> None:
        """Disconnect."""
        with self._lock:
            consumer, self._consumer = self._consumer, None
            if consumer is not None:
                consumer.close()
