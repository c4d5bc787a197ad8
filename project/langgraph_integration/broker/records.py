"""RecordProducer: bytes to a topic, acknowledged by every in-sync replica before the call returns."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from langgraph_integration.broker.clients import connection_arguments, producer_arguments
from langgraph_integration.broker.source import broker_unavailable
from langgraph_integration.broker.thread import KafkaThread
from workflow_events.errors import BrokerUnavailable, RecordTooLarge
from workflow_events.settings import KafkaSettings

log = logging.getLogger(__name__)

DEFAULT_TOPIC_LIMIT_BYTES = 1_048_588  # Kafka's default of max.message.bytes
_BATCH_OVERHEAD_BYTES = 512  # the limit counts the batch, not the record
_MAX_REQUEST_BYTES = 64 * 1024 * 1024
_SEND_S = 35.0  # a little more than the client's own request timeout
_START_S = 30.0
_STOP_S = 2.0


class RecordProducer:
    """A producer on the Kafka thread, replaced after any failed send.

    aiokafka advances the sequence number of a failed batch all the same, so that every later send of an
    idempotent producer would be refused as out of order.
    """

    def __init__(self, settings: KafkaSettings, thread: KafkaThread) -> None:
        self._settings = settings
        self._thread = thread
        self._client: AIOKafkaProducer | None = None
        self._limits: dict[str, int] = {}
        self._idempotent = True
        self._open = False
        self._restart = asyncio.Lock()

    async def start(self, topics: Sequence[str] = ()) -> None:
        """Connect, and learn how large a record each topic takes. Raises `BrokerUnavailable`."""
        self._thread.start()
        self._open = True
        try:
            await self._connect()
            self._limits.update(await self._ask(self._read_limits(topics), _START_S) if topics else {})
        except BaseException:
            await self.stop()
            raise

    def limit_bytes(self, topic: str) -> int:
        """The largest value that fits into one record of the topic, its key and headers aside."""
        return self._limits.get(topic, DEFAULT_TOPIC_LIMIT_BYTES) - _BATCH_OVERHEAD_BYTES

    async def _connect(self) -> None:
        try:
            self._client = await self._ask(self._started(idempotent=self._idempotent), _START_S)
        except BrokerUnavailable as error:
            if not self._idempotent or _unreachable(error):
                raise
            # Tansu refuses aiokafka's InitProducerId; repeats are byte-identical and told by their id
            log.warning(
                "producer without idempotence: %s", error, extra={"action": "producer_not_idempotent"}
            )
            self._idempotent = False
            self._client = await self._ask(self._started(idempotent=False), _START_S)

    async def _started(self, *, idempotent: bool) -> AIOKafkaProducer:
        arguments = producer_arguments(self._settings, max_request_bytes=_MAX_REQUEST_BYTES)
        client = AIOKafkaProducer(**arguments, enable_idempotence=idempotent)
        try:
            await client.start()
        except BaseException:
            await _stop_bounded(client)
            raise
        return client

    async def _read_limits(self, topics: Sequence[str]) -> dict[str, int]:
        admin = AIOKafkaAdminClient(**connection_arguments(self._settings))
        limits: dict[str, int] = {}
        try:
            await admin.start()
            wanted = [
                ConfigResource(ConfigResourceType.TOPIC, topic, {"max.message.bytes": None})
                for topic in topics
            ]
            for response in await admin.describe_configs(wanted):
                for resource in response.resources:
                    values = {entry[0]: entry[1] for entry in resource[4]}
                    if resource[0] == 0 and values.get("max.message.bytes"):
                        limits[resource[3]] = int(values["max.message.bytes"])
        except (KafkaError, OSError, ValueError, IndexError, TypeError) as error:
            log.info(
                "topic limits cannot be read, assuming Kafka's default: %s",
                error,
                extra={"action": "no_limits"},
            )
        finally:
            await admin.close()
        return limits

    async def send(
        self, topic: str, key: bytes | None, value: bytes, headers: Sequence[tuple[str, bytes]] = ()
    ) -> None:
        """Return once the broker has acknowledged the record.

        Raises `RecordTooLarge` before anything is sent, and `BrokerUnavailable` when the outcome is
        unknown: sending the same bytes again is safe.
        """
        if not self._open:
            raise RuntimeError("Producer not started: call start() first")
        size = len(value) + len(key or b"") + sum(len(name) + len(data) for name, data in headers)
        if size > self.limit_bytes(topic):
            raise RecordTooLarge(f"a record of {size} bytes; {topic} takes {self.limit_bytes(topic)}")
        async with self._restart:
            if self._client is None:
                await self._connect()
        client = self._client
        assert client is not None
        try:
            await self._ask(_send_and_wait(client, topic, key, value, headers), _SEND_S)
        except BrokerUnavailable as error:
            if isinstance(error.__cause__, MessageSizeTooLargeError):
                self._limits[topic] = min(self._limits.get(topic, DEFAULT_TOPIC_LIMIT_BYTES), size)
            await self._replace(client)
            if isinstance(error.__cause__, MessageSizeTooLargeError):
                raise RecordTooLarge(f"a record of {size} bytes is too large for {topic}") from error
            raise

    async def _replace(self, client: AIOKafkaProducer) -> None:
        if self._client is client:
            self._client = None
            await self._abandon(client)

    async def _abandon(self, client: AIOKafkaProducer) -> None:
        try:
            await self._thread.call(_stop_bounded(client), timeout_s=_STOP_S + 1.0)
        except (RuntimeError, TimeoutError) as error:
            log.warning("producer abandoned: %s", error, extra={"action": "producer_abandoned"})

    async def stop(self) -> None:
        """Flush and disconnect within two seconds. Never raises, may be called again."""
        if not self._open:
            return
        self._open = False
        client, self._client = self._client, None
        if client is not None:
            await self._abandon(client)
        self._thread.stop()

    async def _ask(self, call: Any, timeout_s: float) -> Any:
        try:
            return await self._thread.call(call, timeout_s=timeout_s)
        except (KafkaError, OSError) as error:
            raise broker_unavailable(error, self._settings.bootstrap_servers) from error


def _unreachable(error: BrokerUnavailable) -> bool:
    return isinstance(error.__cause__, OSError) or type(error.__cause__).__name__ == "KafkaConnectionError"


async def _send_and_wait(
    client: AIOKafkaProducer,
    topic: str,
    key: bytes | None,
    value: bytes,
    headers: Sequence[tuple[str, bytes]],
) -> None:
    acknowledged = await client.send(topic, value=value, key=key, headers=list(headers))
    await acknowledged


async def _stop_bounded(client: AIOKafkaProducer) -> None:
    # a task of its own: stop() flushes first, which takes for ever while the broker is down
    task = asyncio.create_task(client.stop(), name="producer-stop")
    done, _ = await asyncio.wait({task}, timeout=_STOP_S)
    if not done:
        task.cancel()
        await asyncio.wait({task}, timeout=0.5)
    elif not task.cancelled():
        task.exception()
