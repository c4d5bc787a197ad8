"""A graph of all that runs side by side or inside: two branches, packets (`Send`), a subgraph."""

from __future__ import annotations

import operator
from pathlib import Path
from typing import Annotated, Any, TypedDict

from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send

from tests.chaos.graph import note_step
from tests.support import wait_until

PACKETS = 3
NODES = ("a", "left", "right", *(f"packet-{number}" for number in range(PACKETS)), "x", "y")
"""As they stand in the history."""


class Order(TypedDict, total=False):
    """`waits_in`: the node that ends only once the file `waits_for` is there."""

    waits_in: str
    waits_for: str
    number: int
    path: Annotated[list[str], operator.add]


def _named(name: str) -> Any:  # LangGraph wants a parameter named state, which Callable cannot say
    async def node(state: Order, config: RunnableConfig) -> Order:
        me = f"{name}-{state['number']}" if name == "packet" else name
        note_step(me, "start", config)
        if state.get("waits_in") == me:
            await wait_until(lambda: Path(state["waits_for"]).exists(), 600, "the file")
        note_step(me, "end", config)
        return {"path": [me]}

    return node


async def _join(state: Order) -> Order:
    return {}


def _packets(state: Order) -> list[Send]:
    told: Order = {"waits_in": state.get("waits_in", ""), "waits_for": state.get("waits_for", "")}
    return [Send("packet", {**told, "number": number}) for number in range(PACKETS)]


_inside = StateGraph(Order)
_inside.add_node("x", _named("x"))
_inside.add_node("y", _named("y"))
_inside.add_edge(START, "x")
_inside.add_edge("x", "y")
_inside.add_edge("y", END)

_builder = StateGraph(Order)
for _name in ("a", "left", "right", "packet"):
    _builder.add_node(_name, _named(_name))
_builder.add_node("join", _join)
_builder.add_node("inside", _inside.compile())
_builder.add_edge(START, "a")
_builder.add_edge("a", "left")
_builder.add_edge("a", "right")
_builder.add_edge(["left", "right"], "join")
_builder.add_conditional_edges("join", _packets, ["packet"])
_builder.add_edge("packet", "inside")
_builder.add_edge("inside", END)
graph = _builder.compile()
