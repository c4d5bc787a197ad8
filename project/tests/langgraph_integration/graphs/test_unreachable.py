"""A deploy between a crash and the resume: a thread that waits for what is no longer there is an error."""

from __future__ import annotations

import operator
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Annotated, Any, TypedDict

import pytest
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, Send

from langgraph_integration.graphs.registry import GraphRegistry
from langgraph_integration.graphs.runner import LangGraphRunner
from langgraph_integration.graphs.specs import GraphSettings, GraphSpec
from langgraph_integration.store import open_store
from tests.langgraph_integration.events import event
from workflow_events.errors import WorkflowFailed


class State(TypedDict, total=False):
    question: str
    path: Annotated[list[str], operator.add]
    worker: str


class Killed(BaseException):
    """The process ends here."""


Builder = StateGraph[State, None, State, State]
Release = Callable[[str, bool], Builder]


@pytest.fixture
async def saver() -> AsyncIterator[BaseCheckpointSaver[Any]]:
    async with open_store("memory:", owner="a", lease_time=timedelta(minutes=1)) as store:
        yield store.saver


def _node(name: str, *, kills: bool = False) -> Any:
    def run(state: State) -> State:
        if kills:
            raise Killed
        return {"path": [name]}

    return run


def _with(*nodes: str, killing: str | None = None) -> Builder:
    builder: Builder = StateGraph(State)
    for name in nodes:
        builder.add_node(name, _node(name, kills=name == killing))
    return builder


def in_a_row(name: str, kills: bool) -> Builder:
    """a, then the node, then z."""
    builder = _with("a", name, "z", killing=name if kills else None)
    return builder.add_edge(START, "a").add_edge("a", name).add_edge(name, "z").add_edge("z", END)


def packets(name: str, kills: bool) -> Builder:
    """Two packets for the node."""
    builder = _with("a", name, "z", killing=name if kills else None)
    builder.add_edge(START, "a").add_edge(name, "z").add_edge("z", END)
    return builder.add_conditional_edges("a", lambda _: [Send(name, {}), Send(name, {})], [name])


def jump(name: str, kills: bool) -> Builder:
    """The node is where a command sends the run."""
    builder = _with(name, "z", killing=name if kills else None)

    def a(state: State) -> Command[str]:
        return Command(goto=name, update={"path": ["a"]})

    builder.add_node("a", a, destinations=(name,))
    return builder.add_edge(START, "a").add_edge(name, "z").add_edge("z", END)


def beside(name: str, kills: bool) -> Builder:
    """The node before it has stored its writes, and the process ended before their checkpoint."""
    builder = _with("a", "b", name, killing="b" if kills else None)
    return builder.add_edge(START, "a").add_edge(START, "b").add_edge("a", name).add_edge(name, END)


def inner(name: str, kills: bool) -> Builder:
    """The node is one of a subgraph."""
    builder = _with("a", "z")
    builder.add_node("sub", in_a_row(name, kills).compile())
    return builder.add_edge(START, "a").add_edge("a", "sub").add_edge("sub", "z").add_edge("z", END)


def chosen(name: str, kills: bool) -> Builder:
    """A node's function calls one of two graphs, and nobody can tell from outside which."""
    one, other = in_a_row("one", False).compile(), in_a_row(name, kills).compile()

    async def choose(state: State) -> Any:
        return await (one if state.get("worker") else other).ainvoke(state)

    builder = _with("z")
    builder.add_node("choose", choose)
    return builder.add_edge(START, "choose").add_edge("choose", "z").add_edge("z", END)


def join(name: str, kills: bool) -> Builder:
    """The node is one of two that another waits for; the first has come."""
    builder = _with("a", "b", name, "z", killing=name if kills else None)
    builder.add_edge(START, "a").add_edge(START, "b").add_edge("b", name)
    return builder.add_edge(["a", name], "z").add_edge("z", END)


def deferred(name: str, kills: bool) -> Builder:
    """A deferred join, which is over, of the node; a later one kills."""
    builder = _with("a", "b", "y", "z", killing="y" if kills else None)
    builder.add_node(name, _node(name), defer=True)
    builder.add_edge(START, "a").add_edge(START, "b").add_edge(["a", "b"], name)
    return builder.add_edge(name, "y").add_edge("y", "z").add_edge("z", END)


def _runner(builder: Builder, saver: BaseCheckpointSaver[Any]) -> LangGraphRunner:
    spec = GraphSpec("g", builder.compile(checkpointer=saver), GraphSettings())
    return LangGraphRunner(GraphRegistry({"g": spec}, "g", {}))


@pytest.mark.parametrize(
    ("release", "gone"),
    [
        (in_a_row, "old"),
        (packets, "old"),
        (jump, "old"),
        (beside, "old"),
        (inner, "sub.old"),
        (join, "a+old:z"),
    ],
)
async def test_a_run_that_waits_for_a_node_that_is_gone_is_an_error(
    saver: BaseCheckpointSaver[Any], release: Release, gone: str
) -> None:
    """LangGraph would pass over it and call the half-done state finished."""
    asked = event({"question": "why"})
    with pytest.raises(Killed):
        await _runner(release("old", True), saver).run(asked, 10)

    with pytest.raises(WorkflowFailed, match=rf"has no node .*'{gone.replace('+', '[+]')}'.* any more"):
        await _runner(release("new", False), saver).run(asked, 10)


@pytest.mark.parametrize("release", [in_a_row, packets, jump, beside, inner, chosen, join, deferred])
async def test_a_run_whose_nodes_are_there_goes_on(saver: BaseCheckpointSaver[Any], release: Release) -> None:
    """The same release again: all of its path, nothing twice."""
    asked, other = event({"question": "why"}), event({"question": "why"})
    with pytest.raises(Killed):
        await _runner(release("old", True), saver).run(asked, 10)

    state = await _runner(release("old", False), saver).run(asked, 10)

    assert state == await _runner(release("old", False), saver).run(other, 10)


async def test_a_node_that_the_run_has_passed_may_be_gone(saver: BaseCheckpointSaver[Any]) -> None:
    """Also where its join was deferred: it waits for nobody any more."""
    asked = event({"question": "why"})
    with pytest.raises(Killed):
        await _runner(deferred("old", True), saver).run(asked, 10)

    state = await _runner(deferred("new", False), saver).run(asked, 10)

    assert state["path"] == ["a", "b", "old", "y", "z"]
