"""What runs: the built-in multi-agent graph.

Loaded on first use, so that `MultiAgentState` costs neither LangGraph nor polars.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langgraph_workflows.multi_agent_workflow import execute_multi_agent_workflow, multi_agent_graph
    from langgraph_workflows.state import MultiAgentState

__all__ = ["MultiAgentState", "execute_multi_agent_workflow", "multi_agent_graph"]


def __getattr__(name: str) -> Any:
    if name == "MultiAgentState":
        from langgraph_workflows.state import MultiAgentState

        return MultiAgentState
    if name in __all__:
        from langgraph_workflows import multi_agent_workflow

        return getattr(multi_agent_workflow, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
