"""The graph of the programme: three nodes that note every step where no crash can take it back."""

from __future__ import annotations

import asyncio
import json
import operator
import os
import signal
import time
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START, StateGraph

from tests.chaos.recipes import WAIT_S, token_of

HISTORY_VARIABLE = "CHAOS_HISTORY"

What = Literal["start", "end", "raise", "die"]


class Recipe(TypedDict):
    kind: str
    node: str
    times: int
    seconds: dict[str, float]


class TooManyRequests(Exception):
    """What a client of a model's server raises when that says 429: it carries the answer and its headers."""

    def __init__(self) -> None:
        super().__init__("the model's server has too much to do")
        self.status_code = 429
        self.response = self
        self.headers = {"retry-after": f"{WAIT_S:g}"}


class ChaosState(TypedDict, total=False):
    """`path` grows by one node a step: whatever runs twice, or from the beginning again, shows in it; and so
    does `tokens`, in which each node says whom it took itself to run for.
    """

    recipe: Recipe
    other: float
    path: Annotated[list[str], operator.add]
    tokens: Annotated[list[str], operator.add]
    failure: str


def note_step(node: str, what: What, config: RunnableConfig) -> None:
    """One line of the history with one write: whole or not there, whoever is killed."""
    conf = config["configurable"]
    line = {
        "event": str(conf["thread_id"]),
        "node": node,
        "what": what,
        "epoch": int(conf.get("lease_epoch", 0)),
        "pid": os.getpid(),
        "time": time.time(),
    }
    os.write(_history(), json.dumps(line).encode() + b"\n")


class Node:
    """One execution of one node."""

    def __init__(self, name: str, state: ChaosState, config: RunnableConfig) -> None:
        self.name = name
        self.recipe = state["recipe"]
        self.event_id = str(config["configurable"]["thread_id"])
        self._config = config
        self.token = token_of(self.event_id, state)
        self.seconds = self.recipe["seconds"][name]
        self.note("start")

    def note(self, what: What) -> None:
        note_step(self.name, what, self._config)

    def misbehave(self) -> None:
        """What the recipe has for this node, half-way through it."""
        if self.recipe["node"] != self.name:
            return
        kind, tries = self.recipe["kind"], self._tries()
        if kind == "crash-loop" or (kind == "deadly" and tries <= self.recipe["times"]):
            self.note("die")
            os.kill(os.getpid(), signal.SIGKILL)
        if kind == "exhausted" or (kind == "flaky" and tries <= self.recipe["times"]):
            self.note("raise")
            raise ConnectionError("the model's server does not answer")
        if kind == "told-to-wait" and tries == 1:
            self.note("raise")
            raise TooManyRequests
        if kind == "broken" or (kind == "mended" and tries == 1):
            self.note("raise")
            raise ValueError("the request makes no sense")

    def result(self) -> dict[str, Any]:
        self.note("end")
        says_no = self.recipe["kind"] == "failing" and self.name == "c"
        state: dict[str, Any] = {"path": [self.name], "tokens": [self.token]}
        return state | ({"failure": "the answer is no"} if says_no else {})

    def _tries(self) -> int:
        """How often this run has come here, this time included; kept through crashes."""
        if self.recipe["kind"] in ("good", "failing", "crash-loop", "broken", "exhausted"):
            return 1
        counter = Path(os.environ[HISTORY_VARIABLE] + ".tries") / self.event_id
        with counter.open("ab") as file:
            file.write(b".")
            return file.tell()


async def a(state: ChaosState, config: RunnableConfig) -> dict[str, Any]:
    """An asynchronous node."""
    return await _asynchronous("a", state, config)


def b(state: ChaosState, config: RunnableConfig) -> dict[str, Any]:
    """A synchronous node, which LangGraph runs in a thread."""
    node = Node("b", state, config)
    time.sleep(node.seconds / 2)
    node.misbehave()
    time.sleep(node.seconds / 2)
    return node.result()


async def c(state: ChaosState, config: RunnableConfig) -> dict[str, Any]:
    """Another asynchronous node."""
    return await _asynchronous("c", state, config)


async def _asynchronous(name: str, state: ChaosState, config: RunnableConfig) -> dict[str, Any]:
    node = Node(name, state, config)
    await asyncio.sleep(node.seconds / 2)
    node.misbehave()
    await asyncio.sleep(node.seconds / 2)
    return node.result()


@cache
def _history() -> int:
    return os.open(os.environ[HISTORY_VARIABLE], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)


_builder = StateGraph(ChaosState)
_builder.add_node("a", a)
_builder.add_node("b", b)
_builder.add_node("c", c)
_builder.add_edge(START, "a")
_builder.add_edge("a", "b")
_builder.add_edge("b", "c")
_builder.add_edge("c", END)
graph = _builder.compile()
