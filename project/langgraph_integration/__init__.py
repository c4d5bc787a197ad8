"""How it runs: workflow events from Kafka to LangGraph, and the answers back."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langgraph_integration.config import ConsumerConfig
    from langgraph_integration.consumer import LangGraphKafkaConsumer
    from langgraph_integration.processor import WorkflowProcessor, event_to_multi_agent_state

__all__ = ["ConsumerConfig", "LangGraphKafkaConsumer", "WorkflowProcessor", "event_to_multi_agent_state"]

_HOMES = {
    "ConsumerConfig": "config",
    "LangGraphKafkaConsumer": "consumer",
    "WorkflowProcessor": "processor",
    "event_to_multi_agent_state": "processor",
}


def __getattr__(name: str) -> Any:
    """Loaded on first use: the command line answers --help without LangGraph."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
