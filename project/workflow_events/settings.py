"""Where Kafka is and how to get in: the one reader of these variables, for every client of ours.

An explicit argument wins over the environment, the environment over the default. The environment is
read when an object is made, never at import. A variable that is set but empty counts as unset.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, Final, Self

from workflow_events.errors import ConfigurationError
from workflow_events.schema import WorkflowEventMetadata

DEFAULT_BOOTSTRAP_SERVERS: Final = "localhost:9092"
DEFAULT_EVENTS_TOPIC: Final = "workflow-events"
DEFAULT_RESULTS_TOPIC: Final = "workflow-results"
DEFAULT_DEAD_LETTERS_TOPIC: Final = "workflow-events-dlq"

_PROTOCOLS: Final = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
_MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
_ENVIRONMENTS: Final = ("dev", "staging", "prod")
_YES: Final = frozenset({"1", "true", "yes", "on"})
_NO: Final = frozenset({"0", "false", "no", "off"})

_LIBRDKAFKA_NAMES: Final = {
    "bootstrap_servers": "bootstrap.servers",
    "security_protocol": "security.protocol",
    "sasl_mechanism": "sasl.mechanisms",
    "sasl_username": "sasl.username",
    "sasl_password": "sasl.password",
    "ssl_cafile": "ssl.ca.location",
    "ssl_certfile": "ssl.certificate.location",
    "ssl_keyfile": "ssl.key.location",
    "ssl_password": "ssl.key.password",
}


def environment_text(name: str) -> str | None:
    """The variable's value without blanks around it. None if it is unset or empty."""
    return os.environ.get(name, "").strip() or None


def resolve(explicit: str | None, variable: str, default: str) -> str:
    """The explicit value, else the variable's, else the default. Raises `ConfigurationError` for ""."""
    if explicit is None:
        return environment_text(variable) or default
    if not explicit.strip():
        raise ConfigurationError(f"an empty value was given where {variable} or None is expected")
    return explicit.strip()


def parse_flag(text: str, name: str) -> bool:
    """True or False. Raises `ConfigurationError` naming the variable for anything unclear."""
    word = text.strip().lower()
    if word in _YES:
        return True
    if word in _NO:
        return False
    raise ConfigurationError(f"{name} is {text!r}; expected true or false")


@dataclass(frozen=True, slots=True)
class KafkaSettings:
    """How to reach the brokers. Secrets appear in no `repr`.

    `bootstrap_servers` is one `host:port` or several, separated by commas. Files are paths to PEM.
    `client_options` are librdkafka's own options, used last and by the clients of the asking side
    only (for an Airflow connection, or a mechanism that is not named here).
    """

    bootstrap_servers: str = DEFAULT_BOOTSTRAP_SERVERS
    security_protocol: str = "PLAINTEXT"
    sasl_mechanism: str | None = None
    sasl_username: str | None = None
    sasl_password: str | None = field(default=None, repr=False)
    ssl_cafile: str | None = None
    ssl_certfile: str | None = None
    ssl_keyfile: str | None = None
    ssl_password: str | None = field(default=None, repr=False)
    ssl_check_hostname: bool = True
    client_options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}), repr=False)

    def __post_init__(self) -> None:
        servers = ",".join(part.strip() for part in self.bootstrap_servers.split(",") if part.strip())
        if not servers:
            raise ConfigurationError("KAFKA_BOOTSTRAP_SERVERS names no broker; expected host:port, ...")
        object.__setattr__(self, "bootstrap_servers", servers)
        object.__setattr__(self, "security_protocol", self.security_protocol.upper())
        if self.security_protocol not in _PROTOCOLS:
            raise ConfigurationError(
                f"KAFKA_SECURITY_PROTOCOL is {self.security_protocol!r}; expected one of "
                f"{', '.join(_PROTOCOLS)}"
            )
        if self.uses_sasl:
            self._check_sasl()
        if (self.ssl_certfile is None) != (self.ssl_keyfile is None):
            raise ConfigurationError("KAFKA_SSL_CERTFILE and KAFKA_SSL_KEYFILE are needed together")

    def _check_sasl(self) -> None:
        if "sasl.mechanisms" in self.client_options or "sasl.mechanism" in self.client_options:
            return
        mechanism = (self.sasl_mechanism or "PLAIN").upper()
        object.__setattr__(self, "sasl_mechanism", mechanism)
        if mechanism not in _MECHANISMS:
            raise ConfigurationError(
                f"KAFKA_SASL_MECHANISM is {mechanism!r}; expected one of {', '.join(_MECHANISMS)}"
            )
        if self.sasl_username is None or self.sasl_password is None:
            raise ConfigurationError(
                f"KAFKA_SECURITY_PROTOCOL {self.security_protocol} needs KAFKA_SASL_USERNAME and "
                "KAFKA_SASL_PASSWORD"
            )

    @property
    def uses_sasl(self) -> bool:
        """Whether clients log in."""
        return self.security_protocol.startswith("SASL_")

    @property
    def uses_tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self.security_protocol.endswith("SSL")

    @classmethod
    def from_env(cls, bootstrap_servers: str | None = None) -> Self:
        """Settings from `KAFKA_BOOTSTRAP_SERVERS`, `KAFKA_SECURITY_PROTOCOL`, `KAFKA_SASL_MECHANISM`,
        `_USERNAME`, `_PASSWORD`, `KAFKA_SSL_CAFILE`, `_CERTFILE`, `_KEYFILE`, `_PASSWORD` and
        `_CHECK_HOSTNAME`. Raises `ConfigurationError` naming the variable that cannot be used.
        """
        given: dict[str, Any] = {}
        for one in fields(cls):
            if one.name == "client_options":
                continue
            variable = f"KAFKA_{one.name.upper()}"
            text = environment_text(variable)
            if text is not None:
                given[one.name] = parse_flag(text, variable) if one.type in (bool, "bool") else text
        given["bootstrap_servers"] = resolve(
            bootstrap_servers, "KAFKA_BOOTSTRAP_SERVERS", DEFAULT_BOOTSTRAP_SERVERS
        )
        return cls(**given)

    def librdkafka(self) -> dict[str, Any]:
        """The options of confluent-kafka's clients. Contains the secrets: never log it."""
        skipped = set()
        if not self.uses_sasl:
            skipped |= {"sasl_mechanism", "sasl_username", "sasl_password"}
        if not self.uses_tls:
            skipped |= {"ssl_cafile", "ssl_certfile", "ssl_keyfile", "ssl_password"}
        options = {
            theirs: getattr(self, ours)
            for ours, theirs in _LIBRDKAFKA_NAMES.items()
            if ours not in skipped and getattr(self, ours) is not None
        }
        if self.uses_tls and not self.ssl_check_hostname:
            options["ssl.endpoint.identification.algorithm"] = "none"
        return {**options, **self.client_options}


@dataclass(frozen=True, slots=True)
class TopicNames:
    """The three topics."""

    events: str = DEFAULT_EVENTS_TOPIC
    results: str = DEFAULT_RESULTS_TOPIC
    dead_letters: str = DEFAULT_DEAD_LETTERS_TOPIC

    @classmethod
    def from_env(
        cls,
        events: str | None = None,
        results: str | None = None,
        dead_letters: str | None = None,
    ) -> Self:
        """Names from `KAFKA_WORKFLOW_EVENTS_TOPIC`, `KAFKA_WORKFLOW_RESULTS_TOPIC`, `KAFKA_DLQ_TOPIC`."""
        return cls(
            events=resolve(events, "KAFKA_WORKFLOW_EVENTS_TOPIC", DEFAULT_EVENTS_TOPIC),
            results=resolve(results, "KAFKA_WORKFLOW_RESULTS_TOPIC", DEFAULT_RESULTS_TOPIC),
            dead_letters=resolve(dead_letters, "KAFKA_DLQ_TOPIC", DEFAULT_DEAD_LETTERS_TOPIC),
        )


@dataclass(frozen=True, slots=True)
class EventDefaults:
    """The metadata of events that are published without any."""

    environment: str = "dev"
    version: str = "1.0"

    @classmethod
    def from_env(cls) -> Self:
        """From `ENVIRONMENT` and `EVENT_SCHEMA_VERSION`. Raises `ConfigurationError` for another
        environment than dev, staging or prod.
        """
        environment = environment_text("ENVIRONMENT") or "dev"
        if environment not in _ENVIRONMENTS:
            raise ConfigurationError(
                f"ENVIRONMENT is {environment!r}; expected one of {', '.join(_ENVIRONMENTS)}"
            )
        return cls(environment, environment_text("EVENT_SCHEMA_VERSION") or "1.0")

    def metadata(self) -> WorkflowEventMetadata:
        """As an event carries it."""
        return WorkflowEventMetadata(environment=self.environment, version=self.version)
