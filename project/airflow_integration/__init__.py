"""Who asks: Airflow tasks that trigger workflows and wait for their results.

Importing this needs no Airflow; what does is loaded on first use.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_integration.langgraph_trigger import trigger_langgraph_workflow
    from airflow_integration.result_poller import WorkflowResultPoller

__all__ = ["WorkflowResultPoller", "trigger_langgraph_workflow"]

_MODULES = {
    "WorkflowResultPoller": "airflow_integration.result_poller",
    "trigger_langgraph_workflow": "airflow_integration.langgraph_trigger",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        from importlib import import_module

        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
