"""The public paths, and what importing them costs."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.tables import PUBLIC

PROJECT = Path(__file__).parents[2]


@pytest.mark.parametrize(("module", "names"), PUBLIC.items(), ids=list(PUBLIC))
def test_public_names_are_where_the_guide_says(module: str, names: tuple[str, ...]) -> None:
    """Code written against the guide imports them."""
    imported = importlib.import_module(module)

    assert [name for name in names if not hasattr(imported, name)] == []


@pytest.mark.parametrize(
    ("module", "foreign"),
    [
        ("workflow_events.schema", "confluent_kafka"),
        ("workflow_events", "confluent_kafka"),
        ("airflow_integration.result_poller", "airflow"),
        ("langgraph_integration.config", "langgraph"),
        ("langgraph_integration.retry", "aiokafka"),
        ("kafka_devbroker", "confluent_kafka"),
    ],
)
def test_importing_a_module_does_not_import_what_it_does_not_need(module: str, foreign: str) -> None:
    """A schema needs no Kafka client, and a poller no Airflow."""
    program = f"import sys, {module}; sys.exit({foreign!r} in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr


def test_the_store_takes_nothing_of_langgraph_but_the_checkpoint_protocol() -> None:
    """Savers are there for LangGraph, and must not know what a graph is."""
    taken = {
        module
        for path in (PROJECT / "langgraph_integration" / "store").glob("**/*.py")
        for module in _imported(path)
        if module.split(".")[0] == "langgraph"
    }

    assert [module for module in taken if not module.startswith("langgraph.checkpoint")] == []


def _imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module)
    return names
