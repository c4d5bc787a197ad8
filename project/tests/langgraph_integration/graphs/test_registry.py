"""Named graphs from a folder of one's own, one of them chosen per event."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from langchain_core.runnables import RunnableConfig

from langgraph_integration.graphs.registry import load_registry
from tests.langgraph_integration.events import event
from workflow_events.errors import ConfigurationError, UnknownGraph

KINDS = """
from typing import TypedDict
from langgraph.graph import StateGraph
import neighbour

class State(TypedDict, total=False):
    x: int

def node(state: State) -> State:
    return {"x": state["x"] + neighbour.ONE}

builder = StateGraph(State).add_node(node).set_entry_point("node").set_finish_point("node")
compiled = builder.compile()

def factory():
    return builder

def factory_of_config(config):
    return builder.compile()

async def async_factory():
    return compiled

def broken_factory():
    raise RuntimeError("no model key")

number = 7
"""

NAMES = ("compiled", "builder", "factory", "factory_of_config", "async_factory")


@pytest.fixture
def manifest(graph_folder: Callable[..., str]) -> str:
    """A langgraph.json with every kind of reference, and a module beside it that the graph imports."""
    path = graph_folder(
        KINDS,
        {name: name for name in NAMES},
        default="compiled",
        workflows={"report_*": "builder", "*_daily": "factory", "report_daily": "async_factory"},
    )
    Path(path).with_name("neighbour.py").write_text("ONE = 1\n")
    return path


async def test_every_kind_of_reference_becomes_a_graph(manifest: str) -> None:
    """Compiled, a StateGraph, factories of nothing or of a configuration, synchronous or not."""
    registry = await load_registry(manifest)

    assert set(registry.specs) == {*NAMES, "multi_agent"}
    for name in NAMES:
        state = await registry.specs[name].graph.ainvoke({"x": 1}, {"configurable": {"thread_id": name}})
        assert state == {"x": 2}


async def test_the_graph_is_the_one_named_else_by_pattern_else_the_default(manifest: str) -> None:
    """The first pattern in the file that fits the workflow's id."""
    registry = await load_registry(manifest)

    def chosen(graph: str | None, workflow_id: str) -> str:
        return registry.resolve(event(graph=graph, workflow_id=workflow_id)).name

    assert chosen("factory", "report_x") == "factory"
    assert chosen(None, "report_x") == "builder"
    assert chosen(None, "sales_daily") == "factory"
    assert chosen(None, "report_daily") == "builder"
    assert chosen(None, "REPORT_x") == "compiled"
    assert chosen("", "anything") == "compiled"
    assert chosen("multi_agent", "anything") == "multi_agent"


async def test_an_unknown_name_lists_the_known_ones(manifest: str) -> None:
    """A permanent error."""
    registry = await load_registry(manifest)
    with pytest.raises(UnknownGraph, match=r"'\.\./x:y'; known: async_factory, builder, compiled"):
        registry.resolve(event(graph="../x:y"))


async def test_without_a_file_there_is_the_guides_graph(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under the name multi_agent."""
    monkeypatch.chdir(tmp_path)
    registry = await load_registry(None)

    assert (registry.default, set(registry.specs)) == ("multi_agent", {"multi_agent"})
    assert registry.resolve(event()).multi_agent


async def test_a_file_in_the_working_folder_is_taken(manifest: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As every tool of the ecosystem does."""
    monkeypatch.chdir(Path(manifest).parent)

    assert (await load_registry(None)).default == "compiled"


@pytest.mark.parametrize(
    ("reference", "text"),
    [
        ("./graph.py", "use ./file.py:attribute"),
        (":graph", "use ./file.py:attribute"),
        ("./graph.py:", "use ./file.py:attribute"),
        ("./missing.py:graph", "missing.py"),
        ("no.such.module:graph", "no.such.module"),
        ("./graph.py:nothing", "no attribute 'nothing'"),
        ("./graph.py:number", "is a int, not a LangGraph graph"),
        ("./graph.py:broken_factory", "its factory failed.*no model key"),
        ("./syntax.py:graph", "cannot be loaded"),
        ("./attribute.py:graph", "cannot be loaded.*no_such_thing"),
    ],
)
async def test_a_reference_that_leads_nowhere_is_named(
    reference: str, text: str, graph_folder: Callable[..., str]
) -> None:
    """With the entry of the file, so that a service does not start half."""
    path = _with_reference(graph_folder(KINDS, {"mine": "number"}), reference)
    with pytest.raises(ConfigurationError, match=f"'mine'.*{text}"):
        await load_registry(path)


def _with_reference(manifest: str, reference: str) -> str:
    path = Path(manifest)
    path.with_name("neighbour.py").write_text("ONE = 1\n")
    path.with_name("syntax.py").write_text("def (:\n")
    path.with_name("attribute.py").write_text("import math\nmath.no_such_thing\n")
    path.write_text(path.read_text().replace("./graph.py:number", reference))
    return manifest


async def test_two_folders_may_both_have_a_graph_py(graph_folder: Callable[..., str]) -> None:
    """Their modules do not meet."""
    source = KINDS.replace("import neighbour\n", "").replace("neighbour.ONE", "{}")
    one = await load_registry(graph_folder(source.replace("{}", "10"), {"g": "compiled"}))
    two = await load_registry(graph_folder(source.replace("{}", "20"), {"g": "compiled"}))
    config: RunnableConfig = {"configurable": {"thread_id": "t"}}

    assert await one.specs["g"].graph.ainvoke({"x": 1}, config) == {"x": 11}
    assert await two.specs["g"].graph.ainvoke({"x": 1}, config) == {"x": 21}
