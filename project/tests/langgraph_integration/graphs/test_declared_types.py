"""Which types of a graph its stored state may be rebuilt with."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, NamedTuple, TypedDict

from langgraph.graph import END, START, StateGraph
from pydantic import BaseModel

from langgraph_integration.graphs.declared_types import declared_types


class Colour(Enum):
    RED = "red"


class Point(NamedTuple):
    x: int


class Inner(BaseModel):
    colour: Colour = Colour.RED


@dataclass
class Outer:
    inner: Inner | None = None
    points: list[Point] | None = None


class NodeInput(BaseModel):
    wish: str = ""


class State(TypedDict, total=False):
    outer: Annotated[dict[str, Outer], "a reducer stands here"]
    process: subprocess.Popen[bytes]


def _compiled(node: Any, schema: Any = State) -> Any:
    graph = StateGraph(schema)
    graph.add_node("node", node)
    graph.add_edge(START, "node")
    graph.add_edge("node", END)
    return graph.compile()


def _names(graph: Any) -> set[str]:
    return {name for _, name in declared_types(graph)}


def test_types_nested_in_a_state_are_declared() -> None:
    """Dataclasses, models, enums and named tuples count; a class that is no data never does."""

    def node(state: State) -> State:
        return {}

    assert _names(_compiled(node)) >= {"Outer", "Inner", "Colour", "Point"}
    assert "Popen" not in _names(_compiled(node))


def test_the_input_of_a_node_is_declared() -> None:
    """What `Send` carries to a node is stored too."""
    graph = StateGraph(State)
    graph.add_node("node", lambda _: {}, input_schema=NodeInput)
    graph.add_edge(START, "node")
    assert "NodeInput" in _names(graph.compile())


def test_types_of_a_subgraph_are_declared() -> None:
    """A subgraph stores its state with its parent's saver."""

    class Child(TypedDict, total=False):
        point: Point

    child = _compiled(lambda _: {}, Child)
    graph = StateGraph(State)
    graph.add_node("child", child)
    graph.add_edge(START, "child")
    assert "Point" in _names(graph.compile())
