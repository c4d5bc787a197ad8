"""What the agents of the built-in graph share, and how their updates come together."""

from typing import Annotated, Any, Literal, NotRequired

# Not typing's: pydantic, which makes the schema for LangGraph's tools, reads that only from Python 3.12 on.
from typing_extensions import TypedDict

AgentName = Literal["orchestrator", "data", "analysis"]


def join_messages(current: list[Any] | None, update: list[Any] | None) -> list[Any]:
    """The messages so far, then the new ones. Nothing is ever taken out: a thread keeps its history."""
    return [*(current or ()), *(update or ())]


def merge_results(current: dict[str, Any] | None, update: dict[str, Any] | None) -> dict[str, Any]:
    """The results by agent; a newer one replaces that agent's older one, and `None` takes it back."""
    merged = {**(current or {}), **(update or {})}
    return {agent: result for agent, result in merged.items() if result is not None}


class MultiAgentState(TypedDict):
    """The state of one run. Every value is plain JSON, so that any saver and any topic can carry it.

    `data` is the asker's input (`records` or `file`, see `request.py`). `failure` is the reason why a
    request cannot be met; empty or absent otherwise. `conclusion` is written once, at the very end.
    """

    messages: Annotated[list[Any], join_messages]
    task: str
    agent_results: Annotated[dict[str, Any], merge_results]
    current_agent: str
    completed: bool
    metadata: dict[str, Any]
    data: NotRequired[dict[str, Any]]
    failure: NotRequired[str]
    conclusion: NotRequired[str]


def initial_state(task: str, *, data: dict[str, Any] | None = None) -> MultiAgentState:
    """A state to start a run with. Without `data` a thread that was used before keeps its own."""
    state = MultiAgentState(
        messages=[], task=task, agent_results={}, current_agent="orchestrator", completed=False, metadata={}
    )
    if data is not None:
        state["data"] = data
    return state


def said(agent: AgentName, text: str) -> dict[str, str]:
    """One message of an agent, in the shape that chat models and LangChain read."""
    return {"role": "assistant", "name": agent, "content": text}
