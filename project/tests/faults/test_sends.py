"""What we do with the Kafka clients: every send waits for its report, every stop is bounded. No broker."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import KafkaError

from langgraph_integration.broker.delivery_reports import DeliveryReports
from langgraph_integration.broker.leaving import stop_within
from langgraph_integration.broker.records import RecordProducer
from workflow_events.errors import BrokerUnavailable
from workflow_events.settings import KafkaSettings


class Client:
    """Takes a record at once, and reports in its polling thread when it is told to; never stops by itself."""

    def __init__(self) -> None:
        self.report = threading.Event()
        self._waiting: list[Callable[[KafkaError | None, Any], None]] = []

    def produce(self, topic: str, *, on_delivery: Callable[[KafkaError | None, Any], None], **_: Any) -> None:
        self._waiting.append(on_delivery)

    def poll(self, timeout: float) -> int:
        if self.report.wait(timeout):
            while self._waiting:
                self._waiting.pop()(KafkaError(KafkaError.NOT_ENOUGH_REPLICAS), None)
        return 0

    def flush(self, timeout: float) -> int:
        return 0

    async def stop(self) -> None:
        await asyncio.Event().wait()


async def test_a_record_counts_as_sent_when_the_broker_has_said_so() -> None:
    """The client takes records at once and learns later that they failed."""
    producer, client = RecordProducer(KafkaSettings()), Client()
    reports = DeliveryReports(client, asyncio.get_running_loop())  # type: ignore[arg-type]  # a stand-in
    producer._client, producer._reports = client, reports  # type: ignore[assignment]  # a stand-in
    sending = asyncio.create_task(producer.send("results", b"key", b"value"))
    done, _ = await asyncio.wait({sending}, timeout=0.3)
    assert not done
    client.report.set()

    with pytest.raises(BrokerUnavailable):
        await sending
    await asyncio.to_thread(reports.close, wait_s=1.0)


async def test_a_client_that_does_not_stop_is_left_behind() -> None:
    """aiokafka's own stop waits for the broker, for ever if need be."""
    stopping = asyncio.create_task(stop_within(Client(), 2.0))
    done, _ = await asyncio.wait({stopping}, timeout=10)
    stopping.cancel()

    assert done, "the stop waits for the client"
    assert stopping.result() is False
