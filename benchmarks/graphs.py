"""The graphs of the workloads: they do nothing or wait, for what is measured is what surrounds them.

Each comes with asynchronous nodes, and with synchronous ones for contestants that call `invoke` in threads.
"""

import asyncio
import operator
import os
import random
import time
from collections.abc import Callable
from typing import Annotated, Any, TypedDict

from langgraph.graph import END, START, StateGraph

from benchmarks.marks import MARKS
from benchmarks.task import GraphName

CHAIN_WAIT_S = 1.0
BLOCKING_S = 0.5
SLOW_S = 5.0
MIXED_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
"""What event number x waits in the mixed load: the x-th of these; number 0 waits `SLOW_S`."""

NO_GRAPH_S = 0.005
"""The longest wait of an event that has no graph; all are equally likely."""

Wait = Callable[[int], float]


class State(TypedDict, total=False):
    """`x` is the event's number; `path` the nodes it came through."""

    x: int
    path: Annotated[list[str], operator.add]


def mixed_s(x: int) -> float:
    """How long run x of the mixed load takes."""
    return SLOW_S if x == 0 else short_s(x)


def short_s(x: int) -> float:
    """The same load without its slow run."""
    return MIXED_S[x % len(MIXED_S)]


def long_s(_: int) -> float:
    """How long a run of the waiting crowd takes."""
    return float(os.environ.get("BENCH_WAIT_S", "60"))


_SHAPES: dict[GraphName, tuple[int, Wait | None]] = {
    "five": (5, None),
    "one": (1, None),
    "wait": (1, lambda _: CHAIN_WAIT_S),
    "chain": (3, lambda _: CHAIN_WAIT_S),
    "mixed": (1, mixed_s),
    "short": (1, short_s),
    "long": (1, long_s),
}


def build(name: GraphName, *, synchronous: bool = False) -> StateGraph[Any, Any, Any, Any]:
    """The graph, not compiled."""
    nodes, wait = _SHAPES.get(name, (1, None))
    if name == "blocking":
        synchronous, wait = True, lambda _: BLOCKING_S
    builder = StateGraph(State)
    names = [f"step{number}" for number in range(nodes)]
    for each in names:
        node: Any = _sync_node(each, wait) if synchronous else _async_node(each, wait)
        builder.add_node(each, node)
    for before, after in zip([START, *names], [*names, END], strict=True):
        builder.add_edge(before, after)
    return builder


def _async_node(name: str, wait: Wait | None) -> Any:
    async def node(state: State) -> dict[str, Any]:
        MARKS.began()
        if wait is not None:
            await asyncio.sleep(wait(state["x"]))
        return {"path": [name]}

    return node


def _sync_node(name: str, wait: Wait | None) -> Any:
    def node(state: State) -> dict[str, Any]:
        MARKS.began()
        if wait is not None:
            time.sleep(wait(state["x"]))
        return {"path": [name]}

    return node


async def wait_without_graph(data: dict[str, Any]) -> dict[str, Any]:
    """What stands in place of `ainvoke` where no graph is run."""
    MARKS.began()
    await asyncio.sleep(random.random() * NO_GRAPH_S)
    return dict(data)


def sleep_without_graph(data: dict[str, Any]) -> dict[str, Any]:
    """What stands in place of `invoke` where no graph is run."""
    MARKS.began()
    time.sleep(random.random() * NO_GRAPH_S)
    return dict(data)


five = build("five")
one = build("one")
wait = build("wait")
chain = build("chain")
blocking = build("blocking")
mixed = build("mixed")
short = build("short")
long = build("long")
