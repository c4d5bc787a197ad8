"""Guide: Module Structure, ConsumerConfig, Custom Configuration, Environment Variables, Docker Compose."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest
import yaml

from langgraph_integration.config import ConsumerConfig
from langgraph_integration.consumer import LangGraphKafkaConsumer

PROJECT = Path(__file__).parents[2]


def test_the_modules_are_where_the_guide_draws_them() -> None:
    """The guide's tree of `langgraph_integration`; the rooms behind these doors are ours."""
    tree = """
        project/langgraph_integration/
        ├── __init__.py          # Module exports
        ├── config.py            # Configuration management
        ├── processor.py         # Event-to-state conversion and workflow execution
        ├── consumer.py          # Async Kafka consumer with retry and DLQ
        ├── retry.py             # Retry utility with exponential backoff
        ├── dead_letter.py       # Dead letter queue producer
        └── service.py           # Service entry point
    """
    names = [word for word in tree.split() if word.endswith(".py")]

    assert [name for name in names if not (PROJECT / "langgraph_integration" / name).is_file()] == []
    assert len(names) == 7


def test_a_configuration_is_made_with_or_without_arguments() -> None:
    """The listing of ConsumerConfig."""
    from langgraph_integration.config import ConsumerConfig

    # Default configuration (loads from environment variables)
    config = ConsumerConfig()

    # Custom configuration
    config = ConsumerConfig(
        bootstrap_servers="localhost:9092",
        topic="workflow-events",
        group_id="langgraph-consumer-group",
        auto_offset_reset="latest",
        enable_auto_commit=True,
    )

    assert config == ConsumerConfig(), "the listing spells the defaults out"


def test_the_defaults_are_those_of_the_guide() -> None:
    """The list Configuration Options."""
    config = ConsumerConfig()

    assert config.bootstrap_servers == "localhost:9092"
    assert config.topic == "workflow-events"
    assert config.group_id == "langgraph-consumer-group"
    assert config.auto_offset_reset == "latest"
    assert config.enable_auto_commit is True
    assert config.max_poll_records == 500
    assert config.session_timeout_ms == 30000
    assert config.heartbeat_interval_ms == 3000


def test_a_custom_configuration_reaches_the_consumer_and_connects_nowhere_yet() -> None:
    """The listing Custom Configuration."""
    from langgraph_integration.config import ConsumerConfig
    from langgraph_integration.consumer import LangGraphKafkaConsumer

    # Custom configuration
    config = ConsumerConfig(
        bootstrap_servers="kafka:9092",
        topic="custom-workflow-events",
        group_id="custom-consumer-group",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )

    consumer = LangGraphKafkaConsumer(config=config)

    assert consumer.config is config
    assert (config.bootstrap_servers, config.topic, config.group_id) == (
        "kafka:9092",
        "custom-workflow-events",
        "custom-consumer-group",
    )
    assert (config.auto_offset_reset, config.enable_auto_commit) == ("earliest", False)
    assert consumer.consumer is None
    assert consumer.dlq.bootstrap_servers == consumer.result_producer.bootstrap_servers == "kafka:9092"


def test_exported_variables_are_what_a_configuration_starts_from() -> None:
    """The listing Environment Variables, run by a shell before Python."""
    listing = """
        # Kafka connection
        export KAFKA_BOOTSTRAP_SERVERS=localhost:9092

        # Topic configuration
        export KAFKA_WORKFLOW_EVENTS_TOPIC=workflow-events

        # Consumer group
        export KAFKA_CONSUMER_GROUP_ID=langgraph-consumer-group

        # Auto-commit
        export KAFKA_ENABLE_AUTO_COMMIT=true
    """
    show = "from langgraph_integration import ConsumerConfig; print(ConsumerConfig().to_dict())"
    asked = dedent(listing) + f"{sys.executable} -c '{show}'"
    shell = subprocess.run(["bash", "-c", asked], capture_output=True, text=True, check=True, cwd=PROJECT)

    assert shell.stdout.strip() == str(ConsumerConfig().to_dict())


@pytest.mark.parametrize(
    ("variable", "text", "attribute", "value"),
    [
        ("KAFKA_BOOTSTRAP_SERVERS", "one:9092,two:9092", "bootstrap_servers", "one:9092,two:9092"),
        ("KAFKA_WORKFLOW_EVENTS_TOPIC", "other-events", "topic", "other-events"),
        ("KAFKA_CONSUMER_GROUP_ID", "other-group", "group_id", "other-group"),
        ("KAFKA_ENABLE_AUTO_COMMIT", "false", "enable_auto_commit", False),
        ("KAFKA_DLQ_TOPIC", "other-dead-letters", "dlq_topic", "other-dead-letters"),
        ("KAFKA_WORKFLOW_RESULTS_TOPIC", "other-results", "results_topic", "other-results"),
        ("WORKFLOW_EXECUTION_TIMEOUT", "600", "execution_timeout", 600.0),
    ],
)
def test_every_variable_of_the_guide_is_read_when_a_configuration_is_made(
    variable: str, text: str, attribute: str, value: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The four lists Environment Variables; an argument wins over a variable."""
    monkeypatch.setenv(variable, text)

    assert getattr(ConsumerConfig(), attribute) == value
    assert ConsumerConfig(group_id="given").group_id == "given"


def test_the_compose_file_of_the_guide_names_the_address_that_clients_take_by_default() -> None:
    """The listing Docker Compose, read and not run: it needs Docker, and a Zookeeper it does not start."""
    listing = """
        services:
          kafka:
            image: confluentinc/cp-kafka:7.5.0
            ports:
              - "9092:9092"
            environment:
              KAFKA_BROKER_ID: 1
              KAFKA_ZOOKEEPER_CONNECT: zookeeper:2181
              KAFKA_ADVERTISED_LISTENERS: PLAINTEXT://localhost:9092
    """
    services = yaml.safe_load(dedent(listing))["services"]

    advertised = services["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]
    assert advertised == f"PLAINTEXT://{ConsumerConfig().bootstrap_servers}"


def test_best_practice_configuration_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Best Practices 4: what the environment says reaches ✅ and passes ❌ by."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "kafka.production:9092")
    monkeypatch.setenv("KAFKA_WORKFLOW_EVENTS_TOPIC", "production-events")

    # ✅ Good: Environment variables
    config = ConsumerConfig()  # Loads from environment

    assert (config.bootstrap_servers, config.topic) == ("kafka.production:9092", "production-events")

    # ❌ Bad: Hardcoded values
    config = ConsumerConfig(
        bootstrap_servers="localhost:9092",  # Hardcoded
        topic="workflow-events",  # Hardcoded
    )

    assert (config.bootstrap_servers, config.topic) == ("localhost:9092", "workflow-events")
    assert LangGraphKafkaConsumer(config=config).dlq.bootstrap_servers == "localhost:9092"
