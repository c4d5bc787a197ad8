"""Who asks: Airflow tasks that hand work to the service and get its answer.

Importing this needs no Airflow; what does loads it on first use. `WorkflowResultPoller` never needs it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from airflow_integration.hooks import WorkflowKafkaHook
    from airflow_integration.langgraph_trigger import trigger_langgraph_workflow
    from airflow_integration.operators import LangGraphWorkflowOperator
    from airflow_integration.result_poller import WorkflowResultPoller
    from airflow_integration.sensors import WorkflowResultSensor
    from airflow_integration.triggers import WorkflowResultTrigger

__all__ = [
    "LangGraphWorkflowOperator",
    "WorkflowKafkaHook",
    "WorkflowResultPoller",
    "WorkflowResultSensor",
    "WorkflowResultTrigger",
    "trigger_langgraph_workflow",
]

_MODULES: Final = {
    "LangGraphWorkflowOperator": "operators",
    "WorkflowKafkaHook": "hooks",
    "WorkflowResultPoller": "result_poller",
    "WorkflowResultSensor": "sensors",
    "WorkflowResultTrigger": "triggers",
    "trigger_langgraph_workflow": "langgraph_trigger",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"airflow_integration.{_MODULES[name]}"), name)
