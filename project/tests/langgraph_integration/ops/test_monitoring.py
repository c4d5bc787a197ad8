"""Metrics, health and start-up warnings of one service, as its entry point opens them."""

import logging
import urllib.request
from collections.abc import Callable

import pytest

from kafka_devbroker.net import free_ports
from langgraph_integration.config import ConsumerConfig
from langgraph_integration.ops.metric_table import MetricName
from langgraph_integration.ops.metrics import Metrics
from langgraph_integration.ops.monitoring import Monitoring
from langgraph_integration.ops.settings import HttpSettings
from langgraph_integration.ops.topics import LEDGER_RETENTION
from langgraph_integration.pipeline.status import ServiceStatus
from langgraph_integration.store import Retention
from tests.support import wait_until_sync
from tests.support.brokers import TestBroker
from tests.support.topics import unique_name
from workflow_events.settings import TopicNames


def test_the_size_of_the_dead_letter_topic_is_served(kafka_environment: TopicNames) -> None:
    """The guide: "Monitor DLQ topic size"."""
    http, metrics = HttpSettings(port=free_ports(1)[0]), Metrics()

    def page() -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{http.port}/metrics", timeout=5) as answer:
            return str(answer.read(), "utf-8")

    with Monitoring(ConsumerConfig(), http, metrics, ServiceStatus):
        wait_until_sync(
            lambda: f"{MetricName.DEAD_LETTER_TOPIC_SIZE} 0.0" in page(), description="the size of the topic"
        )


def test_topics_that_lose_records_are_warned_of_at_start(
    broker: TestBroker, make_topics: Callable[..., TopicNames], caplog: pytest.LogCaptureFixture
) -> None:
    """In the log, where an operator looks after the first start; the service runs all the same."""
    topics = make_topics(partitions=1)
    config = ConsumerConfig(
        bootstrap_servers=broker.bootstrap_servers,
        topic=topics.events,
        results_topic=topics.results,
        dlq_topic=unique_name("missing"),
    )
    with caplog.at_level(logging.WARNING), Monitoring(config, HttpSettings(port=0), Metrics(), ServiceStatus):
        wait_until_sync(lambda: caplog.records, description="a warning")

    (warning,) = [each for each in caplog.records if getattr(each, "action", "") == "startup_warning"]
    assert f"topic {config.dlq_topic} (dead letters) does not exist" in warning.getMessage()


def test_the_warning_of_long_retention_knows_how_long_the_ledger_keeps() -> None:
    """One number, told in two places."""
    assert Retention().runs == LEDGER_RETENTION
