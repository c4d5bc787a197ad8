"""ConsumerConfig: every setting of the service, read once, when the object is made."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import unquote

from langgraph_integration import environment as env
from workflow_events.errors import ConfigurationError
from workflow_events.settings import KafkaSettings, environment_text

T = TypeVar("T")


def _option(variable: str, read: Callable[[], T], *, shown: bool = True) -> T:
    """A field whose value, where none (or None) is given, comes from `read` at construction."""
    return field(default_factory=read, metadata={"read": read, "variable": variable}, repr=shown)


def _text(variable: str, default: str) -> str:
    return _option(variable, lambda: env.text(variable, default))


def _optional(variable: str) -> str | None:
    return _option(variable, lambda: environment_text(variable))


def _integer(variable: str, default: int) -> int:
    return _option(variable, lambda: env.integer(variable, default))


def _number(variable: str, default: float) -> float:
    return _option(variable, lambda: env.number(variable, default))


def _flag(variable: str, default: bool) -> bool:
    return _option(variable, lambda: env.flag(variable, default))


def default_state_url() -> str:
    """`sqlite:` and the file state.db under XDG_STATE_HOME/langgraph-kafka (~/.local/state without it)."""
    home = environment_text("XDG_STATE_HOME")
    root = Path(home) if home else Path.home() / ".local" / "state"
    return f"sqlite:{root / 'langgraph-kafka' / 'state.db'}"


def _state_url() -> str:
    url = env.text("WORKFLOW_STATE_URL", "sqlite:")
    return default_state_url() if url == "sqlite:" else url


_PASSWORDS_IN_URL: Final = re.compile(r"://[^:@]*:(.*)@|[?&](?:ssl)?password=([^&]*)")
_ABOVE_ZERO: Final = (
    "max_poll_records",
    "session_timeout_ms",
    "heartbeat_interval_ms",
    "rebalance_timeout_ms",
    "max_concurrency",
    "sync_threads",
    "max_event_bytes",
    "max_claims",
    "execution_timeout",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumerConfig:
    """Settings of the consumer: explicit argument over environment over default.

    Times ending in `_ms` are milliseconds, `shutdown_timeout` and `execution_timeout` are seconds,
    sizes are bytes. `None` means "take the environment" for every option that is not optional by nature.

    `enable_auto_commit=True` means that offsets are committed for you once the outcome of an event is
    durable; False leaves it to `await consumer.commit()`. The flag never reaches the Kafka client.

    Raises `ConfigurationError` naming the option and its variable.
    """

    bootstrap_servers: str = _text("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092")
    topic: str = _text("KAFKA_WORKFLOW_EVENTS_TOPIC", "workflow-events")
    group_id: str = _text("KAFKA_CONSUMER_GROUP_ID", "langgraph-consumer-group")
    auto_offset_reset: str = _text("KAFKA_AUTO_OFFSET_RESET", "latest")
    enable_auto_commit: bool = _flag("KAFKA_ENABLE_AUTO_COMMIT", True)
    max_poll_records: int = _integer("KAFKA_MAX_POLL_RECORDS", 500)
    session_timeout_ms: int = _integer("KAFKA_SESSION_TIMEOUT_MS", 30_000)
    heartbeat_interval_ms: int = _integer("KAFKA_HEARTBEAT_INTERVAL_MS", 3_000)
    rebalance_timeout_ms: int = _integer("KAFKA_REBALANCE_TIMEOUT_MS", 60_000)
    group_instance_id: str | None = _optional("KAFKA_GROUP_INSTANCE_ID")
    results_topic: str = _text("KAFKA_WORKFLOW_RESULTS_TOPIC", "workflow-results")
    dlq_topic: str = _text("KAFKA_DLQ_TOPIC", "workflow-events-dlq")
    state_url: str = _option("WORKFLOW_STATE_URL", _state_url, shown=False)
    graphs_file: str | None = _optional("LANGGRAPH_CONFIG")
    max_concurrency: int = _integer("WORKFLOW_MAX_CONCURRENCY", 100)
    sync_threads: int = _integer("WORKFLOW_SYNC_THREADS", 32)
    max_event_bytes: int = _integer("WORKFLOW_MAX_EVENT_BYTES", 1_048_576)
    max_claims: int = _integer("WORKFLOW_MAX_CLAIMS", 5)
    dead_letter_limit: str = _text("WORKFLOW_DEAD_LETTER_LIMIT", "0.5/200")
    execution_timeout: float = _number("WORKFLOW_EXECUTION_TIMEOUT", 300)
    shutdown_timeout: float = _number("WORKFLOW_SHUTDOWN_TIMEOUT", 25)
    kafka: KafkaSettings = field(default_factory=KafkaSettings.from_env, repr=False)
    """Security of the connection; its servers are always `bootstrap_servers`."""

    def __post_init__(self) -> None:
        for option in fields(self):
            read = option.metadata.get("read")
            if read is not None and getattr(self, option.name) is None:
                object.__setattr__(self, option.name, read())
        kafka = replace(self.kafka, bootstrap_servers=self.bootstrap_servers)
        object.__setattr__(self, "kafka", kafka)
        self._check()

    def _check(self) -> None:
        if self.auto_offset_reset not in ("earliest", "latest"):
            raise ConfigurationError(
                f"{_named('auto_offset_reset')} is {self.auto_offset_reset!r}; use earliest or latest"
            )
        for name in _ABOVE_ZERO:
            if not getattr(self, name) > 0:
                raise ConfigurationError(
                    f"{_named(name)} is {getattr(self, name)}; it must be greater than 0"
                )
        if not self.shutdown_timeout >= 0:
            raise ConfigurationError(
                f"{_named('shutdown_timeout')} is {self.shutdown_timeout}; it must not be negative"
            )
        if self.heartbeat_interval_ms * 2 > self.session_timeout_ms:
            raise ConfigurationError(
                f"{_named('heartbeat_interval_ms')} is {self.heartbeat_interval_ms}; it must be at most half "
                f"of {_named('session_timeout_ms')}, which is {self.session_timeout_ms}, or one late "
                "heartbeat loses the partitions"
            )
        for name in ("topic", "results_topic", "dlq_topic", "group_id"):
            if not getattr(self, name):
                raise ConfigurationError(f"{_named(name)} must not be empty")

    def to_dict(self) -> dict[str, Any]:
        """All options by name, without the secrets of the connections to Kafka and to the database."""
        shown = {option.name: getattr(self, option.name) for option in fields(self) if option.name != "kafka"}
        for secret in _passwords(self.state_url):
            shown["state_url"] = shown["state_url"].replace(secret, "***")
        return shown

    def secrets(self) -> tuple[str, ...]:
        """The values of both connections that must not appear in a log."""
        of_kafka = (self.kafka.sasl_password, self.kafka.ssl_password)
        return (*(each for each in of_kafka if each), *_passwords(self.state_url))


def _passwords(url: str) -> tuple[str, ...]:
    """What stands where a database's URL may have a password, as written there and as sent."""
    found = [one or other for one, other in _PASSWORDS_IN_URL.findall(url)]
    return tuple(dict.fromkeys(form for each in found for form in (each, unquote(each)) if form))


def _named(option: str) -> str:
    """The option with its variable, as an error tells it."""
    variable = next(each.metadata["variable"] for each in fields(ConsumerConfig) if each.name == option)
    return f"{option} ({variable})"
