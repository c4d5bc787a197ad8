"""langgraph.json: the ecosystem's file, and our settings under its key `langgraph_kafka`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from langgraph_integration.graphs.manifest import Manifest, find_manifest, read_manifest
from langgraph_integration.graphs.specs import GraphSettings
from workflow_events.errors import ConfigurationError


def _file(folder: Path, content: Any) -> Path:
    path = folder / "langgraph.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_the_ecosystems_file_is_read_and_its_other_keys_left_alone(tmp_path: Path) -> None:
    """A reference may be a text or an object with a path, as `langgraph dev` has it."""
    content = {
        "dependencies": ["."],
        "env": ".env",
        "python_version": "3.11",
        "graphs": {"a": "./a.py:graph", "b": {"path": "pkg.b:make", "description": "b"}},
        "langgraph_kafka": {"default": "b"},
    }
    manifest = read_manifest(_file(tmp_path, content))

    assert manifest.graphs == {"a": "./a.py:graph", "b": "pkg.b:make"}
    assert (manifest.default, manifest.folder) == ("b", tmp_path)


def test_the_only_graph_is_the_default(tmp_path: Path) -> None:
    """Nothing but that file is needed."""
    assert read_manifest(_file(tmp_path, {"graphs": {"mine": "./a.py:graph"}})).default == "mine"


def test_settings_per_graph_and_patterns_are_read(tmp_path: Path) -> None:
    """In the units that their names say."""
    ours = {
        "default": "multi_agent",
        "workflows": {"report_*": "a"},
        "graphs": {"a": {"durability": "exit", "timeout_seconds": 1.5, "recursion_limit": 7}, "b": {}},
    }
    content = {"graphs": {"a": "./a.py:graph", "b": "./b.py:graph"}, "langgraph_kafka": ours}
    manifest = read_manifest(_file(tmp_path, content))

    assert manifest.settings == {"a": GraphSettings("exit", 1.5, 7), "b": GraphSettings("sync", None, 50)}
    assert manifest.patterns == {"report_*": "a"}
    assert manifest.default == "multi_agent"


def test_without_a_file_there_is_the_multi_agent_graph_alone() -> None:
    """It is the registry's default."""
    assert (Manifest.empty().graphs, Manifest.empty().default) == ({}, None)


A = {"a": "./a.py:graph"}


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("{", "not JSON"),
        ({}, "graphs: Field required"),
        ({"graphs": {}}, "graphs"),
        ({"graphs": {"a": 1}}, "graphs"),
        ({"graphs": {**A, "b": "./b.py:graph"}}, "several graphs and no default.*a, b"),
        ({"graphs": A, "langgraph_kafka": {"default": "x"}}, "default names 'x'; known: a"),
        ({"graphs": A, "langgraph_kafka": {"workflows": {"*": "x"}}}, "workflows names 'x'; known: a"),
        ({"graphs": A, "langgraph_kafka": {"graphs": {"x": {}}}}, "graphs has 'x'; known: a"),
        ({"graphs": A, "langgraph_kafka": {"durable": True}}, "langgraph_kafka.durable"),
        ({"graphs": A, "langgraph_kafka": {"graphs": {"a": {"durability": "never"}}}}, "durability"),
        ({"graphs": A, "langgraph_kafka": {"graphs": {"a": {"timeout_seconds": 0}}}}, "timeout_seconds"),
    ],
)
def test_what_cannot_be_used_is_named_with_file_and_entry(content: Any, text: str, tmp_path: Path) -> None:
    """At start, before an event is taken."""
    path = _file(tmp_path, content)
    with pytest.raises(ConfigurationError, match=text) as raised:
        read_manifest(path)

    assert str(path) in str(raised.value)


def test_without_a_name_the_file_of_the_folder_is_read_if_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that leads nowhere is an error, no name is not."""
    monkeypatch.chdir(tmp_path)
    assert find_manifest(None) == Manifest.empty()
    _file(tmp_path, {"graphs": {"mine": "./a.py:graph"}})

    assert find_manifest(None).default == "mine"
    with pytest.raises(ConfigurationError, match=r"nope\.json"):
        find_manifest("nope.json")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """With the variable that names it."""
    with pytest.raises(ConfigurationError, match=r"LANGGRAPH_CONFIG .*No such file"):
        read_manifest(tmp_path / "nope.json")
