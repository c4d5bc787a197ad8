"""A workflow that does as it is told and counts how often it was really run."""

import asyncio
import time
from pathlib import Path
from typing import Any, TypedDict

from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START, StateGraph


class Told(TypedDict, total=False):
    """What an asker may tell it."""

    task: str
    echo: Any
    journal: str
    """A file: each step that is really executed adds a line with its name and the event's id."""
    wait: float
    """Seconds to work."""
    gate: str
    """A file: the work ends when it is there."""
    fail: str
    """A permanent error."""
    fail_until: str
    """A file: a permanent error as long as it is not there."""
    unfulfilled: str
    """The workflow finishes and says no."""
    bytes: int


class Answered(TypedDict, total=False):
    """What comes back."""

    echo: Any
    padding: str
    failure: str


class State(Told, Answered):
    """Both."""


def _note(state: State, config: RunnableConfig, step: str) -> None:
    if state.get("journal"):
        with Path(state["journal"]).open("a") as journal:
            journal.write(f"{step} {config['metadata'].get('event_id')}\n")


def _wait_for(gate: Path) -> None:
    while not gate.exists():
        time.sleep(0.02)


async def begin(state: State, config: RunnableConfig) -> State:
    """The part that would cost money."""
    _note(state, config, "begin")
    return {"padding": "x" * state.get("bytes", 0)}


async def work(state: State, config: RunnableConfig) -> State:
    """As long as it is told, and then as it is told."""
    _note(state, config, "work")
    if state.get("wait"):
        await asyncio.sleep(state["wait"])
    if state.get("gate"):
        await asyncio.to_thread(_wait_for, Path(state["gate"]))
    if state.get("fail"):
        raise ValueError(state["fail"])
    if state.get("fail_until") and not Path(state["fail_until"]).exists():  # noqa: ASYNC240  # a test's file
        raise ValueError(f"{state['fail_until']} is not there yet")
    return {"failure": state.get("unfulfilled", "")}


builder = StateGraph(State, output_schema=Answered)
builder.add_node("begin", begin)
builder.add_node("work", work)
builder.add_edge(START, "begin")
builder.add_edge("begin", "work")
builder.add_edge("work", END)
graph = builder
