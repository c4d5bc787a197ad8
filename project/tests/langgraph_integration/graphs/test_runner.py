"""A user's own graph: its input, its limits, its result, and going on instead of starting anew."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
from langgraph.errors import GraphRecursionError

from langgraph_integration.graphs.conversion import outcome_of
from langgraph_integration.graphs.registry import load_registry
from langgraph_integration.graphs.runner import LangGraphRunner
from langgraph_integration.graphs.threads import NodeThreads, busy_node_threads, install_node_threads
from langgraph_integration.pipeline.outcome import Succeeded
from langgraph_integration.pipeline.run_context import Drained, RunContext, running
from tests.langgraph_integration.events import event
from tests.support import wait_until
from workflow_events import WorkflowEvent
from workflow_events.errors import InvalidRecord, WorkflowTimeout

GRAPHS = """
import asyncio, operator, time
from dataclasses import dataclass, field
from typing import Annotated, Any, NotRequired, TypedDict
from langchain_core.runnables import RunnableConfig
from langgraph.func import entrypoint
from langgraph.graph import StateGraph
from pydantic import BaseModel

class State(TypedDict, total=False):
    question: str
    log: Annotated[list[str], operator.add]
    seconds: float
    seen: dict[str, Any]

broken = True

async def first(state: State) -> State:
    await asyncio.sleep(0)
    return {"log": ["first"]}

async def second(state: State, config: RunnableConfig) -> State:
    await asyncio.sleep(state.get("seconds", 0))
    if state["question"] == "fails once":
        global broken
        if broken:
            broken = False
            raise ConnectionError("no route")
    return {"log": ["second"], "seen": dict(config["metadata"])}

def chain(schema, *nodes, **options):
    builder = StateGraph(schema, **options)
    for node in nodes:
        builder.add_node(node.__name__, node)
    builder.set_entry_point(nodes[0].__name__)
    for before, after in zip(nodes, nodes[1:]):
        builder.add_edge(before.__name__, after.__name__)
    return builder.set_finish_point(nodes[-1].__name__)

plain = chain(State, first, second)

class Asked(TypedDict):
    question: str
    seconds: NotRequired[float]

class Answer(TypedDict):
    log: list[str]

narrow = chain(State, first, second, input_schema=Asked, output_schema=Answer)

class Model(BaseModel):
    question: str
    answer: int = 0

def answer(state):
    return {"answer": 42}

model = chain(Model, answer)

@dataclass
class Data:
    question: str
    answer: int = 0
    log: list[str] = field(default_factory=list)

data = chain(Data, answer)

@entrypoint()
async def functional(asked):
    return len(asked["question"])

def again(state):
    return {}

looping = StateGraph(State).add_node(again).set_entry_point("again").add_edge("again", "again")

def sleeps(state):
    time.sleep(state.get("seconds", 0))
    return {"log": ["slept"]}

blocking = chain(State, sleeps)
"""
NAMES = ("plain", "narrow", "model", "data", "functional", "looping", "blocking")


@pytest.fixture
async def runner(graph_folder: Callable[..., str]) -> LangGraphRunner:
    """All of the graphs above; `plain` has a time limit of its own."""
    ours = {"graphs": {"plain": {"timeout_seconds": 0.3}, "looping": {"recursion_limit": 5}}}
    path = graph_folder(GRAPHS, {name: name for name in NAMES}, default="narrow", **ours)
    return LangGraphRunner(await load_registry(path))


def _ask(graph: str, **data: Any) -> WorkflowEvent:
    return event(data, graph=graph)


@pytest.mark.parametrize("graph", ["plain", "narrow", "model", "data", "functional"])
async def test_the_payload_is_the_input_or_its_data(runner: LangGraphRunner, graph: str) -> None:
    """`payload.data["data"]` if that is an object, else `payload.data`."""
    direct = await runner.run(_ask(graph, question="why"), 5)
    nested = await runner.run(_ask(graph, data={"question": "why"}, task="ignored"), 5)

    for state in (direct, nested):
        state.pop("seen", None)
    assert direct == nested
    spec = runner.resolve(_ask(graph))
    assert isinstance(outcome_of(spec, direct), Succeeded)


async def test_the_result_is_the_output_schemas_state(runner: LangGraphRunner) -> None:
    """The rest of the state stays inside, also when it is answered from the checkpoint."""
    asked = _ask("narrow", question="why")

    assert await runner.run(asked, 5) == {"log": ["first", "second"]}
    assert await runner.run(asked, 5) == {"log": ["first", "second"]}


async def test_a_model_as_state_is_answered_as_an_object(runner: LangGraphRunner) -> None:
    """Pydantic, a dataclass, and whatever a functional graph returns; the same from the checkpoint."""
    for graph in ("model", "data"):
        asked = _ask(graph, question="why")
        first, again = await runner.run(asked, 5), await runner.run(asked, 5)
        assert first == again == {"question": "why", "answer": 42}
    assert await runner.run(_ask("functional", question="why"), 5) == {"output": 3}


@pytest.mark.parametrize(
    ("graph", "data", "text"),
    [
        ("plain", {"asked": 1}, "'plain' takes log, question, seconds, seen; the event has asked"),
        ("plain", {}, "the event has no keys"),
        ("narrow", {"seconds": 1}, "'narrow' needs question; the event has seconds"),
        ("model", {"answer": 1}, "'model' needs question; the event has answer"),
        ("data", {"log": []}, "'data' needs question; the event has log"),
        ("narrow", {"question": "why", "data": {"x": 1}}, "'narrow' needs question; the event has x"),
    ],
)
async def test_an_input_that_the_graph_cannot_take_names_the_keys(
    runner: LangGraphRunner, graph: str, data: dict[str, Any], text: str
) -> None:
    """A permanent error, before anything runs."""
    with pytest.raises(InvalidRecord, match=text):
        await runner.run(_ask(graph, **data), 5)


async def test_the_ids_of_the_event_are_in_the_runs_metadata(runner: LangGraphRunner) -> None:
    """Nodes and traces find them there; an event sets no other key of the configuration."""
    asked = _ask("plain", question="why", configurable={"thread_id": "mine"}, recursion_limit=1)
    state = await runner.run(asked, 5)

    assert state["seen"]["event_id"] == str(asked.event_id)
    assert (state["seen"]["workflow_id"], state["seen"]["workflow_run_id"]) == ("dag", "run-1")
    assert state["seen"]["thread_id"] == str(asked.event_id)


async def test_a_run_that_failed_goes_on_where_it_failed(runner: LangGraphRunner) -> None:
    """The input is not sent again: LangGraph would start anew on top of the old state."""
    asked = _ask("narrow", question="fails once")
    with pytest.raises(ConnectionError):
        await runner.run(asked, 5)

    assert await runner.run(asked, 5) == {"log": ["first", "second"]}


async def test_the_time_limit_is_the_graphs_own_or_the_services(runner: LangGraphRunner) -> None:
    """And the run can go on after it, from its last checkpoint."""
    for graph, limit in (("plain", "0.3"), ("narrow", "0.2")):
        with pytest.raises(WorkflowTimeout, match=rf"graph '{graph}'\) timed out after {limit} seconds"):
            await runner.run(_ask(graph, question="why", seconds=30), 0.2)


async def test_a_loop_ends_at_the_recursion_limit(runner: LangGraphRunner) -> None:
    """Five steps here, fifty by default, not LangGraph's ten thousand."""
    with pytest.raises(GraphRecursionError):
        await runner.run(_ask("looping", question="why"), 5)

    assert runner.resolve(_ask("plain")).settings.recursion_limit == 50


async def test_a_drain_stops_at_the_next_step_and_the_run_goes_on_later(runner: LangGraphRunner) -> None:
    """What was done is not done again."""
    asked = _ask("narrow", question="why", seconds=0)
    context = RunContext(fresh=True)
    context.request_drain("stop")
    with running(context), pytest.raises(Drained, match="stop"):
        await runner.run(asked, 5)

    assert context.drain_reason == "stop"
    assert await runner.run(asked, 5) == {"log": ["first", "second"]}


async def test_synchronous_nodes_have_as_many_threads_as_configured(runner: LangGraphRunner) -> None:
    """Twenty at once, where the loop's own pool has six on two cores."""
    loop = asyncio.get_running_loop()
    threads = install_node_threads(loop, 20)
    assert install_node_threads(loop, 20) is threads
    began = time.monotonic()
    asks = [_ask("blocking", question="why", seconds=1.0) for _ in range(20)]
    await asyncio.gather(*(runner.run(each, 10) for each in asks))

    # six threads would take four turns of a second
    assert time.monotonic() - began < 3.5
    assert install_node_threads(loop, 3) is not threads
    assert busy_node_threads(loop) == 0


async def test_a_node_that_outlives_its_timeout_stays_with_its_run(runner: LangGraphRunner) -> None:
    """Its thread cannot be stopped: a retry must wait for it, and it must be seen."""
    install_node_threads(asyncio.get_running_loop(), 2)
    context = RunContext()
    with running(context), pytest.raises(WorkflowTimeout):
        await runner.run(_ask("blocking", question="why", seconds=0.6), 0.1)
    left = len(context.threads)
    await wait_until(lambda: not context.threads, description="the thread to end")

    assert left == 1


def test_a_pool_counts_what_is_busy() -> None:
    """Outside of a run too."""
    pool = NodeThreads(1)
    futures = [pool.submit(time.sleep, 0.05) for _ in range(3)]
    busy = pool.busy
    for future in futures:
        future.result()
    pool.shutdown()

    assert (busy, pool.busy, pool.size) == (3, 0, 1)


def test_a_pool_that_cannot_have_its_threads_says_so_at_once() -> None:
    """Not by the first run that needs one more: the setting is named, and the way out."""
    code = (
        "import resource, threading\n"
        "from langgraph_integration.graphs.threads import NodeThreads\n"
        "threading.stack_size(1 << 30)\n"
        "resource.setrlimit(resource.RLIMIT_AS, (4 << 30, resource.RLIM_INFINITY))\n"
        "NodeThreads(32)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)

    assert done.returncode == 1
    assert "WORKFLOW_SYNC_THREADS is 32, and the system does not give as many threads" in done.stderr
