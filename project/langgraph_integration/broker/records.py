"""RecordProducer: bytes to a topic, acknowledged by every in-sync replica before the call returns.

librdkafka rather than aiokafka: it batches and sends outside of Python's lock, so that publishing a result
costs microseconds of the processor that runs the graphs (see benchmarks), and a failed batch leaves an
idempotent producer usable, where aiokafka's would refuse every later record as out of order.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from langgraph_integration.broker.aside import aside
from langgraph_integration.broker.delivery_reports import DeliveryReports
from langgraph_integration.broker.topic_limits import read_limits
from workflow_events.errors import BrokerUnavailable, RecordNotSent, RecordTooLarge
from workflow_events.librdkafka import MAX_RECORD_BYTES, LastError, client_options
from workflow_events.settings import KafkaSettings

log = logging.getLogger(__name__)

_BATCH_OVERHEAD_BYTES = 512  # the topic's limit counts the batch, not the record
_LARGEST_BATCH_BYTES = 1_000_000  # librdkafka's default
_ALONE = 1  # a batch of so few bytes has one record
_START_S = 10.0
_STOP_S = 1.0  # every send waits for its own acknowledgement: what is left then is not known to anybody
_QUEUE_FULL_S = 0.05
_LIMITS_AGAIN_S = 30.0


def producer_options(
    settings: KafkaSettings, last_error: LastError, batch_bytes: int = _LARGEST_BATCH_BYTES
) -> dict[str, Any]:
    """A producer whose acknowledgement means that every in-sync replica has the record.

    `batch_bytes` is how much it sends as one batch, a single record apart, which may be larger.
    """
    return {
        **client_options(settings, last_error),
        "acks": "all",
        "enable.idempotence": True,
        "partitioner": "murmur2_random",
        # sizes are checked against the topic before sending; the client's own limit must not be lower
        "message.max.bytes": MAX_RECORD_BYTES,
        "batch.size": batch_bytes,
        # somebody waits for each answer; under load records gather while five requests are under way
        "linger.ms": 0,
        "delivery.timeout.ms": 30_000,
        "request.timeout.ms": 10_000,
    }


class RecordProducer:
    """Publishes encoded records. Made for one event loop; the work is done in librdkafka's threads."""

    def __init__(self, settings: KafkaSettings, *, limits_again_s: float = _LIMITS_AGAIN_S) -> None:
        self._settings = settings
        self._limits_again_s = limits_again_s
        self._last_error = LastError()
        self._client: Producer | None = None
        self._reports: DeliveryReports | None = None
        self._limits: dict[str, int] = {}
        self._batch_bytes = _LARGEST_BATCH_BYTES
        self._learning: dict[str, asyncio.Future[dict[str, int]]] = {}
        self._keeping: asyncio.Task[None] | None = None

    async def start(self, topics: Sequence[str] = ()) -> None:
        """Connect, and learn how large a record each topic takes. Raises `BrokerUnavailable`."""
        client = self._new_client()
        try:
            await aside(client.list_topics, timeout=_START_S)
        except KafkaException as error:
            raise self._unavailable(error.args[0]) from error
        self._limits.update(await aside(read_limits, self._settings, list(topics)))
        smallest = min(self._limits.values(), default=_LARGEST_BATCH_BYTES)
        if smallest < self._batch_bytes:
            self._batch_bytes = smallest
            client = self._new_client()
        self._client = client
        self._reports = DeliveryReports(client, asyncio.get_running_loop())
        self._keeping = asyncio.create_task(self._keep_limits(list(topics)), name="topic-limits")

    async def _keep_limits(self, topics: Sequence[str]) -> None:
        """Somebody raises a limit because we asked for it: nobody should have to restart us for that."""
        while True:
            await asyncio.sleep(self._limits_again_s)
            with suppress(BrokerUnavailable):
                limits = await aside(read_limits, self._settings, list(topics))
                # what was learned from a refusal may be outdated: the broker tells again
                self._limits = limits

    def _new_client(self) -> Producer:
        return Producer(producer_options(self._settings, self._last_error, self._batch_bytes))

    def limit_bytes(self, topic: str) -> int:
        """The largest value that fits into one record of the topic, its key and headers aside.

        Where the topic's configuration cannot be read it is more than any topic takes: the broker decides.
        """
        return self._limits.get(topic, MAX_RECORD_BYTES) - _BATCH_OVERHEAD_BYTES

    async def send(
        self, topic: str, key: bytes | None, value: bytes, headers: Sequence[tuple[str, bytes]] = ()
    ) -> None:
        """Return once the broker has acknowledged the record.

        Raises `RecordTooLarge` where it was not sent or was refused alone, and `BrokerUnavailable` when the
        outcome is unknown (`RecordNotSent`: that nobody has read it): sending the same bytes again is safe.
        """
        client, reports = self._client, self._reports
        if client is None or reports is None:
            raise RuntimeError("Producer not started. Call start() first.")
        size = len(value) + len(key or b"") + sum(len(name) + len(data) for name, data in headers)
        if size > self.limit_bytes(topic):
            raise RecordTooLarge(f"a record of {size} bytes; {topic} takes {self.limit_bytes(topic)}")
        acknowledged = reports.expect()
        while True:
            try:
                client.produce(
                    topic, value=value, key=key, headers=list(headers), on_delivery=acknowledged.report
                )
                break
            except BufferError:
                # librdkafka's queue is full; it drains as the broker answers
                await asyncio.sleep(_QUEUE_FULL_S)
            except KafkaException as error:
                raise await self._failed(topic, size, error.args[0], reports) from error
        refused = await acknowledged
        if refused is not None:
            raise await self._failed(topic, size, refused, reports)

    async def _failed(self, topic: str, size: int, error: KafkaError, reports: DeliveryReports) -> Exception:
        if error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
            return await self._refused_for_size(topic, size, error, reports)
        error = reports.fatal or error
        # _FATAL is what an ended producer answers to every record, and calls itself not fatal
        if error.fatal() or error.name() == "_FATAL":
            self._replace(reports, f"a fatal error: {error.str()}")
        return self._unavailable(error, f"{topic}: ")

    async def _refused_for_size(
        self, topic: str, size: int, error: KafkaError, reports: DeliveryReports
    ) -> Exception:
        """The topic's limit was lowered, or is not known. It is one for batches: small records that were sent
        in a batch above it are refused with the others, and are sent again in smaller ones.
        """
        again = self._unavailable(error, f"{topic}: ", RecordNotSent)
        if reports is self._reports:
            await self._learn_limit(topic)
        if reports is not self._reports:
            # in the batches of the producer that has been replaced meanwhile
            return again
        limit = self._limits.get(topic)
        if limit is None or size <= self.limit_bytes(topic):
            batch_bytes = min(self._batch_bytes, limit or _ALONE)
            if batch_bytes < self._batch_bytes:
                self._batch_bytes = batch_bytes
                self._replace(reports, f"{topic} refused a batch for its size")
                return again
            self._limits[topic] = size
        return RecordTooLarge(f"a record of {size} bytes is too large for {topic}")

    async def _learn_limit(self, topic: str) -> None:
        """All records of a batch are refused at once: one of them asks, the others wait for its answer."""
        asked = self._learning.get(topic)
        if asked is None or asked.done():
            asked = asyncio.ensure_future(aside(read_limits, self._settings, [topic]))
            self._learning[topic] = asked
        self._limits.update(await asyncio.shield(asked))

    def _replace(self, reports: DeliveryReports, why: str) -> None:
        """The records that it had are sent again by their senders.

        Each of them may be the first to notice: only the producer that failed is replaced, once.
        """
        if reports is not self._reports:
            return
        log.warning("producer replaced after %s", why, extra={"action": "producer_replaced"})
        client = self._new_client()
        self._client, self._reports = client, DeliveryReports(client, asyncio.get_running_loop())
        reports.abandon()

    def _unavailable(
        self, error: KafkaError, about: str = "", kind: type[BrokerUnavailable] = BrokerUnavailable
    ) -> BrokerUnavailable:
        servers = self._settings.bootstrap_servers
        return kind(f"Kafka at {servers}: {about}{error.str()}{self._last_error.hint}")

    async def stop(self) -> None:
        """Flush and disconnect within two seconds. Never raises, may be called again."""
        client, self._client = self._client, None
        reports, self._reports = self._reports, None
        if self._keeping is not None:
            self._keeping.cancel()
        if client is None or reports is None:
            return
        left = await aside(reports.close, wait_s=_STOP_S)
        if left:
            log.warning(
                "%d records were not confirmed",
                left,
                extra={"action": "records_unconfirmed", "records": left},
            )
