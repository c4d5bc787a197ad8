"""The environment variables that the product reads."""

from __future__ import annotations

import re
from dataclasses import fields
from functools import cache

from tests.docs.pages import ROOT
from workflow_events.settings import KafkaSettings

BROKERS_OWN = {"KAFKA_BROKER_ID", "KAFKA_ZOOKEEPER_CONNECT", "KAFKA_ADVERTISED_LISTENERS"}
"""Read by containers of Kafka, not by us."""

NOT_SETTINGS = {"WORKFLOW_FAULT_POINT", "KAFKA_CLIENT_OPTIONS", "KAFKA_HOME"}
"""For the fault programme; no variable at all; and where tests find Apache Kafka (CONTRIBUTING.md)."""


@cache
def variables() -> frozenset[str]:
    """Every name that stands as a string in the product, and those made from fields of KafkaSettings."""
    packages = ["workflow_events", "langgraph_workflows", "langgraph_integration", "kafka_devbroker"]
    sources = [path.read_text() for each in packages for path in (ROOT / "project" / each).rglob("*.py")]
    quoted = {
        found
        for source in sources
        for found in re.findall(r'"((?:KAFKA|WORKFLOW|LANGGRAPH)_[A-Z_]+)"', source)
    }
    return frozenset(quoted | {f"KAFKA_{field.name.upper()}" for field in fields(KafkaSettings)})
