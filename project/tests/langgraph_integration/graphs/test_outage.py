"""A store that goes away in the middle of a run: the run stands where it is, no finished node runs again."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from langgraph_integration.graphs.registry import load_registry
from langgraph_integration.graphs.runner import LangGraphRunner
from langgraph_integration.pipeline.gate import IntakeGate
from langgraph_integration.pipeline.run_context import RunContext, running
from langgraph_integration.store import MemoryDatabase, Store
from langgraph_integration.store import commands as c
from langgraph_integration.store.memory import MemoryBackend
from tests.contract.asks import ask, granted
from tests.langgraph_integration.events import event
from tests.support import wait_until
from workflow_events.errors import LeaseLost, StoreUnavailable, WorkflowTimeout

GRAPH = """
import asyncio
from pathlib import Path
from typing import TypedDict
from langgraph.graph import StateGraph

class State(TypedDict, total=False):
    file: str
    seconds: float

def note(state, node):
    with open(state["file"], "a") as file:
        file.write(node + "\\n")

async def first(state: State) -> State:
    note(state, "first")
    return {}

async def beside(state: State) -> State:
    note(state, "beside")
    await asyncio.sleep(state["seconds"])
    return {}

async def second(state: State) -> State:
    note(state, "second")
    await asyncio.sleep(state["seconds"])
    return {}

async def third(state: State) -> State:
    note(state, "third")
    return {}

builder = StateGraph(State)
for node in (first, second, beside, third):
    builder.add_node(node)
builder.set_entry_point("first").add_edge("first", "second").add_edge("first", "beside")
graph = builder.add_edge(["second", "beside"], "third")
"""
LIMIT_S = 0.8
MINUTE = timedelta(minutes=1)


class FadingBackend(MemoryBackend):
    """A database that may be away."""

    away = False
    refused = 0

    async def run(self, command: c.Command[c.T]) -> c.T:
        if self.away:
            self.refused += 1
            raise StoreUnavailable("away")
        return await super().run(command)


@dataclass
class Scene:
    """One run with its lease, its gate and its store."""

    backend: FadingBackend
    store: Store
    runner: LangGraphRunner
    file: Path
    gate: IntakeGate
    given_up: asyncio.Event

    async def go(self, event_id: UUID, epoch: int) -> dict[str, Any]:
        """As the service runs an event."""
        context = RunContext(lease_epoch=epoch, fresh=True)
        context.patience = lambda call: self.gate.insist("run", call, given_up=self.given_up)
        asked = event({"file": str(self.file), "seconds": 0.2}, event_id=event_id)
        with running(context):
            return await self.runner.run(asked, LIMIT_S)

    async def begun(self) -> tuple[asyncio.Task[dict[str, Any]], UUID]:
        """A run whose store is away by the time its second step ends."""
        grant = await granted(self.store, ask())
        task = asyncio.create_task(self.go(grant.lease.event_id, grant.lease.epoch))
        await wait_until(lambda: self.count()["beside"] == 1)
        self.backend.away = True
        await wait_until(lambda: "run" in self.gate.reasons)
        return task, grant.lease.event_id

    def count(self) -> Counter[str]:
        """How often each node has begun."""
        return Counter(self.file.read_text().split())


@pytest.fixture
async def scene(graph_folder: Callable[..., str], tmp_path: Path) -> Scene:
    backend = FadingBackend(MemoryDatabase())
    store = Store(backend, owner="a", lease_time=MINUTE)
    runner = LangGraphRunner(await load_registry(graph_folder(GRAPH), store.saver))
    file = tmp_path / "nodes"
    file.touch()
    return Scene(backend, store, runner, file, IntakeGate(), asyncio.Event())


async def test_a_run_waits_for_its_store_and_no_node_runs_again(scene: Scene) -> None:
    """Longer than its time limit: the outage is not the run's fault."""
    task, _ = await scene.begun()
    away_since = time.monotonic()
    await wait_until(lambda: time.monotonic() - away_since > LIMIT_S + 0.4)
    assert not task.done()
    scene.backend.away = False
    await asyncio.wait_for(task, 10)

    assert scene.count() == {"first": 1, "second": 1, "beside": 1, "third": 1}
    assert scene.backend.refused > 1
    assert scene.gate.is_open


async def test_the_time_limit_goes_on_after_the_outage(scene: Scene) -> None:
    """What was left of it is left, and a run that is too slow is ended all the same."""
    grant = await granted(scene.store, ask())
    context = RunContext(lease_epoch=grant.lease.epoch, fresh=True)
    context.patience = lambda call: scene.gate.insist("run", call)
    asked = event({"file": str(scene.file), "seconds": 60.0}, event_id=grant.lease.event_id)
    scene.backend.away = True

    async def come_back() -> None:
        await wait_until(lambda: scene.backend.refused > 2)
        scene.backend.away = False

    with running(context):
        _, outcome = await asyncio.gather(
            come_back(), scene.runner.run(asked, LIMIT_S), return_exceptions=True
        )
    assert isinstance(outcome, WorkflowTimeout)
    assert scene.count() == {"first": 1, "second": 1, "beside": 1}


async def test_a_run_that_was_taken_over_meanwhile_ends_at_once(scene: Scene) -> None:
    """The fence is told when the store answers again, and is not waited out."""
    task, event_id = await scene.begun()
    heir = Store(MemoryBackend(scene.backend._database), owner="b", lease_time=MINUTE)
    run = scene.backend._database.runs[str(event_id)]
    scene.backend._database.runs[str(event_id)] = run._replace(lease_until=0)
    await granted(heir, ask(event_id))
    scene.backend.away = False

    with pytest.raises(LeaseLost):
        await asyncio.wait_for(task, 10)
    assert scene.count()["third"] == 0
    assert scene.gate.is_open


async def test_a_run_that_is_given_up_does_not_wait(scene: Scene) -> None:
    """A stop is not held up by a store that is away."""
    task, _ = await scene.begun()
    began = time.monotonic()
    scene.given_up.set()
    task.cancel()
    await asyncio.wait({task}, timeout=10)

    assert task.done()
    assert time.monotonic() - began < 0.5
    assert scene.gate.is_open


async def test_without_a_service_the_store_is_not_waited_for(scene: Scene) -> None:
    """Whoever runs a graph alone hears of the fault."""
    scene.backend.away = True
    with pytest.raises(StoreUnavailable):
        await scene.runner.run(event({"file": str(scene.file), "seconds": 0.0}), 5)
