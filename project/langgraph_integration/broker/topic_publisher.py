"""TopicPublisher: the life cycle that the producers of results and of dead letters share."""

from typing import Final

from langgraph_integration.broker.records import RecordProducer
from langgraph_integration.pipeline.trace import current_trace
from workflow_events.headers import RecordHeaders
from workflow_events.settings import KafkaSettings

_AROUND_BYTES: Final = 1024
"""Kept free for a record's key and headers: the asker's trace context is most of them, and whoever publishes
a stored verdict again may have a longer one.
"""


class TopicPublisher:
    """Publishes encoded records to one topic, each acknowledged before its call returns.

    `bootstrap_servers=None` takes `KAFKA_BOOTSTRAP_SERVERS`. `producer` is `None` before `start` and after
    `stop`.
    """

    not_started = "Producer not started. Call start() first."

    def __init__(self, bootstrap_servers: str | None, topic: str, settings: KafkaSettings | None) -> None:
        self._settings = settings or KafkaSettings.from_env(bootstrap_servers=bootstrap_servers)
        self.bootstrap_servers = bootstrap_servers or self._settings.bootstrap_servers
        self.topic = topic
        self.producer: RecordProducer | None = None

    async def start(self) -> None:
        """Connect. Raises `BrokerUnavailable` when no broker answers. Harmless when started already."""
        if self.producer is None:
            producer = RecordProducer(self._settings)
            await producer.start([self.topic])
            self.producer = producer

    async def stop(self) -> None:
        """Flush and disconnect within two seconds. Never raises, may be called again."""
        producer, self.producer = self.producer, None
        if producer is not None:
            await producer.stop()

    @property
    def limit_bytes(self) -> int:
        """The largest value that the topic takes with whatever goes around it, as far as known.

        Raises RuntimeError before `start`.
        """
        return self._started.limit_bytes(self.topic) - _AROUND_BYTES

    async def publish_record(self, key: bytes | None, value: bytes, attempt: int = 1) -> None:
        """Publish an encoded record as it is; returns once the broker has acknowledged it.

        Its headers are the id, the attempt and, while a delivery is handled, the asker's trace context.
        Raises RuntimeError before `start`, `RecordTooLarge` before anything is sent, and
        `BrokerUnavailable`, after which publishing the same bytes again is safe.
        """
        correlation_id = key.decode() if key and key.isascii() else None
        headers = RecordHeaders(correlation_id, attempt, None, *current_trace.get())
        await self._started.send(self.topic, key, value, headers.to_list())

    @property
    def _started(self) -> RecordProducer:
        if self.producer is None:
            raise RuntimeError(self.not_started)
        return self.producer
