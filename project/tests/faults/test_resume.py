"""A run that was cut off at any write of its checkpoints goes on, and no finished node runs again."""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver, ChannelVersions, Checkpoint, CheckpointMetadata
from langgraph.graph import END, START, StateGraph

from langgraph_integration.graphs.registry import GraphRegistry
from langgraph_integration.graphs.runner import LangGraphRunner
from langgraph_integration.graphs.specs import GraphSettings, GraphSpec
from langgraph_integration.store import open_store
from tests.langgraph_integration.events import event
from workflow_events import WorkflowEvent

NODES = ("a", "b", "c")
WRITES = 8
"""Of a run of three nodes: the input, its writes, and two for each node."""


class State(TypedDict, total=False):
    question: str
    path: Annotated[list[str], operator.add]


class PowerCut(BaseException):
    """The process is gone."""


class MortalSaver(BaseCheckpointSaver[int]):
    """Passes so many writes on, and then the process ends: with the write done, and nothing after it."""

    def __init__(self, saver: BaseCheckpointSaver[int], writes: int) -> None:
        super().__init__(serde=saver.serde)
        self._saver = saver
        self._left = writes
        self.get_next_version = saver.get_next_version  # type: ignore[method-assign]  # versions are the inner one's
        self.aget_tuple = saver.aget_tuple  # type: ignore[method-assign]  # reads do no harm

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        self._live_or_die()
        return await self._saver.aput(config, checkpoint, metadata, new_versions)

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        self._live_or_die()
        await self._saver.aput_writes(config, writes, task_id, task_path)

    def _live_or_die(self) -> None:
        if self._left == 0:
            raise PowerCut
        self._left -= 1


def _runner(saver: BaseCheckpointSaver[int], ran: Counter[str]) -> LangGraphRunner:
    builder = StateGraph(State)
    for name in NODES:
        builder.add_node(name, _noting(name, ran))
    for source, target in zip((START, *NODES), (*NODES, END), strict=True):
        builder.add_edge(source, target)
    spec = GraphSpec("graph", builder.compile(checkpointer=saver), GraphSettings())
    return LangGraphRunner(GraphRegistry({"graph": spec}, "graph", {}))


def _noting(name: str, ran: Counter[str]) -> Any:
    def node(_: State) -> dict[str, Any]:
        ran[name] += 1
        return {"path": [name]}

    return node


async def _cut_off(runner: LangGraphRunner, asked: WorkflowEvent) -> bool:
    try:
        await runner.run(asked, 10.0)
    except PowerCut:
        return True
    return False


@pytest.mark.parametrize("writes", range(WRITES))
async def test_a_run_goes_on_from_any_write_that_was_its_last(writes: int) -> None:
    """Also between the writes of a step and the checkpoint that takes them up, where `next` is empty."""
    asked, ran = event({"question": "?"}), Counter[str]()
    async with open_store("memory:", owner="a", lease_time=timedelta(minutes=1)) as store:
        assert await _cut_off(_runner(MortalSaver(store.saver, writes), ran), asked)
        before = Counter(ran)
        state = await _runner(store.saver, ran).run(asked, 10.0)

    assert state["path"] == list(NODES)
    repeated = {name for name in NODES if ran[name] > 1}
    assert len(repeated) <= 1
    assert repeated <= {name for name, count in before.items() if count and name == max(before)}


async def test_a_finished_thread_answers_without_running() -> None:
    """Its stored state is the answer."""
    asked, ran = event({"question": "?"}), Counter[str]()
    async with open_store("memory:", owner="a", lease_time=timedelta(minutes=1)) as store:
        assert not await _cut_off(_runner(MortalSaver(store.saver, 100), ran), asked)
        state = await _runner(store.saver, ran).run(asked, 10.0)

    assert state["path"] == list(NODES)
    assert set(ran.values()) == {1}
