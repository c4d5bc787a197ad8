"""The whole chain for tests: Airflow, a broker, the service, and the way to look into each."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

from kafka_devbroker import BackendName, running_broker
from kafka_devbroker.broker import Broker
from kafka_devbroker.process import GuardedProcess
from tests.support.airflow_server import ROOT, AirflowServer, running_airflow
from tests.support.topics import create_topics
from workflow_events.headers import RecordHeaders
from workflow_events.settings import TopicNames

OUR_DAGS: Final = ROOT / "project" / "dags"
TEST_DAGS: Final = ROOT / "project" / "tests" / "airflow_integration" / "dags"
_GRAPHS: Final = ROOT / "project" / "tests" / "airflow_integration" / "graphs" / "langgraph.json"
_STOP_TIMEOUT: Final = 40.0


@dataclass(frozen=True, slots=True)
class SeenRecord:
    """A record of a topic, read back."""

    key: str
    body: dict[str, Any]
    headers: RecordHeaders
    offset: tuple[int, int]


class Chain:
    """Airflow -> Kafka -> LangGraph -> Kafka -> Airflow, running."""

    def __init__(
        self, folder: Path, broker: Broker, topics: TopicNames, environment: Mapping[str, str]
    ) -> None:
        self.folder = folder
        self.broker = broker
        self.topics = topics
        self.environment = dict(environment)
        self.airflow: AirflowServer
        self._service: GuardedProcess

    def start_service(self) -> None:
        """Start the real service, with its state in a file."""
        command = [sys.executable, "-m", "langgraph_integration.service"]
        self._service = GuardedProcess(
            command, log_file=self.folder / "service.log", env={**os.environ, **self.environment}
        )

    def stop_service(self) -> None:
        """Stop it in order."""
        self._service.ask_to_end()
        self._service.wait_or_kill(_STOP_TIMEOUT)

    def records(self, topic: str) -> list[SeenRecord]:
        """All that is on a topic now, per partition in order."""
        servers = self.broker.bootstrap_servers
        options = {"group.id": "looking", "enable.partition.eof": True, "fetch.wait.max.ms": 20}
        consumer = Consumer({"bootstrap.servers": servers, **options})
        found: list[SeenRecord] = []
        try:
            partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
            for partition in partitions:
                found += _partition(consumer, topic, partition)
        finally:
            consumer.close()
        return found

    def asks(self, event_id: str) -> list[SeenRecord]:
        """What was written to the events topic for a run, in order."""
        return [record for record in self.records(self.topics.events) if record.key == event_id]

    def results(self, event_id: str) -> list[SeenRecord]:
        """The results of a run."""
        return [
            record
            for record in self.records(self.topics.results)
            if record.body["correlation_id"] == str(UUID(event_id))
        ]


def _partition(consumer: Consumer, topic: str, partition: int) -> list[SeenRecord]:
    """Up to where a fetch finds the end: some brokers say less when they are asked for it."""
    consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING)])
    found: list[SeenRecord] = []
    while True:
        message = consumer.poll(1.0)
        if message is None:
            continue
        error = message.error()
        if error is not None and error.code() == KafkaError._PARTITION_EOF:
            return found
        assert error is None, error
        key, value, offset = message.key(), message.value(), message.offset()
        assert key is not None
        assert value is not None
        assert offset is not None
        pairs = message.headers() or []
        headers = RecordHeaders.parse(pairs.items() if isinstance(pairs, dict) else pairs)
        found.append(SeenRecord(key.decode(), json.loads(value), headers, (partition, offset)))


@contextmanager
def running_chain(
    folder: Path,
    *,
    backend: BackendName = "tansu",
    settings: Mapping[str, str] | None = None,
    dags_from: Sequence[Path] = (OUR_DAGS, TEST_DAGS),
) -> Iterator[Chain]:
    """The chain on a broker of its own, with the guide's topic names. `settings` are for Airflow.

    With the tests' DAGs among `dags_from` the service has their workflow.
    """
    dags = folder / "dags"
    for source in dags_from:
        shutil.copytree(source, dags, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    with running_broker(backend) as broker:
        topics = TopicNames()
        names = [topics.events, topics.results, topics.dead_letters]
        create_topics(broker.bootstrap_servers, names, partitions=3, config=None)
        kafka = {"KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers}
        graphs = {"LANGGRAPH_CONFIG": str(_GRAPHS)} if TEST_DAGS in dags_from else {}
        chain = Chain(folder, broker, topics, {**kafka, **graphs, **_service_settings(folder)})
        chain.start_service()
        try:
            connection = {"AIRFLOW_CONN_KAFKA_DEFAULT": _connection(broker.bootstrap_servers)}
            with running_airflow(
                folder / "airflow", dags, {**kafka, **connection, **(settings or {})}
            ) as airflow:
                chain.airflow = airflow
                yield chain
        finally:
            chain.stop_service()


def _service_settings(folder: Path) -> dict[str, str]:
    return {
        "KAFKA_AUTO_OFFSET_RESET": "earliest",
        "KAFKA_SESSION_TIMEOUT_MS": "6000",
        "KAFKA_HEARTBEAT_INTERVAL_MS": "1000",
        "WORKFLOW_HTTP_PORT": "0",
        "WORKFLOW_STATE_URL": f"sqlite:{folder / 'state.db'}",
    }


def _connection(bootstrap_servers: str) -> str:
    extras = {
        "bootstrap.servers": bootstrap_servers,
        "group.id": "airflow-results",
        "auto.offset.reset": "earliest",
        "session.timeout.ms": 6000,
        "enable.auto.commit": False,
    }
    return json.dumps({"conn_type": "kafka", "extra": extras})
