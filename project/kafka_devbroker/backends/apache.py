"""Apache Kafka in KRaft mode (placeholder: the next commit brings it)."""

from __future__ import annotations

from collections.abc import Mapping

from kafka_devbroker.broker import Broker
from kafka_devbroker.errors import BrokerUnavailable


def why_unavailable() -> str | None:
    """What keeps Apache Kafka from running here, with the way out; None when nothing does."""
    return "the Apache Kafka backend is not written yet"


def start_apache(*, nodes: int, port: int | None, properties: Mapping[str, str] | None) -> Broker:
    """A started Apache Kafka."""
    raise BrokerUnavailable("the Apache Kafka backend is not written yet")
