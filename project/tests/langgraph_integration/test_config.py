"""ConsumerConfig: explicit argument over environment over default, read when the object is made."""

from __future__ import annotations

from pathlib import Path

import pytest

from langgraph_integration.config import ConsumerConfig
from workflow_events.errors import ConfigurationError

GUIDE = {
    "bootstrap_servers": "localhost:9092",
    "topic": "workflow-events",
    "group_id": "langgraph-consumer-group",
    "auto_offset_reset": "latest",
    "enable_auto_commit": True,
    "max_poll_records": 500,
    "session_timeout_ms": 30_000,
    "heartbeat_interval_ms": 3_000,
}


def test_defaults_are_the_guides() -> None:
    """And none of ours surprises: a file below the state folder, nothing optional set."""
    config = ConsumerConfig()

    assert {name: getattr(config, name) for name in GUIDE} == GUIDE
    assert (config.results_topic, config.dlq_topic) == ("workflow-results", "workflow-events-dlq")
    assert (config.max_concurrency, config.sync_threads, config.max_event_bytes) == (100, 32, 1_048_576)
    assert (config.execution_timeout, config.shutdown_timeout) == (300, 25)
    assert (config.dead_letter_limit, config.rebalance_timeout_ms) == ("0.5/200", 60_000)
    assert (config.graphs_file, config.group_instance_id) == (None, None)


VARIABLES = [
    (
        "KAFKA_BOOTSTRAP_SERVERS",
        "k1:9092,k2:9092",
        "bootstrap_servers",
        "k1:9092,k2:9092",
    ),
    ("KAFKA_WORKFLOW_EVENTS_TOPIC", "events", "topic", "events"),
    ("KAFKA_WORKFLOW_RESULTS_TOPIC", "results", "results_topic", "results"),
    ("KAFKA_DLQ_TOPIC", "letters", "dlq_topic", "letters"),
    ("KAFKA_CONSUMER_GROUP_ID", "group", "group_id", "group"),
    ("KAFKA_ENABLE_AUTO_COMMIT", "false", "enable_auto_commit", False),
    ("KAFKA_ENABLE_AUTO_COMMIT", "TRUE", "enable_auto_commit", True),
    ("KAFKA_AUTO_OFFSET_RESET", "earliest", "auto_offset_reset", "earliest"),
    ("KAFKA_SESSION_TIMEOUT_MS", "45000", "session_timeout_ms", 45_000),
    ("KAFKA_HEARTBEAT_INTERVAL_MS", "1000", "heartbeat_interval_ms", 1_000),
    ("KAFKA_MAX_POLL_RECORDS", "7", "max_poll_records", 7),
    ("KAFKA_REBALANCE_TIMEOUT_MS", "10000", "rebalance_timeout_ms", 10_000),
    ("KAFKA_GROUP_INSTANCE_ID", "worker-1", "group_instance_id", "worker-1"),
    ("WORKFLOW_STATE_URL", "memory:", "state_url", "memory:"),
    ("WORKFLOW_MAX_CONCURRENCY", "5", "max_concurrency", 5),
    ("WORKFLOW_SYNC_THREADS", "6", "sync_threads", 6),
    ("WORKFLOW_MAX_EVENT_BYTES", "1000", "max_event_bytes", 1_000),
    ("WORKFLOW_MAX_CLAIMS", "2", "max_claims", 2),
    ("WORKFLOW_DEAD_LETTER_LIMIT", "0", "dead_letter_limit", "0"),
    ("WORKFLOW_EXECUTION_TIMEOUT", "0.5", "execution_timeout", 0.5),
    ("WORKFLOW_SHUTDOWN_TIMEOUT", "0", "shutdown_timeout", 0.0),
    ("LANGGRAPH_CONFIG", "/graphs/langgraph.json", "graphs_file", "/graphs/langgraph.json"),
]


@pytest.mark.parametrize(("variable", "text", "option", "value"), VARIABLES)
def test_every_option_has_a_variable(
    variable: str, text: str, option: str, value: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read at construction, so that its order among imports changes nothing."""
    before = ConsumerConfig()
    monkeypatch.setenv(variable, text)

    assert getattr(ConsumerConfig(), option) == value
    assert getattr(before, option) != value or variable == "KAFKA_ENABLE_AUTO_COMMIT"


def test_an_argument_wins_over_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also the ones that look like nothing: False and 0 are values, None asks for the environment."""
    monkeypatch.setenv("KAFKA_WORKFLOW_EVENTS_TOPIC", "from-the-environment")
    monkeypatch.setenv("KAFKA_ENABLE_AUTO_COMMIT", "true")
    monkeypatch.setenv("WORKFLOW_SHUTDOWN_TIMEOUT", "9")
    config = ConsumerConfig(topic="mine", enable_auto_commit=False, shutdown_timeout=0)

    assert (config.topic, config.enable_auto_commit, config.shutdown_timeout) == ("mine", False, 0)
    assert ConsumerConfig(topic=None).topic == "from-the-environment"  # type: ignore[arg-type]  # callers do


def test_a_blank_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Docker Compose passes variables that were never given."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "")
    monkeypatch.setenv("KAFKA_MAX_POLL_RECORDS", " ")

    assert ConsumerConfig().bootstrap_servers == "localhost:9092"
    assert ConsumerConfig().max_poll_records == 500


def test_to_dict_has_every_option_and_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """What may be logged."""
    monkeypatch.setenv("KAFKA_SASL_PASSWORD", "hush")
    monkeypatch.setenv("KAFKA_SASL_USERNAME", "me")
    config = ConsumerConfig(topic="mine")

    assert config.to_dict()["topic"] == "mine"
    assert GUIDE.keys() <= config.to_dict().keys()
    assert "hush" not in f"{config!r} {config.to_dict()}"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:s3cretpw@db/agents",
        "postgresql://me:pa:s3cretpw@db/agents",
        "postgresql://db/agents?user=me&password=s3cretpw",
        "postgresql://me:s3cret%70w@db/agents?sslpassword=s3cretpw",
    ],
)
def test_the_databases_password_is_shown_nowhere(url: str) -> None:
    """Neither by the object nor by what is logged of it, and the log hides it wherever it comes from."""
    config = ConsumerConfig(state_url=url)

    assert "s3cret" not in f"{config!r} {config.to_dict()}"
    assert config.to_dict()["state_url"].startswith("postgresql://")
    assert any("s3cretpw" in secret for secret in config.secrets())


def test_the_connection_goes_to_the_same_servers() -> None:
    """There is one place for the address."""
    assert ConsumerConfig(bootstrap_servers="kafka:1").kafka.bootstrap_servers == "kafka:1"


def test_the_default_state_is_a_file_below_the_state_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """XDG_STATE_HOME, or ~/.local/state where that is not set."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert ConsumerConfig().state_url == f"sqlite:{tmp_path}/langgraph-kafka/state.db"
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert ConsumerConfig().state_url == f"sqlite:{tmp_path}/home/.local/state/langgraph-kafka/state.db"


WRONG = [
    ({"auto_offset_reset": "none"}, "auto_offset_reset", "earliest or latest"),
    ({"max_poll_records": 0}, "max_poll_records", "greater than 0"),
    ({"max_concurrency": -1}, "max_concurrency", "greater than 0"),
    ({"sync_threads": 0}, "sync_threads", "greater than 0"),
    ({"max_event_bytes": 0}, "max_event_bytes", "greater than 0"),
    ({"max_claims": 0}, "max_claims", "greater than 0"),
    ({"execution_timeout": 0}, "execution_timeout", "greater than 0"),
    ({"execution_timeout": float("nan")}, "execution_timeout", "greater than 0"),
    ({"shutdown_timeout": -1}, "shutdown_timeout", "not be negative"),
    ({"shutdown_timeout": float("nan")}, "shutdown_timeout", "not be negative"),
    ({"heartbeat_interval_ms": 0}, "heartbeat_interval_ms", "greater than 0"),
    ({"heartbeat_interval_ms": 20_000}, "heartbeat_interval_ms", "at most half"),
    ({"heartbeat_interval_ms": 20_000}, "session_timeout_ms", "30000"),
    ({"rebalance_timeout_ms": 0}, "rebalance_timeout_ms", "greater than 0"),
    ({"session_timeout_ms": 0}, "session_timeout_ms", "greater than 0"),
    ({"topic": ""}, "topic", "not be empty"),
    ({"results_topic": ""}, "results_topic", "not be empty"),
    ({"dlq_topic": ""}, "dlq_topic", "not be empty"),
    ({"group_id": ""}, "group_id", "not be empty"),
]
VARIABLE_OF = {option: variable for variable, _, option, _ in VARIABLES}


@pytest.mark.parametrize(("arguments", "option", "accepted"), WRONG)
def test_a_value_that_cannot_be_used_is_named(
    arguments: dict[str, object], option: str, accepted: str
) -> None:
    """The option, its variable and what is accepted, at construction, before anything was opened."""
    with pytest.raises(ConfigurationError) as raised:
        ConsumerConfig(**arguments)  # type: ignore[arg-type]  # of any type, as callers pass them

    assert f"{option} ({VARIABLE_OF[option]})" in str(raised.value)
    assert accepted in str(raised.value)


def test_servers_that_are_none_are_named() -> None:
    """By the variable alone: every client of ours reads it."""
    with pytest.raises(ConfigurationError, match="KAFKA_BOOTSTRAP_SERVERS names no broker"):
        ConsumerConfig(bootstrap_servers="")


def test_a_number_out_of_range_is_named_by_the_variable_it_came_from(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever set a variable has never heard of the option."""
    monkeypatch.setenv("KAFKA_MAX_POLL_RECORDS", "0")
    with pytest.raises(ConfigurationError, match=r"\(KAFKA_MAX_POLL_RECORDS\) is 0; .* greater than 0"):
        ConsumerConfig()


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("KAFKA_MAX_POLL_RECORDS", "many"),
        ("KAFKA_SESSION_TIMEOUT_MS", "30s"),
        ("KAFKA_ENABLE_AUTO_COMMIT", "perhaps"),
        ("WORKFLOW_EXECUTION_TIMEOUT", "five"),
        ("KAFKA_AUTO_OFFSET_RESET", "beginning"),
    ],
)
def test_a_variable_that_cannot_be_read_is_named(
    variable: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its value, and what would be accepted."""
    monkeypatch.setenv(variable, text)
    with pytest.raises(ConfigurationError, match=f"{variable}.*{text}"):
        ConsumerConfig()
