"""A graph whose run can be stopped anywhere and whose history shows what ran."""

from __future__ import annotations

import operator
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, TypedDict

from langgraph.channels import DeltaChannel
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph

STEPS = "abcde"


@dataclass(frozen=True)
class Mark:
    """A type of a graph's own, unknown to the serializer."""

    age: timedelta


class Log(TypedDict):
    """What ran, in order."""

    log: Annotated[list[str], operator.add]


async def nothing(step: str) -> None:
    """Do nothing before a step."""


def concatenated(state: list[str] | None, writes: Sequence[list[str]]) -> list[str]:
    """The reducer of a delta channel: all writes at once."""
    return [*(state or []), *(entry for write in writes for entry in write)]


class DeltaLog(TypedDict):
    """The same, stored as differences with a whole value after every third."""

    log: Annotated[list[str], DeltaChannel(concatenated, list, snapshot_frequency=3)]


def five_steps(
    saver: BaseCheckpointSaver[Any], before: Callable[[str], Awaitable[None]] = nothing, schema: Any = Log
) -> Any:  # the compiled graph is generic over four private types
    """Nodes a to e in a row; `before` is awaited at the start of each."""

    def node(step: str) -> Any:  # LangGraph wants a parameter named state, which Callable cannot say
        async def run(state: Log) -> Log:
            await before(step)
            return {"log": [step]}

        return run

    graph = StateGraph(schema)
    for step in STEPS:
        graph.add_node(step, node(step), input_schema=schema)
    for source, target in zip((START, *STEPS), (*STEPS, END), strict=True):
        graph.add_edge(source, target)
    return graph.compile(checkpointer=saver)


def thread(thread_id: object, lease_epoch: int | None = None) -> dict[str, dict[str, object]]:
    """The config of a run, fenced if an epoch is given."""
    conf: dict[str, object] = {"thread_id": str(thread_id)}
    return {"configurable": conf if lease_epoch is None else conf | {"lease_epoch": lease_epoch}}
