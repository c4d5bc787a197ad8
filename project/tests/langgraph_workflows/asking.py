"""How these tests ask the graph: one call, one final state that is certainly JSON."""

import json
from typing import Any, cast
from uuid import uuid4

from hypothesis import HealthCheck, settings
from langchain_core.runnables import RunnableConfig

from langgraph_workflows import multi_agent_graph
from langgraph_workflows.state import MultiAgentState

patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""For property tests: a busy machine is no failure."""


def request(task: Any = "look", data: Any = None, **more: Any) -> MultiAgentState:
    """The state that an event becomes, with `data` as its data."""
    state = {
        "messages": [],
        "task": task,
        "agent_results": {},
        "current_agent": "orchestrator",
        "completed": False,
        "metadata": {"event_id": "e-1", "workflow_id": "w"},
        "data": {} if data is None else data,
    }
    return cast(MultiAgentState, {**state, **more})


def bare(task: str) -> MultiAgentState:
    """An input with nothing but a task."""
    return cast(MultiAgentState, {"task": task})


def on_thread(thread: str | None = None) -> RunnableConfig:
    """A config that names the thread, a new one by default."""
    return {"configurable": {"thread_id": thread or str(uuid4())}}


def ask(data: Any = None, *, task: Any = "look", thread: str | None = None, **more: Any) -> dict[str, Any]:
    """The final state for these data. Fails if it is not plain, strict JSON."""
    state: dict[str, Any] = multi_agent_graph.invoke(request(task, data, **more), on_thread(thread))
    json.dumps(state, allow_nan=False)
    return state


def analysis(data: Any, **more: Any) -> dict[str, Any]:
    """The analysis agent's part of a request that must succeed."""
    state = ask(data, **more)
    assert state["completed"] is True, state.get("failure")
    found: dict[str, Any] = state["agent_results"]["analysis"]["analysis"]
    return found


def failure(data: Any, **more: Any) -> str:
    """The reason of a request that must fail, and does so in the way promised."""
    state = ask(data, **more)
    assert state["completed"] is False
    assert "analysis" not in state["agent_results"]
    reason: str = state["failure"]
    assert reason
    assert "Traceback" not in reason
    assert reason in state["conclusion"]
    return reason


def rows(**columns: list[Any]) -> list[dict[str, Any]]:
    """Records from columns of equal length."""
    names = list(columns)
    return [dict(zip(names, values, strict=True)) for values in zip(*columns.values(), strict=True)]
