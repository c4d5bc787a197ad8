"""What the guide's listings stand on: a broker, topics, an event and a consumer that runs beside the test."""

from __future__ import annotations

import asyncio
import fcntl
import socket
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from kafka_devbroker import Broker, running_broker
from langgraph_integration import LangGraphKafkaConsumer
from tests.support.brokers import in_ci
from tests.support.topics import create_topics
from workflow_events import (
    EventSource,
    EventType,
    WorkflowEvent,
    WorkflowEventMetadata,
    WorkflowEventPayload,
)

GUIDES_PORT = 9092
GUIDES_TOPICS = ("workflow-events", "workflow-results", "workflow-events-dlq")


@pytest.fixture
def event() -> WorkflowEvent:
    """An event as most listings have it at hand."""
    return WorkflowEvent(
        event_type=EventType.WORKFLOW_TRIGGERED,
        source=EventSource.AIRFLOW,
        workflow_id="test_workflow",
        workflow_run_id="run_123",
        payload=WorkflowEventPayload(data={"task": "process_data"}),
        metadata=WorkflowEventMetadata(environment="dev", version="1.0"),
    )


@pytest.fixture
def localhost_9092(monkeypatch: pytest.MonkeyPatch) -> Iterator[Broker]:
    """A fresh broker where the listings say it is, with the topics they name.

    Test runs on one machine wait for each other here. Take the markers `broker` and
    `xdist_group("localhost:9092")` too.
    """
    lock_file = Path(tempfile.gettempdir()) / "langgraph-kafka-tests-9092.lock"
    with lock_file.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _somebody_listens(GUIDES_PORT):
            taken = f"port {GUIDES_PORT} is taken, and the guide's listings name localhost:{GUIDES_PORT}"
            pytest.fail(taken) if in_ci() else pytest.skip(taken)
        # Tansu answers the first join of a group after half of the session timeout.
        monkeypatch.setenv("KAFKA_SESSION_TIMEOUT_MS", "6000")
        monkeypatch.setenv("KAFKA_HEARTBEAT_INTERVAL_MS", "1000")
        with running_broker(port=GUIDES_PORT) as broker:
            create_topics(broker.bootstrap_servers, GUIDES_TOPICS, partitions=3)
            yield broker


def _somebody_listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
async def serving() -> AsyncIterator[Callable[[LangGraphKafkaConsumer], Awaitable[None]]]:
    """A function that starts a consumer and lets it consume beside the test, until the test ends."""
    running: list[tuple[LangGraphKafkaConsumer, asyncio.Task[None]]] = []

    async def serve(consumer: LangGraphKafkaConsumer) -> None:
        await consumer.start()
        running.append((consumer, asyncio.create_task(consumer.consume_and_process())))

    yield serve
    for consumer, task in running:
        consumer.running = False
        with suppress(asyncio.CancelledError):
            await task
        await consumer.stop()
