"""A consumer on the test's own topics, and graphs in a folder of the test's own."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import pytest

from langgraph_integration.config import ConsumerConfig
from tests.support.brokers import TestBroker
from workflow_events.settings import TopicNames


class MakeConfig(Protocol):
    """Makes the configuration of a consumer on the test's topics; arguments replace what it chose."""

    def __call__(self, **changed: Any) -> ConsumerConfig: ...


@pytest.fixture
def make_config(broker: TestBroker, topics: TopicNames, group_id: str) -> MakeConfig:
    """A new group from the beginning of the topic, short sessions, state in memory."""

    def make(**changed: Any) -> ConsumerConfig:
        settings: dict[str, Any] = {
            "bootstrap_servers": broker.bootstrap_servers,
            "topic": topics.events,
            "results_topic": topics.results,
            "dlq_topic": topics.dead_letters,
            "group_id": group_id,
            "auto_offset_reset": "earliest",
            "session_timeout_ms": broker.session_timeout_ms,
            "heartbeat_interval_ms": broker.heartbeat_interval_ms,
            "state_url": "memory:",
        }
        return ConsumerConfig(**{**settings, **changed})

    return make


@pytest.fixture
def graph_folder(tmp_path: Path) -> Callable[..., str]:
    """`graph_folder(source, {"name": "attribute"}, **ours)` -> the path of a langgraph.json.

    `source` is the text of graph.py, `ours` what stands under the key `langgraph_kafka`.
    """

    def make(source: str, graphs: dict[str, str] | None = None, /, **ours: Any) -> str:
        folder = tmp_path / f"graphs-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        (folder / "graph.py").write_text(textwrap.dedent(source))
        names = graphs or {"graph": "graph"}
        manifest = {
            "graphs": {name: f"./graph.py:{attribute}" for name, attribute in names.items()},
            "langgraph_kafka": ours,
        }
        (folder / "langgraph.json").write_text(json.dumps(manifest))
        return str(folder / "langgraph.json")

    return make
