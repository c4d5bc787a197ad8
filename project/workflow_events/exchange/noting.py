"""Where the topic ends now, asked on a connection of its own."""

import threading
import time
from types import MappingProxyType
from typing import Final

from confluent_kafka import Consumer, KafkaException

from workflow_events.exchange.partitions import end_offsets, open_consumer, partitions_of
from workflow_events.exchange.start import StartPoint
from workflow_events.librdkafka import REFUSED, LastError, ctrl_c_kept
from workflow_events.settings import KafkaSettings

_TRY_AGAIN_AFTER: Final = 0.2


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
        answers within `timeout` seconds, or as soon as one refuses us; what passes by itself, such as a
        change of leaders, is waited for.
        """
        deadline = time.monotonic() + timeout
        with self._lock:
            consumer = self._consumer = self._consumer or open_consumer(self._settings, self.last_error)
            try:
                ends = self._ends(consumer, deadline)
            finally:
                with ctrl_c_kept():
                    consumer.poll(0)  # serves error_cb
            self.last_error.clear()
        return StartPoint(MappingProxyType(ends), int(time.time() * 1000))

    def _ends(self, consumer: Consumer, deadline: float) -> dict[int, int]:
        while True:
            try:
                partitions = partitions_of(consumer, self._topic, _left(deadline))
                return end_offsets(consumer, self._topic, partitions, _left(deadline))
            except KafkaException as error:
                refused = error.args[0].name() in REFUSED
                if refused or time.monotonic() + _TRY_AGAIN_AFTER > deadline:
                    raise
                time.sleep(_TRY_AGAIN_AFTER)

    def close(self) -> None:
        """Disconnect."""
        with self._lock:
            consumer, self._consumer = self._consumer, None
            if consumer is not None:
                consumer.close()


def _left(deadline: float) -> float:
    return max(0.1, deadline - time.monotonic())
