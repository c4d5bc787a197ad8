"""A graph of one node that does what its event says; its executions stand in the history of the programme."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TypedDict

from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START, StateGraph

from tests.chaos.graph import note_step
from tests.support import wait_until


class Order(TypedDict, total=False):
    """`waits_for`: a file that must be there before the run ends. `broken_while`: a file that makes every run
    fail for good while it is there, `fails_after` so many seconds.
    """

    waits_for: str
    broken_while: str
    fails_after: float
    done: bool


async def work(state: Order, config: RunnableConfig) -> Order:
    """Note the execution, then do as told."""
    note_step("work", "start", config)
    if _there(state.get("broken_while")):
        await asyncio.sleep(state.get("fails_after", 0))
        raise ValueError("this release cannot do that")
    if "waits_for" in state:
        await wait_until(lambda: _there(state["waits_for"]), 3600, "the file")
    return {"done": True}


def _there(path: str | None) -> bool:
    return path is not None and Path(path).exists()


_builder = StateGraph(Order)
_builder.add_node("work", work)
_builder.add_edge(START, "work")
_builder.add_edge("work", END)
graph = _builder.compile()
