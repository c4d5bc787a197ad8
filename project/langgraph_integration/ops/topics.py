"""The three topics as the broker has them: inspect, create, and warn of settings that lose records."""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Literal, assert_never

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AdminClient,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
    TopicMetadata,
)

from workflow_events.errors import BrokerUnavailable, ConfigurationError
from workflow_events.librdkafka import LastError, client_options
from workflow_events.settings import KafkaSettings, TopicNames

log = logging.getLogger(__name__)

Role = Literal["events", "results", "dead letters"]

LEDGER_RETENTION: Final = timedelta(days=14)
FOREVER: Final = -1
"""Kafka's value for a retention without end."""

WHERE_KAFKA_IS: Final = "Is it running? KAFKA_BOOTSTRAP_SERVERS or --bootstrap-servers says where it is"

_TIMEOUT_S: Final = 10.0
_LOOK_EVERY_S: Final = 0.05
_KEPT: Final = {"retention.ms": str(7 * 24 * 3600 * 1000)}
_SIZES: Final[Mapping[Role, int]] = {"events": 1 << 20, "results": 8 << 20, "dead letters": 8 << 20}
# A dead letter carries its event in base64 and as an object: 8 MiB hold any event of 1 MiB twice.
_DEAD_LETTERS_KEPT: Final = {"retention.ms": str(14 * 24 * 3600 * 1000)}


@dataclass(frozen=True, slots=True)
class TopicFacts:
    """One of the three. `partitions` 0 = it does not exist; `None` = the broker does not say.

    `retention_ms` is -1 where nothing is ever removed by age.
    """

    role: Role
    name: str
    partitions: int
    replicas: int | None = None
    retention_ms: int | None = None
    max_message_bytes: int | None = None

    @property
    def exists(self) -> bool:
        """Whether the broker has it."""
        return self.partitions > 0


def inspect_topics(
    settings: KafkaSettings, topics: TopicNames, *, timeout_s: float = _TIMEOUT_S
) -> list[TopicFacts]:
    """Events, results and dead letters, in this order. Raises `BrokerUnavailable`; repeating is safe."""
    last_error = LastError()
    admin = AdminClient(client_options(settings, last_error))
    try:
        known = admin.list_topics(timeout=timeout_s).topics
    except KafkaException as error:
        raise _unavailable(settings, error, last_error) from error
    found = [name for _, name in _by_role(topics) if _usable(known.get(name))]
    configs = _configs(admin, found, timeout_s)
    return [_facts(role, name, known.get(name), configs.get(name, {})) for role, name in _by_role(topics)]


def create_topics(
    settings: KafkaSettings,
    topics: TopicNames,
    *,
    partitions: int = 3,
    replicas: int = -1,
    timeout_s: float = _TIMEOUT_S,
) -> list[str]:
    """The names that were created and can be used now; what exists is left as it is. `replicas` -1 = the
    broker's default.

    Results and dead letters take larger records than events and are kept as long or longer. Raises
    `ConfigurationError` for numbers the broker refuses, `BrokerUnavailable`.
    """
    if partitions < 1:
        raise ConfigurationError(f"--partitions is {partitions}; a topic has at least 1")
    last_error = LastError()
    admin = AdminClient(client_options(settings, last_error))
    wanted = [_new(role, name, partitions, replicas) for role, name in _by_role(topics)]
    try:
        futures = admin.create_topics(wanted, operation_timeout=timeout_s, request_timeout=timeout_s)
        created = [name for name, future in futures.items() if _created(name, future, timeout_s)]
        _wait_until_told(admin, created, timeout_s)
    except KafkaException as error:
        raise _unavailable(settings, error, last_error) from error
    return created


def startup_warnings(
    settings: KafkaSettings,
    topics: TopicNames,
    *,
    ledger_retention: timedelta = LEDGER_RETENTION,
    timeout_s: float = _TIMEOUT_S,
) -> list[str]:
    """What an operator should know before the first event: see `warnings_of`. Blocks; call it in a thread.

    Never raises: a broker that is away is told by those who need it.
    """
    try:
        facts = inspect_topics(settings, topics, timeout_s=timeout_s)
    except (BrokerUnavailable, ConfigurationError) as error:
        return [f"the topics could not be looked at: {error}"]
    return warnings_of(facts, ledger_retention=ledger_retention)


def warnings_of(facts: Sequence[TopicFacts], *, ledger_retention: timedelta = LEDGER_RETENTION) -> list[str]:
    """Missing topics, and settings under which a verdict could be refused or vanish too early."""
    warnings = [
        f"topic {each.name} ({each.role}) does not exist; `langgraph-kafka topics --create` makes it"
        for each in facts
        if not each.exists
    ]
    events = next(each for each in facts if each.role == "events")
    for other in facts:
        if other.role != "events" and other.exists and events.exists:
            warnings += _compared(events, other)
    ledger_ms = int(ledger_retention.total_seconds() * 1000)
    if events.retention_ms is not None and _longer(events.retention_ms, ledger_ms):
        warnings.append(
            f"topic {events.name} keeps events {duration(events.retention_ms)}, the run ledger "
            f"{duration(ledger_ms)}: an event read again after that runs a second time"
        )
    return warnings


def duration(ms: int | None) -> str:
    """A retention for a person: `7 days`, `36 hours`, `for ever`, `unknown`."""
    if ms is None:
        return "unknown"
    if ms == FOREVER:
        return "for ever"
    for unit, size in (("days", 86_400_000), ("hours", 3_600_000), ("minutes", 60_000), ("seconds", 1000)):
        if ms >= size:
            return f"{ms / size:g} {unit if ms != size else unit[:-1]}"
    return f"{ms} ms"


def _compared(events: TopicFacts, other: TopicFacts) -> list[str]:
    warnings = []
    sizes = (events.max_message_bytes, other.max_message_bytes)
    if sizes[0] is not None and sizes[1] is not None and sizes[1] < sizes[0]:
        warnings.append(
            f"topic {other.name} takes {sizes[1]} bytes a record, {events.name} {sizes[0]}: large "
            f"{other.role} will be refused or cut; raise its max.message.bytes"
        )
    kept = (events.retention_ms, other.retention_ms)
    if kept[0] is not None and kept[1] is not None and _longer(kept[0], kept[1]):
        warnings.append(
            f"topic {other.name} keeps {other.role} {duration(kept[1])}, {events.name} keeps events "
            f"{duration(kept[0])}: {other.role} vanish before their events; raise its retention.ms"
        )
    return warnings


def _longer(one_ms: int, other_ms: int) -> bool:
    return other_ms != FOREVER and (one_ms == FOREVER or one_ms > other_ms)


def _by_role(topics: TopicNames) -> tuple[tuple[Role, str], ...]:
    return ("events", topics.events), ("results", topics.results), ("dead letters", topics.dead_letters)


def _usable(metadata: TopicMetadata | None) -> bool:
    return metadata is not None and metadata.error is None and bool(metadata.partitions)


def _facts(
    role: Role, name: str, metadata: TopicMetadata | None, config: Mapping[str, ConfigEntry]
) -> TopicFacts:
    if metadata is None or not _usable(metadata):
        return TopicFacts(role, name, partitions=0)
    policy = config["cleanup.policy"].value if "cleanup.policy" in config else "delete"
    return TopicFacts(
        role,
        name,
        partitions=len(metadata.partitions),
        replicas=min(len(each.replicas) for each in metadata.partitions.values()),
        retention_ms=_whole(config.get("retention.ms")) if "delete" in str(policy) else FOREVER,
        max_message_bytes=_whole(config.get("max.message.bytes")),
    )


def _whole(entry: ConfigEntry | None) -> int | None:
    try:
        return None if entry is None or entry.value is None else int(entry.value)
    except ValueError:
        return None


def _configs(
    admin: AdminClient, names: Sequence[str], timeout_s: float
) -> dict[str, Mapping[str, ConfigEntry]]:
    """Settings by topic; a broker that does not tell them is no error."""
    configs: dict[str, Mapping[str, ConfigEntry]] = {}
    if not names:
        return configs
    resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
    for resource, future in admin.describe_configs(resources, request_timeout=timeout_s).items():
        try:
            configs[resource.name] = future.result(timeout_s)
        except (KafkaException, TimeoutError) as error:
            log.debug("topic settings unknown: %s", error, extra={"action": "topic_config_unknown"})
    return configs


def _new(role: Role, name: str, partitions: int, replicas: int) -> NewTopic:
    match role:
        case "events" | "results":
            kept = _KEPT
        case "dead letters":
            kept = _DEAD_LETTERS_KEPT
        case _:
            assert_never(role)
    config = {"max.message.bytes": str(_SIZES[role]), **kept}
    return NewTopic(name, num_partitions=partitions, replication_factor=replicas, config=config)


def _created(name: str, future: Any, timeout_s: float) -> bool:
    try:
        future.result(timeout_s)
    except KafkaException as error:
        problem: KafkaError = error.args[0]
        if problem.code() == KafkaError.TOPIC_ALREADY_EXISTS:
            return False
        if problem.code() in (KafkaError.INVALID_REPLICATION_FACTOR, KafkaError.INVALID_PARTITIONS):
            raise ConfigurationError(f"the broker refuses to create topic {name}: {problem.str()}") from error
        raise
    return True


def _wait_until_told(admin: AdminClient, names: Sequence[str], timeout_s: float) -> None:
    """The controller has them; brokers tell clients of them a moment later. At the timeout they exist all
    the same.
    """
    deadline = time.monotonic() + timeout_s
    while names and (left := deadline - time.monotonic()) > 0:
        known = admin.list_topics(timeout=left).topics
        if all(_usable(known.get(name)) for name in names):
            return
        time.sleep(_LOOK_EVERY_S)


def _unavailable(settings: KafkaSettings, error: KafkaException, last_error: LastError) -> BrokerUnavailable:
    problem = error.args[0] if error.args else None
    text = problem.str() if isinstance(problem, KafkaError) else str(error)
    return BrokerUnavailable(
        f"Kafka at {settings.bootstrap_servers} does not answer or refuses: {text}{last_error.hint}. "
        f"{WHERE_KAFKA_IS}"
    )
